// Philox4x32-10 (Salmon et al., SC'11; Random123) as in cpu/philox.h: element i of a tensor gets word i mod 4 of block
// ⌊i/4⌋, block b having the counter (b's low 32 bits, its high 32 bits, 0, 0) and the key (the seed's two words).
#pragma once
#include <cstdint>

namespace rs::gpu {

#ifdef __CUDACC__

__device__ inline void philox_words(uint32_t (&words)[4], uint64_t block, uint64_t seed) {
  uint32_t c0 = uint32_t(block), c1 = uint32_t(block >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0, p1 = uint64_t{0xCD9E8D57u} * c2;
    c0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
    c1 = uint32_t(p1);
    c2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c3 = uint32_t(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0; words[1] = c1; words[2] = c2; words[3] = c3;
}

// A number in [0, 1) from the upper 24 bits, every value exact in float32.
__device__ inline float philox_unit(uint32_t word) { return float(word >> 8) * 0x1p-24f; }

#endif  // __CUDACC__

}  // namespace rs::gpu
