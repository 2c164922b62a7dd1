// The innermost loop of every product: one tile of tile_rows × tile_cols sums held in registers.
// Knows packed panels only; gemm.h packs, blocks and finishes.
#pragma once
#include "simd.h"

namespace rs::RS_BACKEND {

#if RS_LANES == 16
constexpr int tile_rows = 14;  // 28 sums, 2 vectors of b, 2 broadcasts: all 32 registers
#elif RS_LANES == 8
constexpr int tile_rows = 6;  // 12 sums, 2 vectors of b, 2 broadcasts: all 16 registers
#else
constexpr int tile_rows = 4;
#endif
constexpr int tile_vecs = 2;
constexpr int tile_cols = tile_vecs * lanes;

// Sums over k: chains of block_k terms in the order of k, their results added in order within a group of group_k terms,
// the groups' sums added in order. So an element's bits depend on its row, its column and K alone, and groups are what
// threads may share out when the result is small and K long.
constexpr int64_t block_k = 256, group_k = 4 * block_k;

// A panel of a holds tile_rows rows in one of two ways: `by_row`, each row's terms side by side, rows `row_stride` apart
// (a line more than block_k, so that they do not meet in one set of the cache), or by term, [k][tile_rows].
constexpr int64_t row_stride = block_k + 16;

// c[R rows of `stride`][V·lanes] = (add ? c : 0) + Σ_k a[row][k]·b[k][col], b[k][tile_cols]. One chain of fused
// multiply-adds an element, in the order of k whatever R, V and the panel are: bits do not depend on the tile's shape.
// `ahead` (rows of `ahead_stride`) is where the tile will be written in the end: its lines are asked for meanwhile.
template <bool by_row, int R, int V>
static __attribute__((noinline)) void multiply_tile(const float* __restrict a, const float* __restrict b, int64_t k,
                                                    float* __restrict c, int64_t stride, bool add,
                                                    const float* ahead, int64_t ahead_stride) {
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    __builtin_prefetch(ahead + r * ahead_stride, 1);
    if (V * lanes > 16) __builtin_prefetch(ahead + r * ahead_stride + V * lanes - 1, 1);
  }
  Vec sum[R][V] = {};
#pragma GCC unroll 2
  for (int64_t i = 0; i < k; i++, a += by_row ? 1 : tile_rows, b += tile_cols) {
    Vec right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) right[v] = load(b + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const Vec left = splat(a[by_row ? r * row_stride : r]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) sum[r][v] = fma(left, right[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
      float* target = c + r * stride + v * lanes;
      store(target, add ? load(target) + sum[r][v] : sum[r][v]);
    }
  }
}

}  // namespace rs::RS_BACKEND
