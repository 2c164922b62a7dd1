// Products of bfloat16 matrices with what surrounds them in a layer done before the result is stored.
#pragma once
#include "../gpu.h"

namespace rs::gpu {

// c[M,N] = epilogue(a[M,K]·b[N,K]ᵀ); c and aux[M,N] have c_type (RS_BF16 or RS_F32); epilogue is one of RS_EPILOGUE_….
struct HopperProduct {
  void* c;
  const bf16 *a, *b;
  const void* aux;
  int32_t c_type, m, n, k, epilogue;
};
// Whether it can: sizes and addresses (16 bytes) fit. Does not ask for the device.
bool hopper_product_supports(const HopperProduct& product);
// A row of c has the same bits for every M.
void hopper_product(const HopperProduct& product);

}  // namespace rs::gpu
