// Ops that move elements: fill, copy, blocks of rows, transposition; and y = αx + βy, y = x·s.
#include <algorithm>
#include <cstring>

#include "../impl.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

namespace {

constexpr int64_t kGrain = int64_t{1} << 15;  // elements a piece: 128 KiB, a few microseconds

template <class T>
void fill_elements(T* data, int64_t count, T value) {
  parallel_for(count, kGrain, [=](int64_t begin, int64_t end, int32_t) { std::fill(data + begin, data + end, value); });
}

uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t(bits >> 16 | 0x40);  // NaN stays one
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);                   // nearest, ties to even
}

float from_bf16(uint16_t value) {
  const uint32_t bits = uint32_t{value} << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

int64_t size_of(int32_t dtype) {
  return dtype == RS_F32 || dtype == RS_I32 ? 4 : dtype == RS_U8 ? 1 : 2;
}

}  // namespace

void fill(Tensor* x, double value) {
  switch (x->dtype) {
    case RS_F32: return fill_elements(x->f32(), x->count, float(value));
    case RS_I32: return fill_elements(x->i32(), x->count, int32_t(value));
    case RS_BF16: return fill_elements(static_cast<uint16_t*>(x->data), x->count, to_bf16(float(value)));
    case RS_U16: return fill_elements(static_cast<uint16_t*>(x->data), x->count, uint16_t(value));
    default: return fill_elements(static_cast<uint8_t*>(x->data), x->count, uint8_t(value));
  }
}

void copy(Tensor* y, const Tensor* x) {
  if (y->dtype == x->dtype) {
    const int64_t bytes = x->count * size_of(x->dtype);
    parallel_for(bytes, kGrain * 4, [=](int64_t begin, int64_t end, int32_t) {
      std::memcpy(static_cast<char*>(y->data) + begin, static_cast<const char*>(x->data) + begin, size_t(end - begin));
    });
    return;
  }
  const bool narrow = y->dtype == RS_BF16;
  parallel_for(x->count, kGrain, [=](int64_t begin, int64_t end, int32_t) {
    if (narrow) {
      for (int64_t i = begin; i < end; i++) static_cast<uint16_t*>(y->data)[i] = to_bf16(x->f32()[i]);
    } else {
      for (int64_t i = begin; i < end; i++) y->f32()[i] = from_bf16(static_cast<const uint16_t*>(x->data)[i]);
    }
  });
}

void copy_block(Tensor* y, const Tensor* x, int32_t n, int32_t width, int32_t y_stride, int32_t y_offset,
                int32_t x_stride, int32_t x_offset, bool accumulate) {
  const int64_t rows = std::max<int64_t>(1, kGrain / width);
  parallel_for(n, rows, [=](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t to = i * y_stride + y_offset, from = i * x_stride + x_offset;
      if (accumulate) {
        float* __restrict target = y->f32() + to;
        const float* __restrict source = x->f32() + from;
        for (int32_t j = 0; j < width; j++) target[j] += source[j];
      } else {
        std::memcpy(y->i32() + to, x->i32() + from, size_t(width) * 4);  // 4 bytes an element, whatever they mean
      }
    }
  });
}

void transpose(Tensor* y, const Tensor* x, int32_t batch, int32_t rows, int32_t cols, int32_t inner) {
  // Tiles of 16 by 16 runs of `inner` elements, so that neither side jumps by whole rows for every element.
  constexpr int32_t kTile = 16;
  const int64_t tiles_down = (int64_t{cols} + kTile - 1) / kTile;
  const int64_t tile_elements = int64_t{kTile} * rows * inner;
  const int64_t grain = std::max<int64_t>(1, kGrain / tile_elements);
  parallel_for(batch * tiles_down, grain, [=](int64_t begin, int64_t end, int32_t) {
    for (int64_t tile = begin; tile < end; tile++) {
      const int64_t b = tile / tiles_down, first = tile % tiles_down * kTile;
      const int64_t last = std::min<int64_t>(cols, first + kTile);
      const int32_t* source = x->i32() + b * rows * cols * inner;
      int32_t* target = y->i32() + b * rows * cols * inner;
      for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
        const int64_t r1 = std::min<int64_t>(rows, r0 + kTile);
        for (int64_t c = first; c < last; c++) {
          for (int64_t r = r0; r < r1; r++) {
            const int32_t* from = source + (r * cols + c) * inner;
            int32_t* to = target + (c * rows + r) * inner;
            if (inner == 1) *to = *from;
            else std::memcpy(to, from, size_t(inner) * 4);
          }
        }
      }
    }
  });
}

void axpby(Tensor* y, const Tensor* x, double alpha, double beta) {
  const float a = float(alpha), b = float(beta);
  float* target = y->f32();
  const float* source = x->f32();
  parallel_for(x->count, kGrain, [=](int64_t begin, int64_t end, int32_t) {
    if (b == 0) {
      for (int64_t i = begin; i < end; i++) target[i] = a * source[i];
    } else {
      for (int64_t i = begin; i < end; i++) target[i] = a * source[i] + b * target[i];
    }
  });
}

void scale_by(Tensor* y, const Tensor* x, const Tensor* scale) {
  const float factor = scale->f32()[0];
  float* target = y->f32();
  const float* source = x->f32();
  parallel_for(x->count, kGrain, [=](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++) target[i] = factor * source[i];
  });
}

}  // namespace rs::RS_BACKEND
