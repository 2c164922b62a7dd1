// Layer norm of rows, with optional weight and bias, and its gradient.
#include "../impl.h"
#include "parallel.h"
#include "reduce.h"
#include "simd.h"

namespace rs::RS_BACKEND {

void layer_norm_forward(Tensor* y, Tensor* mean, Tensor* rstd, const Tensor* x, const Tensor* weight,
                        const Tensor* bias, int32_t n, int32_t c, double eps) {
  const float *w = weight ? weight->f32() : nullptr, *b = bias ? bias->f32() : nullptr;
  const float width = static_cast<float>(c);
  parallel_for(n, rows_per_partial, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      const float* in = x->f32() + row * c;
      float* out = y->f32() + row * c;
      // Two passes on purpose: E[x²] − E[x]² loses all digits when |mean| ≫ std. The second one also corrects the mean.
      const float rough = sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA { return load(in + j, k); }) / width;
      const auto centred = [&](int64_t j, int k, float middle) RS_INLINE_LAMBDA {
        Vec v = load(in + j, k) - middle;
        return k == lanes ? v : select(lane_index() < k, v, Vec{});
      };
      const float m =
          rough + sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA { return centred(j, k, rough); }) / width;
      const float squares = sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
        Vec v = centred(j, k, m);
        return v * v;
      });
      const float r = 1.0f / __builtin_sqrtf(squares / width + static_cast<float>(eps));
      mean->f32()[row] = m;
      rstd->f32()[row] = r;
      each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
        Vec v = (load(in + j, k) - m) * r;
        store(out + j, w ? fma(v, load(w + j, k), load(b + j, k)) : v, k);
      });
    }
  });
}

// dx = rstd·(g − mean(g) − x̂·mean(g·x̂)) with g = dy·weight.
static RS_INLINE void backward_row(float* dx, float* weight_sums, float* bias_sums, const float* dy, const float* x,
                                   float m, float r, const float* w, int64_t c) {
  const auto scaled = [&](int64_t j, int k) RS_INLINE_LAMBDA {
    Vec grad = load(dy + j, k);
    return w ? grad * load(w + j, k) : grad;
  };
  const float width = static_cast<float>(c);
  const float level = sum_vec(c, scaled) / width;
  const float dot =
      sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA { return scaled(j, k) * (load(x + j, k) - m); });
  const float along = dot * r * r / width;
  each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
    Vec grad = load(dy + j, k), value = load(x + j, k) - m;
    if (w) {
      store(weight_sums + j, load(weight_sums + j, k) + grad * value * r, k);
      store(bias_sums + j, load(bias_sums + j, k) + grad, k);
    }
    store(dx + j, r * (scaled(j, k) - level - along * value), k);
  });
}

void layer_norm_backward(Tensor* dx, Tensor* dweight, Tensor* dbias, const Tensor* dy, const Tensor* x,
                         const Tensor* mean, const Tensor* rstd, const Tensor* weight, int32_t n, int32_t c) {
  const int64_t pieces = partial_count(n);
  Scratch scratch(sizeof(float) * static_cast<size_t>(weight ? 2 * pieces * c + 1 : 1));
  const float* w = weight ? weight->f32() : nullptr;
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; piece++) {
      float* sums = w ? scratch.f32() + piece * 2 * c : nullptr;
      if (sums) memset(sums, 0, 2 * sizeof(float) * static_cast<size_t>(c));
      const int64_t first = piece * rows_per_partial;
      const int64_t last = first + rows_per_partial < n ? first + rows_per_partial : n;
      for (int64_t row = first; row < last; row++)
        backward_row(dx->f32() + row * c, sums, sums ? sums + c : nullptr, dy->f32() + row * c, x->f32() + row * c,
                     mean->f32()[row], rstd->f32()[row], w, c);
    }
  });
  if (!weight) return;
  add_partials(dweight->f32(), scratch.f32(), pieces, 2 * c, c, 1, false);
  add_partials(dbias->f32(), scratch.f32() + c, pieces, 2 * c, c, 1, false);
}

}  // namespace rs::RS_BACKEND
