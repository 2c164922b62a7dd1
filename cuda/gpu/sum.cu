// Scaled sums of a matrix over rows, columns or everything, and their gradients.
#include "sums.h"

namespace rs::gpu {

namespace {

// dx = factor·dy, broadcast (shape as of a binary op's b).
template <int W, class T, class S>
__global__ void __launch_bounds__(kThreads)
    sum_backward_kernel(T* dx, const S* dy, int32_t shape, int64_t count, int32_t c, float factor, bool wide,
                        bool wide_dy) {
  const int64_t first = first_group<W>();
#pragma unroll
  for (int k = 0; k < kGroups; k++) {
    const int64_t at = first + k * (kThreads * W);
    const int here = count_left(at, count, W);
    if (here == 0) return;
    float v[W];
    load_broadcast(v, dy, shape, at, c, here, wide_dy);
#pragma unroll
    for (int i = 0; i < W; i++) v[i] *= factor;
    store_group<W>(dx + at, v, here, wide);
  }
}

}  // namespace

void sum_forward(Tensor* y, const Tensor* x, int32_t n, int32_t c, int32_t axis, double scale) {
  const SumOutput out{y->data, y->dtype, scale};
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* source = elements<T>(x);
    const int64_t count = int64_t{n} * c;
    // One column is all there is to sum, in one run.
    if (axis == 2 || (axis == 0 && c == 1)) {
      sum_over_columns(out, Elements<T>{source, count, wide_access(0, source)}, 1, count);
    } else {
      const Elements<T> term{source, c, wide_access(c, source)};
      if (axis == 0) sum_over_rows(out, term, n, c);
      else sum_over_columns(out, term, n, c);
    }
  });
}

void sum_backward(Tensor* dx, const Tensor* dy, int32_t n, int32_t c, int32_t axis, double scale) {
  const int32_t shape = axis == 0 ? RS_ROW : axis == 1 ? RS_COLUMN : RS_SCALAR;
  with_float(dx->dtype, [&](auto* of_dx) {
    with_float(dy->dtype, [&](auto* of_dy) {
      using T = std::remove_pointer_t<decltype(of_dx)>;
      using S = std::remove_pointer_t<decltype(of_dy)>;
      constexpr int W = kGroupWidth<T>;
      T* target = elements<T>(dx);
      const S* grad = elements<S>(dy);
      const int64_t count = int64_t{n} * c;
      launch(sum_backward_kernel<W, T, S>, {dim3(unsigned(ceil_div(count, kThreads * W * kGroups))), dim3(kThreads)},
             target, grad, shape, count, c, float(scale), wide_access(0, target), wide_access(c, grad));
    });
  });
}

}  // namespace rs::gpu
