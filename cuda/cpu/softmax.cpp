// Softmax of each row, and its gradient.
#include "../impl.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

static int64_t rows_per_piece(int64_t c) { return c >= (1 << 13) ? 1 : (1 << 13) / (c > 0 ? c : 1); }

void softmax_forward(Tensor* y, const Tensor* x, int32_t n, int32_t c) {
  parallel_for(n, rows_per_piece(c), [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      const float* in = x->f32() + row * c;
      float* out = y->f32() + row * c;
      Vec largest = splat(-__builtin_inff());
      each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
        Vec value = load(in + j, k);
        largest = max(largest, k == lanes ? value : select(lane_index() < k, value, largest));
      });
      const float top = max_lanes(largest);
      const float sum = sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
        Vec e = exp(load(in + j, k) - top);
        if (k != lanes) e = select(lane_index() < k, e, Vec{});
        store(out + j, e, k);
        return e;
      });
      const float inverse = 1.0f / sum;
      each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA { store(out + j, load(out + j, k) * inverse, k); });
    }
  });
}

void softmax_backward(Tensor* dx, const Tensor* dy, const Tensor* y, int32_t n, int32_t c) {
  parallel_for(n, rows_per_piece(c), [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      const float *p = y->f32() + row * c, *grad = dy->f32() + row * c;
      float* out = dx->f32() + row * c;
      const float dot =
          sum_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA { return load(p + j, k) * load(grad + j, k); });
      each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
        store(out + j, load(p + j, k) * (load(grad + j, k) - dot), k);
      });
    }
  });
}

}  // namespace rs::RS_BACKEND
