// Rotary positions followed by the norm over a head, in one pass, and its gradient.
#include "rotate.h"

namespace rs::gpu {
namespace {

__device__ inline float add_pair_squares(float sum, const float (&first)[8], const float (&second)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) sum = fmaf(second[i], second[i], fmaf(first[i], first[i], sum));
  return sum;
}
__device__ inline void scale(float (&v)[8], float r) {
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] *= r;
}

template <class T, int kLanes>
__global__ void __launch_bounds__(kLaneThreads)
    rope_rms_norm_forward_kernel(T* __restrict__ y, float* __restrict__ rstd, const T* __restrict__ x, Rotary p,
                                 float inverse, float eps) {
  const HeadRows<kLanes> rows(p);
  Chunk<T> low[kHeadBatches], high[kHeadBatches];
#pragma unroll
  for (int u = 0; u < kHeadBatches; u++) {
    low[u] = high[u] = Chunk<T>{};
    if (u >= rows.count) continue;
    low[u] = load_chunk(x + rows.offset(u));
    high[u] = load_chunk(x + rows.offset(u) + kLanes * 8);
  }
#pragma unroll
  for (int u = 0; u < kHeadBatches; u++) {
    float first[8], second[8];
    unpack(first, low[u]);
    unpack(second, high[u]);
    rotate(first, second, rows.cos, rows.sin);
    const float r = reciprocal_root(lanes_sum(add_pair_squares(0, first, second), kLanes), inverse, eps);
    if (u >= rows.count) continue;
    if (rows.lane == 0) rstd[rows.first + u * rows.places] = r;
    scale(first, r);
    scale(second, r);
    store_chunk(y + rows.offset(u), first);
    store_chunk(y + rows.offset(u) + kLanes * 8, second);
  }
}

template <class T>
__global__ void __launch_bounds__(kLaneThreads)
    rope_rms_norm_forward_any_kernel(T* y, float* rstd, const T* x, Rotary p, float inverse, float eps, int lanes,
                                     bool wide) {
  const HeadRow head(p, lanes);
  float first[8], second[8];
  const auto rotated = [&](int64_t at) {
    const int count = int(head.half - at);
    float cos[8], sin[8];
    load8(first, x + head.start + at, count, wide);
    load8(second, x + head.start + head.half + at, count, wide);
    load8(cos, p.cos + head.angle + at, count, wide);
    load8(sin, p.sin + head.angle + at, count, wide);
    rotate(first, second, cos, sin);
  };
  float squares = 0;
  for (int64_t at = head.lane * 8; at < head.half; at += lanes * 8) {
    rotated(at);
    squares = add_pair_squares(squares, first, second);
  }
  const float r = reciprocal_root(lanes_sum(squares, lanes), inverse, eps);
  if (head.half != 0 && head.lane == 0) rstd[head.row] = r;
  for (int64_t at = head.lane * 8; at < head.half; at += lanes * 8) {
    rotated(at);
    scale(first, r);
    scale(second, r);
    store8(y + head.start + at, first, int(head.half - at), wide);
    store8(y + head.start + head.half + at, second, int(head.half - at), wide);
  }
}

// ---- gradient ----

// grad ← r·(grad − along·unit)
__device__ inline void norm_gradient(float (&grad)[8], const float (&unit)[8], float r, float along) {
#pragma unroll
  for (int i = 0; i < 8; i++) grad[i] = r * fmaf(-along, unit[i], grad[i]);
}

template <class T, int kLanes>
__global__ void __launch_bounds__(kLaneThreads)
    rope_rms_norm_backward_kernel(T* __restrict__ dx, const T* __restrict__ dy, const T* __restrict__ y,
                                  const float* __restrict__ rstd, Rotary p, float inverse) {
  HeadRows<kLanes> rows(p);
  Chunk<T> low[kHeadBatches], high[kHeadBatches], low_unit[kHeadBatches], high_unit[kHeadBatches];
  float r[kHeadBatches];
#pragma unroll
  for (int u = 0; u < kHeadBatches; u++) {
    low[u] = high[u] = low_unit[u] = high_unit[u] = Chunk<T>{};
    r[u] = 0;
    if (u >= rows.count) continue;
    low[u] = load_chunk(dy + rows.offset(u));
    high[u] = load_chunk(dy + rows.offset(u) + kLanes * 8);
    low_unit[u] = load_chunk(y + rows.offset(u));
    high_unit[u] = load_chunk(y + rows.offset(u) + kLanes * 8);
    r[u] = rstd[rows.first + u * rows.places];
  }
  negate(rows.sin);  // back
#pragma unroll
  for (int u = 0; u < kHeadBatches; u++) {
    float first[8], second[8], first_unit[8], second_unit[8];
    unpack(first, low[u]);
    unpack(second, high[u]);
    unpack(first_unit, low_unit[u]);
    unpack(second_unit, high_unit[u]);
    const float dot = add_products(add_products(0, first, first_unit), second, second_unit);
    const float along = lanes_sum(dot, kLanes) * inverse;
    if (u >= rows.count) continue;
    norm_gradient(first, first_unit, r[u], along);
    norm_gradient(second, second_unit, r[u], along);
    rotate(first, second, rows.cos, rows.sin);
    store_chunk(dx + rows.offset(u), first);
    store_chunk(dx + rows.offset(u) + kLanes * 8, second);
  }
}

