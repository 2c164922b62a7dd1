// Rotary positions followed by the norm over a head, in one pass, and its gradient.
#include "../impl.h"
#include "parallel.h"
#include "rotate.h"
#include "simd.h"

namespace rs::RS_BACKEND {

void rope_rms_norm_forward(Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* cos, const Tensor* sin, int32_t b,
                           int32_t t, int32_t h, int32_t d, double eps) {
  const int64_t half = d / 2;
  parallel_for(static_cast<int64_t>(b) * t, 32, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t place = begin; place < end; place++) {
      const int64_t angle = place % t * half;
      for (int64_t head = place * h; head < (place + 1) * h; head++) {
        const float* in = x->f32() + head * d;
        float* out = y->f32() + head * d;
        const float squares = rotate(out, cos->f32() + angle, sin->f32() + angle, half, 1.0f,
                                     [&](int64_t j, int n) RS_INLINE_LAMBDA { return load(in + j, n); });
        const float r = 1.0f / __builtin_sqrtf(squares / static_cast<float>(d) + static_cast<float>(eps));
        rstd->f32()[head] = r;
        each_vec(d, [&](int64_t j, int n) RS_INLINE_LAMBDA { store(out + j, load(out + j, n) * r, n); });
      }
    }
  });
}

void rope_rms_norm_backward(Tensor* dx, const Tensor* dy, const Tensor* y, const Tensor* rstd, const Tensor* cos,
                            const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t d) {
  const int64_t half = d / 2;
  parallel_for(static_cast<int64_t>(b) * t, 32, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t place = begin; place < end; place++) {
      const int64_t angle = place % t * half;
      for (int64_t head = place * h; head < (place + 1) * h; head++) {
        const float *grad = dy->f32() + head * d, *unit = y->f32() + head * d;
        const float r = rstd->f32()[head];
        const float along =
            sum_vec(d, [&](int64_t j, int n) RS_INLINE_LAMBDA { return load(grad + j, n) * load(unit + j, n); }) /
            static_cast<float>(d);
        // Back through the norm, then through the rotation.
        rotate(dx->f32() + head * d, cos->f32() + angle, sin->f32() + angle, half, -1.0f,
               [&](int64_t j, int n) RS_INLINE_LAMBDA { return r * (load(grad + j, n) - along * load(unit + j, n)); });
      }
    }
  });
}

}  // namespace rs::RS_BACKEND
