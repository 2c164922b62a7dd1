// The loops of a product around its tiles, for one thread.
#include "gemm.h"

namespace rs::RS_BACKEND {

namespace {

using TileFunction = void (*)(const float*, const float*, int64_t, float*, int64_t, bool, const float*, int64_t);
template <bool by_row, int V, int... R>
struct TileFunctions {
  static constexpr TileFunction table[] = {&multiply_tile<by_row, R, V>...};
};
#if RS_LANES == 16
template <bool by_row, int V>
using Tiles = TileFunctions<by_row, V, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
#elif RS_LANES == 8
template <bool by_row, int V>
using Tiles = TileFunctions<by_row, V, 1, 2, 3, 4, 5, 6>;
#else
template <bool by_row, int V>
using Tiles = TileFunctions<by_row, V, 1, 2, 3, 4>;
#endif

constexpr int64_t no_diagonal = INT64_MIN / 2;

// A tile of rows × columns sums at c, over one block of k.
template <bool by_row>
void multiply_partial(const float* a, const float* b, int64_t k, int rows, int columns, float* c, int64_t stride,
                             bool add, const float* ahead, int64_t ahead_stride) {
  if (columns == tile_cols || columns == lanes)
    return (columns == lanes ? Tiles<by_row, 1>::table : Tiles<by_row, tile_vecs>::table)[rows - 1](
        a, b, k, c, stride, add, ahead, ahead_stride);
  alignas(64) float tile[tile_rows * tile_cols];
  (columns < lanes ? Tiles<by_row, 1>::table : Tiles<by_row, tile_vecs>::table)[rows - 1](a, b, k, tile, tile_cols,
                                                                                         false, c, stride);
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) {
      float* target = c + i * stride + j;
      *target = add ? *target + tile[i * tile_cols + j] : tile[i * tile_cols + j];
    }
}

// c[rows, columns] = (add ? c : 0) + a·b over one block of k, from packed panels of both. `strip(column, columns)` is
// called when all rows of a panel of columns are done. Tiles wholly above the line where the row is the column plus
// `diagonal` are left out.
template <bool by_row, class F>
void multiply_block(const float* a, const float* b, int64_t rows, int64_t columns, int64_t k, float* c,
                           int64_t stride, bool add, const float* ahead, int64_t ahead_stride, int64_t diagonal,
                           F&& strip) {
  const int64_t panel = panel_a_size(by_row, k);
  for (int64_t j = 0; j < columns; j += tile_cols) {
    const int width = int(std::min<int64_t>(tile_cols, columns - j));
    for (int64_t i = std::max<int64_t>(0, j + diagonal) / tile_rows * tile_rows; i < rows; i += tile_rows)
      multiply_partial<by_row>(a + i / tile_rows * panel, b + j * k, k, int(std::min<int64_t>(tile_rows, rows - i)), width,
                               c + i * stride + j, stride, add, ahead + i * ahead_stride + j, ahead_stride);
    strip(j, width);
  }
}

// Rows of a that are packed at a time. Where a's rows lie across memory, all of a task's are, so that long runs are read:
// short ones far apart arrive at a sixth of the speed.
int64_t rows_packed(const Product& product, int64_t rows) {
  return product.a.transposed ? rows : std::min(rows, rows_at_once);
}

}  // namespace

void finish(const Target& target, int64_t row, int64_t column, int64_t rows, int64_t columns, const float* sums,
            const float* more, int64_t sums_stride) {
  for (int64_t i = 0; i < rows; i++) {
    const int64_t offset = (row + i) * target.stride + column;
    float* c = target.c + offset;
    const float *sum = sums + i * sums_stride, *other = more ? more + i * sums_stride : nullptr;
    const float* aux = target.aux ? target.aux + offset : nullptr;
    each_vec(columns, [&](int64_t j, int count) RS_INLINE_LAMBDA {
      Vec x = load(sum + j, count);
      if (other) x = load(other + j, count) + x;
      if (target.epilogue == RS_EPILOGUE_RELU2) {
        x = max(Vec{}, x);  // in this order NaN stays
        x = x * x;
      } else if (target.epilogue == RS_EPILOGUE_RELU2_BACKWARD) {
        x = x * (2.0f * sqrt(load(aux + j, count)));
      } else if (target.epilogue == RS_EPILOGUE_ADD_AUX) {
        x = x + load(aux + j, count);
      } else if (target.epilogue == epilogue_combine) {
        x = target.alpha * fma(splat(target.beta), load(aux + j, count), x);
      }
      store(c + j, x, count);
    });
  }
}

int64_t workspace_size(const Product& product, int64_t rows, int64_t columns) {
  const int64_t sums = rows * divide_up(columns, tile_cols) * tile_cols;
  const int64_t buffers = product.k > group_k ? 2 : product.k > block_k || product.target.epilogue != 0 ? 1 : 0;
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
  const Target& target = product.target;
  // One block without an epilogue goes straight into c.
  const bool direct = task.terms <= block_k && target.epilogue == RS_EPILOGUE_NONE && !task.partial;
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
      float* final = target.c + (task.row + i) * target.stride + task.column;
      float* c = direct ? final : task.partial ? task.partial + i * task.columns : sums + i * stride;
      const int64_t c_stride = direct ? target.stride : task.partial ? task.columns : stride;
      const bool finishes = first + terms == last && !task.partial && !direct;
      if (by_row) pack_a_by_row(packed_a, product.a, task.row + i, rows, first, terms);
      const float* a = packed_a + (by_row ? 0 : i / tile_rows * panel_a_size(false, terms));
      multiply_block<by_row>(a, b, rows, columns, terms, c, c_stride, in_group > 0,
                             finishes ? final : c, finishes ? target.stride : c_stride,
                             product.lower ? task.column - task.row - i : no_diagonal, [&](int64_t j, int64_t width) {
        const float* before = first - task.first >= group_k ? total + i * stride + j : nullptr;
        if (finishes) {
          finish(target, task.row + i, task.column + j, rows, width, c + j, before, stride);
        } else if (closes_group && !direct && !task.partial) {
          finish({total, stride}, i, j, rows, width, c + j, before, stride);
        }
      });
    }
  }
}

}  // namespace

void run_task(const Product& product, const Task& task, float* workspace) {
  (product.a.transposed ? run_task_of<false> : run_task_of<true>)(product, task, workspace);
}

void multiply_panels(const float* a, const float* b, int64_t rows, int64_t columns, int64_t k, float* c, int64_t stride,
                     bool add) {
  multiply_block<false>(a, b, rows, columns, k, c, stride, add, c, stride, no_diagonal, [](int64_t, int64_t) {});
}

}  // namespace rs::RS_BACKEND
