// Cross entropy of logits that exist as a tensor, with an optional soft cap, and its gradient.
#include "cross_entropy_row.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

void cross_entropy_forward(Tensor* mean, Tensor* losses, Tensor* lse, const Tensor* logits, const Tensor* targets,
                           int32_t n, int32_t v, double soft_cap) {
  const int32_t* target = targets->i32();
  const int64_t count = count_targets(target, n, v);
  const float cap = static_cast<float>(soft_cap);
  Scratch squashed(cap > 0 ? sizeof(float) * v * thread_count() : 0);
  parallel_for(n, 16, [&](int64_t begin, int64_t end, int32_t thread) {
    for (int64_t i = begin; i < end; i++) {
      const float* row = logits->f32() + i * v;
      if (cap > 0) {
        float* capped = squashed.f32() + static_cast<int64_t>(thread) * v;
        squash_row(capped, row, v, cap);
        row = capped;
      }
      const float factor = cap > 0 ? cap : 1;
      const double log = partition_of(row, v, factor).log();
      lse->f32()[i] = static_cast<float>(log);
      losses->f32()[i] = target[i] < 0 ? 0 : static_cast<float>(log - double{factor} * row[target[i]]);
    }
  });
  mean_of_losses(mean->f32(), losses->f32(), target, n, count);
}

void cross_entropy_backward(Tensor* dlogits, const Tensor* dmean, const Tensor* mean, const Tensor* lse,
                            const Tensor* logits, const Tensor* targets, int32_t n, int32_t v, double soft_cap) {
  const int32_t* target = targets->i32();
  count_targets(target, n, v);
  const float cap = static_cast<float>(soft_cap), count = mean->f32()[1];
  const float scale = count > 0 ? dmean->f32()[0] / count : 0;
  parallel_for(n, 16, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++) {
      const float* row = logits->f32() + i * v;
      float* drow = dlogits->f32() + i * v;
      if (target[i] < 0) {
        for (int64_t j = 0; j < v; j++) drow[j] = 0;
        continue;
      }
      if (cap > 0) {
        squash_row(drow, row, v, cap);
        row = drow;
      }
      gradient_row(drow, row, v, cap, lse->f32()[i], 1, target[i], scale);
    }
  });
}

}  // namespace rs::RS_BACKEND
