// Sums of products: as one over concatenated K where Hopper's kernel takes them, else one after the other.
#include <optional>

#include "aligned.h"
#include "hopper/product.h"
#include "products.h"

namespace rs::RS_BACKEND {

void matmul_sum(Tensor* c, const ProductTerm* terms, int32_t count, int32_t m, int32_t n, bool accumulate) {
  if (count > 1 && c->dtype == RS_BF16 && terms[0].a->dtype == RS_BF16 && has_hopper_kernels()) {
    std::optional<Scratch> weights[3];
    std::optional<AlignedInput<bf16>> inputs[3];
    AlignedOutput<bf16> to(c);
    const AlignedInput<bf16> before(accumulate ? c : nullptr);
    HopperProduct product{};
    product.c = to, product.aux = before;
    product.c_type = c->dtype, product.m = m, product.n = n, product.segments = count;
    product.epilogue = accumulate ? RS_EPILOGUE_ADD_AUX : RS_EPILOGUE_NONE;
    double operations = 0;
    for (int32_t i = 0; i < count; i++) {
      (i == 0 ? product.a : product.more_a[i - 1]) = inputs[i].emplace(terms[i].a);
      (i == 0 ? product.k : product.more_k[i - 1]) = terms[i].k;
      (i == 0 ? product.b : product.more_b[i - 1]) = bf16_transposed(terms[i].b, terms[i].k, n, weights[i]);
      operations += 2.0 * m * n * terms[i].k;
    }
    if (hopper_product_supports(product)) {
      hopper_product(product);
      to.finish();
      count_operations(operations);
      return;
    }
  }
  for (int32_t i = 0; i < count; i++) {
    const bool add = accumulate || i > 0;
    matmul(c, terms[i].a, terms[i].b, add ? c : nullptr, 1, m, n, terms[i].k, false, false, false,
           add ? RS_EPILOGUE_ADD_AUX : RS_EPILOGUE_NONE);
  }
}

}  // namespace rs::RS_BACKEND
