// Random numbers from Philox4x32-10, formulas as in cpu/random.cpp, in float64: both builds agree to the last rounding.
// A thread makes one block of the generator, four elements.
#include <cmath>

#include "groups.h"
#include "philox.h"

namespace rs::gpu {

namespace {

// low + range·u, u = the upper 24 bits of the word times 2⁻²⁴, kept at `most` or below.
__global__ void __launch_bounds__(kThreads)
    random_uniform_kernel(float* x, int64_t count, bool wide, double low, double range, float most, uint64_t seed) {
  const int64_t block = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  uint32_t words[4];
  philox_words(words, uint64_t(block), seed);
  float v[4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const float value = float(low + range * double(philox_unit(words[i])));
    v[i] = value < most ? value : most;
  }
  store_group<4>(x + block * 4, v, count_left(block * 4, count, 4), wide);
}

// Box-Muller on the pairs of words (w0, w1) and (w2, w3): mean + r·(cos θ, sin θ), r = std·sqrt(−2 ln((w0+½)·2⁻³²)),
// θ = 2π·w1·2⁻³².
__global__ void __launch_bounds__(kThreads)
    random_normal_kernel(float* x, int64_t count, bool wide, double mean, double std, uint64_t seed) {
  const int64_t block = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  uint32_t words[4];
  philox_words(words, uint64_t(block), seed);
  float v[4];
#pragma unroll
  for (int i = 0; i < 4; i += 2) {
    const double radius = std * sqrt(-2.0 * log((double(words[i]) + 0.5) * 0x1p-32));
    double sine, cosine;
    sincospi(double(words[i + 1]) * 0x1p-31, &sine, &cosine);
    v[i] = float(mean + radius * cosine);
    v[i + 1] = float(mean + radius * sine);
  }
  store_group<4>(x + block * 4, v, count_left(block * 4, count, 4), wide);
}

Launch shape_for(int64_t count) { return {dim3(unsigned(ceil_div(count, kThreads * 4))), dim3(kThreads)}; }

}  // namespace

void random_uniform(Tensor* x, double low, double high, uint64_t seed) {
  const float most = high > low ? std::nextafter(float(high), float(low)) : float(low);
  launch(random_uniform_kernel, shape_for(x->count), x->f32(), x->count, wide_access(0, x->f32()), low, high - low,
         most, seed);
}

void random_normal(Tensor* x, double mean, double std, uint64_t seed) {
  launch(random_normal_kernel, shape_for(x->count), x->f32(), x->count, wide_access(0, x->f32()), mean, std, seed);
}

}  // namespace rs::gpu
