// Element-wise work: groups of W neighbours as they lie in memory, the same function of every element of a tensor, and
// operands that are broadcast over a matrix. Values are computed once for both ways of access (16 bytes at a time, or
// element by element), so alignment never changes a bit.
#pragma once
#include "gpu.h"

namespace rs::gpu {

// Neighbours that make 16 bytes, where all tensors of a loop have types of this size or larger ones.
template <class... T>
constexpr int kGroupWidth = ((sizeof(T) == 2) && ...) ? 8 : 4;
constexpr int kThreads = 256;  // of a block of element-wise work
constexpr int kGroups = 2;     // that a thread has in flight

#ifdef __CUDACC__

// W neighbours in raw form: loads of several groups can be under way before the first value is looked at.
template <class T, int W>
struct Group {
  static constexpr int kWords = W * int(sizeof(T)) / 4;
  uint32_t words[kWords];

  // The first `count` from p on (at most W are looked at; none for 0 and less), the others 0. With `wide`, p is aligned
  // to the group's bytes or to 16.
  __device__ void load(const T* p, int count, bool wide) {
    if (wide && count >= W) {
      if constexpr (kWords == 2) {
        const uint2 raw = *reinterpret_cast<const uint2*>(p);
        words[0] = raw.x; words[1] = raw.y;
      } else {
#pragma unroll
        for (int i = 0; i < kWords; i += 4) {
          const uint4 raw = reinterpret_cast<const uint4*>(p)[i / 4];
          words[i] = raw.x; words[i + 1] = raw.y; words[i + 2] = raw.z; words[i + 3] = raw.w;
        }
      }
    } else if constexpr (sizeof(T) == 4) {
      const uint32_t* raw = reinterpret_cast<const uint32_t*>(p);
#pragma unroll
      for (int i = 0; i < kWords; i++) words[i] = i < count ? raw[i] : 0;
    } else {
      const uint16_t* raw = reinterpret_cast<const uint16_t*>(p);
#pragma unroll
      for (int i = 0; i < kWords; i++) {
        const uint32_t low = 2 * i < count ? raw[2 * i] : 0, high = 2 * i + 1 < count ? raw[2 * i + 1] : 0;
        words[i] = low | high << 16;
      }
    }
  }

  __device__ void store(T* p, int count, bool wide) const {
    if (wide && count >= W) {
      if constexpr (kWords == 2) {
        *reinterpret_cast<uint2*>(p) = make_uint2(words[0], words[1]);
      } else {
#pragma unroll
        for (int i = 0; i < kWords; i += 4)
          reinterpret_cast<uint4*>(p)[i / 4] = make_uint4(words[i], words[i + 1], words[i + 2], words[i + 3]);
      }
    } else if constexpr (sizeof(T) == 4) {
      uint32_t* raw = reinterpret_cast<uint32_t*>(p);
#pragma unroll
      for (int i = 0; i < kWords; i++)
        if (i < count) raw[i] = words[i];
    } else {
      uint16_t* raw = reinterpret_cast<uint16_t*>(p);
#pragma unroll
      for (int i = 0; i < kWords; i++) {
        if (2 * i < count) raw[2 * i] = uint16_t(words[i]);
        if (2 * i + 1 < count) raw[2 * i + 1] = uint16_t(words[i] >> 16);
      }
    }
  }

  __device__ void unpack(float (&v)[W]) const {
#pragma unroll
    for (int i = 0; i < kWords; i++) {
      if constexpr (sizeof(T) == 4) {
        v[i] = __uint_as_float(words[i]);
      } else {
        v[2 * i] = __uint_as_float(words[i] << 16);
        v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
      }
    }
  }

