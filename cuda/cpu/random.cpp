// Random numbers from Philox4x32-10; w is the element's word (philox.h).
//   uniform: low + (high − low)·u, u = the upper 24 bits of w times 2⁻²⁴, computed in float64, rounded to float32 and
//   kept below high.
//   normal: of each block (w0, w1, w2, w3), elements 4b … 4b+3 are mean + (r₀cos θ₀, r₀sin θ₀, r₁cos θ₁, r₁sin θ₁) with
//   r = std·sqrt(−2 ln((w+½)·2⁻³²)) from w0 and w2, θ = 2π·w·2⁻³² from w1 and w3 (Box-Muller), in float64.
#include <algorithm>
#include <cmath>

#include "../impl.h"
#include "parallel.h"
#include "philox.h"

namespace rs::RS_BACKEND {

namespace {

constexpr int64_t kBatch = 4 * philox_batch;

// Calls make(words, values) for every kBatch elements of x.
template <class F>
void draw(Tensor* x, uint64_t seed, F&& make) {
  float* data = x->f32();
  const int64_t count = x->count;
  parallel_for((count + kBatch - 1) / kBatch, 64, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t batch = begin; batch < end; batch++) {
      uint32_t words[kBatch];
      float values[kBatch];
      philox_words(words, uint64_t(batch) * philox_batch, seed);
      make(words, values);
      std::copy_n(values, std::min(kBatch, count - batch * kBatch), data + batch * kBatch);
    }
  });
}

}  // namespace

void random_uniform(Tensor* x, double low, double high, uint64_t seed) {
  const float below = high > low ? std::nextafter(float(high), float(low)) : float(low);
  draw(x, seed, [=](const uint32_t* words, float* values) {
    for (int64_t j = 0; j < kBatch; j++) {
      const float value = float(low + (high - low) * double(philox_unit(words[j])));
      values[j] = value < below ? value : below;
    }
  });
}

void random_normal(Tensor* x, double mean, double std, uint64_t seed) {
  draw(x, seed, [=](const uint32_t* words, float* values) {
    for (int64_t j = 0; j < kBatch; j += 2) {
      const double radius = std * std::sqrt(-2.0 * std::log((double(words[j]) + 0.5) * 0x1p-32));
      const double angle = double(words[j + 1]) * (2.0 * M_PI * 0x1p-32);
      values[j] = float(mean + radius * std::cos(angle));
      values[j + 1] = float(mean + radius * std::sin(angle));
    }
  });
}

}  // namespace rs::RS_BACKEND
