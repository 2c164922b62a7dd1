// AdamW (arXiv:1711.05101) over all tensors in one parallel pass.
#include <algorithm>
#include <cmath>
#include <vector>

#include "../impl.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

void adamw_step(const AdamWRow* rows, int32_t tensors, const Tensor* scalars) {
  // Pieces of all tensors form one list, so that small tensors cost no barrier of their own.
  constexpr int64_t kPiece = 16384;
  std::vector<int64_t> first(tensors + 1, 0);
  for (int32_t t = 0; t < tensors; ++t) first[t + 1] = first[t] + (rows[t].p->count + kPiece - 1) / kPiece;
  parallel_for(first[tensors], 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t t = std::upper_bound(first.begin(), first.end(), piece) - first.begin() - 1;
      const AdamWRow& row = rows[t];
      const float* s = scalars->f32() + row.offset;
      const float lr = s[0], beta1 = s[1], beta2 = s[2], eps = s[3], decay = 1 - s[0] * s[4];
      const float step_size = lr / (1 - std::pow(double(beta1), double(s[5])));
      const float correction2 = 1 / (1 - std::pow(double(beta2), double(s[5])));
      const int64_t low = (piece - first[t]) * kPiece, high = std::min(low + kPiece, row.p->count);
      float *p = row.p->f32(), *m = row.m->f32(), *v = row.v->f32();
      const float* g = row.g->f32();
      for (int64_t i = low; i < high; ++i) {
        const float mean = beta1 * m[i] + (1 - beta1) * g[i], square = beta2 * v[i] + (1 - beta2) * (g[i] * g[i]);
        m[i] = mean;
        v[i] = square;
        p[i] = p[i] * decay - step_size * mean / (std::sqrt(square * correction2) + eps);
      }
    }
  });
}

}  // namespace rs::RS_BACKEND
