// Copies of matrices into panels.
#include "gemm_pack.h"

namespace rs::RS_BACKEND {

namespace {

RS_INLINE void copy_floats(float* target, const float* source, int64_t count) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(target + i, load(source + i));
  for (; i < count; i++) target[i] = source[i];
}

// target[j][tile_cols] = source[i][j] for i < rows ≤ lanes and j < k; lanes past `rows` become zeros.
template <bool whole>
void pack_transposed(float* target, const float* source, int64_t stride, int rows, int64_t k) {
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

// Lines of a source whose terms lie `stride` apart are read this many at a time for all panels: fewer change the target's
// page too often, more meet in one set of the cache when the stride is a power of two.
constexpr int64_t lines_at_once = 8;

}  // namespace

void pack_a_by_row(float* target, const Matrix& a, int64_t row, int64_t rows, int64_t first, int64_t k) {
  for (int64_t r = 0; r < rows; r++) copy_floats(target + r * row_stride, a.at(row + r, first), k);
}

void pack_a_by_term(float* target, int64_t panel, const Matrix& a, int64_t row, int64_t rows, int64_t first, int64_t k) {
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
        for (; j < std::min(end, k - 1); j++) store(to + j * tile_rows, load(source + j * a.stride));
      for (; j < end; j++)
        for (int64_t r = 0; r < count; r++) to[j * tile_rows + r] = source[j * a.stride + r];
    }
  }
}

void pack_b(float* target, int64_t panel, const Matrix& b, int64_t column, int64_t columns, int64_t first, int64_t k) {
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
