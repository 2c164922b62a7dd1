// Packing of the two sides of a product into panels, for one thread.
//
// Packed a (one block of k): [panel of tile_rows], each by row where the source's rows lie side by side, else by term
// (gemm_kernel.h). Packed b: [block of k][panel of tile_cols][k][tile_cols], columns past the end filled with zeros.
#pragma once
#include <algorithm>

#include "gemm_kernel.h"

namespace rs::RS_BACKEND {

RS_INLINE int64_t divide_up(int64_t x, int64_t y) { return (x + y - 1) / y; }

// A matrix in memory: element (i, j) at data[i·stride + j], or at data[j·stride + i] when transposed.
struct Matrix {
  const float* data;
  int64_t stride;
  bool transposed;
  const float* at(int64_t i, int64_t j) const { return data + (transposed ? j * stride + i : i * stride + j); }
};

// Exchanges between rows that are `half` apart, then half of that, and so on: rows become columns.
template <int half>
RS_INLINE void transpose_square(Vec (&rows)[lanes]) {
  const IntVec index = lane_index();
  const IntVec low = (index & half) != 0 ? index - half + lanes : index;
  const IntVec high = (index & half) != 0 ? index + lanes : index + half;
#pragma GCC unroll 16
  for (int i = 0; i < lanes; i++) {
    if (i & half) continue;
    const Vec upper = rows[i], lower = rows[i + half];
    rows[i] = __builtin_shuffle(upper, lower, low);
    rows[i + half] = __builtin_shuffle(upper, lower, high);
  }
  if constexpr (half > 1) transpose_square<half / 2>(rows);
}

// Floats from one packed panel of a to the next, and of a block.
RS_INLINE int64_t panel_a_size(bool by_row, int64_t k) { return tile_rows * (by_row ? row_stride : k); }
RS_INLINE int64_t packed_a_size(int64_t rows) { return divide_up(rows, tile_rows) * tile_rows * row_stride; }
static_assert(tile_rows <= lanes);

// Floats that packed b[k, n] takes, and where in it terms from `first` (a multiple of block_k; `k` terms in its block)
// of panel `panel` begin.
RS_INLINE int64_t packed_b_size(int64_t n, int64_t k) { return divide_up(n, tile_cols) * tile_cols * k; }
RS_INLINE int64_t packed_b_offset(int64_t n, int64_t first, int64_t panel, int64_t k) {
  return packed_b_size(n, first) + panel * tile_cols * k;
}

// Packs rows [row, row + rows) and terms [first, first + k) of a that is not transposed; k ≤ block_k.
void pack_a_by_row(float* target, const Matrix& a, int64_t row, int64_t rows, int64_t first, int64_t k);
// The same by term, for a that is transposed; panels are `panel` floats apart.
void pack_a_by_term(float* target, int64_t panel, const Matrix& a, int64_t row, int64_t rows, int64_t first, int64_t k);
// Packs columns [column, column + columns), from a panel's border on, and terms [first, first + k) of b; panels are
// `panel` floats apart.
void pack_b(float* target, int64_t panel, const Matrix& b, int64_t column, int64_t columns, int64_t first, int64_t k);

}  // namespace rs::RS_BACKEND
