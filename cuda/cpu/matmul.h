// What other ops with products inside take from matmul.cpp.
#pragma once
#include "gemm_pack.h"

namespace rs {
struct Tensor;
}
namespace rs::RS_BACKEND {

// Packs all of b[k, n] with all threads; packed_b_size(n, k) floats.
void pack_all_of_b(float* target, const Matrix& b, int64_t n, int64_t k);
// The packed copy kept beside a tensor that is marked as parameter, made anew when it was written to; otherwise nullptr.
const float* packed_weight(const Tensor* b, int64_t n, int64_t k, bool trans_b);

}  // namespace rs::RS_BACKEND
