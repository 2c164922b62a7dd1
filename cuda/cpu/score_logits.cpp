// Scores of logits against targets that only the caller holds, and a hash of every row.
#include <cmath>
#include <cstring>

#include "../impl.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

void score_logits(float* nats, uint64_t* hashes, const int32_t* targets, const Tensor* logits, int32_t n, int32_t v) {
  for (int64_t i = 0; i < n; ++i)
    if (targets[i] < -1 || targets[i] >= v)
      throw Error{RS_INVALID, "target " + std::to_string(targets[i]) + " at row " + std::to_string(i) +
                                  " is outside -1..." + std::to_string(v - 1)};
  parallel_for(n, 16, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = logits->f32() + i * v;
      float top = -INFINITY;
      uint64_t hash = 0x9E3779B97F4A7C15u;
      for (int64_t j = 0; j < v; ++j) {
        uint32_t bits;
        std::memcpy(&bits, row + j, 4);
        hash = (hash ^ bits) * 0xFF51AFD7ED558CCDu;
        hash ^= hash >> 32;
        top = row[j] > top || row[j] != row[j] ? row[j] : top;
      }
      double sum = 0;
      for (int64_t j = 0; j < v; ++j) sum += std::exp(row[j] - top);
      nats[i] = targets[i] < 0 ? 0 : float(top + std::log(sum) - row[targets[i]]);
      hashes[i] = hash;
    }
  });
}

}  // namespace rs::RS_BACKEND
