// Sums over rows in an order that depends on the shape alone: rows are cut into fixed pieces, each piece adds its rows
// in order in float32, and the pieces are added in order in float64.
#pragma once
#include "../impl.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

constexpr int64_t rows_per_partial = 32;
RS_INLINE int64_t partial_count(int64_t rows) { return (rows + rows_per_partial - 1) / rows_per_partial; }

// out[c] = scale · Σ partial[pieces, c], plus out[c] when `add`. `stride` is the distance of two pieces.
static inline void add_partials(float* out, const float* partial, int64_t pieces, int64_t stride, int64_t c,
                                double scale, bool add) {
  parallel_for(c, 256, [&](int64_t begin, int64_t end, int32_t) {
    double sums[256];
    for (int64_t j = begin; j < end; j++) sums[j - begin] = 0;
    for (int64_t piece = 0; piece < pieces; piece++) {
      const float* row = partial + piece * stride;
      for (int64_t j = begin; j < end; j++) sums[j - begin] += row[j];
    }
    for (int64_t j = begin; j < end; j++)
      out[j] = static_cast<float>(scale * sums[j - begin] + (add ? static_cast<double>(out[j]) : 0.0));
  });
}

// out[c] = scale · Σ over rows of term(row, column, n) (a vector of n columns from `column` on).
template <class Term>
static inline void sum_rows(float* out, int64_t rows, int64_t c, double scale, bool add, Term&& term) {
  const int64_t pieces = partial_count(rows);
  Scratch scratch(sizeof(float) * static_cast<size_t>(pieces * c + 1));
  float* partial = scratch.f32();
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; piece++) {
      const int64_t first = piece * rows_per_partial;
      const int64_t last = first + rows_per_partial < rows ? first + rows_per_partial : rows;
      float* sums = partial + piece * c;
      each_vec(c, [&](int64_t j, int n) RS_INLINE_LAMBDA {
        Vec sum = {};
        for (int64_t row = first; row < last; row++) sum += term(row, j, n);
        store(sums + j, sum, n);
      });
    }
  });
  add_partials(out, partial, pieces, c, c, scale, add);
}

}  // namespace rs::RS_BACKEND
