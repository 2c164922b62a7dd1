// Products of matrices: what is packed when, and how a product is cut into tasks for the threads. No choice made here
// changes a result's bits (gemm_kernel.h fixes the order of the sums), so blocks follow the shape and the thread count.
#include <algorithm>
#include <cstring>

#include "matmul.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

void pack_all_of_b(float* target, const Matrix& b, int64_t n, int64_t k) {
  const int64_t panels = divide_up(n, tile_cols);
  parallel_for(panels * divide_up(k, block_k), 4, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t first = i / panels * block_k, panel = i % panels, column = panel * tile_cols;
      const int64_t terms = std::min(block_k, k - first);
      pack_b(target + packed_b_offset(n, first, panel, terms), tile_cols * terms, b, column,
             std::min<int64_t>(tile_cols, n - column), first, terms);
    }
  });
}

const float* packed_weight(const Tensor* b, int64_t n, int64_t k, bool trans_b) {
  constexpr int64_t kMost = int64_t{1} << 29;
  if (!b->parameter || n >= kMost || k >= kMost) return nullptr;
  const uint64_t key = (uint64_t(n) << 32 | uint64_t(k) << 3) + (RS_LANES == 16 ? 6 : RS_LANES == 8 ? 4 : 2) + trans_b;
  if (void* found = find_derived(b, key)) return static_cast<const float*>(found);
  auto* packed = static_cast<float*>(keep_derived(b, key, sizeof(float) * packed_b_size(n, k)));
  pack_all_of_b(packed, {b->f32(), trans_b ? k : n, trans_b}, n, k);
  return packed;
}

namespace {

// All of b is packed: tasks are short runs of rows over many columns, and share b's panels.
void multiply_packed(const Product& product, int64_t m) {
  const int64_t n = product.n, wanted = 4 * thread_count();
  const int64_t row_blocks = divide_up(m, rows_at_once);
  int64_t columns = std::min<int64_t>(divide_up(n, tile_cols) * tile_cols, 1024);
  while (columns > 2 * tile_cols && row_blocks * divide_up(n, columns) < wanted)
    columns = divide_up(columns / 2, tile_cols) * tile_cols;
  const int64_t size = workspace_size(product, rows_at_once, columns);
  Scratch workspace(sizeof(float) * size * thread_count());
  parallel_for(row_blocks * divide_up(n, columns), 1, [&](int64_t begin, int64_t end, int32_t thread) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t row = i % row_blocks * rows_at_once, column = i / row_blocks * columns;
      run_task(product,
               {row, std::min(rows_at_once, m - row), column, std::min(columns, n - column), 0, product.k, nullptr},
               workspace.f32() + thread * size);
    }
  });
}

// The size of equal parts of `size`, in whole units.
int64_t part_size(int64_t size, int64_t parts, int64_t unit) { return divide_up(divide_up(size, parts), unit) * unit; }

}  // namespace

