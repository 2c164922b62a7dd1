// Register-blocked products of attention's blocks, and the layouts they read.
//
// strip: rows of the left operand in groups, [tile of `lanes` columns][row of the group][lane], so that every address of
//   the inner loop is a constant away from one pointer. Queries, probabilities, their gradients and results are strips.
// panel: the right operand, [tile of `lanes` columns][row][lane], or a tensor's rows as they lie (see Panel).
// The products write to memory and are never inlined: inside a larger function the compiler runs out of registers for
// the sums and spills them in the innermost loop.
#pragma once
#include "simd.h"

namespace rs::RS_BACKEND {

// Sums held in registers: query_rows × query_wide vectors (or key_rows × key_wide), leaving room for query_wide
// vectors of the right operand and a broadcast.
#if RS_LANES == 16
constexpr int query_rows = 8, query_wide = 2, key_rows = 8, key_wide = 2;
#elif RS_LANES == 8
constexpr int query_rows = 6, query_wide = 2, key_rows = 4, key_wide = 3;
#else
constexpr int query_rows = 4, query_wide = 3, key_rows = 4, key_wide = 3;
#endif
static_assert(lanes % key_rows == 0, "a tile of keys is a whole number of row groups");
constexpr int64_t strip_tile = query_rows * lanes;  // floats of one tile of a strip

RS_INLINE int64_t tiles_of(int64_t n) { return (n + lanes - 1) / lanes; }

// A right operand: `lanes` columns of row i of tile j begin at data + i·row + j·tile.
template <class Float>
struct PanelOf {
  Float* data;
  int64_t row, tile;
  RS_INLINE PanelOf at(int64_t i, int64_t j) const { return {data + i * row + j * tile, row, tile}; }
};
using Panel = PanelOf<const float>;
using Sums = PanelOf<float>;

// Tiles to take next of those left: `wide` of them, but never so that a single one is left over.
RS_INLINE int next_width(int64_t left, int wide) {
  if (left <= wide) return static_cast<int>(left);
  return left == wide + 1 && wide > 2 ? wide - 1 : wide;
}

// out[v-th tile of a strip][r] = Σ_k left[r][k] · panel[k][v-th tile], k = 0 … depth−1 in order.
template <int V>
static __attribute__((noinline)) void multiply_strip_tiles(float* __restrict out, const float* __restrict left,
                                                           const Panel right_panel, int64_t depth) {
  Vec sum[query_rows][V] = {};
  const float* __restrict panel = right_panel.data;
  const int64_t panel_row = right_panel.row, panel_tile = right_panel.tile;
  for (; depth > 0; depth -= lanes, left += strip_tile) {
    const int64_t steps = depth < lanes ? depth : lanes;
#pragma GCC unroll 4
    for (int64_t j = 0; j < steps; j++, panel += panel_row) {
      Vec right[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) right[v] = load(panel + v * panel_tile);
#pragma GCC unroll 16
      for (int r = 0; r < query_rows; r++) {
        const Vec one = splat(left[r * lanes + j]);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) sum[r][v] = fma(one, right[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < query_rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) store(out + v * strip_tile + r * lanes, sum[r][v]);
}

// out[tiles] as above, for any number of tiles.
static inline void multiply_strip(float* out, const float* left, const Panel& panel, int64_t tiles, int64_t depth) {
  for (int64_t tile = 0; tile < tiles;) {
    const int width = next_width(tiles - tile, query_wide);
    float* to = out + tile * strip_tile;
    const Panel from = panel.at(0, tile);
    if (width == 3) multiply_strip_tiles<3>(to, left, from, depth);
    if (width == 2) multiply_strip_tiles<2>(to, left, from, depth);
    if (width == 1) multiply_strip_tiles<1>(to, left, from, depth);
    tile += width;
  }
}

// out[r][v-th tile] += Σ over the rows i of `groups` strips of strip[i][r] · panel[i][v-th tile], in order: the strip
// transposed. `strip` points at the first of key_rows columns, `strip_group` is the distance of groups; only the first
// `rows` rows of out exist.
template <int V>
static __attribute__((noinline)) void add_transposed_tiles(const Sums out, int64_t rows, const float* __restrict strip,
                                                           int64_t strip_group, const Panel right_panel,
                                                           int64_t groups) {
  Vec sum[key_rows][V] = {};
  const float* __restrict panel = right_panel.data;
  const int64_t panel_row = right_panel.row, panel_tile = right_panel.tile;
  for (; groups > 0; groups--, strip += strip_group) {
#pragma GCC unroll 4
    for (int i = 0; i < query_rows; i++, panel += panel_row) {
      Vec right[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) right[v] = load(panel + v * panel_tile);
#pragma GCC unroll 16
      for (int r = 0; r < key_rows; r++) {
        const Vec one = splat(strip[i * lanes + r]);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) sum[r][v] = fma(one, right[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < key_rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      float* to = out.data + r * out.row + v * out.tile;
      if (r < rows) store(to, load(to) + sum[r][v]);
    }
}

// out[tiles] as above, for any number of tiles.
static inline void add_transposed(const Sums& out, int64_t rows, const float* strip, int64_t strip_group,
                                  const Panel& panel, int64_t tiles, int64_t groups) {
  for (int64_t tile = 0; tile < tiles;) {
    const int width = next_width(tiles - tile, key_wide);
    const Sums to = out.at(0, tile);
    const Panel from = panel.at(0, tile);
    if (width == 3) add_transposed_tiles<3>(to, rows, strip, strip_group, from, groups);
    if (width == 2) add_transposed_tiles<2>(to, rows, strip, strip_group, from, groups);
    if (width == 1) add_transposed_tiles<1>(to, rows, strip, strip_group, from, groups);
    tile += width;
  }
}

// The strip of `rows` rows (1 … query_rows; the others become 0) of x, `stride` apart, d columns.
static inline void pack_strip(float* strip, const float* x, int64_t stride, int64_t rows, int64_t d) {
  for (int64_t r = 0; r < query_rows; r++)
    each_vec(d, [&](int64_t j, int n) RS_INLINE_LAMBDA {
      store(strip + j * query_rows + r * lanes, r < rows ? load(x + r * stride + j, n) : Vec{});
    });
}

// Rows of a strip, each times its factor, back into x.
static inline void unpack_strip(float* x, int64_t stride, const float* strip, const float* factor, int64_t rows,
                                int64_t d) {
  for (int64_t r = 0; r < rows; r++)
    each_vec(d, [&](int64_t j, int n) RS_INLINE_LAMBDA {
      store(x + r * stride + j, load(strip + j * query_rows + r * lanes) * factor[r], n);
    });
}

// The panel of x[rows, d], rows `stride` apart: tile j holds columns j·lanes … of all rows, followed by zeros up to
// `padded` rows.
static inline void pack_panel(float* panel, const float* x, int64_t stride, int64_t rows, int64_t padded, int64_t d) {
  for (int64_t i = 0; i < rows; i++)
    each_vec(d, [&](int64_t j, int n) RS_INLINE_LAMBDA {
      store(panel + j * padded + i * lanes, load(x + i * stride + j, n));
    });
  for (int64_t tile = 0; tile < tiles_of(d); tile++)
    memset(panel + (tile * padded + rows) * lanes, 0, sizeof(float) * static_cast<size_t>((padded - rows) * lanes));
}

// A panel of `padded` rows back into x[rows, d].
static inline void unpack_panel(float* x, int64_t stride, const float* panel, int64_t rows, int64_t padded, int64_t d) {
  for (int64_t i = 0; i < rows; i++)
    each_vec(d, [&](int64_t j, int n) RS_INLINE_LAMBDA {
      store(x + i * stride + j, load(panel + j * padded + i * lanes), n);
    });
}

// One step of transposing a block: exchanges the off-diagonal halves of every 2·Half × 2·Half block.
template <int Half>
RS_INLINE void exchange(Vec (&rows)[lanes]) {
  IntVec upper, lower;
  for (int l = 0; l < lanes; l++) {
    upper[l] = l & Half ? l - Half + lanes : l;
    lower[l] = l & Half ? l + lanes : l + Half;
  }
#pragma GCC unroll 16
  for (int r = 0; r < lanes; r++)
    if (!(r & Half)) {
      const Vec a = rows[r], b = rows[r + Half];
      rows[r] = __builtin_shuffle(a, b, upper);
      rows[r + Half] = __builtin_shuffle(a, b, lower);
    }
}

// One tile of the panel of the transpose of x[rows, d]: its first `rows` rows (at most lanes) as columns, d rows long.
static inline void pack_transposed(float* panel, const float* x, int64_t stride, int64_t rows, int64_t d) {
  for (int64_t j = 0; j < d; j += lanes) {
    const int width = d - j < lanes ? static_cast<int>(d - j) : lanes;
    Vec block[lanes];
#pragma GCC unroll 16
    for (int r = 0; r < lanes; r++) block[r] = r < rows ? load(x + r * stride + j, width) : Vec{};
    exchange<1>(block);
    exchange<2>(block);
    if constexpr (lanes >= 8) exchange<4>(block);
    if constexpr (lanes >= 16) exchange<8>(block);
    if (width == lanes) {
#pragma GCC unroll 16
      for (int r = 0; r < lanes; r++) store(panel + (j + r) * lanes, block[r]);
    } else {
      for (int r = 0; r < width; r++) store(panel + (j + r) * lanes, block[r]);
    }
  }
}

// Asks for up to query_rows rows of x from `first` on (below `end`) that will be read or written a little later, so that
// products hide the way from memory.
static inline void prefetch_rows(const float* x, int64_t stride, int64_t first, int64_t end, int64_t d) {
  constexpr int64_t line = 64 / sizeof(float);
  const int64_t last = first + query_rows < end ? first + query_rows : end;
  for (int64_t i = first; i < last; i++)
    for (int64_t j = 0; j < d; j += line) __builtin_prefetch(x + i * stride + j);
}

}  // namespace rs::RS_BACKEND
