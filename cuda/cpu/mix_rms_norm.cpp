// The residual mix a·x + b·x0 and the norm that follows it, in one pass, and its gradient.
#include "../impl.h"
#include "parallel.h"
#include "reduce.h"
#include "simd.h"

namespace rs::RS_BACKEND {

void mix_rms_norm_forward(Tensor* mixed, Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* x0, const Tensor* a,
                          const Tensor* b, int32_t index, int32_t n, int32_t c, double eps) {
  const float p = a->f32()[index], q = b->f32()[index];
  parallel_for(n, rows_per_partial, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      const float *in = x->f32() + row * c, *first = x0->f32() + row * c;
      float *mix = mixed->f32() + row * c, *out = y->f32() + row * c;
      const float squares = sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
        Vec v = p * load(in + j, k) + q * load(first + j, k);
        store(mix + j, v, k);
        return v * v;
      });
      const float r = 1.0f / __builtin_sqrtf(squares / static_cast<float>(c) + static_cast<float>(eps));
      rstd->f32()[row] = r;
      each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA { store(out + j, load(mix + j, k) * r, k); });
    }
  });
}

void mix_rms_norm_backward(Tensor* dx, Tensor* dx0, Tensor* da, Tensor* db, const Tensor* dy, const Tensor* dmixed,
                           const Tensor* y, const Tensor* rstd, const Tensor* x, const Tensor* x0, const Tensor* a,
                           const Tensor* b, int32_t index, int32_t n, int32_t c) {
  const float p = a->f32()[index], q = b->f32()[index];
  const int64_t pieces = partial_count(n);
  Scratch scratch(sizeof(double) * 2 * static_cast<size_t>(pieces + 1));
  double* sums = static_cast<double*>(scratch.data());
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; piece++) {
      double sum_a = 0, sum_b = 0;
      const int64_t last = (piece + 1) * rows_per_partial < n ? (piece + 1) * rows_per_partial : n;
      for (int64_t row = piece * rows_per_partial; row < last; row++) {
        const float *grad = dy->f32() + row * c, *unit = y->f32() + row * c;
        const float *in = x->f32() + row * c, *first = x0->f32() + row * c;
        const float* other = dmixed ? dmixed->f32() + row * c : nullptr;
        float *out = dx->f32() + row * c, *out0 = dx0->f32() + row * c;
        const float r = rstd->f32()[row];
        const float along =
            sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA { return load(grad + j, k) * load(unit + j, k); }) /
            static_cast<float>(c);
        Vec along_x0 = {};
        sum_a += sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
          Vec g = r * (load(grad + j, k) - along * load(unit + j, k));
          if (other) g += load(other + j, k);
          store(out + j, p * g, k);
          store(out0 + j, load(out0 + j, k) + q * g, k);
          along_x0 += g * load(first + j, k);
          return g * load(in + j, k);
        });
        sum_b += sum_lanes(along_x0);
      }
      sums[2 * piece] = sum_a;
      sums[2 * piece + 1] = sum_b;
    }
  });
  double sum_a = 0, sum_b = 0;
  for (int64_t piece = 0; piece < pieces; piece++) {
    sum_a += sums[2 * piece];
    sum_b += sums[2 * piece + 1];
  }
  da->f32()[index] += static_cast<float>(sum_a);
  db->f32()[index] += static_cast<float>(sum_b);
}

}  // namespace rs::RS_BACKEND