void multiply_batch(const Product& first, int64_t batch, int64_t a_size, int64_t b_size, int64_t m) {
  constexpr int64_t most_partials = int64_t{1} << 23;  // floats; larger results have tasks enough without sharing k
  const int64_t n = first.n, k = first.k, wanted = 4 * thread_count();
  const int64_t groups = batch * divide_up(k, group_k) * m * n <= most_partials ? divide_up(k, group_k) : 1;
  // Long runs where memory is read across, otherwise what the second-level cache holds; then what keeps threads busy.
  int64_t row_parts = divide_up(m, first.a.transposed ? 1040 : 280);
  int64_t column_parts = divide_up(n, first.b.transposed || k > groups * group_k ? 256 : 1024);
  int64_t rows, columns;
  for (;;) {
    rows = part_size(m, row_parts, tile_rows), columns = part_size(n, column_parts, tile_cols);
    row_parts = divide_up(m, rows), column_parts = divide_up(n, columns);
    if (batch * row_parts * column_parts * groups >= wanted || (rows <= 4 * tile_rows && columns <= 2 * tile_cols)) break;
    if (rows > columns || columns <= 2 * tile_cols)
      row_parts *= 2;
    else
      column_parts *= 2;
  }
  const int64_t size = workspace_size(first, rows, columns), blocks = row_parts * column_parts;
  Scratch workspace(sizeof(float) * size * thread_count());
  Scratch partials(groups > 1 ? sizeof(float) * batch * groups * blocks * rows * columns : 0);
  auto product_of = [&](int64_t item) {
    Product product = first;
    product.a.data += item * a_size;
    product.b.data += item * b_size;
    product.target.c += item * m * n;
    if (product.target.aux) product.target.aux += item * m * n;
    return product;
  };
  auto block_of = [&](int64_t block) {
    const int64_t row = block % row_parts * rows, column = block / row_parts * columns;
    Task task{row, std::min(rows, m - row), column, std::min(columns, n - column), 0, k, nullptr};
    if (first.lower) task.columns = std::max<int64_t>(0, std::min(task.columns, row + task.rows - column));
    return task;
  };
  parallel_for(batch * groups * blocks, 1, [&](int64_t begin, int64_t end, int32_t thread) {
    for (int64_t i = begin; i < end; i++) {
      Task task = block_of(i % blocks);
      if (task.columns == 0) continue;
      if (groups > 1) {
        task.first = i / blocks % groups * group_k;
        task.terms = std::min(group_k, k - task.first);
        task.partial = partials.f32() + i * rows * columns;
      }
      run_task(product_of(i / (blocks * groups)), task, workspace.f32() + thread * size);
    }
  });
  if (groups == 1) return;
  parallel_for(batch * blocks, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++) {
      const Task task = block_of(i % blocks);
      const int64_t step = blocks * rows * columns;
      float* sums = partials.f32() + (i / blocks * groups * blocks + i % blocks) * rows * columns;
      const float* last = sums + (groups - 1) * step;
      for (int64_t r = 0; r < task.rows; r++) {
        float* sum = sums + r * task.columns;
        const int64_t needed = first.lower ? std::min(task.columns, task.row + r + 1 - task.column) : task.columns;
        for (int64_t group = 1; group + 1 < groups; group++) {
          each_vec(needed, [&](int64_t j, int count) RS_INLINE_LAMBDA {
            store(sum + j, load(sum + j, count) + load(sum + group * step + j, count), count);
          });
        }
        TileOutput out = product_of(i / blocks).target.at(task.row + r, task.column);
        out.total = sum;
        finish(out, last + r * task.columns, 0, 1, needed);
      }
    }
  });
}

void matmul(Tensor* c, const Tensor* a, const Tensor* b, const Tensor* aux, int32_t batch, int32_t m, int32_t n,
            int32_t k, bool trans_a, bool trans_b, bool batch_b, int32_t epilogue) {
  int64_t items = batch, rows = m;
  if (!trans_a && !batch_b) rows *= items, items = std::min<int64_t>(items, 1);  // one tall product
  if (items * rows * n == 0) return;
  Product product{{a->f32(), trans_a ? m : k, trans_a},
                  {b->f32(), trans_b ? k : n, trans_b},
                  nullptr,
                  n,
                  k,
                  {c->f32(), n, aux ? aux->f32() : nullptr, epilogue}};
  if (k == 0) {
    Scratch zeros(sizeof(float) * n);
    std::memset(zeros.data(), 0, sizeof(float) * n);
    finish(product.target.at(0, 0), zeros.f32(), 0, items * rows, n);
    return;
  }
  // Packing all of b pays where many rows use it and no thread needs to read a across memory.
  if (items == 1 && !trans_a) product.packed_b = packed_weight(b, n, k, trans_b);
  if (product.packed_b) {
    multiply_packed(product, rows);
  } else if (items == 1 && rows > 1024 && !trans_a) {
    Scratch packed(sizeof(float) * packed_b_size(n, k));
    pack_all_of_b(packed.f32(), product.b, n, k);
    product.packed_b = packed.f32();
    multiply_packed(product, rows);
  } else {
    multiply_batch(product, items, int64_t(m) * k, batch_b ? int64_t(n) * k : 0, rows);
  }
  count_operations(2.0 * items * rows * n * k);
}

}  // namespace rs::RS_BACKEND
