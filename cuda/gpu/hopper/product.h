// Products of bfloat16 matrices with what surrounds them in a layer done before the result is stored.
#pragma once
#include "../gpu.h"

namespace rs::gpu {

// c[M,N] = epilogue(a[M,K]·b[N,K]ᵀ); c and aux[M,N] have c_type (RS_BF16 or RS_F32); epilogue is one of RS_EPILOGUE_…;
// aux may be c. With `segments` of 2 or 3, the products of more_a[i][M,more_k[i]] and more_b[i][N,more_k[i]] are added
// before the epilogue, as if the matrices stood side by side along K (each K filled up with zeros to a multiple of 64).
struct HopperProduct {
  void* c;
  const bf16 *a, *b;
  const void* aux;
  int32_t c_type, m, n, k, epilogue;
  int32_t segments = 1;
  const bf16 *more_a[2] = {}, *more_b[2] = {};
  int32_t more_k[2] = {};
};
// Whether it can: sizes (N and every K multiples of eight, N at least 64) and addresses (multiples of 16) fit. Does not
// ask for the device.
bool hopper_product_supports(const HopperProduct& product);
// A row of c has the same bits for every M and N.
void hopper_product(const HopperProduct& product);

// Rotary positions and the norm over each head behind a projection, as rs_rope_rms_norm_forward of a[M,K]·b[H·D,K]ᵀ but
// from float32 sums: c[M,H·D], rstd[M,H]; row m stands at position m % t; angles [T,D/2] are packed_angles() of
// ../angles.h. D is 64 or 128.
struct HopperRopeProduct {
  bf16* c;
  float* rstd;
  const bf16 *a, *b;
  const uint32_t* angles;
  int32_t m, t, heads, d, k;
  float eps;
};
// Sizes, K a multiple of eight, and addresses (multiples of 16, but rstd; angles may be null yet); c is none of the
// others.
bool hopper_rope_product_supports(const HopperRopeProduct& product);
// A row of c and of rstd has the same bits for every M and number of heads.
void hopper_rope_product(const HopperRopeProduct& product);

// The logits a[M,K]·b[N,K]ᵀ on their way into a cross entropy with soft cap, none of them stored: with e and r of
// CappedSoftmax (../capped_softmax.h), c[M,N] = e·r·(1 − r), a quarter of e's derivative, and sums[⌈N/128⌉,M] = Σ e of
// a row over 128 columns.
struct HopperLossProduct {
  static constexpr int32_t columns = 128;  // of a sum
  bf16* c;
  float* sums;
  const bf16 *a, *b;
  int32_t m, n, k;
  float cap;
};
// Sizes (N a multiple of 32 that suits the device, K a multiple of eight up to 512), cap and addresses (multiples of
// 16, but sums; null where not known yet); the same for every M.
bool hopper_loss_product_supports(const HopperLossProduct& product);
// A row of c and a column of sums has the same bits for every M.
void hopper_loss_product(const HopperLossProduct& product);

}  // namespace rs::gpu
