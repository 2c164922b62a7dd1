// What other ops with products inside take from matmul.cpp.
#pragma once
#include "gemm.h"

namespace rs::RS_BACKEND {

// Packs all of b[k, n] with all threads; packed_b_size(n, k) floats.
void pack_all_of_b(float* target, const Matrix& b, int64_t n, int64_t k);
// The packed copy kept beside a tensor that is marked as parameter, made anew when it was written to; otherwise nullptr.
const float* packed_weight(const Tensor* b, int64_t n, int64_t k, bool trans_b);
// `batch` products of m rows like the first one, their matrices a_size and b_size floats apart, their results side by
// side. Each task packs its part of b; where K is long, threads share it by groups and a second pass adds them up.
void multiply_batch(const Product& first, int64_t batch, int64_t a_size, int64_t b_size, int64_t m);

}  // namespace rs::RS_BACKEND
