// Causal softmax attention.
#include "../impl.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

void attention_forward(Tensor* y, Tensor* lse, const Tensor* q, const Tensor* k, const Tensor* v, int32_t b, int32_t t,
                       int32_t h, int32_t g, int32_t d, int32_t window, double scale) {
  parallel_for(b * h, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t item = begin; item < end; item++) {
      int64_t bi = item / h, hi = item % h, gi = hi * g / h;
      Scratch scratch(sizeof(float) * t);
      float* p = scratch.f32();
      for (int64_t i = 0; i < t; i++) {
        const float* qr = q->f32() + ((bi * t + i) * h + hi) * d;
        float* out = y->f32() + ((bi * t + i) * h + hi) * d;
        int64_t lo = i > window ? i - window : 0;
        float top = -__builtin_inff();
        for (int64_t j = lo; j <= i; j++) {
          const float* kr = k->f32() + ((bi * t + j) * g + gi) * d;
          p[j] = static_cast<float>(scale) * sum_vec(d, [&](int64_t a, int n) { return load(qr + a, n) * load(kr + a, n); });
          if (p[j] > top) top = p[j];
        }
        float sum = 0;
        for (int64_t j = lo; j <= i; j++) sum += p[j] = exp(splat(p[j] - top))[0];
        for (int64_t a = 0; a < d; a++) out[a] = 0;
        for (int64_t j = lo; j <= i; j++)
          for (int64_t a = 0; a < d; a++) out[a] += p[j] / sum * v->f32()[((bi * t + j) * g + gi) * d + a];
        lse->f32()[(bi * h + hi) * t + i] = top + log_scalar(sum);
      }
    }
  });
}

void attention_backward(Tensor* dq, Tensor* dk, Tensor* dv, const Tensor* dy, const Tensor* y, const Tensor* lse,
                        const Tensor* q, const Tensor* k, const Tensor* v, int32_t b, int32_t t, int32_t h, int32_t g,
                        int32_t d, int32_t window, double scale) {
  parallel_for(b * g, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t item = begin; item < end; item++) {
      int64_t bi = item / g, gi = item % g;
      for (int64_t j = 0; j < t; j++)
        for (int64_t a = 0; a < d; a++) dk->f32()[((bi * t + j) * g + gi) * d + a] = dv->f32()[((bi * t + j) * g + gi) * d + a] = 0;
      for (int64_t hi = 0; hi < h; hi++) {
        if (hi * g / h != gi) continue;
        for (int64_t i = 0; i < t; i++) {
          int64_t at = ((bi * t + i) * h + hi) * d;
          const float *qr = q->f32() + at, *dyr = dy->f32() + at, *yr = y->f32() + at;
          float* dqr = dq->f32() + at;
          float delta = 0;
          for (int64_t a = 0; a < d; a++) delta += dyr[a] * yr[a], dqr[a] = 0;
          for (int64_t j = i > window ? i - window : 0; j <= i; j++) {
            int64_t from = ((bi * t + j) * g + gi) * d;
            const float *kr = k->f32() + from, *vr = v->f32() + from;
            float s = 0, dp = 0;
            for (int64_t a = 0; a < d; a++) s += qr[a] * kr[a], dp += dyr[a] * vr[a];
            float p = exp(splat(static_cast<float>(scale) * s - lse->f32()[(bi * h + hi) * t + i]))[0];
            float ds = p * (dp - delta) * static_cast<float>(scale);
            for (int64_t a = 0; a < d; a++) {
              dqr[a] += ds * kr[a];
              dk->f32()[from + a] += ds * qr[a];
              dv->f32()[from + a] += p * dyr[a];
            }
          }
        }
      }
    }
  });
}

}  // namespace rs::RS_BACKEND