  __device__ void pack(const float (&v)[W]) {
#pragma unroll
    for (int i = 0; i < kWords; i++) {
      if constexpr (sizeof(T) == 4) words[i] = __float_as_uint(v[i]);
      else words[i] = pack_bf16(v[2 * i], v[2 * i + 1]);
    }
  }
};

template <int W, class T>
__device__ inline void store_group(T* p, const float (&v)[W], int count, bool wide) {
  Group<T, W> group;
  group.pack(v);
  group.store(p, count, wide);
}

// How many of the elements [at, at + most) lie below `end`.
__device__ inline int count_left(int64_t at, int64_t end, int most) {
  return end - at >= most ? most : end > at ? int(end - at) : 0;
}

// Where this thread's first group stands; its next ones follow kThreads·W elements apart.
template <int W>
__device__ inline int64_t first_group() {
  return int64_t{blockIdx.x} * (kThreads * W * kGroups) + threadIdx.x * W;
}

// Row and column of an element; 32-bit division, which is five times as fast, where it can do.
struct MatrixPlace {
  int64_t row;
  int32_t column;
};
__device__ inline MatrixPlace place_of(int64_t at, int32_t c) {
  if (at >> 32 == 0) {
    const uint32_t row = uint32_t(at) / uint32_t(c);
    return {int64_t{row}, int32_t(uint32_t(at) - row * uint32_t(c))};
  }
  const int64_t row = at / c;
  return {row, int32_t(at - row * c)};
}

// What a matrix with c columns meets at its elements from `at` on when b is broadcast to it (RS_FULL …). With `wide`, b
// is aligned to 16 bytes and, if it is a row, c is a multiple of 8.
template <int W, class B>
__device__ inline void load_broadcast(float (&v)[W], const B* b, int32_t shape, int64_t at, int32_t c, int count,
                                      bool wide) {
  if (shape == RS_SCALAR) {
    const float one = to_float(b[0]);
#pragma unroll
    for (int i = 0; i < W; i++) v[i] = one;
    return;
  }
  MatrixPlace place{0, 0};
  if (shape != RS_FULL) place = place_of(at, c);
  if (shape == RS_FULL || (shape == RS_ROW && wide)) {
    Group<B, W> group;
    group.load(shape == RS_FULL ? b + at : b + place.column, count, wide);
    group.unpack(v);
    return;
  }
  if (shape == RS_COLUMN && place.column + W <= c) {
    const float one = to_float(b[place.row]);
#pragma unroll
    for (int i = 0; i < W; i++) v[i] = one;
    return;
  }
#pragma unroll
  for (int i = 0; i < W; i++) {
    v[i] = i < count ? to_float(shape == RS_ROW ? b[place.column] : b[place.row]) : 0.0f;
    if (++place.column == c) {
      place.column = 0;
      place.row++;
    }
  }
}

// y[i] = f(a[i], b[i]), or f(a[i], 0) with one input. y may be an input.
template <int Inputs, int W, class Y, class A, class B, class F>
__global__ void __launch_bounds__(kThreads) map_kernel(Y* y, const A* a, const B* b, int64_t count, bool wide, F f) {
  Group<A, W> left[kGroups];
  Group<B, W> right[kGroups];
  const int64_t first = first_group<W>();
#pragma unroll
  for (int k = 0; k < kGroups; k++) {
    const int64_t at = first + k * (kThreads * W);
    const int here = count_left(at, count, W);
    left[k].load(a + at, here, wide);
    if constexpr (Inputs > 1) right[k].load(b + at, here, wide);
  }
#pragma unroll
  for (int k = 0; k < kGroups; k++) {
    const int64_t at = first + k * (kThreads * W);
    float p[W], q[W] = {};
    left[k].unpack(p);
    if constexpr (Inputs > 1) right[k].unpack(q);
#pragma unroll
    for (int i = 0; i < W; i++) p[i] = f(p[i], q[i]);
    store_group<W>(y + at, p, count_left(at, count, W), wide);
  }
}

template <class Y, class A, class F>
void map(Y* y, const A* a, int64_t count, F f) {
  constexpr int W = kGroupWidth<Y, A>;
  launch(map_kernel<1, W, Y, A, A, F>, {dim3(unsigned(ceil_div(count, kThreads * W * kGroups))), dim3(kThreads)}, y, a,
         nullptr, count, wide_access(0, y, a), f);
}
template <class Y, class A, class B, class F>
void map(Y* y, const A* a, const B* b, int64_t count, F f) {
  constexpr int W = kGroupWidth<Y, A, B>;
  launch(map_kernel<2, W, Y, A, B, F>, {dim3(unsigned(ceil_div(count, kThreads * W * kGroups))), dim3(kThreads)}, y, a,
         b, count, wide_access(0, y, a, b), f);
}

#endif  // __CUDACC__

}  // namespace rs::gpu
