// Rotary positions, and their inverse, which is the gradient.
#include "rotate.h"

namespace rs::gpu {
namespace {

template <class T, int kLanes>
__global__ void __launch_bounds__(kLaneThreads) rope_kernel(T* __restrict__ y, const T* __restrict__ x, Rotary p,
                                                           bool inverse) {
  HeadRows<kLanes> rows(p);
  Chunk<T> low[kHeadBatches], high[kHeadBatches];
#pragma unroll
  for (int u = 0; u < kHeadBatches; u++) {
    if (u >= rows.count) continue;
    low[u] = load_chunk(x + rows.offset(u));
    high[u] = load_chunk(x + rows.offset(u) + kLanes * 8);
  }
  if (inverse) negate(rows.sin);
#pragma unroll
  for (int u = 0; u < kHeadBatches; u++) {
    if (u >= rows.count) continue;
    float first[8], second[8];
    unpack(first, low[u]);
    unpack(second, high[u]);
    rotate(first, second, rows.cos, rows.sin);
    store_chunk(y + rows.offset(u), first);
    store_chunk(y + rows.offset(u) + kLanes * 8, second);
  }
}

template <class T>
__global__ void __launch_bounds__(kLaneThreads)
    rope_any_kernel(T* y, const T* x, Rotary p, bool inverse, int lanes, bool wide) {
  const HeadRow head(p, lanes);
  for (int64_t at = head.lane * 8; at < head.half; at += lanes * 8) {
    const int count = int(head.half - at);
    const int64_t low = head.start + at, high = low + head.half;
    float first[8], second[8], cos[8], sin[8];
    load8(first, x + low, count, wide);
    load8(second, x + high, count, wide);
    load8(cos, p.cos + head.angle + at, count, wide);
    load8(sin, p.sin + head.angle + at, count, wide);
    if (inverse) negate(sin);
    rotate(first, second, cos, sin);
    store8(y + low, first, count, wide);
    store8(y + high, second, count, wide);
  }
}

}  // namespace

void rope(Tensor* y, const Tensor* x, const Tensor* cos, const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t d,
          bool inverse) {
  const Rotary p{elements<float>(cos), elements<float>(sin), b, t, h, d};
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* to = elements<T>(y);
    const T* from = elements<T>(x);
    const bool done = with_head_shape<T>(p, to, from, nullptr, [&](auto lanes, unsigned blocks) {
      launch(rope_kernel<T, decltype(lanes)::value>, {blocks, kLaneThreads}, to, from, p, inverse);
    });
    if (done) return;
    launch(rope_any_kernel<T>, {lane_blocks(int64_t{b} * t * h, head_lanes(d)), kLaneThreads}, to, from, p, inverse,
           head_lanes(d), wide_access(d / 2, to, from, p.cos, p.sin));
  });
}

}  // namespace rs::gpu
