// Scaled sums of a matrix over rows, columns or everything, and their gradients.
#include "../impl.h"
#include "parallel.h"
#include "reduce.h"
#include "simd.h"

namespace rs::RS_BACKEND {

static constexpr int64_t elements_per_partial = 4096;

static int64_t rows_per_piece(int64_t c) { return c >= (1 << 14) ? 1 : (1 << 14) / (c > 0 ? c : 1); }

static void sum_all(float* y, const float* x, int64_t count, double scale) {
  const int64_t pieces = (count + elements_per_partial - 1) / elements_per_partial;
  Scratch scratch(sizeof(float) * static_cast<size_t>(pieces + 1));
  float* partial = scratch.f32();
  parallel_for(pieces, 4, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; piece++) {
      const int64_t first = piece * elements_per_partial;
      const int64_t length = count - first < elements_per_partial ? count - first : elements_per_partial;
      partial[piece] =
          sum_vec(length, [&](int64_t i, int n) RS_INLINE_LAMBDA { return load(x + first + i, n); });
    }
  });
  double sum = 0;
  for (int64_t piece = 0; piece < pieces; piece++) sum += partial[piece];
  y[0] = static_cast<float>(scale * sum);
}

void sum_forward(Tensor* y, const Tensor* x, int32_t n, int32_t c, int32_t axis, double scale) {
  const float* in = x->f32();
  float* out = y->f32();
  if (axis == 2) return sum_all(out, in, static_cast<int64_t>(n) * c, scale);
  if (axis == 0)
    return sum_rows(out, n, c, scale, false,
                    [&](int64_t row, int64_t j, int k) RS_INLINE_LAMBDA { return load(in + row * c + j, k); });
  parallel_for(n, rows_per_piece(c), [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      const float* values = in + row * c;
      double sum = 0;
      for (int64_t first = 0; first < c; first += elements_per_partial) {
        const int64_t length = c - first < elements_per_partial ? c - first : elements_per_partial;
        sum += sum_vec(length, [&](int64_t i, int k) RS_INLINE_LAMBDA { return load(values + first + i, k); });
      }
      out[row] = static_cast<float>(scale * sum);
    }
  });
}

void sum_backward(Tensor* dx, const Tensor* dy, int32_t n, int32_t c, int32_t axis, double scale) {
  float* out = dx->f32();
  const float* grad = dy->f32();
  const float factor = static_cast<float>(scale);
  parallel_for(n, rows_per_piece(c), [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      float* target = out + row * c;
      const float one = axis == 1 ? factor * grad[row] : axis == 2 ? factor * grad[0] : 0;
      each_vec(c, [&](int64_t i, int k) RS_INLINE_LAMBDA {
        store(target + i, axis == 0 ? factor * load(grad + i, k) : splat(one), k);
      });
    }
  });
}

}  // namespace rs::RS_BACKEND
