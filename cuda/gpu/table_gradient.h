// The gradient of a table whose rows were looked up by id, shared by embedding.cu and gated_embedding.cu.
#pragma once
#include "gpu.h"

namespace rs::gpu {

// To each row of dtable[v,c] adds the sum of the rows of dy[n,c] that have its id. With a gate [n,g], where c is g·d,
// the d columns of a group count 2·sigmoid(gate) times.
struct TableGradient {
  Tensor* dtable;
  const Tensor *dy, *ids;
  int32_t n, v;
  int64_t c;
  const Tensor *gate = nullptr, *table = nullptr;
  Tensor* dgate = nullptr;
  int32_t g = 1, d = 1;
};
// Returns whether dgate was written too, which happens on the way where sizes and addresses suit.
bool add_table_gradient(const TableGradient& gradient);

#ifdef __CUDACC__

// Not left to the compiler's choice of fused operations: several kernels must agree on the bits.
__device__ inline float sigmoid(float x) { return __frcp_rn(__fadd_rn(1.0f, expf(-x))); }
// The gradient of 2·sigmoid(gate)·dot, where s is the sigmoid.
__device__ inline float gate_gradient(float s, float dot) { return 2.0f * s * __fsub_rn(1.0f, s) * dot; }

#endif  // __CUDACC__

}  // namespace rs::gpu
