// Ops on all elements of a tensor alike: fill, copy between types, y = αx + βy, y = x·s.
#include <cstring>

#include "groups.h"

namespace rs::gpu {

namespace {

constexpr int kFillStores = 4;  // of 16 bytes a thread

// T has the element's size; `word` is its bits, repeated to 32. Wide: 16-byte stores from an aligned address.
template <class T>
__global__ void __launch_bounds__(kThreads) fill_kernel(T* x, int64_t count, uint32_t word, bool wide) {
  constexpr int kEach = 16 / int(sizeof(T));
  const int64_t block = int64_t{blockIdx.x} * (kThreads * kEach * kFillStores);
  if (wide) {
#pragma unroll
    for (int k = 0; k < kFillStores; k++) {
      const int64_t at = block + (k * kThreads + int(threadIdx.x)) * kEach;
      if (at + kEach <= count) {
        *reinterpret_cast<uint4*>(x + at) = make_uint4(word, word, word, word);
      } else {
        for (int64_t i = at; i < count; i++) x[i] = T(word);
      }
    }
  } else {
    for (int k = 0; k < kFillStores * kEach; k++) {
      const int64_t at = block + k * kThreads + int(threadIdx.x);
      if (at < count) x[at] = T(word);
    }
  }
}

template <class T>
void fill_bits(Tensor* x, T bits) {
  if (bits == 0) return enqueue_zero(x->data, size_t(x->count) * sizeof(T));
  uint32_t word = bits;
  for (size_t size = sizeof(T); size < 4; size *= 2) word |= word << 8 * size;
  T* data = elements<T>(x);
  launch(fill_kernel<T>, {dim3(unsigned(ceil_div(x->count, kThreads * (16 / int(sizeof(T))) * kFillStores))),
                          dim3(kThreads)},
         data, x->count, word, wide_access(0, data));
}

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

uint16_t bf16_bits(float value) {
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t(bits >> 16 | 0x40);  // NaN stays one
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);                   // nearest, ties to even
}

struct Same {
  __device__ float operator()(float x, float) const { return x; }
};
struct Multiple {
  float alpha;
  __device__ float operator()(float x, float) const { return alpha * x; }
};
struct Combination {
  float alpha, beta;
  __device__ float operator()(float x, float y) const { return fmaf(alpha, x, beta * y); }
};
struct Scaled {
  const float* scale;
  __device__ float operator()(float x, float) const { return __ldg(scale) * x; }
};

}  // namespace

void fill(Tensor* x, double value) {
  if (x->count == 0) return;
  switch (x->dtype) {
    case RS_F32: return fill_bits(x, bits_of(float(value)));
    case RS_I32: return fill_bits(x, uint32_t(int32_t(value)));
    case RS_BF16: return fill_bits(x, bf16_bits(float(value)));
    case RS_U16: return fill_bits(x, uint16_t(value));
    default: return fill_bits(x, uint8_t(value));
  }
}

void copy(Tensor* y, const Tensor* x) {
  if (x->count == 0) return;
  if (y->dtype == x->dtype) {
    const size_t size = x->dtype == RS_F32 || x->dtype == RS_I32 ? 4 : x->dtype == RS_U8 ? 1 : 2;
    return enqueue_copy(y->data, x->data, size_t(x->count) * size);
  }
  if (y->dtype == RS_BF16) map(elements<bf16>(y), elements<float>(x), x->count, Same{});
  else map(elements<float>(y), elements<bf16>(x), x->count, Same{});
}

void axpby(Tensor* y, const Tensor* x, double alpha, double beta) {
  const float a = float(alpha), b = float(beta);
  with_float(y->dtype, [&](auto* of_y) {
    with_float(x->dtype, [&](auto* of_x) {
      auto* target = elements<std::remove_pointer_t<decltype(of_y)>>(y);
      const auto* source = elements<std::remove_pointer_t<decltype(of_x)>>(x);
      if (b == 0) map(target, source, x->count, Multiple{a});
      else map(target, source, target, x->count, Combination{a, b});
    });
  });
}

void scale_by(Tensor* y, const Tensor* x, const Tensor* scale) {
  with_float(y->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    map(elements<T>(y), elements<T>(x), x->count, Scaled{scale->f32()});
  });
}

}  // namespace rs::gpu
