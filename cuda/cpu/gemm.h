// Blocking and finishing of products for one thread; matmul.cpp and the ops with products inside put threads around it.
#pragma once
#include <algorithm>

#include "../impl.h"
#include "gemm_pack.h"

namespace rs::RS_BACKEND {

// Where results go: c[rows of `stride`], with aux beside it.
struct Target {
  float* c;
  int64_t stride;
  const float* aux = nullptr;
  int32_t epilogue = RS_EPILOGUE_NONE;
  float alpha = 1, beta = 0;

  // Its part from (row, column) on.
  TileOutput at(int64_t row, int64_t column) const {
    return TileOutput{c, stride, aux, epilogue, alpha, beta, nullptr, nullptr, 0}.at(row, column);
  }
};

// Rows of a that are multiplied at a time: their panels lie in the second-level cache while b's pass by.
constexpr int64_t rows_at_once = 56 / tile_rows * tile_rows;

// c[m, n] = a[m, k]·b[k, n].
struct Product {
  Matrix a, b;
  const float* packed_b;  // all of b, or nullptr: tasks pack what they need
  int64_t n, k;
  Target target;
  bool lower = false;  // only what lies on or below the diagonal is needed
};

// Part of a product that one thread computes: rows × columns from (row, column) on, which is a panel's border, over the
// terms [first, first + terms), whole groups. With `partial` the one group's sums go there, [rows][columns]; otherwise
// the terms are all of K, and the result is finished.
struct Task {
  int64_t row, rows, column, columns, first, terms;
  float* partial;
};

// Floats of workspace for tasks of at most rows × columns of the product.
int64_t workspace_size(const Product& product, int64_t rows, int64_t columns);
void run_task(const Product& product, const Task& task, float* workspace);

// c[rows, columns] = (add ? c : 0) + a·b, one chain over all k, from panels of a packed by term and panels of b.
void multiply_panels(const float* a, const float* b, int64_t rows, int64_t columns, int64_t k, float* c, int64_t stride,
                     bool add);

}  // namespace rs::RS_BACKEND
