// The end of attention_key_value_gradient.cu where keys came out of rope_rms_norm: the gradient of a key goes on through
// the backward pass of that (rope_rms_norm.cu) while it is in registers.
#pragma once
#include "attention_angles.h"
#include "attention_key_value_operands.h"

#if defined(__CUDACC__) && defined(RS_HOPPER)

namespace rs::gpu {
namespace {

__device__ inline float low_half(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ inline float high_half(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

// A thread's number in its warpgroup. Addresses made of it are not kept in registers through all products.
__device__ inline int late_thread() {
  int thread = threadIdx.x % 128;
  asm volatile("" : "+r"(thread));
  return thread;
}

// A thread's elements of a tile of 64 keys in shared memory: word 2i+h is accumulators 4i+2h+{0, 1}.
template <int D>
__device__ inline void read_units(uint32_t (&unit)[D / 4], const uint8_t* tile) {
  const int thread = late_thread(), lane = thread % 32;
  const uint8_t* row = tile + (thread / 32 * 16 + lane / 4) * 128 + lane % 4 * 4;
#pragma unroll
  for (int i = 0; i < D / 8; i++) {
    const uint8_t* chunk = row + i / 8 * SharedMemory<D>::panel_bytes + (i % 8 ^ lane / 4) * 16;  // 128-byte swizzle
    unit[2 * i] = *reinterpret_cast<const uint32_t*>(chunk);
    unit[2 * i + 1] = *reinterpret_cast<const uint32_t*>(chunk + 8 * 128);
  }
}

// Of a thread's two keys of the 64 from `key` on. Keys after the last take its number; they are never stored.
__device__ inline void load_rstd(float (&rstd)[2], const float* source, const Job& job, const Tile& tile, int key) {
  const int thread = late_thread(), row = thread / 32 * 16 + thread % 32 / 4;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int64_t time = min(key + row + 8 * half, job.t - 1);
    rstd[half] = source[(int64_t{tile.b} * job.t + time) * job.g + tile.g];
  }
}

// Columns j and j + D/2, with their norm's outputs.
__device__ inline void rotate_back(float& p, float& q, float unit_p, float unit_q, float factor, float along,
                                   float cos, float sin) {
  const float a = fmaf(factor, p, -along * unit_p), b = fmaf(factor, q, -along * unit_q);
  p = fmaf(a, cos, -(b * sin));
  q = fmaf(b, cos, a * sin);
}

// The gradient of the norm's output u, scale·x, becomes that of what was rotated: g = rstd·(d − u·Σ(d·u)/D), back.
// `angles` is a tile of 64 keys as TMA writes it, `rstd` that of a thread's two keys.
template <int D>
__device__ inline void rope_backward(float (&x)[D / 2], const uint32_t (&unit)[D / 4], float scale,
                                     const uint8_t* angles, const float (&rstd)[2]) {
  const int thread = late_thread(), lane = thread % 32, row = thread / 32 * 16 + lane / 4;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float sums[4] = {};  // four chains
#pragma unroll
    for (int i = 0; i < D / 8; i++) {
      const int at = 4 * i + 2 * half, chain = i % 2 * 2;
      sums[chain] = fmaf(x[at], low_half(unit[2 * i + half]), sums[chain]);
      sums[chain + 1] = fmaf(x[at + 1], high_half(unit[2 * i + half]), sums[chain + 1]);
    }
    float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    const float factor = rstd[half] * scale, along = factor * sum * (1.0f / D);
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
      const float4 angle = read_angles(angles, row + 8 * half, i, lane);
      const int at = 4 * i + 2 * half;
      const uint32_t first = unit[2 * i + half], second = unit[2 * i + half + D / 8];
      rotate_back(x[at], x[at + D / 4], low_half(first), low_half(second), factor, along, angle.x, angle.y);
      rotate_back(x[at + 1], x[at + 1 + D / 4], high_half(first), high_half(second), factor, along, angle.z, angle.w);
    }
  }
}

}  // namespace
}  // namespace rs::gpu

#endif
