// Philox4x32-10 (Salmon et al., SC'11; Random123): random bits from a counter and a key, so that element i of a tensor
// depends on the seed and i alone. For ops that draw: element i gets word i mod 4 of block ⌊i/4⌋.
#pragma once
#include <cstdint>

namespace rs::RS_BACKEND {

// Blocks computed side by side. Loops of 16 would be unrolled before they could become vector code: ten times slower.
constexpr int philox_batch = 64;

// The 4·philox_batch words of blocks first_block, first_block+1, …: block b has the counter (b's low 32 bits, its high
// 32 bits, 0, 0) and the key (the seed's low 32 bits, its high 32 bits).
inline void philox_words(uint32_t* words, uint64_t first_block, uint64_t seed) {
  uint32_t c0[philox_batch], c1[philox_batch], c2[philox_batch], c3[philox_batch];
  for (int i = 0; i < philox_batch; i++) {
    c0[i] = uint32_t(first_block + uint64_t(i));
    c1[i] = uint32_t((first_block + uint64_t(i)) >> 32);
    c2[i] = c3[i] = 0;
  }
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < philox_batch; i++) {
      const uint64_t p0 = uint64_t{0xD2511F53u} * c0[i], p1 = uint64_t{0xCD9E8D57u} * c2[i];
      c0[i] = uint32_t(p1 >> 32) ^ c1[i] ^ k0;
      c1[i] = uint32_t(p1);
      c2[i] = uint32_t(p0 >> 32) ^ c3[i] ^ k1;
      c3[i] = uint32_t(p0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < philox_batch; i++) {
    words[4 * i] = c0[i];
    words[4 * i + 1] = c1[i];
    words[4 * i + 2] = c2[i];
    words[4 * i + 3] = c3[i];
  }
}

// A number in [0, 1) from the upper 24 bits, every value exact in float32.
inline float philox_unit(uint32_t word) { return float(word >> 8) * 0x1p-24f; }

}  // namespace rs::RS_BACKEND
