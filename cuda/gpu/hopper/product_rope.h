// The end of a query or key projection: rotary positions and the norm over each head, on the sums in registers.
#pragma once
#include "../rotate.h"
#include "product_epilogue.h"

namespace rs::gpu::product {

// Four neighbours that are read once. Volatile, so that the compiler does not move it down to where it is needed.
__device__ inline void load4(float* v, const float* p) {
  asm volatile("ld.global.nc.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v[0]), "=f"(v[1]), "=f"(v[2]), "=f"(v[3])
               : "l"(p));
}

// Like Output, grouped. The two halves of a head of D columns are whole groups of 32, so both elements of a pair lie in
// the same place of two groups of the same thread, and a head's row lies in the four lanes of a quad.
template <int Blocks, int Columns, int D>
class RopeOutput {
 public:
  struct Target {
    bf16* c;
    float* rstd;
    const float *cos, *sin;
    int32_t t, heads;
    float inverse, eps;  // 1/D; added to the mean square
  };
  static constexpr bool fetches = true;

  __device__ void begin(int /*group*/) {}
  __device__ void place(const Target& target, int m, int n, int row, int column, int lane_row, int lane) {
    target_ = &target;
    row_ = row + lane_row, rows_ = m - row_, column_ = column, columns_ = n - column, lane_ = lane % 4;
  }
  // Asks for the angles of the first rows.
  __device__ void fetch() {
#pragma unroll
    for (int i = 0; i < held_rows; i++) fetch_row(i);
  }
  __device__ void store(float (&sums)[Blocks][Columns / 2], uint8_t* /*staging*/, int /*group*/) {
#pragma unroll
    for (int i = 0; i < 2 * Blocks; i++) {
      float v[Columns / 32][8], r[heads];
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
          rotate(first, second, held_[i % held_rows][0][j], held_[i % held_rows][1][j]);
          squares = add_squares(add_squares(squares, first), second);
        }
        r[head] = reciprocal_root(lanes_sum(squares, 4), target_->inverse, target_->eps);
      }
      if (i + held_rows < 2 * Blocks) fetch_row(i + held_rows);
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
  static constexpr int held_rows = 2;  // of the 2·Blocks that a thread has, whose angles fit into registers

  static __device__ constexpr int row_of(int i) { return 64 * (i / 2) + 8 * (i % 2); }
  // Whether the matrix has the tile's column: tiles of one head always lie inside.
  __device__ bool exists(int column) const { return heads == 1 || column < columns_; }
  static __device__ void scale(float (&v)[8], float r) {
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] *= r;
  }
  __device__ void fetch_row(int i) {
    const uint32_t position = uint32_t(row_ + row_of(i)) % uint32_t(target_->t);  // exists, even if the row does not
    const int64_t from = int64_t{position} * (D / 2) + 8 * lane_;
#pragma unroll
    for (int j = 0; j < half_groups; j++)
#pragma unroll
      for (int k = 0; k < 8; k += 4) {
        load4(&held_[i % held_rows][0][j][k], target_->cos + from + 32 * j + k);
        load4(&held_[i % held_rows][1][j][k], target_->sin + from + 32 * j + k);
      }
  }

  const Target* target_;
  int row_, rows_;  // the thread's first one; those that exist from it on
  int column_, columns_, lane_;
  float held_[held_rows][2][half_groups][8];  // cosines and sines
};

}  // namespace rs::gpu::product
