// Inverted dropout with the counter-based generator: no mask is kept, the gradient draws the same numbers again.
#include "groups.h"
#include "philox.h"

namespace rs::gpu {

namespace {

template <int W, class T>
__global__ void __launch_bounds__(kThreads)
    dropout_kernel(T* y, const T* x, int64_t count, bool wide, float lost, float factor, uint64_t seed) {
  const int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * W;
  const int here = count_left(at, count, W);
  Group<T, W> group;
  group.load(x + at, here, wide);
  float v[W];
  group.unpack(v);
#pragma unroll
  for (int i = 0; i < W; i += 4) {
    uint32_t words[4];
    philox_words(words, uint64_t(at + i) / 4, seed);
#pragma unroll
    for (int j = 0; j < 4; j++) v[i + j] = philox_unit(words[j]) >= lost ? v[i + j] * factor : 0.0f;
  }
  store_group<W>(y + at, v, here, wide);
}

}  // namespace

void dropout(Tensor* y, const Tensor* x, double rate, uint64_t seed) {
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    constexpr int W = kGroupWidth<T>;
    T* target = elements<T>(y);
    const T* source = elements<T>(x);
    launch(dropout_kernel<W, T>, {dim3(unsigned(ceil_div(x->count, kThreads * W))), dim3(kThreads)}, target, source,
           x->count, wide_access(0, target, source), float(rate), float(1.0 / (1.0 - rate)), seed);
  });
}

}  // namespace rs::gpu
