// Inverted dropout with the counter-based generator: no mask is kept, the gradient draws the same numbers again.
#include "../impl.h"
#include "parallel.h"
#include "philox.h"

namespace rs::RS_BACKEND {

void dropout(Tensor* y, const Tensor* x, double rate, uint64_t seed) {
  constexpr int64_t batch = 4 * philox_batch;
  const float lost = static_cast<float>(rate), factor = static_cast<float>(1.0 / (1.0 - rate));
  const float* in = x->f32();
  float* out = y->f32();
  parallel_for((y->count + batch - 1) / batch, 128, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; piece++) {
      uint32_t words[batch];
      philox_words(words, static_cast<uint64_t>(piece) * philox_batch, seed);
      const int64_t first = piece * batch;
      const int64_t length = y->count - first < batch ? y->count - first : batch;
      for (int64_t i = 0; i < length; i++)
        out[first + i] = philox_unit(words[i]) >= lost ? in[first + i] * factor : 0.0f;
    }
  });
}

}  // namespace rs::RS_BACKEND
