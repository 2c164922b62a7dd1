// Matrix products as other ops use them: bfloat16 or float32 operands in row-major order, float32 sums.
#pragma once
#include <optional>
#include <type_traits>

#include "gpu.h"

namespace rs::gpu {

// c[batch,M,N] = alpha·op(a)·op(b) + beta·add; op(a) is a[M,K] or, with trans_a, a stored as [K,M]; op(b) is b[K,N] or,
// with trans_b, b stored as [N,K]. Strides are between matrices of the batch, in elements (0: the same matrix again);
// `add` has c's type and strides and may be c. Types are RS_F32 or RS_BF16, a and b alike. Leading dimensions are those
// of whole matrices.
// Without trans_a a row of c has the same bits for every M, and with `batched` for every batch, unless `exact` lets
// sizes choose the algorithm, too: what is no activation and of few sizes, such as an optimizer's matrices, is faster that
// way. With trans_a they always do.
struct Product {
  void* c;
  const void *a, *b;
  const void* add = nullptr;
  int32_t c_type, type;
  int32_t batch = 1, m, n, k;
  bool trans_a = false, trans_b = false;
  int64_t stride_a = 0, stride_b = 0, stride_c = 0;
  float alpha = 1, beta = 0;
  bool exact = false, batched = false;
};
void multiply(const Product& product);  // counts no operations

// The elements of x as bfloat16: its own where it has that type, else a copy, which is kept beside a parameter until it
// is written to, and lies in `spare` (to be held until it was read) for other tensors.
const bf16* bf16_elements(const Tensor* x, std::optional<Scratch>& spare);
// The same of x[rows, cols] transposed to [cols, rows].
const bf16* bf16_transposed(const Tensor* x, int32_t rows, int32_t cols, std::optional<Scratch>& spare);

// Floating-point operations a second of the fastest bfloat16 product of 8192³, with random operands: zeros would draw
// less power and let the clock run higher. Measures for about `seconds`.
double measure_product_rate(double seconds);

// ---- between the products and the stream ----

// A product by the vendor's library, as a command: all that it depends on, without gaps, so that two may be compared
// byte by byte. The plan is immutable and never freed.
struct ProductPlan;
struct PreparedProduct {
  const ProductPlan* plan;
  void* c;
  const void *a, *b, *add;
  void* workspace;
  float alpha, beta;
};
static_assert(std::is_trivially_copyable_v<PreparedProduct> && sizeof(PreparedProduct) == 6 * sizeof(void*) + 8);
void run_product(const PreparedProduct& product, cudaStream_t stream);  // at once
void enqueue_product(const PreparedProduct& product);                   // as kernels are (stream.cu)
// The stream itself, with nothing put off before it; for measuring (stream.cu).
cudaStream_t compute_stream();

}  // namespace rs::gpu
