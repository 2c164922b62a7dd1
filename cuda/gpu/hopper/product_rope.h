// The end of a query or key projection: rotary positions and the norm over each head, on the sums in registers.
#pragma once
#include "../angles.h"
#include "../rotate.h"
#include "product_epilogue.h"

namespace rs::gpu::product {

// Eight neighbours, by way of L1, because each half of a sector is another load's. Volatile, so that the compiler does
// not move it down to where it is needed.
__device__ inline void load8_early(uint32_t (&words)[8], const uint32_t* p) {
#pragma unroll
  for (int i = 0; i < 8; i += 4)
    asm volatile("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[i]), "=r"(words[i + 1]), "=r"(words[i + 2]), "=r"(words[i + 3])
                 : "l"(p + i));
}

// Like Output, grouped. The two halves of a head of D columns are whole groups of 32, so both elements of a pair lie in
// the same place of two groups of the same thread, and a head's row lies in the four lanes of a quad.
template <int Blocks, int Columns, int D>
class RopeOutput {
 public:
  struct Target {
    bf16* c;
    float* rstd;
    const uint32_t* angles;
    int32_t t, heads;
    float inverse, eps;  // 1/D; added to the mean square
  };
  static constexpr bool fetches = true;
  static constexpr int parts = 0;

  __device__ void place(const Target& target, int m, int n, int row, int column, int lane_row, int lane) {
    target_ = &target;
    row_ = row + lane_row, rows_ = m - row_, column_ = column, columns_ = n - column, lane_ = lane % 4;
  }
  // Asks for the angles.
  __device__ void fetch() {
#pragma unroll
    for (int i = 0; i < 2 * Blocks; i++) {
      const uint32_t position = uint32_t(row_ + row_of(i)) % uint32_t(target_->t);  // exists, even if the row does not
      const uint32_t* from = target_->angles + int64_t{position} * (D / 2) + 8 * lane_;
#pragma unroll
      for (int j = 0; j < half_groups; j++) load8_early(angles_[i][j], from + 32 * j);
    }
  }
  __device__ void store(const float (&sums)[Blocks][Columns / 2]) {
#pragma unroll
    for (int i = 0; i < 2 * Blocks; i++) {
      float v[Columns / 32][8], cos[half_groups][8], sin[half_groups][8], r[heads];
#pragma unroll
      for (int j = 0; j < half_groups; j++)
#pragma unroll
        for (int k = 0; k < 8; k++) {
          const float2 angle = angle_of(angles_[i][j][k]);
          cos[j][k] = angle.x, sin[j][k] = angle.y;
        }
#pragma unroll
      for (int group = 0; group < Columns / 32; group++)
#pragma unroll
        for (int j = 0; j < 8; j++) v[group][j] = sums[i / 2][16 * group + 4 * (j / 2) + 2 * (i % 2) + j % 2];
#pragma unroll
      for (int head = 0; head < heads; head++) {
        float squares = 0;
#pragma unroll
        for (int j = 0; j < half_groups; j++) {
          float(&first)[8] = v[2 * half_groups * head + j];
          float(&second)[8] = v[2 * half_groups * head + half_groups + j];
          rotate(first, second, cos[j], sin[j]);
          squares = add_squares(add_squares(squares, first), second);
        }
        r[head] = reciprocal_root(lanes_sum(squares, 4), target_->inverse, target_->eps);
      }
      const bool inside = row_of(i) < rows_;
      const int64_t row = row_ + row_of(i);
      bf16* to = target_->c + row * target_->heads * D + column_ + 8 * lane_;
#pragma unroll
      for (int group = 0; group < Columns / 32; group++) {
        scale(v[group], r[group / (2 * half_groups)]);
        store8_if(inside && exists(32 * group), to + 32 * group, v[group]);
      }
#pragma unroll
      for (int head = 0; head < heads; head++)
        if (lane_ == 0 && inside && exists(D * head))
          target_->rstd[row * target_->heads + column_ / D + head] = r[head];
    }
  }

 private:
  static constexpr int heads = Columns / D, half_groups = D / 64;  // of 32 columns, in half a head

  static __device__ constexpr int row_of(int i) { return 64 * (i / 2) + 8 * (i % 2); }
  // Whether the matrix has the tile's column: tiles of one head lie inside.
  __device__ bool exists(int column) const { return heads == 1 || column < columns_; }
  static __device__ void scale(float (&v)[8], float r) {
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] *= r;
  }

  const Target* target_;
  int row_, rows_;  // the thread's first one; those that exist from it on
  int column_, columns_, lane_;
  uint32_t angles_[2 * Blocks][half_groups][8];
};

}  // namespace rs::gpu::product
