// y = silu(a)·b for the two halves of each row, and its gradient.
#include "../impl.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

static int64_t rows_per_piece(int64_t c) { return c >= (1 << 13) ? 1 : (1 << 13) / (c > 0 ? c : 1); }

void swiglu_forward(Tensor* y, const Tensor* x, int32_t n, int32_t c) {
  parallel_for(n, rows_per_piece(c), [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      const float *a = x->f32() + row * 2 * c, *b = a + c;
      float* out = y->f32() + row * c;
      each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
        Vec gate = load(a + j, k);
        store(out + j, gate * sigmoid(gate) * load(b + j, k), k);
      });
    }
  });
}

void swiglu_backward(Tensor* dx, const Tensor* dy, const Tensor* x, int32_t n, int32_t c) {
  parallel_for(n, rows_per_piece(c), [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      const float *a = x->f32() + row * 2 * c, *b = a + c, *grad = dy->f32() + row * c;
      float *da = dx->f32() + row * 2 * c, *db = da + c;
      each_vec(c, [&](int64_t j, int k) RS_INLINE_LAMBDA {
        Vec gate = load(a + j, k), g = load(grad + j, k), other = load(b + j, k);
        SigmoidAndSlope s = sigmoid_and_slope(gate);
        store(da + j, g * other * (s.value + gate * s.slope), k);
        store(db + j, g * gate * s.value, k);
      });
    }
  });
}

}  // namespace rs::RS_BACKEND
