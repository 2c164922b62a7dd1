// Register-blocked products of attention's blocks, and the layouts they read.
//
// strip: rows of the left operand in groups, [tile of `lanes` columns][row of the group][lane], so that every address of
//   the inner loop is a constant away from one pointer. Queries, probabilities and their gradients are strips.
// panel: the right operand, [tile of `lanes` columns][row][lane].
#pragma once
#include "simd.h"

namespace rs::RS_BACKEND {

#if RS_LANES == 16
constexpr int query_rows = 8;
constexpr int key_rows = 8;
constexpr int wide = 2;
#elif RS_LANES == 8
constexpr int query_rows = 6;
constexpr int key_rows = 4;
constexpr int wide = 2;
#else
constexpr int query_rows = 4;
constexpr int key_rows = 4;
constexpr int wide = 2;
#endif
static_assert(lanes % key_rows == 0, "a tile of keys is a whole number of row groups");
constexpr int64_t strip_tile = query_rows * lanes;  // floats of one tile of a strip

RS_INLINE int64_t tiles_of(int64_t n) { return (n + lanes - 1) / lanes; }

// sum[r][v] += Σ_k strip[r][k] · panel[k][v-th tile], k = 0 … depth−1 in order. `panel_tile` is the distance of tiles.
template <int V>
RS_INLINE void multiply_strip(Vec (&sum)[query_rows][V], const float* strip, const float* panel, int64_t panel_tile,
                              int64_t depth) {
  for (int64_t k = 0; k < depth; k += lanes, strip += strip_tile) {
    const int steps = depth - k < lanes ? static_cast<int>(depth - k) : lanes;
#pragma GCC unroll 1
    for (int j = 0; j < steps; j++, panel += lanes) {
      Vec right[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) right[v] = load(panel + v * panel_tile);
#pragma GCC unroll 16
      for (int r = 0; r < query_rows; r++) {
        const Vec left = splat(strip[r * lanes + j]);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) sum[r][v] = fma(left, right[v], sum[r][v]);
      }
    }
  }
}

// sum[r][v] += Σ over the rows i of `groups` strips of strip[i][first + r] · panel[i][v-th tile], in order: the strip
// transposed. `strip` points at a tile's column `first`, `strip_group` is the distance of groups.
template <int V>
RS_INLINE void multiply_transposed(Vec (&sum)[key_rows][V], const float* strip, int64_t strip_group, const float* panel,
                                   int64_t panel_tile, int64_t groups) {
  for (int64_t group = 0; group < groups; group++, strip += strip_group) {
#pragma GCC unroll 1
    for (int i = 0; i < query_rows; i++, panel += lanes) {
      Vec right[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) right[v] = load(panel + v * panel_tile);
#pragma GCC unroll 16
      for (int r = 0; r < key_rows; r++) {
        const Vec left = splat(strip[i * lanes + r]);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) sum[r][v] = fma(left, right[v], sum[r][v]);
      }
    }
  }
}

// The strip of `rows` rows (1 … query_rows; the others become 0) of x, `stride` apart, d columns.
static inline void pack_strip(float* strip, const float* x, int64_t stride, int64_t rows, int64_t d) {
  for (int64_t j = 0; j < d; j += lanes, strip += strip_tile)
    for (int64_t r = 0; r < query_rows; r++)
      store(strip + r * lanes, r < rows ? load(x + r * stride + j, d - j < lanes ? static_cast<int>(d - j) : lanes) : Vec{});
}

// The panel of x[rows, d], rows `stride` apart: tile j holds columns j·lanes … of all rows, followed by zeros up to
// `padded` rows.
static inline void pack_panel(float* panel, const float* x, int64_t stride, int64_t rows, int64_t padded, int64_t d) {
  for (int64_t j = 0; j < d; j += lanes, panel += padded * lanes) {
    const int n = d - j < lanes ? static_cast<int>(d - j) : lanes;
    for (int64_t i = 0; i < rows; i++) store(panel + i * lanes, load(x + i * stride + j, n));
    memset(panel + rows * lanes, 0, sizeof(float) * static_cast<size_t>((padded - rows) * lanes));
  }
}

// The panel of the transpose of x[rows, d]: tile i holds rows i·lanes … as columns, d rows long.
static inline void pack_transposed(float* panel, const float* x, int64_t stride, int64_t rows, int64_t d) {
  for (int64_t i = 0; i < rows; i += lanes, panel += d * lanes) {
    const int64_t n = rows - i < lanes ? rows - i : lanes;
    for (int64_t j = 0; j < d; j++) {
      float column[lanes] = {};
      for (int64_t r = 0; r < n; r++) column[r] = x[(i + r) * stride + j];
      store(panel + j * lanes, load(column));
    }
  }
}

}  // namespace rs::RS_BACKEND
