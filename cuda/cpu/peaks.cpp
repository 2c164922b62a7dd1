// What the machine can do at best, measured: fused multiply-adds of all threads, and copying. Compiled once; the loops
// ask for their instruction set by attribute.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "../impl.h"
#include "parallel.h"

namespace rs {

namespace {

// Twelve to 24 independent chains of fused multiply-adds: more than latency times units on any machine so far.
constexpr int kChains = 12, kRounds = 2000;

#if defined(__x86_64__)
typedef float Float8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));

#define RS_FMA_LOOP(vector)                                                          \
  vector sums[kChains];                                                              \
  for (int i = 0; i < kChains; i++) sums[i] = vector{} + start * float(i);           \
  const vector factor = vector{} + 0.999f, term = vector{} + start;                  \
  for (int round = 0; round < kRounds; round++) {                                    \
    _Pragma("GCC unroll 12") for (int i = 0; i < kChains; i++) sums[i] = sums[i] * factor + term; \
  }                                                                                  \
  vector total = sums[0];                                                            \
  for (int i = 1; i < kChains; i++) total += sums[i];                                \
  float result = 0;                                                                  \
  for (size_t i = 0; i < sizeof(vector) / 4; i++) result += total[i];                \
  return result

__attribute__((target("avx512f,prefer-vector-width=512"))) float fma_avx512(float start) { RS_FMA_LOOP(Float16); }
__attribute__((target("avx2,fma"))) float fma_avx2(float start) { RS_FMA_LOOP(Float8); }
#endif
typedef float Float4 __attribute__((vector_size(16)));
float fma_portable(float start) {
  Float4 sums[kChains];
  for (int i = 0; i < kChains; i++) sums[i] = Float4{} + start * float(i);
  const Float4 factor = Float4{} + 0.999f, term = Float4{} + start;
  for (int round = 0; round < kRounds; round++) {
    for (int i = 0; i < kChains; i++) sums[i] = sums[i] * factor + term;
  }
  float result = 0;
  for (int i = 0; i < kChains; i++) result += sums[i][0] + sums[i][1] + sums[i][2] + sums[i][3];
  return result;
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

void device_measure_peaks(double out[2], double seconds) {
  float (*loop)(float) = fma_portable;
  double lanes = 4;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) loop = fma_avx512, lanes = 16;
  else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) loop = fma_avx2, lanes = 8;
#endif
  const int64_t threads = thread_count();
  std::vector<float> sinks(size_t(threads) * 16);
  // Rounds of all threads together, best of what fits into half of the time: other work on the machine only slows.
  double best = 0;
  const Clock::time_point start = Clock::now();
  do {
    const Clock::time_point round = Clock::now();
    constexpr int64_t kRepeats = 64;
    parallel_for(threads * kRepeats, 1, [&](int64_t begin, int64_t end, int32_t thread) {
      for (int64_t i = begin; i < end; i++) sinks[size_t(thread) * 16] += loop(1e-3f);
    });
    best = std::max(best, double(threads * kRepeats) * kRounds * kChains * lanes * 2 / seconds_since(round));
  } while (seconds_since(start) < seconds / 2);
  out[0] = best / 1e9;

  constexpr int64_t kBytes = int64_t{64} << 20, kPiece = int64_t{1} << 20;  // beyond the caches
  const std::vector<char> source(kBytes, 1);
  std::vector<char> target(kBytes, 0);
  best = 0;
  const Clock::time_point copy_start = Clock::now();
  do {
    const Clock::time_point round = Clock::now();
    parallel_for(kBytes, kPiece, [&](int64_t begin, int64_t end, int32_t) {
      std::memcpy(target.data() + begin, source.data() + begin, size_t(end - begin));
    });
    best = std::max(best, 2.0 * kBytes / seconds_since(round));
  } while (seconds_since(copy_start) < seconds / 2);
  out[1] = best / 1e9 + double(sinks[0] == 12345.678f) * 0;  // the sums must not be dropped as unused
}

}  // namespace rs
