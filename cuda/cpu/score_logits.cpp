// Scores of logits against targets that only the caller holds, and a keyed hash of every row.
#include "cross_entropy_row.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

namespace {

inline uint64_t rotated(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

// SipHash-2-4 (J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", 2012) of `lanes` rows side by side:
// one row alone is a chain of dependent additions and rotations, several fill the machine. Without the key nobody can
// make different rows with equal hashes but by luck, which a hash without a key cannot promise.
template <int lanes>
struct SipHash {
  uint64_t a[lanes], b[lanes], c[lanes], d[lanes];

  explicit SipHash(const uint64_t* key) {
    for (int i = 0; i < lanes; i++) {
      a[i] = key[0] ^ 0x736F6D6570736575u;
      b[i] = key[1] ^ 0x646F72616E646F6Du;
      c[i] = key[0] ^ 0x6C7967656E657261u;
      d[i] = key[1] ^ 0x7465646279746573u;
    }
  }

  void round() {
    for (int i = 0; i < lanes; i++) {
      a[i] += b[i];
      c[i] += d[i];
      b[i] = rotated(b[i], 13) ^ a[i];
      d[i] = rotated(d[i], 16) ^ c[i];
      a[i] = rotated(a[i], 32);
      c[i] += b[i];
      a[i] += d[i];
      b[i] = rotated(b[i], 17) ^ c[i];
      d[i] = rotated(d[i], 21) ^ a[i];
      c[i] = rotated(c[i], 32);
    }
  }

  void take(const uint64_t* words) {
    for (int i = 0; i < lanes; i++) d[i] ^= words[i];
    round();
    round();
    for (int i = 0; i < lanes; i++) a[i] ^= words[i];
  }
};

// Hashes of `lanes` rows of v numbers, one after another. Both builds run on little-endian machines, as the paper's words.
template <int lanes>
void hash_rows(uint64_t* hashes, const uint64_t* key, const float* rows, int64_t v) {
  SipHash<lanes> hash(key);
  uint64_t words[lanes];
  int64_t j = 0;
  for (; j + 2 <= v; j += 2) {
    for (int i = 0; i < lanes; i++) memcpy(&words[i], rows + i * v + j, sizeof words[i]);
    hash.take(words);
  }
  // The last word: what is left, and the length in bytes in the highest byte.
  for (int i = 0; i < lanes; i++) {
    uint32_t left = 0;
    if (j < v) memcpy(&left, rows + i * v + j, sizeof left);
    words[i] = left | static_cast<uint64_t>(4 * v) << 56;
  }
  hash.take(words);
  for (int i = 0; i < lanes; i++) hash.c[i] ^= 0xFF;
  for (int i = 0; i < 4; i++) hash.round();
  for (int i = 0; i < lanes; i++) hashes[i] = hash.a[i] ^ hash.b[i] ^ hash.c[i] ^ hash.d[i];
}

}  // namespace

void score_logits(float* nats, uint64_t* hashes, const int32_t* targets, const uint64_t* key, const Tensor* logits,
                  int32_t n, int32_t v) {
  count_targets(targets, n, v);
  parallel_for(n, 16, [&](int64_t begin, int64_t end, int32_t) {
    constexpr int lanes = 4;
    for (int64_t i = begin; i < end;) {
      const float* rows = logits->f32() + i * v;
      const bool whole = i + lanes <= end;
      whole ? hash_rows<lanes>(hashes + i, key, rows, v) : hash_rows<1>(hashes + i, key, rows, v);
      i += whole ? lanes : 1;
    }
    for (int64_t i = begin; i < end; i++) {
      const float* row = logits->f32() + i * v;
      if (targets[i] < 0) {
        nats[i] = 0;
        continue;
      }
      nats[i] = static_cast<float>(partition_of(row, v, 1).log() - row[targets[i]]);
    }
  });
}

}  // namespace rs::RS_BACKEND
