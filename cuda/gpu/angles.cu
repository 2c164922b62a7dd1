// Packs the tables of rotary positions, once for as long as they stay the same.
#include "angles.h"

namespace rs::gpu {

namespace {

__global__ void pack_angles_kernel(uint32_t* packed, const float* cos, const float* sin, int64_t count) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    const __half2 pair = __floats2half2_rn(cos[i], sin[i]);
    packed[i] = *reinterpret_cast<const uint32_t*>(&pair);
  }
}

}  // namespace

const uint32_t* packed_angles(const Tensor* cos, const Tensor* sin) {
  // Which sines belong to it, and how many, is part of the key; the highest bits tell it from other copies.
  uint64_t mix = sin->version;
  for (const uint64_t part : {uint64_t(reinterpret_cast<uintptr_t>(sin->data)), uint64_t(cos->count)}) {
    mix = (mix ^ part) * 0x9E3779B97F4A7C15u;
    mix ^= mix >> 32;
  }
  const uint64_t key = uint64_t{0xA7} << 56 | mix >> 8;
  if (const void* kept = find_derived(cos, key)) return static_cast<const uint32_t*>(kept);
  auto* packed = static_cast<uint32_t*>(keep_derived(cos, key, sizeof(uint32_t) * size_t(cos->count)));
  launch(pack_angles_kernel, {grid_for(cos->count, 256), 256}, packed, cos->f32(), sin->f32(), cos->count);
  return packed;
}

}  // namespace rs::gpu
