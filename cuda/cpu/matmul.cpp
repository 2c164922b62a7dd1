// Products of matrices.
#include <algorithm>
#include <cmath>

#include "../impl.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

void matmul(Tensor* c, const Tensor* a, const Tensor* b, const Tensor* aux, int32_t batch, int32_t m, int32_t n,
            int32_t k, bool trans_a, bool trans_b, bool batch_b, int32_t epilogue) {
  parallel_for(int64_t(batch) * m, 8, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t item = row / m, i = row % m;
      const float* x = a->f32() + item * m * k;
      const float* w = b->f32() + (batch_b ? item * n * k : 0);
      for (int64_t j = 0; j < n; ++j) {
        float sum = 0;
        for (int64_t l = 0; l < k; ++l) sum += (trans_a ? x[l * m + i] : x[i * k + l]) * (trans_b ? w[j * k + l] : w[l * n + j]);
        const float other = aux ? aux->f32()[row * n + j] : 0;
        if (epilogue == RS_EPILOGUE_RELU2) sum = std::max(sum, 0.f) * std::max(sum, 0.f);
        if (epilogue == RS_EPILOGUE_RELU2_BACKWARD) sum *= 2 * std::sqrt(other);
        if (epilogue == RS_EPILOGUE_ADD_AUX) sum += other;
        c->f32()[row * n + j] = sum;
      }
    }
  });
  count_operations(2.0 * batch * m * n * k);
}

}  // namespace rs::RS_BACKEND
