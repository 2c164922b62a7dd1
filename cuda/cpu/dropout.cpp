// Inverted dropout with the counter-based generator: no mask is kept, the gradient draws the same numbers again.
#include "../impl.h"
#include "parallel.h"
#include "philox.h"
#include "simd.h"

namespace rs::RS_BACKEND {

void dropout(Tensor* y, const Tensor* x, double rate, uint64_t seed) {
  constexpr int64_t batch = 4 * philox_batch;
  const float lost = static_cast<float>(rate), factor = static_cast<float>(1.0 / (1.0 - rate));
  const float* in = x->f32();
  float* out = y->f32();
  parallel_for((y->count + batch - 1) / batch, 32, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; piece++) {
      uint32_t words[batch];
      philox_words(words, static_cast<uint64_t>(piece) * philox_batch, seed);
      const int64_t first = piece * batch;
      const int64_t length = y->count - first < batch ? y->count - first : batch;
      each_vec(length, [&](int64_t i, int n) RS_INLINE_LAMBDA {
        IntVec word;
        memcpy(&word, words + i, sizeof word);
        // philox_unit of each lane.
        Vec unit = __builtin_convertvector((word >> 8) & 0xffffff, Vec) * 0x1p-24f;
        store(out + first + i, select(unit >= lost, load(in + first + i, n) * factor, Vec{}), n);
      });
    }
  });
}

}  // namespace rs::RS_BACKEND
