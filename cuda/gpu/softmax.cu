// Softmax of each row, and its gradient.
#include <cmath>

#include "rows.h"

namespace rs::gpu {

namespace {

template <int Threads, int Groups, class T>
__global__ void __launch_bounds__(kRowBlock<Threads>)
    softmax_forward_kernel(T* y, const T* x, int64_t n, int32_t c, bool wide) {
  __shared__ float shared[33];
  using Part = RowPart<Threads, Groups>;
  const Part part(int64_t{blockIdx.x} * (kRowBlock<Threads> / Threads) + Part::team(), n, c);
  Group<T, 8> raw[Groups];
  part.load(raw, x, wide);
  float v[Groups][8], top = -INFINITY, sum = 0;
#pragma unroll
  for (int k = 0; k < Groups; k++) {
    raw[k].unpack(v[k]);
#pragma unroll
    for (int i = 0; i < 8; i++)
      if (i < part.count(k)) top = fmaxf(top, v[k][i]);
  }
  top = team_max<Threads>(top, shared);
#pragma unroll
  for (int k = 0; k < Groups; k++) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
      v[k][i] = i < part.count(k) ? expf(v[k][i] - top) : 0.0f;
      sum += v[k][i];
    }
  }
  const float inverse = 1.0f / team_sum<Threads>(sum, shared);
#pragma unroll
  for (int k = 0; k < Groups; k++) {
#pragma unroll
    for (int i = 0; i < 8; i++) v[k][i] *= inverse;
    part.store(y, k, v[k], wide);
  }
}

// Rows of any length, read three times; the second and third time mostly from the cache.
template <class T>
__global__ void __launch_bounds__(kThreads)
    softmax_forward_long_kernel(T* y, const T* x, int32_t c, bool wide) {
  __shared__ float shared[33];
  const T* in = x + int64_t{blockIdx.x} * c;
  T* out = y + int64_t{blockIdx.x} * c;
  const int64_t first = threadIdx.x * 8;
  constexpr int kStep = kThreads * 8;
  float v[8], top = -INFINITY, sum = 0;
  for (int64_t j = first; j < c; j += kStep) {
    const int count = count_left(j, c, 8);
    load8(v, in + j, count, wide);
#pragma unroll
    for (int i = 0; i < 8; i++)
      if (i < count) top = fmaxf(top, v[i]);
  }
  top = team_max<kThreads>(top, shared);
  for (int64_t j = first; j < c; j += kStep) {
    const int count = count_left(j, c, 8);
    load8(v, in + j, count, wide);
#pragma unroll
    for (int i = 0; i < 8; i++) sum += i < count ? expf(v[i] - top) : 0.0f;
  }
  const float inverse = 1.0f / team_sum<kThreads>(sum, shared);
  for (int64_t j = first; j < c; j += kStep) {
    const int count = count_left(j, c, 8);
    load8(v, in + j, count, wide);
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = expf(v[i] - top) * inverse;
    store8(out + j, v, count, wide);
  }
}

// dx = y·(dy − Σ y·dy)
template <int Threads, int Groups, class T>
__global__ void __launch_bounds__(kRowBlock<Threads>)
    softmax_backward_kernel(T* dx, const T* dy, const T* y, int64_t n, int32_t c, bool wide) {
  __shared__ float shared[33];
  using Part = RowPart<Threads, Groups>;
  const Part part(int64_t{blockIdx.x} * (kRowBlock<Threads> / Threads) + Part::team(), n, c);
  Group<T, 8> grads[Groups], values[Groups];
  part.load(grads, dy, wide);
  part.load(values, y, wide);
  float dot = 0;
#pragma unroll
  for (int k = 0; k < Groups; k++) {
    float g[8], p[8];
    grads[k].unpack(g);
    values[k].unpack(p);
#pragma unroll
    for (int i = 0; i < 8; i++) dot += p[i] * g[i];
  }
  dot = team_sum<Threads>(dot, shared);
#pragma unroll
  for (int k = 0; k < Groups; k++) {
    float g[8], p[8];
    grads[k].unpack(g);
    values[k].unpack(p);
#pragma unroll
    for (int i = 0; i < 8; i++) g[i] = p[i] * (g[i] - dot);
    part.store(dx, k, g, wide);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    softmax_backward_long_kernel(T* dx, const T* dy, const T* y, int32_t c, bool wide) {
  __shared__ float shared[33];
  const int64_t row = int64_t{blockIdx.x} * c, first = threadIdx.x * 8;
  constexpr int kStep = kThreads * 8;
  float g[8], p[8], dot = 0;
  for (int64_t j = first; j < c; j += kStep) {
    const int count = count_left(j, c, 8);
    load8(g, dy + row + j, count, wide);
    load8(p, y + row + j, count, wide);
#pragma unroll
    for (int i = 0; i < 8; i++) dot += p[i] * g[i];
  }
  dot = team_sum<kThreads>(dot, shared);
  for (int64_t j = first; j < c; j += kStep) {
    const int count = count_left(j, c, 8);
    load8(g, dy + row + j, count, wide);
    load8(p, y + row + j, count, wide);
#pragma unroll
    for (int i = 0; i < 8; i++) g[i] = p[i] * (g[i] - dot);
    store8(dx + row + j, g, count, wide);
  }
}

}  // namespace

void softmax_forward(Tensor* y, const Tensor* x, int32_t n, int32_t c) {
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* target = elements<T>(y);
    const T* source = elements<T>(x);
    const bool wide = wide_access(c, target, source);
    const bool held = with_team(c, [&](auto threads, auto groups) {
      constexpr int Threads = decltype(threads)::value, Groups = decltype(groups)::value;
      launch(softmax_forward_kernel<Threads, Groups, T>, row_launch<Threads>(n), target, source, n, c, wide);
    });
    if (!held) launch(softmax_forward_long_kernel<T>, {dim3(unsigned(n)), dim3(kThreads)}, target, source, c, wide);
  });
}

void softmax_backward(Tensor* dx, const Tensor* dy, const Tensor* y, int32_t n, int32_t c) {
  with_float(y->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* target = elements<T>(dx);
    const T *grad = elements<T>(dy), *value = elements<T>(y);
    const bool wide = wide_access(c, target, grad, value);
    const bool held = with_team(c, [&](auto threads, auto groups) {
      constexpr int Threads = decltype(threads)::value, Groups = decltype(groups)::value;
      launch(softmax_backward_kernel<Threads, Groups, T>, row_launch<Threads>(n), target, grad, value, n, c, wide);
    });
    if (held) return;
    launch(softmax_backward_long_kernel<T>, {dim3(unsigned(n)), dim3(kThreads)}, target, grad, value, c, wide);
  });
}

}  // namespace rs::gpu
