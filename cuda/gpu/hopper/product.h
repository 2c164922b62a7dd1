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

}  // namespace rs::gpu
