// Scores of logits against targets that only the caller holds, and a hash of every row.
#include "cross_entropy_row.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

namespace {

// Four chains of multiply and exchange of halves over the raw bits, then one over the chains: every bit of every number
// and its place count. Rows of different bits have different hashes but for chance; it is no protection against somebody
// who computes collisions.
constexpr uint64_t odd_factors[4] = {0x9E3779B97F4A7C15u, 0xFF51AFD7ED558CCDu, 0xC4CEB9FE1A85EC53u, 0xD6E8FEB86659FD93u};

inline uint64_t mixed(uint64_t hash, uint64_t bits, uint64_t factor) {
  hash = (hash ^ bits) * factor;
  return hash ^ hash >> 32;
}

uint64_t hash_of_bits(const float* row, int64_t v) {
  uint64_t chains[4] = {1, 2, 3, 4};
  int64_t j = 0;
  for (; j + 8 <= v; j += 8) {
    uint64_t bits[4];
    memcpy(bits, row + j, sizeof bits);
    for (int i = 0; i < 4; i++) chains[i] = mixed(chains[i], bits[i], odd_factors[i]);
  }
  for (; j < v; j++) {
    uint32_t bits;
    memcpy(&bits, row + j, sizeof bits);
    chains[j % 4] = mixed(chains[j % 4], bits, odd_factors[j % 4]);
  }
  uint64_t hash = static_cast<uint64_t>(v);
  for (int i = 0; i < 4; i++) hash = mixed(hash, chains[i], odd_factors[0]);
  return mixed(hash, 0, odd_factors[1]);
}

}  // namespace

void score_logits(float* nats, uint64_t* hashes, const int32_t* targets, const Tensor* logits, int32_t n, int32_t v) {
  count_targets(targets, n, v);
  parallel_for(n, 16, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++) {
      const float* row = logits->f32() + i * v;
      hashes[i] = hash_of_bits(row, v);
      if (targets[i] < 0) {
        nats[i] = 0;
        continue;
      }
      nats[i] = static_cast<float>(partition_of(row, v, 1).log() - row[targets[i]]);
    }
  });
}

}  // namespace rs::RS_BACKEND
