// Sum, difference, product and quotient of a matrix with a matrix, a row, a column or a scalar.
#include "sums.h"

namespace rs::gpu {

namespace {

// v = v ∘ q
template <int W>
__device__ void combine(float (&v)[W], const float (&q)[W], int32_t kind) {
  switch (kind) {
    case RS_ADD:
#pragma unroll
      for (int i = 0; i < W; i++) v[i] = v[i] + q[i];
      break;
    case RS_SUBTRACT:
#pragma unroll
      for (int i = 0; i < W; i++) v[i] = v[i] - q[i];
      break;
    case RS_MULTIPLY:
#pragma unroll
      for (int i = 0; i < W; i++) v[i] = v[i] * q[i];
      break;
    default:
#pragma unroll
      for (int i = 0; i < W; i++) v[i] = v[i] / q[i];
  }
}

// y = a ∘ b. y may be a.
template <int W, class T, class B>
__global__ void __launch_bounds__(kThreads)
    binary_forward_kernel(T* y, const T* a, const B* b, int32_t kind, int32_t shape, int64_t count, int32_t c,
                          bool wide, bool wide_b) {
  const int64_t first = first_group<W>();
  Group<T, W> left[kGroups];
#pragma unroll
  for (int k = 0; k < kGroups; k++) {
    const int64_t at = first + k * (kThreads * W);
    left[k].load(a + at, count_left(at, count, W), wide);
  }
#pragma unroll
  for (int k = 0; k < kGroups; k++) {
    const int64_t at = first + k * (kThreads * W);
    const int here = count_left(at, count, W);
    if (here == 0) return;
    float v[W], q[W];
    load_broadcast(q, b, shape, at, c, here, wide_b);
    left[k].unpack(v);
    combine(v, q, kind);
    store_group<W>(y + at, v, here, wide);
  }
}

template <class T, class B>
void forward(T* y, const T* a, const B* b, int32_t kind, int32_t shape, int32_t n, int32_t c) {
  constexpr int W = kGroupWidth<T>;
  const int64_t count = int64_t{n} * c;
  launch(binary_forward_kernel<W, T, B>, {dim3(unsigned(ceil_div(count, kThreads * W * kGroups))), dim3(kThreads)}, y,
         a, b, kind, shape, count, c, wide_access(0, y, a), wide_access(shape == RS_ROW ? c : 0, b));
}

// The terms of b's gradient, g = dy: g, −g, g·a, −g·a/b². Writes da (g, g, g·b, g/b) on the way where it is wanted.
// For a scalar the matrix counts as one row.
template <class T, class B>
struct BinaryTerms {
  T* da;  // null: not wanted
  const T *dy, *a;
  const B* b;
  int32_t kind, shape;
  int64_t c;
  int32_t wide, wide_b;
  struct Raw {
    Group<T, 8> dy, a;
  };
  static constexpr int kInFlight = 2;

