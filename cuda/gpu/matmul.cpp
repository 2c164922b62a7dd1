// The op rs_matmul: operands of either type, by the kernel that fits their sizes. Where a is not transposed nothing
// here asks for M or for the length of the batch, so that a row of c has the same bits in every batch.
#include <algorithm>

#include "convert.h"
#include "large_product.h"
#include "plans.h"

namespace rs::RS_BACKEND {

void matmul(Tensor* c, const Tensor* a, const Tensor* b, const Tensor* aux, int32_t batch, int32_t m, int32_t n,
            int32_t k, bool trans_a, bool trans_b, bool batch_b, int32_t epilogue) {
  const bool tall = !trans_a && !batch_b;  // the whole batch is one product
  const int64_t rows = tall ? int64_t{batch} * m : m;
  const bool batched = !trans_a && batch_b;
  const int32_t items = tall ? 1 : batch;
  count_operations(2.0 * double(items) * double(rows) * n * k);

  const float beta = epilogue == RS_EPILOGUE_ADD_AUX ? 1 : 0;
  if (epilogue == RS_EPILOGUE_ADD_AUX) epilogue = RS_EPILOGUE_NONE;
  const bool half = a->dtype == RS_BF16 || b->dtype == RS_BF16;
  const int64_t stride_a = int64_t{m} * k, stride_b = batch_b ? int64_t{n} * k : 0, stride_c = int64_t{m} * n;
  const MixedProduct any{c->data,  a->data,  b->data,  aux ? aux->data : nullptr,
                         rows,     stride_a, stride_b, stride_c,
                         c->dtype, a->dtype, b->dtype, items,
                         n,        k,        epilogue, trans_a,
                         trans_b,  a->dtype != b->dtype, 1, beta};
  if (!batched && skinny_product(any)) return;

  Product p{};
  p.c = c->data, p.a = a->data, p.b = b->data, p.add = any.aux;
  p.c_type = c->dtype, p.type = half ? RS_BF16 : RS_F32;
  p.batch = items, p.batched = batched, p.n = n, p.k = k;
  p.stride_a = stride_a, p.stride_b = stride_b, p.stride_c = stride_c;
  // Longer sums are those over the rows of a batch: gradients of weights, whose algorithm may depend on all sizes.
  // Below, a transposed a is brought into rows first, or its rows' bits would depend on how many there are.
  const bool turn_a = trans_a && k < kLongSum;
  p.trans_a = trans_a && !turn_a, p.trans_b = trans_b, p.beta = beta;
  constexpr int32_t kMostRows = 1 << 30;  // at once; sizes are 32 bits
  p.m = int32_t(std::min<int64_t>(rows, kMostRows));
  if (!fits_library(p) || (turn_a && items != 1)) return tiled_product(any);

  std::optional<Scratch> spare_a, spare_b;
  if (turn_a && half) {
    p.a = bf16_transposed(a, k, m, spare_a);
  } else if (turn_a) {
    transpose_elements(spare_a.emplace(sizeof(float) * size_t(stride_a)).data(), RS_F32, a->data, RS_F32, k, m);
    p.a = spare_a->data();
  } else if (half) {
    p.a = bf16_elements(a, spare_a);
  }
  if (half && !trans_b && !p.trans_a && !batched && items == 1 && has_hopper_kernels()) {
    p.b = bf16_transposed(b, k, n, spare_b);  // the form that hopper_product takes
    p.trans_b = true;
  } else if (half) {
    p.b = bf16_elements(b, spare_b);
  }
  if (rows <= kMostRows) return large_product(p, epilogue);
  const auto* from = static_cast<const char*>(p.a);
  const int64_t a_size = half ? 2 : 4, c_size = c->dtype == RS_BF16 ? 2 : 4;
  for (int64_t first = 0; first < rows; first += kMostRows) {
    Product part = p;
    part.m = int32_t(std::min<int64_t>(kMostRows, rows - first));
    part.a = from + first * k * a_size;
    part.c = static_cast<char*>(c->data) + first * n * c_size;
    if (aux != nullptr) part.add = static_cast<const char*>(aux->data) + first * n * c_size;
    large_product(part, epilogue);
  }
}

}  // namespace rs::RS_BACKEND
