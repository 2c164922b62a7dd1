// Sums of products: here one after the other, each added to what the ones before left.
#include "../impl.h"

namespace rs::RS_BACKEND {

void matmul_sum(Tensor* c, const ProductTerm* terms, int32_t count, int32_t m, int32_t n, bool accumulate) {
  for (int32_t i = 0; i < count; i++) {
    const bool add = accumulate || i > 0;
    matmul(c, terms[i].a, terms[i].b, add ? c : nullptr, 1, m, n, terms[i].k, false, false, false,
           add ? RS_EPILOGUE_ADD_AUX : RS_EPILOGUE_NONE);
  }
}

}  // namespace rs::RS_BACKEND
