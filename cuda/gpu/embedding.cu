// Rows of a table by id, and the table's gradient.
#include "table_gradient.h"

namespace rs::gpu {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kRows = 4;  // of a warp, in flight at once

__device__ inline void store_four(float* p, float4 v) { *reinterpret_cast<float4*>(p) = v; }
__device__ inline void store_four(bf16* p, float4 v) {
  *reinterpret_cast<uint2*>(p) = make_uint2(pack_bf16(v.x, v.y), pack_bf16(v.z, v.w));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    embedding_forward_kernel(T* __restrict__ y, const float* __restrict__ table, const int32_t* __restrict__ ids,
                             int32_t n, int32_t c, int32_t v, bool wide, IdCheck check) {
  const int lane = threadIdx.x % 32;
  const int64_t first = (int64_t{blockIdx.x} * kWarps + threadIdx.x / 32) * kRows;
  int32_t id = 0;
  if (lane < kRows && first + lane < n) id = checked_id(check, ids[first + lane], first + lane, v);
  const float* rows[kRows];
#pragma unroll
  for (int u = 0; u < kRows; u++) rows[u] = table + int64_t{__shfl_sync(0xffffffffu, id, u)} * c;
  if (wide) {
    for (int64_t at = lane * 4; at < c; at += 128) {
      float4 values[kRows];
#pragma unroll
      for (int u = 0; u < kRows; u++) values[u] = *reinterpret_cast<const float4*>(rows[u] + at);
#pragma unroll
      for (int u = 0; u < kRows; u++)
        if (first + u < n) store_four(y + (first + u) * c + at, values[u]);
    }
    return;
  }
  for (int64_t at = lane; at < c; at += 32) {
#pragma unroll
    for (int u = 0; u < kRows; u++)
      if (first + u < n) y[(first + u) * c + at] = from_float<T>(rows[u][at]);
  }
}

}  // namespace

void embedding_forward(Tensor* y, const Tensor* table, const Tensor* ids, int32_t n, int32_t c, int32_t v) {
  with_float(y->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* to = elements<T>(y);
    launch(embedding_forward_kernel<T>, {unsigned(ceil_div(n, kWarps * kRows)), kThreads}, to, table->f32(), ids->i32(),
           n, c, v, wide_access(c, to, table->f32()), id_check());
  });
}

void embedding_backward(Tensor* dtable, const Tensor* dy, const Tensor* ids, int32_t n, int32_t c, int32_t v) {
  add_table_gradient({dtable, dy, ids, n, v, c});
}

}  // namespace rs::gpu
