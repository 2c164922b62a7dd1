// Rotary positions, and their inverse, which is the gradient.
#include "../impl.h"
#include "parallel.h"
#include "rotate.h"
#include "simd.h"

namespace rs::RS_BACKEND {

void rope(Tensor* y, const Tensor* x, const Tensor* cos, const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t d,
          bool inverse) {
  const int64_t half = d / 2;
  const float sign = inverse ? -1.0f : 1.0f;
  parallel_for(static_cast<int64_t>(b) * t, 32, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t place = begin; place < end; place++) {
      const int64_t angle = place % t * half;
      for (int64_t head = place * h; head < (place + 1) * h; head++) {
        const float* in = x->f32() + head * d;
        rotate(y->f32() + head * d, cos->f32() + angle, sin->f32() + angle, half, sign,
               [&](int64_t j, int n) RS_INLINE_LAMBDA { return load(in + j, n); });
      }
    }
  });
}

}  // namespace rs::RS_BACKEND
