// Philox4x32-10 (Salmon et al., SC 2011), the counter-based generator behind random_uniform, random_normal and dropout.
// Element i of a tensor uses word i mod 4 of counter i div 4 (words 0 and 1 of the counter; 2 and 3 are 0) under the
// key `seed`, so every build and any number of threads draw the same.
#pragma once
#include <cstdint>

namespace rs::RS_BACKEND {

// Counters that philox_words takes at once: loops of this length become vector code.
constexpr int philox_batch = 16;

// words[4·philox_batch] = the words of counters first … first + philox_batch − 1, four by four: the words of elements
// 4·first and on.
static inline void philox_words(uint32_t* words, uint64_t first, uint64_t seed) {
  uint32_t a[philox_batch], b[philox_batch], c[philox_batch], d[philox_batch];
  for (int i = 0; i < philox_batch; i++) {
    const uint64_t counter = first + static_cast<uint64_t>(i);
    a[i] = static_cast<uint32_t>(counter);
    b[i] = static_cast<uint32_t>(counter >> 32);
    c[i] = 0;
    d[i] = 0;
  }
  uint32_t key_low = static_cast<uint32_t>(seed), key_high = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < philox_batch; i++) {
      const uint64_t p = uint64_t{0xD2511F53} * a[i], q = uint64_t{0xCD9E8D57} * c[i];
      const uint32_t next_a = static_cast<uint32_t>(q >> 32) ^ b[i] ^ key_low;
      const uint32_t next_c = static_cast<uint32_t>(p >> 32) ^ d[i] ^ key_high;
      b[i] = static_cast<uint32_t>(q);
      d[i] = static_cast<uint32_t>(p);
      a[i] = next_a;
      c[i] = next_c;
    }
    key_low += 0x9E3779B9;
    key_high += 0xBB67AE85;
  }
  for (int i = 0; i < philox_batch; i++) {
    words[4 * i] = a[i];
    words[4 * i + 1] = b[i];
    words[4 * i + 2] = c[i];
    words[4 * i + 3] = d[i];
  }
}

// A word as a float32 in [0, 1): 24 bits, so that 1 is never reached.
static inline float philox_unit(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

}  // namespace rs::RS_BACKEND
