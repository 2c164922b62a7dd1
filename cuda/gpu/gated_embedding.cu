// Value embeddings added through a gate of their own per group, and the gradients of gate and table.
#include "lanes.h"
#include "table_gradient.h"

namespace rs::gpu {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kRows = 4;  // of a warp, in flight at once

struct Four {
  float v[4];
};
__device__ inline Four load_four(const float* p) {
  const float4 raw = *reinterpret_cast<const float4*>(p);
  return {raw.x, raw.y, raw.z, raw.w};
}
__device__ inline Four load_four(const bf16* p) {
  const uint2 raw = *reinterpret_cast<const uint2*>(p);
  return {__uint_as_float(raw.x << 16), __uint_as_float(raw.x & 0xffff0000u), __uint_as_float(raw.y << 16),
          __uint_as_float(raw.y & 0xffff0000u)};
}
__device__ inline void store_four(float* p, const Four& f) {
  *reinterpret_cast<float4*>(p) = make_float4(f.v[0], f.v[1], f.v[2], f.v[3]);
}
__device__ inline void store_four(bf16* p, const Four& f) {
  *reinterpret_cast<uint2*>(p) = make_uint2(pack_bf16(f.v[0], f.v[1]), pack_bf16(f.v[2], f.v[3]));
}

// With `wide`, four neighbours lie in one group and rows are aligned.
template <class T>
__global__ void __launch_bounds__(kThreads)
    gated_embedding_forward_kernel(T* __restrict__ y, const T* __restrict__ x, const float* __restrict__ table,
                                   const int32_t* __restrict__ ids, const T* __restrict__ gate, int32_t n, int32_t g,
                                   int32_t d, int32_t v, bool wide, IdCheck check) {
  const int lane = threadIdx.x % 32;
  const int64_t first = (int64_t{blockIdx.x} * kWarps + threadIdx.x / 32) * kRows, c = int64_t{g} * d;
  int32_t id = 0;
  if (lane < kRows && first + lane < n) id = checked_id(check, ids[first + lane], first + lane, v);
  const float* rows[kRows];
#pragma unroll
  for (int u = 0; u < kRows; u++) rows[u] = table + int64_t{__shfl_sync(0xffffffffu, id, u)} * c;
  if (wide) {
    for (int64_t at = lane * 4; at < c; at += 128) {
      const int64_t group = at >> 31 ? at / d : int64_t{uint32_t(at) / uint32_t(d)};
      Four in[kRows], entry[kRows];
      float strength[kRows];
#pragma unroll
      for (int u = 0; u < kRows; u++) {
        const int64_t row = first + u < n ? first + u : 0;
        in[u] = load_four(x + row * c + at);
        entry[u] = load_four(rows[u] + at);
        strength[u] = to_float(gate[row * g + group]);
      }
#pragma unroll
      for (int u = 0; u < kRows; u++) {
        strength[u] = 2.0f * sigmoid(strength[u]);
#pragma unroll
        for (int i = 0; i < 4; i++) in[u].v[i] = fmaf(entry[u].v[i], strength[u], in[u].v[i]);
        if (first + u < n) store_four(y + (first + u) * c + at, in[u]);
      }
    }
    return;
  }
  for (int64_t at = lane; at < c; at += 32) {
    const int64_t group = at / d;
#pragma unroll
    for (int u = 0; u < kRows; u++) {
      const int64_t row = first + u;
      if (row >= n) continue;
      const float strength = 2.0f * sigmoid(to_float(gate[row * g + group]));
      y[row * c + at] = from_float<T>(fmaf(rows[u][at], strength, to_float(x[row * c + at])));
    }
  }
}

// dgate where the table's gradient does not give it on the way: a group of lanes takes one gate. Elements go to lanes
// as they do there.
template <class T>
__global__ void __launch_bounds__(kThreads)
    gated_embedding_gate_gradient_kernel(T* dgate, const T* dy, const float* table, const int32_t* ids, const T* gate,
                                         int32_t n, int32_t g, int32_t d, int32_t v, int lanes, bool wide) {
  const int lane = threadIdx.x % lanes;
  const int64_t item = int64_t{blockIdx.x} * (kThreads / lanes) + threadIdx.x / lanes, row = item / g;
  const bool present = row < n;
  int32_t id = present ? ids[row] : 0;
  if (id < 0 || id >= v) id = 0;  // the sort reports it
  const float* entries = table + (int64_t{id} * g + item % g) * d;
  float dot = 0;
  for (int64_t at = lane * 8; present && at < d; at += lanes * 8) {
    float grad[8], entry[8];
    load8(grad, dy + item * d + at, int(d - at), wide);
    load8(entry, entries + at, int(d - at), wide);
    dot = add_products(dot, grad, entry);
  }
  dot = lanes_sum(dot, lanes);
  if (present && lane == 0) dgate[item] = from_float<T>(gate_gradient(sigmoid(to_float(gate[item])), dot));
}

}  // namespace

void gated_embedding_forward(Tensor* y, const Tensor* x, const Tensor* table, const Tensor* ids, const Tensor* gate,
                             int32_t n, int32_t g, int32_t d, int32_t v) {
  with_float(y->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* to = elements<T>(y);
    const T* from = elements<T>(x);
    launch(gated_embedding_forward_kernel<T>, {unsigned(ceil_div(n, kWarps * kRows)), kThreads}, to, from, table->f32(),
           ids->i32(), elements<T>(gate), n, g, d, v, wide_access(d, to, from, table->f32()), id_check());
  });
}

void gated_embedding_backward(Tensor* dgate, Tensor* dtable, const Tensor* dy, const Tensor* table, const Tensor* ids,
                              const Tensor* gate, int32_t n, int32_t g, int32_t d, int32_t v) {
  if (add_table_gradient({dtable, dy, ids, n, v, int64_t{g} * d, gate, table, dgate, g, d})) return;
  with_float(dy->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T* from = elements<T>(dy);
    const int lanes = lanes_for(ceil_div(d, 8), 1);
    launch(gated_embedding_gate_gradient_kernel<T>, {unsigned(ceil_div(int64_t{n} * g, kThreads / lanes)), kThreads},
           elements<T>(dgate), from, table->f32(), ids->i32(), elements<T>(gate), n, g, d, v, lanes,
           wide_access(d, from, table->f32()));
  });
}

}  // namespace rs::gpu
