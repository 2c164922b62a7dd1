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

RS_INLINE void copy_floats(float* target, const float* source, int64_t count) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(target + i, load(source + i));
  for (; i < count; i++) target[i] = source[i];
}

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

// target[j][tile_cols] = source[i][j] for i < rows ≤ lanes and j < k; lanes past `rows` become zeros.
template <bool whole>
static void pack_transposed(float* target, const float* source, int64_t stride, int rows, int64_t k) {
  int64_t j = 0;
  for (; j + lanes <= k; j += lanes) {
    Vec square[lanes];
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i++) square[i] = whole || i < rows ? load(source + i * stride + j) : Vec{};
    transpose_square<lanes / 2>(square);
#pragma GCC unroll 16
    for (int i = 0; i < lanes; i++) store(target + (j + i) * tile_cols, square[i]);
  }
  for (; j < k; j++)
    for (int i = 0; i < lanes; i++) target[j * tile_cols + i] = i < rows ? source[i * stride + j] : 0;
}

// Lines of a source whose terms lie `stride` apart are read this many at a time for all panels, so that neither the
// pages of the source nor those of the target change with every line.
constexpr int64_t lines_at_once = 16;

// Floats from one packed panel of a to the next, and of a block.
RS_INLINE int64_t panel_a_size(bool by_row, int64_t k) { return tile_rows * (by_row ? row_stride : k); }
RS_INLINE int64_t packed_a_size(int64_t rows) { return divide_up(rows, tile_rows) * tile_rows * row_stride; }
static_assert(tile_rows <= lanes);

// Packs rows [row, row + rows) and terms [first, first + k) of a that is not transposed; k ≤ block_k.
static void pack_a_by_row(float* target, const Matrix& a, int64_t row, int64_t rows, int64_t first, int64_t k) {
  for (int64_t r = 0; r < rows; r++) copy_floats(target + r * row_stride, a.at(row + r, first), k);
}

// The same by term, for a that is transposed; panels are `panel` floats apart.
static void pack_a_by_term(float* target, int64_t panel, const Matrix& a, int64_t row, int64_t rows, int64_t first,
                           int64_t k) {
  for (int64_t begin = 0; begin < k; begin += lines_at_once) {
    const int64_t end = std::min(k, begin + lines_at_once);
    for (int64_t p = 0; p * tile_rows < rows; p++) {
      const int64_t count = std::min<int64_t>(tile_rows, rows - p * tile_rows);
      const float* source = a.at(row + p * tile_rows, first);
      float* to = target + p * panel;
      int64_t j = begin;
      // Whole vectors where they read and write no further than this panel's own terms: what they write past a term is
      // written again by the next.
      if (p * tile_rows + lanes <= rows)
        for (; j + 1 < end; j++) store(to + j * tile_rows, load(source + j * a.stride));
      for (; j < end; j++)
        for (int64_t r = 0; r < count; r++) to[j * tile_rows + r] = source[j * a.stride + r];
    }
  }
}

// Floats that packed b[k, n] takes, and where in it terms from `first` (a multiple of block_k; `k` terms in its block)
// of panel `panel` begin.
RS_INLINE int64_t packed_b_size(int64_t n, int64_t k) { return divide_up(n, tile_cols) * tile_cols * k; }
RS_INLINE int64_t packed_b_offset(int64_t n, int64_t first, int64_t panel, int64_t k) {
  return packed_b_size(n, first) + panel * tile_cols * k;
}

// Packs columns [column, column + columns), from a panel's border on, and terms [first, first + k) of b; panels are
// `panel` floats apart.
static void pack_b(float* target, int64_t panel, const Matrix& b, int64_t column, int64_t columns, int64_t first,
                   int64_t k) {
  if (b.transposed) {
    for (int64_t j = 0; j < divide_up(columns, tile_cols) * tile_vecs; j++) {
      const int rows = int(std::clamp<int64_t>(columns - j * lanes, 0, lanes));
      float* to = target + j / tile_vecs * panel + j % tile_vecs * lanes;
      const float* source = rows > 0 ? b.at(first, column + j * lanes) : b.data;
      (rows == lanes ? pack_transposed<true> : pack_transposed<false>)(to, source, b.stride, rows, k);
    }
    return;
  }
  for (int64_t begin = 0; begin < k; begin += lines_at_once) {
    const int64_t end = std::min(k, begin + lines_at_once);
    for (int64_t i = 0; i < columns; i += tile_cols) {
      const int64_t count = std::min<int64_t>(tile_cols, columns - i);
      const float* source = b.at(first, column + i);
      float* to = target + i / tile_cols * panel;
      if (count == tile_cols) {
        for (int64_t j = begin; j < end; j++) copy_floats(to + j * tile_cols, source + j * b.stride, tile_cols);
      } else {
        for (int64_t j = begin; j < end; j++)
          for (int64_t l = 0; l < tile_cols; l++) to[j * tile_cols + l] = l < count ? source[j * b.stride + l] : 0;
      }
    }
  }
}

}  // namespace rs::RS_BACKEND
