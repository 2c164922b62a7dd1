// Cosines and sines of rotary positions as the fused kernels read them: half the bytes of the tables.
#pragma once
#include <cuda_fp16.h>

#include "gpu.h"

namespace rs::gpu {

// cos and sin [T, D/2] as pairs of float16, the cosine in the low half of a word, [T, D/2]; 16-byte aligned. An error of
// 2^-12 lies below that of what is rotated, which is bfloat16. Kept beside `cos` until it or `sin` is written to.
const uint32_t* packed_angles(const Tensor* cos, const Tensor* sin);

#ifdef __CUDACC__

// The cosine and sine of a word.
__device__ inline float2 angle_of(uint32_t word) { return __half22float2(*reinterpret_cast<const __half2*>(&word)); }

#endif  // __CUDACC__

}  // namespace rs::gpu
