// The rotation of RoPE and how its kernels walk over heads, shared by rope.cu and rope_rms_norm.cu: chunk i of eight of
// both halves of a head lies with lane i % lanes of the head's group, so that a thread has both elements of each pair.
#pragma once
#include "lanes.h"

namespace rs::gpu {

struct Rotary {
  const float *cos, *sin;  // [T, D/2]
  int32_t b, t, h, d;
};

// Lanes of a head in the kernels for any size.
inline int head_lanes(int32_t d) { return lanes_for(ceil_div(d / 2, 8), 1); }

// Batches that a group of lanes takes at one place and head, so that their angles are loaded once.
constexpr int kHeadBatches = 2;

// Calls f(lanes, blocks) with the lanes as a constant where D is 16 times as many and addresses allow 16-byte accesses;
// false for other heads.
template <class T, class F>
bool with_head_shape(const Rotary& p, const T* x, const T* y, const T* z, F&& f) {
  const int64_t places = int64_t{p.t} * p.h;
  if (!wide_access(p.d / 2, x, y, z, p.cos, p.sin) || p.d % 16 != 0 || places >= int64_t{1} << 31) return false;
  const auto call = [&](auto lanes) {
    const int64_t blocks = ceil_div(places, kLaneThreads / decltype(lanes)::value) * ceil_div(p.b, kHeadBatches);
    if (blocks >= int64_t{1} << 31) return false;
    f(lanes, unsigned(blocks));
    return true;
  };
  if (p.d == 64) return call(std::integral_constant<int, 4>());
  if (p.d == 128) return call(std::integral_constant<int, 8>());
  if (p.d == 256) return call(std::integral_constant<int, 16>());
  return false;
}

#ifdef __CUDACC__

// (p, q) → (p·cos + q·sin, q·cos − p·sin)
__device__ inline void rotate(float (&p)[8], float (&q)[8], const float (&cos)[8], const float (&sin)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const float first = fmaf(p[i], cos[i], q[i] * sin[i]);
    q[i] = fmaf(q[i], cos[i], -(p[i] * sin[i]));
    p[i] = first;
  }
}
__device__ inline void negate(float (&v)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] = -v[i];
}

// The heads of a thread in the kernels with kLanes: batch·T·H + place for `count` batches (0 beyond the end).
template <int kLanes>
struct HeadRows {
  int64_t first, places;  // row of the first batch; rows from one batch to the next
  int count, lane;
  float cos[8], sin[8];

  __device__ explicit HeadRows(const Rotary& p) : places(int64_t{p.t} * p.h), lane(threadIdx.x % kLanes) {
    constexpr uint32_t kGroups = kLaneThreads / kLanes;
    const uint32_t blocks = (uint32_t(places) + kGroups - 1) / kGroups;
    const int64_t batch = int64_t{blockIdx.x / blocks} * kHeadBatches;
    const uint32_t place = blockIdx.x % blocks * kGroups + threadIdx.x / kLanes;
    const bool present = place < uint32_t(places);
    first = batch * places + place;
    count = !present ? 0 : p.b - batch < kHeadBatches ? int(p.b - batch) : kHeadBatches;
    const int64_t angle = int64_t{present ? place / uint32_t(p.h) : 0} * (kLanes * 8) + lane * 8;
    load8(cos, p.cos + angle, 8, true);
    load8(sin, p.sin + angle, 8, true);
  }
  // Offset of the thread's chunk of the first half of head u; the other one is kLanes·8 later.
  __device__ int64_t offset(int u) const { return (first + u * places) * (kLanes * 16) + lane * 8; }
};

// The same of the kernels for any size: one head to a group.
struct HeadRow {
  int64_t row, start, angle, half;  // half is 0 beyond the end
  int lane;

  __device__ HeadRow(const Rotary& p, int lanes) : lane(threadIdx.x % lanes) {
    row = int64_t{blockIdx.x} * (kLaneThreads / lanes) + threadIdx.x / lanes;
    half = row < int64_t{p.b} * p.t * p.h ? p.d / 2 : 0;
    start = row * p.d;
    angle = row / p.h % p.t * (p.d / 2);
  }
};

#endif  // __CUDACC__

}  // namespace rs::gpu
