// Rows that a team of threads holds in registers: Threads threads (a warp or a part of one, or a whole block), Groups
// groups of eight neighbours each. The team depends on the row's length alone, so a row has the same bits wherever it
// stands.
#pragma once
#include <type_traits>

#include "groups.h"

namespace rs::gpu {

constexpr int32_t kLongestHeldRow = 8192;  // longer ones are read from memory again for every pass

// Threads of a block: teams smaller than a warp's share one.
template <int Threads>
constexpr int kRowBlock = Threads <= 32 ? kThreads : Threads;

// Calls f(Threads, Groups) as constants for rows of c elements; returns false, without a call, if none can hold them.
template <class F>
bool with_team(int32_t c, F&& f) {
  using std::integral_constant;
  if (c <= 64) f(integral_constant<int, 8>{}, integral_constant<int, 1>{});
  else if (c <= 512) f(integral_constant<int, 32>{}, integral_constant<int, 2>{});
  else if (c <= 1024) f(integral_constant<int, 128>{}, integral_constant<int, 1>{});
  else if (c <= 4096) f(integral_constant<int, 256>{}, integral_constant<int, 2>{});
  else if (c <= kLongestHeldRow) f(integral_constant<int, 256>{}, integral_constant<int, 4>{});
  else return false;
  return true;
}
template <int Threads>
Launch row_launch(int64_t rows) {
  return {dim3(unsigned(ceil_div(rows, kRowBlock<Threads> / Threads))), dim3(kRowBlock<Threads>)};
}

#ifdef __CUDACC__

// This thread's part of row `row` of [rows, c]; a team beyond the last row has no elements but takes part in the sums.
template <int Threads, int Groups>
struct RowPart {
  int64_t row;
  int32_t c;
  bool exists;

  __device__ RowPart(int64_t row, int64_t rows, int32_t c) : row(row), c(c), exists(row < rows) {}
  static __device__ int team() { return threadIdx.x / Threads; }
  __device__ int32_t column(int k) const { return (k * Threads + int32_t(threadIdx.x % Threads)) * 8; }
  __device__ int count(int k) const { return exists ? count_left(column(k), c, 8) : 0; }
  __device__ bool first() const { return exists && threadIdx.x % Threads == 0; }

  template <class T>
  __device__ void load(Group<T, 8> (&raw)[Groups], const T* x, bool wide) const {
#pragma unroll
    for (int k = 0; k < Groups; k++) raw[k].load(x + row * c + column(k), count(k), wide);
  }
  template <class T>
  __device__ void store(T* y, int k, const float (&v)[8], bool wide) const {
    store_group<8>(y + row * c + column(k), v, count(k), wide);
  }
};

// Sum over a team; every thread gets it. `shared` has 33 floats; may be called again at once.
template <int Threads>
__device__ inline float team_sum(float x, float* shared) {
  if constexpr (Threads > 32) {
    return block_sum(x, shared);
  } else {
#pragma unroll
    for (int offset = Threads / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
    return x;
  }
}

// Largest of a team, under the same conditions. Ignores NaN.
template <int Threads>
__device__ inline float team_max(float x, float* shared) {
#pragma unroll
  for (int offset = (Threads < 32 ? Threads : 32) / 2; offset > 0; offset /= 2)
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
  if constexpr (Threads > 32) {
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < Threads / 32; i++) x = fmaxf(x, shared[i]);
  }
  return x;
}

#endif  // __CUDACC__

}  // namespace rs::gpu
