// Products by kernels of our own that take what the fast ones refuse: any sizes, views off every alignment, operands of
// two types, every epilogue, all in one pass. Also what is bound by memory because a side is tiny (skinny.cu).
#pragma once
#include "gpu.h"

namespace rs::gpu {

// c = epilogue(alpha·op(a)·op(b)), or + beta·aux; operands, strides and transpositions as in Product. Where one operand
// is bfloat16 the other is rounded (`rounds` says so). RS_EPILOGUE_ADD_AUX is written as beta 1.
struct MixedProduct {
  void* c;
  const void *a, *b, *aux;
  int64_t m, stride_a, stride_b, stride_c;
  int32_t c_type, a_type, b_type, items, n, k, epilogue, trans_a, trans_b, rounds;
  float alpha, beta;
};
// A parameter of kernels, whose bytes are compared from step to step: gaps would hold anything.
static_assert(sizeof(MixedProduct) == 4 * sizeof(void*) + 4 * 8 + 12 * 4);

// Does it if a kernel of skinny.cu is made for its sizes; says whether it was. Without trans_a, M is not asked.
bool skinny_product(const MixedProduct& product);
// c = aᵀ·b by parts of K, which run side by side and are added in order: for long K and any M and N.
void long_product(const MixedProduct& product);
// Whatever it is. An element's sum is one chain over k, or long_product's where a is transposed and has kLongSum terms.
constexpr int32_t kLongSum = 2048;
void tiled_product(const MixedProduct& product);

#ifdef __CUDACC__

__device__ inline float load_any(const void* data, int32_t type, int64_t at, bool round) {
  if (type == RS_BF16) return __bfloat162float(static_cast<const bf16*>(data)[at]);
  const float x = static_cast<const float*>(data)[at];
  return round ? __bfloat162float(__float2bfloat16_rn(x)) : x;
}
__device__ inline void round_all(float (&v)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] = __bfloat162float(__float2bfloat16_rn(v[i]));
}
// What becomes of a sum; NaN comes through. `aux` is read only where the epilogue or beta asks for it.
__device__ inline float finished(float sum, float aux, float alpha, float beta, int32_t epilogue) {
  const float x = alpha * sum;
  if (epilogue == RS_EPILOGUE_RELU2) return x < 0 ? 0.0f : x * x;
  if (epilogue == RS_EPILOGUE_RELU2_BACKWARD) return x * (2 * sqrtf(aux));
  return beta != 0 ? x + beta * aux : x;
}
__device__ inline bool reads_aux(float beta, int32_t epilogue) {
  return beta != 0 || epilogue == RS_EPILOGUE_RELU2_BACKWARD;
}
// Finishes the sum of the element `at` and stores it.
__device__ inline void finish(const MixedProduct& p, int64_t at, float sum) {
  const float aux = reads_aux(p.beta, p.epilogue) ? load_any(p.aux, p.c_type, at, false) : 0.0f;
  const float x = finished(sum, aux, p.alpha, p.beta, p.epilogue);
  if (p.c_type == RS_BF16) static_cast<bf16*>(p.c)[at] = __float2bfloat16_rn(x);
  else static_cast<float*>(p.c)[at] = x;
}

#endif

}  // namespace rs::gpu
