// Cross entropy of logits that exist as a tensor, with an optional soft cap, and its gradient.
#include <cmath>

#include "../impl.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

static void require_targets(const int32_t* targets, int64_t n, int32_t v) {
  for (int64_t i = 0; i < n; ++i)
    if (targets[i] < -1 || targets[i] >= v)
      throw Error{RS_INVALID, "target " + std::to_string(targets[i]) + " at row " + std::to_string(i) +
                                  " is outside -1..." + std::to_string(v - 1)};
}

void cross_entropy_forward(Tensor* mean, Tensor* losses, Tensor* lse, const Tensor* logits, const Tensor* targets,
                           int32_t n, int32_t v, double soft_cap) {
  const int32_t* target = targets->i32();
  require_targets(target, n, v);
  const float cap = soft_cap;
  parallel_for(n, 16, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = logits->f32() + i * v;
      auto capped = [&](int64_t j) { return cap > 0 ? cap * std::tanh(row[j] / cap) : row[j]; };
      float top = -INFINITY;
      for (int64_t j = 0; j < v; ++j) top = std::fmax(top, capped(j));
      double sum = 0;
      for (int64_t j = 0; j < v; ++j) sum += std::exp(capped(j) - top);
      lse->f32()[i] = top + std::log(sum);
      losses->f32()[i] = target[i] < 0 ? 0 : lse->f32()[i] - capped(target[i]);
    }
  });
  double sum = 0, count = 0;
  for (int64_t i = 0; i < n; ++i)
    if (target[i] >= 0) sum += losses->f32()[i], count += 1;
  mean->f32()[0] = count > 0 ? sum / count : 0;
  mean->f32()[1] = count;
}

void cross_entropy_backward(Tensor* dlogits, const Tensor* dmean, const Tensor* mean, const Tensor* lse,
                            const Tensor* logits, const Tensor* targets, int32_t n, int32_t v, double soft_cap) {
  const int32_t* target = targets->i32();
  require_targets(target, n, v);
  const float cap = soft_cap, scale = dmean->f32()[0] / std::fmax(mean->f32()[1], 1.f);
  parallel_for(n, 16, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = logits->f32() + i * v;
      float* drow = dlogits->f32() + i * v;
      for (int64_t j = 0; j < v; ++j) {
        const float t = cap > 0 ? std::tanh(row[j] / cap) : 0, x = cap > 0 ? cap * t : row[j];
        const float d = std::exp(x - lse->f32()[i]) - (j == target[i] ? 1 : 0);
        drow[j] = target[i] < 0 ? 0 : scale * d * (1 - t * t);
      }
    }
  });
}

}  // namespace rs::RS_BACKEND
