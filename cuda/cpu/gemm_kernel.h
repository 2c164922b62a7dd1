// The innermost loop of every product: one tile of tile_rows × tile_cols sums held in registers.
// Knows packed panels only; gemm.h packs, blocks and finishes.
#pragma once
#include <initializer_list>
#include <type_traits>

#include "../kernels.h"
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

// sum[row][v] = Σ_k a[row][k]·b[k][col], b[k][tile_cols]. One chain of fused multiply-adds an element, in the order of k
// whatever R, V and the panel are: bits do not depend on the tile's shape.
template <bool by_row, int R, int V>
RS_INLINE void accumulate(Vec (&sum)[R][V], const float* __restrict a, const float* __restrict b, int64_t k) {
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
}

// A tile of R rows and V vectors as it is, at c[R][tile_cols].
template <bool by_row, int R, int V>
static __attribute__((noinline)) void multiply_part(const float* a, const float* b, int64_t k, float* c) {
  Vec sum[R][V] = {};
  accumulate<by_row>(sum, a, b, k);
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) store(c + r * tile_cols + v * lanes, sum[r][v]);
}

// c = alpha·(ab + beta·aux), for ops with products inside; not in the ABI. (A sum of two products would leave it to the
// compiler which of them is fused, here and there another one.)
constexpr int32_t epilogue_combine = 100;

// What becomes of a tile's sums x and where: x ← sums + x, then x ← total + x (each where given, rows `sums_stride`
// apart; sums of this group's blocks before, and of the groups before), then the epilogue, then c and aux, rows `stride`
// apart. c may be sums, total or aux.
struct TileOutput {
  float* c;
  int64_t stride;
  const float* aux;
  int32_t epilogue;
  float alpha, beta;
  const float *sums, *total;
  int64_t sums_stride;

  TileOutput at(int64_t row, int64_t column) const {
    TileOutput moved = *this;
    moved.c += row * stride + column;
    if (aux) moved.aux += row * stride + column;
    if (sums) moved.sums += row * sums_stride + column;
    if (total) moved.total += row * sums_stride + column;
    return moved;
  }
};

template <int32_t epilogue>
RS_INLINE Vec finished(const TileOutput& out, Vec x, int64_t offset, int count) {
  if constexpr (epilogue == RS_EPILOGUE_RELU2) {
    x = max(Vec{}, x);  // keeps NaN
    return x * x;
  } else if constexpr (epilogue == RS_EPILOGUE_RELU2_BACKWARD) {
    return x * (2.0f * sqrt(load(out.aux + offset, count)));
  } else if constexpr (epilogue == RS_EPILOGUE_ADD_AUX) {
    return x + load(out.aux + offset, count);
  } else if constexpr (epilogue == epilogue_combine) {
    return out.alpha * fma(splat(out.beta), load(out.aux + offset, count), x);
  } else {
    return x;
  }
}

// Calls f(std::integral_constant<int32_t, epilogue>).
template <class F>
RS_INLINE void with_epilogue(int32_t epilogue, F&& f) {
  switch (epilogue) {
    case RS_EPILOGUE_RELU2: return f(std::integral_constant<int32_t, RS_EPILOGUE_RELU2>());
    case RS_EPILOGUE_RELU2_BACKWARD: return f(std::integral_constant<int32_t, RS_EPILOGUE_RELU2_BACKWARD>());
    case RS_EPILOGUE_ADD_AUX: return f(std::integral_constant<int32_t, RS_EPILOGUE_ADD_AUX>());
    case epilogue_combine: return f(std::integral_constant<int32_t, epilogue_combine>());
    default: return f(std::integral_constant<int32_t, RS_EPILOGUE_NONE>());
  }
}

// A whole tile, finished while its sums are in registers.
template <bool by_row>
static __attribute__((noinline)) void multiply_whole(const float* a, const float* b, int64_t k, const TileOutput& out) {
  // The lines to be written and read at the end are on their way meanwhile.
#pragma GCC unroll 16
  for (int r = 0; r < tile_rows; r++) {
    __builtin_prefetch(out.c + r * out.stride, 1);
    __builtin_prefetch(out.c + r * out.stride + tile_cols - 1, 1);
  }
  if (out.aux) {
#pragma GCC unroll 16
    for (int r = 0; r < tile_rows; r++) {
      __builtin_prefetch(out.aux + r * out.stride);
      __builtin_prefetch(out.aux + r * out.stride + tile_cols - 1);
    }
  }
  Vec sum[tile_rows][tile_vecs] = {};
  accumulate<by_row>(sum, a, b, k);
  for (const float* before : {out.sums, out.total}) {
    if (!before) continue;
#pragma GCC unroll 16
    for (int r = 0; r < tile_rows; r++)
#pragma GCC unroll 4
      for (int v = 0; v < tile_vecs; v++) sum[r][v] = load(before + r * out.sums_stride + v * lanes) + sum[r][v];
  }
  with_epilogue(out.epilogue, [&](auto epilogue) RS_INLINE_LAMBDA {
#pragma GCC unroll 16
    for (int r = 0; r < tile_rows; r++)
#pragma GCC unroll 4
      for (int v = 0; v < tile_vecs; v++) {
        const int64_t offset = r * out.stride + v * lanes;
        store(out.c + offset, finished<epilogue.value>(out, sum[r][v], offset, lanes));
      }
  });
}

// The same from sums x[rows][x_stride] in memory, for the edges.
static inline void finish(const TileOutput& out, const float* x, int64_t x_stride, int64_t rows, int64_t columns) {
  with_epilogue(out.epilogue, [&](auto epilogue) RS_INLINE_LAMBDA {
    for (int64_t r = 0; r < rows; r++)
      each_vec(columns, [&](int64_t j, int count) RS_INLINE_LAMBDA {
        Vec value = load(x + r * x_stride + j, count);
        if (out.sums) value = load(out.sums + r * out.sums_stride + j, count) + value;
        if (out.total) value = load(out.total + r * out.sums_stride + j, count) + value;
        const int64_t offset = r * out.stride + j;
        store(out.c + offset, finished<epilogue.value>(out, value, offset, count), count);
      });
  });
}

}  // namespace rs::RS_BACKEND