template <class T>
__global__ void __launch_bounds__(kLaneThreads)
    rope_rms_norm_backward_any_kernel(T* dx, const T* dy, const T* y, const float* rstd, Rotary p, float inverse,
                                      int lanes, bool wide) {
  const HeadRow head(p, lanes);
  float first[8], second[8], first_unit[8], second_unit[8], dot = 0;
  const auto load = [&](int64_t at) {
    const int count = int(head.half - at);
    const int64_t low = head.start + at, high = low + head.half;
    load8(first, dy + low, count, wide);
    load8(second, dy + high, count, wide);
    load8(first_unit, y + low, count, wide);
    load8(second_unit, y + high, count, wide);
  };
  for (int64_t at = head.lane * 8; at < head.half; at += lanes * 8) {
    load(at);
    dot = add_products(add_products(dot, first, first_unit), second, second_unit);
  }
  const float along = lanes_sum(dot, lanes) * inverse, r = head.half != 0 ? rstd[head.row] : 0.0f;
  for (int64_t at = head.lane * 8; at < head.half; at += lanes * 8) {
    load(at);
    const int count = int(head.half - at);
    float cos[8], sin[8];
    load8(cos, p.cos + head.angle + at, count, wide);
    load8(sin, p.sin + head.angle + at, count, wide);
    negate(sin);
    norm_gradient(first, first_unit, r, along);
    norm_gradient(second, second_unit, r, along);
    rotate(first, second, cos, sin);
    store8(dx + head.start + at, first, count, wide);
    store8(dx + head.start + head.half + at, second, count, wide);
  }
}

}  // namespace

void rope_rms_norm_forward(Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* cos, const Tensor* sin, int32_t b,
                           int32_t t, int32_t h, int32_t d, double eps) {
  const Rotary p{elements<float>(cos), elements<float>(sin), b, t, h, d};
  const float inverse = 1.0f / float(d);
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* to = elements<T>(y);
    const T* from = elements<T>(x);
    const bool done = with_head_shape<T>(p, to, from, nullptr, [&](auto lanes, unsigned blocks) {
      launch(rope_rms_norm_forward_kernel<T, decltype(lanes)::value>, {blocks, kLaneThreads}, to, rstd->f32(), from, p,
             inverse, eps);
    });
    if (done) return;
    const int lanes = head_lanes(d);
    launch(rope_rms_norm_forward_any_kernel<T>, {lane_blocks(int64_t{b} * t * h, lanes), kLaneThreads}, to, rstd->f32(),
           from, p, inverse, eps, lanes, wide_access(d / 2, to, from, p.cos, p.sin));
  });
}

void rope_rms_norm_backward(Tensor* dx, const Tensor* dy, const Tensor* y, const Tensor* rstd, const Tensor* cos,
                            const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t d) {
  const Rotary p{elements<float>(cos), elements<float>(sin), b, t, h, d};
  const float inverse = 1.0f / float(d);
  with_float(y->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* to = elements<T>(dx);
    const T *from = elements<T>(dy), *unit = elements<T>(y);
    const bool done = with_head_shape<T>(p, to, from, unit, [&](auto lanes, unsigned blocks) {
      launch(rope_rms_norm_backward_kernel<T, decltype(lanes)::value>, {blocks, kLaneThreads}, to, from, unit,
             rstd->f32(), p, inverse);
    });
    if (done) return;
    const int lanes = head_lanes(d);
    launch(rope_rms_norm_backward_any_kernel<T>, {lane_blocks(int64_t{b} * t * h, lanes), kLaneThreads}, to, from, unit,
           rstd->f32(), p, inverse, lanes, wide_access(d / 2, to, from, unit, p.cos, p.sin));
  });
}

}  // namespace rs::gpu
