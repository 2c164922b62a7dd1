// y = silu(a)·b for the two halves of each row, and its gradient.
#include "groups.h"

namespace rs::gpu {

namespace {

// Rows of 2c elements beside rows of c: where a group of y, from element `at` on, has its a; b lies c further. A group
// that crosses rows (c is no multiple of W then, and access is not wide) is split by `each`.
template <int W, class F>
__device__ void each_half(int64_t at, int32_t c, int count, F&& f) {
  MatrixPlace place = place_of(at, c);
#pragma unroll
  for (int i = 0; i < W; i++) {
    if (i < count) f(i, place.row * 2 * c + place.column);
    if (++place.column == c) {
      place.column = 0;
      place.row++;
    }
  }
}

template <int W, class T>
__device__ void load_halves(float (&a)[W], float (&b)[W], const T* x, int64_t at, int32_t c, int count, bool wide) {
  if (wide) {
    const T* half = x + at + place_of(at, c).row * c;
    Group<T, W> left, right;
    left.load(half, count, true);
    right.load(half + c, count, true);
    left.unpack(a);
    right.unpack(b);
    return;
  }
#pragma unroll
  for (int i = 0; i < W; i++) a[i] = b[i] = 0.0f;
  each_half<W>(at, c, count, [&](int i, int64_t from) {
    a[i] = to_float(x[from]);
    b[i] = to_float(x[from + c]);
  });
}

// sigmoid(a) and its derivative, both with a small relative error at both ends.
struct Gate {
  float value, slope;
};
__device__ Gate gate_of(float a) {
  const float e = expf(-fabsf(a)), inverse = 1.0f / (1.0f + e);
  return {(a < 0.0f ? e : 1.0f) * inverse, e * inverse * inverse};
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    swiglu_forward_kernel(T* y, const T* x, int64_t count, int32_t c, bool wide) {
  const int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * W;
  const int here = count_left(at, count, W);
  if (here == 0) return;
  float a[W], b[W];
  load_halves(a, b, x, at, c, here, wide);
#pragma unroll
  for (int i = 0; i < W; i++) a[i] = a[i] * gate_of(a[i]).value * b[i];
  store_group<W>(y + at, a, here, wide);
}

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    swiglu_backward_kernel(T* dx, const T* dy, const T* x, int64_t count, int32_t c, bool wide) {
  const int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * W;
  const int here = count_left(at, count, W);
  if (here == 0) return;
  Group<T, W> group;
  group.load(dy + at, here, wide);
  float grad[W], a[W], b[W];
  load_halves(a, b, x, at, c, here, wide);
  group.unpack(grad);
#pragma unroll
  for (int i = 0; i < W; i++) {
    const Gate gate = gate_of(a[i]);
    const float da = grad[i] * b[i] * (gate.value + a[i] * gate.slope);
    b[i] = grad[i] * a[i] * gate.value;
    a[i] = da;
  }
  if (wide) {
    T* half = dx + at + place_of(at, c).row * c;
    store_group<W>(half, a, here, true);
    store_group<W>(half + c, b, here, true);
    return;
  }
  each_half<W>(at, c, here, [&](int i, int64_t to) {
    dx[to] = from_float<T>(a[i]);
    dx[to + c] = from_float<T>(b[i]);
  });
}

Launch shape_for(int64_t count, int width) {
  return {dim3(unsigned(ceil_div(count, kThreads * width))), dim3(kThreads)};
}

}  // namespace

void swiglu_forward(Tensor* y, const Tensor* x, int32_t n, int32_t c) {
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    constexpr int W = kGroupWidth<T>;
    T* target = elements<T>(y);
    const T* source = elements<T>(x);
    const int64_t count = int64_t{n} * c;
    launch(swiglu_forward_kernel<W, T>, shape_for(count, W), target, source, count, c, wide_access(c, target, source));
  });
}

void swiglu_backward(Tensor* dx, const Tensor* dy, const Tensor* x, int32_t n, int32_t c) {
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    constexpr int W = kGroupWidth<T>;
    T* target = elements<T>(dx);
    const T *grad = elements<T>(dy), *source = elements<T>(x);
    const int64_t count = int64_t{n} * c;
    launch(swiglu_backward_kernel<W, T>, shape_for(count, W), target, grad, source, count, c,
           wide_access(c, target, grad, source));
  });
}

}  // namespace rs::gpu