  __device__ void load(Raw& raw, int64_t row, int64_t column, int count) const {
    const int64_t at = row * c + column;
    raw.dy.load(dy + at, count, wide);
    if (kind >= RS_MULTIPLY) raw.a.load(a + at, count, wide);
  }
  __device__ void values(float (&v)[8], const Raw& raw, int64_t row, int64_t column, int count) const {
    const int64_t at = row * c + column;
    raw.dy.unpack(v);
    if (kind < RS_MULTIPLY) {
      if (da) raw.dy.store(da + at, count, wide);
      if (kind == RS_SUBTRACT) {
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] = -v[i];
      }
      return;
    }
    float p[8], q[8];
    raw.a.unpack(p);
    if (shape == RS_ROW) {
      load8(q, b + column, count, wide_b);
    } else {
      const float one = to_float(b[shape == RS_COLUMN ? row : 0]);
#pragma unroll
      for (int i = 0; i < 8; i++) q[i] = one;
    }
    if (da) {
      float grad[8];
#pragma unroll
      for (int i = 0; i < 8; i++) grad[i] = v[i];
      combine(grad, q, kind);
      store8(da + at, grad, count, wide);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const float term = kind == RS_MULTIPLY ? v[i] * p[i] : -v[i] * p[i] / (q[i] * q[i]);
      v[i] = i < count ? term : 0.0f;
    }
  }
};

// Both gradients where b has a's shape; da may be null.
template <int W, class T, class B, class D>
__global__ void __launch_bounds__(kThreads)
    binary_backward_full_kernel(T* da, D* db, const T* dy, const T* a, const B* b, int32_t kind, int64_t count,
                                bool wide) {
  const int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * W;
  const int here = count_left(at, count, W);
  if (here == 0) return;
  Group<T, W> grads, left;
  Group<B, W> right;
  grads.load(dy + at, here, wide);
  float g[W], p[W], q[W];
  if (kind < RS_MULTIPLY) {
    grads.unpack(g);
    if (da) grads.store(da + at, here, wide);
#pragma unroll
    for (int i = 0; i < W; i++) g[i] = kind == RS_SUBTRACT ? -g[i] : g[i];
  } else {
    left.load(a + at, here, wide);
    right.load(b + at, here, wide);
    grads.unpack(g);
    left.unpack(p);
    right.unpack(q);
    if (da) {
      float grad[W];
#pragma unroll
      for (int i = 0; i < W; i++) grad[i] = g[i];
      combine(grad, q, kind);
      store_group<W>(da + at, grad, here, wide);
    }
#pragma unroll
    for (int i = 0; i < W; i++) g[i] = kind == RS_MULTIPLY ? g[i] * p[i] : -g[i] * p[i] / (q[i] * q[i]);
  }
  store_group<W>(db + at, g, here, wide);
}

template <class T, class B>
void backward(Tensor* da, Tensor* db, const Tensor* dy, const Tensor* a, const Tensor* b, int32_t kind, int32_t shape,
              int32_t n, int32_t c) {
  const int64_t count = int64_t{n} * c;
  T* to_a = elements<T>(da);
  const T *grad = elements<T>(dy), *left = elements<T>(a);
  const B* right = elements<B>(b);
  if (!db) {  // da = dy, or dy ∘ b
    if (!da) return;
    if (kind < RS_MULTIPLY) return enqueue_copy(to_a, grad, size_t(count) * sizeof(T));
    return forward(to_a, grad, right, kind, shape, n, c);
  }
  if (shape == RS_FULL) {
    return with_float(db->dtype, [&](auto* type) {
      using D = std::remove_pointer_t<decltype(type)>;
      constexpr int W = kGroupWidth<T, B, D>;
      D* to_b = elements<D>(db);
      launch(binary_backward_full_kernel<W, T, B, D>, {dim3(unsigned(ceil_div(count, kThreads * W))), dim3(kThreads)},
             to_a, to_b, grad, left, right, kind, count, wide_access(0, to_a, to_b, grad, left, right));
    });
  }
  const bool wide = wide_access(shape == RS_SCALAR ? 0 : c, to_a, grad, left);
  const BinaryTerms<T, B> terms{to_a, grad, left, right, kind, shape, shape == RS_SCALAR ? count : c,
                                wide, wide_access(0, right)};
  const SumOutput out{db->data, db->dtype, 1.0};
  if (shape == RS_ROW) sum_over_rows(out, terms, n, c);
  else if (shape == RS_COLUMN) sum_over_columns(out, terms, n, c);
  else sum_over_columns(out, terms, 1, count);
}

}  // namespace

void binary_forward(Tensor* y, const Tensor* a, const Tensor* b, int32_t kind, int32_t shape, int32_t n, int32_t c) {
  with_float(a->dtype, [&](auto* of_a) {
    with_float(b->dtype, [&](auto* of_b) {
      using T = std::remove_pointer_t<decltype(of_a)>;
      using B = std::remove_pointer_t<decltype(of_b)>;
      forward<T, B>(elements<T>(y), elements<T>(a), elements<B>(b), kind, shape, n, c);
    });
  });
}

void binary_backward(Tensor* da, Tensor* db, const Tensor* dy, const Tensor* a, const Tensor* b, int32_t kind,
                     int32_t shape, int32_t n, int32_t c) {
  with_float(a->dtype, [&](auto* of_a) {
    with_float(b->dtype, [&](auto* of_b) {
      backward<std::remove_pointer_t<decltype(of_a)>, std::remove_pointer_t<decltype(of_b)>>(da, db, dy, a, b, kind,
                                                                                              shape, n, c);
    });
  });
}

}  // namespace rs::gpu
