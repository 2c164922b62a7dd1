// How the norms and the positions walk over rows: a group of lanes of one warp has a row, chunk i of eight neighbours
// lying with lane i % lanes, chunks in rising order. The kernels that keep whole rows in registers and those that loop
// over any row follow the same order and use fused multiply-adds by name, so both give the same bits.
#pragma once
#include <type_traits>

#include "gpu.h"

namespace rs::gpu {

constexpr int kLaneThreads = 256;  // of a block in all of these kernels

// The smallest power of two in least … 32 that is at least `chunks`, or 32.
inline int lanes_for(int64_t chunks, int least) {
  int lanes = least;
  while (lanes < 32 && lanes < chunks) lanes *= 2;
  return lanes;
}
inline int row_lanes(int64_t c) { return lanes_for(ceil_div(c, 8), 8); }

// Calls f(lanes, chunks of a lane), both as constants, for rows short enough for registers; false for others.
template <class F>
bool with_row_lanes(int64_t c, F&& f) {
  const auto call = [&](auto lanes, auto chunks) {
    f(lanes, chunks);
    return true;
  };
  constexpr std::integral_constant<int, 1> one;
  constexpr std::integral_constant<int, 32> warp;
  if (c <= 64) return call(std::integral_constant<int, 8>(), one);
  if (c <= 128) return call(std::integral_constant<int, 16>(), one);
  if (c <= 256) return call(warp, one);
  if (c <= 512) return call(warp, std::integral_constant<int, 2>());
  if (c <= 768) return call(warp, std::integral_constant<int, 3>());
  if (c <= 1024) return call(warp, std::integral_constant<int, 4>());
  if (c <= 2048) return call(warp, std::integral_constant<int, 8>());
  return false;
}

// Blocks for `rows` rows, `lanes` lanes for each `rows_each` of them.
inline unsigned lane_blocks(int64_t rows, int lanes, int rows_each = 1) {
  return unsigned(ceil_div(rows, int64_t{kLaneThreads / lanes} * rows_each));
}

#ifdef __CUDACC__

// Eight neighbours as they lie in memory: many can be in flight at a low price in registers.
template <class T>
struct Chunk;
template <>
struct Chunk<bf16> {
  uint4 words;
};
template <>
struct Chunk<float> {
  float4 low, high;
};

__device__ inline Chunk<bf16> load_chunk(const bf16* p) { return {*reinterpret_cast<const uint4*>(p)}; }
__device__ inline Chunk<float> load_chunk(const float* p) {
  return {*reinterpret_cast<const float4*>(p), *reinterpret_cast<const float4*>(p + 4)};
}
__device__ inline void unpack(float (&v)[8], const Chunk<bf16>& from) {
  const uint32_t words[4] = {from.words.x, from.words.y, from.words.z, from.words.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    v[2 * i] = __uint_as_float(words[i] << 16);
    v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}
__device__ inline void unpack(float (&v)[8], const Chunk<float>& from) {
  v[0] = from.low.x; v[1] = from.low.y; v[2] = from.low.z; v[3] = from.low.w;
  v[4] = from.high.x; v[5] = from.high.y; v[6] = from.high.z; v[7] = from.high.w;
}
template <class T>
__device__ inline void store_chunk(T* p, const float (&v)[8]) {
  store8(p, v, 8, true);
}

// A lane's chunks of a row of c elements, a multiple of eight; zeros beyond its end and where the row is not `present`.
template <int kLanes, int kChunks, class T>
__device__ inline void load_row(Chunk<T> (&chunks)[kChunks], const T* row, int lane, int32_t c, bool present) {
#pragma unroll
  for (int k = 0; k < kChunks; k++) {
    const int32_t at = (k * kLanes + lane) * 8;
    chunks[k] = Chunk<T>{};
    if (present && at < c) chunks[k] = load_chunk(row + at);
  }
}

// Sum over groups of `lanes` lanes, a power of two; every lane of the warp has to call it.
__device__ inline float lanes_sum(float x, int lanes) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2)
    if (offset < lanes) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

// 1/sqrt(sum·inverse + eps), correctly rounded from there.
__device__ inline float reciprocal_root(float sum, float inverse, float eps) {
  return __frsqrt_rn(fmaf(sum, inverse, eps));
}

__device__ inline float add_squares(float sum, const float (&v)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) sum = fmaf(v[i], v[i], sum);
  return sum;
}
__device__ inline float add_products(float sum, const float (&a)[8], const float (&b)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) sum = fmaf(a[i], b[i], sum);
  return sum;
}

#endif  // __CUDACC__

}  // namespace rs::gpu
