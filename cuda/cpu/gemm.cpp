// The loops of a product around its tiles, for one thread.
#include "gemm.h"

namespace rs::RS_BACKEND {

namespace {

using PartFunction = void (*)(const float*, const float*, int64_t, float*);
template <bool by_row, int V, int... R>
struct PartFunctions {
  static constexpr PartFunction table[] = {&multiply_part<by_row, R, V>...};
};
#if RS_LANES == 16
template <bool by_row, int V>
using Parts = PartFunctions<by_row, V, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
#elif RS_LANES == 8
template <bool by_row, int V>
using Parts = PartFunctions<by_row, V, 1, 2, 3, 4, 5, 6>;
#else
template <bool by_row, int V>
using Parts = PartFunctions<by_row, V, 1, 2, 3, 4>;
#endif

constexpr int64_t no_diagonal = INT64_MIN / 2;

// One block of k of rows × columns sums, from packed panels of both. Tiles wholly above the line where the row is the
// column plus `diagonal` are left out.
template <bool by_row>
void multiply_block(const float* a, const float* b, int64_t rows, int64_t columns, int64_t k, const TileOutput& out,
                    int64_t diagonal) {
  const int64_t panel = panel_a_size(by_row, k);
  for (int64_t j = 0; j < columns; j += tile_cols) {
    const int64_t width = std::min<int64_t>(tile_cols, columns - j);
    for (int64_t i = std::max<int64_t>(0, j + diagonal) / tile_rows * tile_rows; i < rows; i += tile_rows) {
      const int64_t height = std::min<int64_t>(tile_rows, rows - i);
      const float *left = a + i / tile_rows * panel, *right = b + j * k;
      if (height == tile_rows && width == tile_cols) {
        multiply_whole<by_row>(left, right, k, out.at(i, j));
      } else {
        alignas(64) float tile[tile_rows * tile_cols];
        (width <= lanes ? Parts<by_row, 1>::table : Parts<by_row, tile_vecs>::table)[height - 1](left, right, k, tile);
        finish(out.at(i, j), tile, tile_cols, height, width);
      }
    }
  }
}

// Rows of a that are packed at a time. Where a's rows lie across memory, all of a task's are, so that long runs are read:
// short ones far apart arrive at a sixth of the speed.
int64_t rows_packed(const Product& product, int64_t rows) {
  return product.a.transposed ? rows : std::min(rows, rows_at_once);
}

}  // namespace

int64_t workspace_size(const Product& product, int64_t rows, int64_t columns) {
  const int64_t sums = rows * divide_up(columns, tile_cols) * tile_cols;
  const int64_t buffers = product.k > group_k ? 2 : product.k > block_k ? 1 : 0;
  return packed_a_size(rows_packed(product, rows)) + buffers * sums +
         (product.packed_b ? 0 : packed_b_size(columns, std::min(product.k, block_k)));
}

namespace {

template <bool by_row>
void run_task_of(const Product& product, const Task& task, float* workspace) {
  const int64_t stride = divide_up(task.columns, tile_cols) * tile_cols, last = task.first + task.terms;
  float* packed_a = workspace;
  float* packed_b = packed_a + packed_a_size(rows_packed(product, task.rows));
  float* sums = packed_b + (product.packed_b ? 0 : packed_b_size(task.columns, std::min(product.k, block_k)));
  float* total = sums + task.rows * stride;  // of the groups before this one
  const Target to_partial{task.partial, task.columns}, to_sums{sums, stride}, to_total{total, stride};
  for (int64_t first = task.first; first < last; first += block_k) {
    const int64_t terms = std::min(block_k, last - first), in_group = (first - task.first) % group_k;
    const bool closes_group = in_group + terms == group_k || first + terms == last;
    const float* b = packed_b;
    if (product.packed_b)
      b = product.packed_b + packed_b_offset(product.n, first, task.column / tile_cols, terms);
    else
      pack_b(packed_b, tile_cols * terms, product.b, task.column, task.columns, first, terms);
    if (!by_row) pack_a_by_term(packed_a, tile_rows * terms, product.a, task.row, task.rows, first, terms);
    for (int64_t i = 0; i < task.rows; i += rows_at_once) {
      const int64_t rows = std::min(rows_at_once, task.rows - i);
      const int64_t columns =
          product.lower ? std::min(task.columns, task.row + i + rows - task.column) : task.columns;
      if (columns <= 0) continue;
      TileOutput out = task.partial             ? to_partial.at(i, 0)
                       : first + terms == last  ? product.target.at(task.row + i, task.column)
                       : closes_group           ? to_total.at(i, 0)
                                                : to_sums.at(i, 0);
      out.sums_stride = task.partial ? task.columns : stride;
      if (in_group > 0) out.sums = task.partial ? out.c : sums + i * stride;
      if (closes_group && first - task.first >= group_k) out.total = total + i * stride;
      if (by_row) pack_a_by_row(packed_a, product.a, task.row + i, rows, first, terms);
      multiply_block<by_row>(packed_a + (by_row ? 0 : i / tile_rows * panel_a_size(false, terms)), b, rows, columns, terms,
                             out, product.lower ? task.column - task.row - i : no_diagonal);
    }
  }
}

}  // namespace

void run_task(const Product& product, const Task& task, float* workspace) {
  (product.a.transposed ? run_task_of<false> : run_task_of<true>)(product, task, workspace);
}

void multiply_panels(const float* a, const float* b, int64_t rows, int64_t columns, int64_t k, float* c, int64_t stride,
                     bool add) {
  TileOutput out = Target{c, stride}.at(0, 0);
  if (add) out.sums = c, out.sums_stride = stride;
  multiply_block<false>(a, b, rows, columns, k, out, no_diagonal);
}

}  // namespace rs::RS_BACKEND
