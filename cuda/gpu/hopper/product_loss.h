// The end of an output layer: the part of a row's softmax and of its gradient that needs no other column, on the sums
// in registers. What the whole row decides (a factor) and the target (one column) come later: linear_cross_entropy.cu.
#pragma once
#include "../capped_softmax.h"
#include "../lanes.h"
#include "product_epilogue.h"

namespace rs::gpu::product {

// Like Output, grouped. A row of a tile lies in the four lanes of a quad.
template <int Blocks, int Columns>
class LossOutput {
 public:
  struct Target {
    bf16* c;
    float* sums;
    CappedSoftmax softmax;
  };
  static constexpr bool fetches = false;

  __device__ void place(const Target& target, int m, int n, int row, int column, int lane_row, int lane) {
    target_ = &target;
    c_ = target.c + int64_t(row + lane_row) * n + column + 8 * (lane % 4);
    sums_ = target.sums + int64_t(column / Columns) * m + row + lane_row;
    stride_ = n, rows_ = m - row - lane_row, columns_ = n - column, lane_ = lane % 4;
  }
  __device__ void fetch() {}
  __device__ void store(const float (&sums)[Blocks][Columns / 2]) {
    const CappedSoftmax softmax = target_->softmax;
#pragma unroll
    for (int block = 0; block < Blocks; block++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int row = 64 * block + 8 * half;
        const bool inside = row < rows_;
        float sum = 0;
#pragma unroll
        for (int group = 0; group < Columns / 32; group++) {
          const bool exists = 32 * group < columns_;
          float v[8], part = 0;
#pragma unroll
          for (int i = 0; i < 8; i++) {
            const float r = softmax.r(sums[block][16 * group + 4 * (i / 2) + 2 * half + i % 2]), e = softmax.e(r);
            part += e;
            v[i] = e * CappedSoftmax::quarter_slope(r);
          }
          sum += exists ? part : 0.0f;
          store8_if(inside && exists, c_ + row * stride_ + 32 * group, v);
        }
        sum = lanes_sum(sum, 4);
        if (lane_ == 0 && inside && columns_ > 0) sums_[row] = sum;
      }
  }

 private:
  const Target* target_;
  bf16* c_;
  float* sums_;
  int64_t stride_;
  int rows_, columns_, lane_;  // rows and columns that exist from the thread's first row, the tile's first column on
};

}  // namespace rs::gpu::product
