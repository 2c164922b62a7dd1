// Root-mean-square norm of rows, with an optional weight, and its gradient.
#include "../impl.h"
#include "parallel.h"
#include "reduce.h"
#include "simd.h"

namespace rs::RS_BACKEND {

void rms_norm_forward(Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* weight, int32_t n, int32_t c,
                      double eps) {
  const float* w = weight ? weight->f32() : nullptr;
  parallel_for(n, rows_per_partial, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      const float* in = x->f32() + row * c;
      float* out = y->f32() + row * c;
      const float squares = sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
        Vec v = load(in + j, k);
        return v * v;
      });
      const float r = 1.0f / __builtin_sqrtf(squares / static_cast<float>(c) + static_cast<float>(eps));
      rstd->f32()[row] = r;
      if (w)
        each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
          store(out + j, load(in + j, k) * r * load(w + j, k), k);
        });
      else
        each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA { store(out + j, load(in + j, k) * r, k); });
    }
  });
}

// dx = residual + rstd·(g − x̂·mean(g·x̂)) with x̂ = x·rstd and g = dy·weight. `residual` and `w` may be null.
static RS_INLINE void backward_row(float* dx, float* weight_sums, const float* dy, const float* x, float r,
                                   const float* w, const float* residual, int64_t c) {
  const float dot = sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
    Vec product = load(dy + j, k) * load(x + j, k);
    return w ? product * load(w + j, k) : product;
  });
  const float along = dot * r * r / static_cast<float>(c);
  each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
    Vec grad = load(dy + j, k), value = load(x + j, k);
    if (w) {
      store(weight_sums + j, load(weight_sums + j, k) + grad * value * r, k);
      grad *= load(w + j, k);
    }
    Vec result = r * (grad - along * value);
    store(dx + j, residual ? load(residual + j, k) + result : result, k);
  });
}

void rms_norm_backward(Tensor* dx, Tensor* dweight, const Tensor* dy, const Tensor* x, const Tensor* rstd,
                       const Tensor* weight, const Tensor* residual, int32_t n, int32_t c, double) {
  const int64_t pieces = partial_count(n);
  Scratch scratch(sizeof(float) * static_cast<size_t>(weight ? pieces * c + 1 : 1));
  const float *w = weight ? weight->f32() : nullptr, *extra = residual ? residual->f32() : nullptr;
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; piece++) {
      float* sums = w ? scratch.f32() + piece * c : nullptr;
      if (sums) memset(sums, 0, sizeof(float) * static_cast<size_t>(c));
      const int64_t first = piece * rows_per_partial;
      const int64_t last = first + rows_per_partial < n ? first + rows_per_partial : n;
      for (int64_t row = first; row < last; row++)
        backward_row(dx->f32() + row * c, sums, dy->f32() + row * c, x->f32() + row * c, rstd->f32()[row], w,
                     extra ? extra + row * c : nullptr, c);
    }
  });
  if (weight) add_partials(dweight->f32(), scratch.f32(), pieces, c, c, 1, false);
}

}  // namespace rs::RS_BACKEND
