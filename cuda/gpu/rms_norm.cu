// Root-mean-square norm of rows, with an optional weight, and its gradient. The weight's gradient is summed over pieces
// of rows first, in an order that depends on sizes alone, then over pieces.
#include "lanes.h"

namespace rs::gpu {
namespace {

constexpr int kPiecesAtMost = 2048, kRowsOfPiece = 64;  // the latter at least

int32_t rows_of_piece(int32_t n) {
  const int64_t wanted = ceil_div(n, kPiecesAtMost);
  return int32_t(wanted > kRowsOfPiece ? wanted : kRowsOfPiece);
}

// v ← v·r·weight
__device__ inline void scale_row(float (&v)[8], float r, const float* weight, int count, bool wide) {
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] *= r;
  if (weight == nullptr) return;
  float w[8];
  load8(w, weight, count, wide);
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] *= w[i];
}

// Rows that a group of lanes has in flight at once.
template <int kChunks>
constexpr int kRows = kChunks <= 2 ? 2 : 1;

template <class T, int kLanes, int kChunks>
__global__ void __launch_bounds__(kLaneThreads)
    rms_norm_forward_kernel(T* y, float* rstd, const T* x, const float* weight, int32_t n, int32_t c, float inverse,
                            float eps) {
  const int lane = threadIdx.x % kLanes;
  const int64_t first = (int64_t{blockIdx.x} * (kLaneThreads / kLanes) + threadIdx.x / kLanes) * kRows<kChunks>;
  Chunk<T> in[kRows<kChunks>][kChunks];
#pragma unroll
  for (int u = 0; u < kRows<kChunks>; u++) load_row<kLanes>(in[u], x + (first + u) * c, lane, c, first + u < n);
  float r[kRows<kChunks>];
#pragma unroll
  for (int u = 0; u < kRows<kChunks>; u++) {
    float squares = 0;
#pragma unroll
    for (int k = 0; k < kChunks; k++) {
      float v[8];
      unpack(v, in[u][k]);
      squares = add_squares(squares, v);
    }
    r[u] = reciprocal_root(lanes_sum(squares, kLanes), inverse, eps);
  }
#pragma unroll
  for (int u = 0; u < kRows<kChunks>; u++) {
    if (first + u >= n) continue;
    if (lane == 0) rstd[first + u] = r[u];
#pragma unroll
    for (int k = 0; k < kChunks; k++) {
      const int32_t at = (k * kLanes + lane) * 8;
      if (at >= c) continue;
      float v[8];
      unpack(v, in[u][k]);
      scale_row(v, r[u], weight ? weight + at : nullptr, 8, true);
      store_chunk(y + (first + u) * c + at, v);
    }
  }
}

// Rows of any length and address.
template <class T>
__global__ void __launch_bounds__(kLaneThreads)
    rms_norm_forward_any_kernel(T* y, float* rstd, const T* x, const float* weight, int32_t n, int32_t c,
                                float inverse, float eps, int lanes, bool wide) {
  const int lane = threadIdx.x % lanes;
  const int64_t row = int64_t{blockIdx.x} * (kLaneThreads / lanes) + threadIdx.x / lanes;
  const int64_t end = row < n ? c : 0;
  const T* in = x + row * c;
  float squares = 0, v[8];
  for (int64_t at = lane * 8; at < end; at += lanes * 8) {
    load8(v, in + at, int(end - at), wide);
    squares = add_squares(squares, v);
  }
  const float r = reciprocal_root(lanes_sum(squares, lanes), inverse, eps);
  if (row < n && lane == 0) rstd[row] = r;
  for (int64_t at = lane * 8; at < end; at += lanes * 8) {
    load8(v, in + at, int(end - at), wide);
    scale_row(v, r, weight ? weight + at : nullptr, int(end - at), wide);
    store8(y + row * c + at, v, int(end - at), wide);
  }
}

// ---- gradient ----

// grad ← grad·weight
__device__ inline void weigh(float (&grad)[8], const float* weight, int count, bool wide) {
  float w[8];
  load8(w, weight, count, wide);
#pragma unroll
  for (int i = 0; i < 8; i++) grad[i] *= w[i];
}

// out = residual + r·(grad − along·x)
__device__ inline void input_gradient(float (&out)[8], const float (&grad)[8], const float (&x)[8], float r,
                                      float along, const float (&residual)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) out[i] = fmaf(r, fmaf(-along, x[i], grad[i]), residual[i]);
}

__device__ inline float add_weight_gradient(float sum, float dy, float x, float r) { return fmaf(dy * x, r, sum); }

// A group of lanes takes every kGroups-th row of the block's piece. With kWeighted the block's sums of the weight's
// gradient go to partials[block, c], else `weight` is null.
template <class T, int kLanes, int kChunks, bool kWeighted>
__global__ void __launch_bounds__(kLaneThreads)
    rms_norm_backward_kernel(T* dx, float* partials, const T* dy, const T* x, const float* rstd, const float* weight,
                             const T* residual, int32_t n, int32_t c, int32_t piece_rows, float inverse) {
  constexpr int kGroups = kLaneThreads / kLanes;
  const int lane = threadIdx.x % kLanes, group = threadIdx.x / kLanes;
  const int64_t begin = int64_t{blockIdx.x} * piece_rows, end = begin + piece_rows < n ? begin + piece_rows : n;
  float sums[kWeighted ? kChunks : 1][8] = {};
  // The count of rounds is the same for all lanes of a warp, for the sums over lanes.
  for (int64_t first = begin; first < end; first += kGroups) {
    const int64_t row = first + group;
    const bool present = row < end;
    Chunk<T> grads[kChunks], inputs[kChunks], others[kChunks];
    load_row<kLanes>(grads, dy + row * c, lane, c, present);
    load_row<kLanes>(inputs, x + row * c, lane, c, present);
    load_row<kLanes>(others, residual + row * c, lane, c, present && residual != nullptr);
    const float r = present ? rstd[row] : 0.0f;
    float dot = 0;
#pragma unroll
    for (int k = 0; k < kChunks; k++) {
      float grad[8], in[8];
      unpack(grad, grads[k]);
      unpack(in, inputs[k]);
      if constexpr (kWeighted) {
        const int32_t at = (k * kLanes + lane) * 8;
#pragma unroll
        for (int i = 0; i < 8; i++) sums[k][i] = add_weight_gradient(sums[k][i], grad[i], in[i], r);
        if (at < c) weigh(grad, weight + at, 8, true);
      }
      dot = add_products(dot, grad, in);
    }
    const float along = lanes_sum(dot, kLanes) * r * r * inverse;
#pragma unroll
    for (int k = 0; k < kChunks; k++) {
      const int32_t at = (k * kLanes + lane) * 8;
      if (!present || at >= c) continue;
      float grad[8], in[8], other[8], out[8];
      unpack(grad, grads[k]);
      unpack(in, inputs[k]);
      unpack(other, others[k]);
      if constexpr (kWeighted) weigh(grad, weight + at, 8, true);
      input_gradient(out, grad, in, r, along, other);
      store_chunk(dx + row * c + at, out);
    }
  }
  if constexpr (kWeighted) {
    __shared__ float total[kLanes * kChunks * 8];
    for (int turn = 0; turn < kGroups; turn++) {  // one group after the other: a fixed order
      if (group == turn) {
#pragma unroll
        for (int k = 0; k < kChunks; k++) {
#pragma unroll
          for (int i = 0; i < 8; i++) {
            float& sum = total[(k * kLanes + lane) * 8 + i];
            sum = turn == 0 ? sums[k][i] : sum + sums[k][i];
          }
        }
      }
      __syncthreads();
    }
    for (int32_t j = threadIdx.x; j < c; j += kLaneThreads) partials[int64_t{blockIdx.x} * c + j] = total[j];
  }
}

template <class T>
__global__ void __launch_bounds__(kLaneThreads)
    rms_norm_backward_any_kernel(T* dx, const T* dy, const T* x, const float* rstd, const float* weight,
                                 const T* residual, int32_t n, int32_t c, float inverse, int lanes, bool wide) {
  const int lane = threadIdx.x % lanes;
  const int64_t row = int64_t{blockIdx.x} * (kLaneThreads / lanes) + threadIdx.x / lanes;
  const int64_t end = row < n ? c : 0, start = row * c;
  const float r = row < n ? rstd[row] : 0.0f;
  float dot = 0, grad[8], in[8];
  for (int64_t at = lane * 8; at < end; at += lanes * 8) {
    load8(grad, dy + start + at, int(end - at), wide);
    load8(in, x + start + at, int(end - at), wide);
    if (weight) weigh(grad, weight + at, int(end - at), wide);
    dot = add_products(dot, grad, in);
  }
  const float along = lanes_sum(dot, lanes) * r * r * inverse;
  for (int64_t at = lane * 8; at < end; at += lanes * 8) {
    float other[8] = {}, out[8];
    load8(grad, dy + start + at, int(end - at), wide);
    load8(in, x + start + at, int(end - at), wide);
    if (weight) weigh(grad, weight + at, int(end - at), wide);
    if (residual) load8(other, residual + start + at, int(end - at), wide);
    input_gradient(out, grad, in, r, along, other);
    store8(dx + start + at, out, int(end - at), wide);
  }
}

// The partials of rms_norm_backward_kernel in the same order: a thread has a column, and one of its `groups` after the
// other.
template <class T>
__global__ void __launch_bounds__(kLaneThreads)
    rms_norm_weight_gradient_any_kernel(float* partials, const T* dy, const T* x, const float* rstd, int32_t n,
                                        int32_t c, int32_t piece_rows, int groups, int32_t column_blocks) {
  const int64_t piece = blockIdx.x / column_blocks;
  const int64_t column = int64_t{blockIdx.x % column_blocks} * kLaneThreads + threadIdx.x;
  if (column >= c) return;
  const int64_t begin = piece * piece_rows, end = begin + piece_rows < n ? begin + piece_rows : n;
  float total = 0;
  for (int group = 0; group < groups; group++) {
    float sum = 0;
    for (int64_t row = begin + group; row < end; row += groups)
      sum = add_weight_gradient(sum, to_float(dy[row * c + column]), to_float(x[row * c + column]), rstd[row]);
    total = group == 0 ? sum : total + sum;
  }
  partials[piece * c + column] = total;
}

// dweight[c] = Σ partials[pieces, c]: a block has 32 columns, each of its 32 warps every 32nd piece of them.
__global__ void __launch_bounds__(1024)
    rms_norm_weight_gradient_kernel(float* dweight, const float* partials, int32_t pieces, int32_t c) {
  __shared__ double sums[32][32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t column = int64_t{blockIdx.x} * 32 + lane;
  double sum = 0;
  if (column < c) {
#pragma unroll 8
    for (int32_t piece = warp; piece < pieces; piece += 32) sum += double(partials[int64_t{piece} * c + column]);
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || column >= c) return;
  for (int other = 1; other < 32; other++) sum += sums[other][lane];
  dweight[column] = float(sum);
}

}  // namespace

void rms_norm_forward(Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* weight, int32_t n, int32_t c,
                      double eps) {
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* to = elements<T>(y);
    const T* from = elements<T>(x);
    const float *gain = elements<float>(weight), inverse = 1.0f / float(c);
    const bool wide = wide_access(c, to, from, gain);
    const bool done = wide && with_row_lanes(c, [&](auto lanes, auto chunks) {
      constexpr int kLanes = decltype(lanes)::value, kChunks = decltype(chunks)::value;
      launch(rms_norm_forward_kernel<T, kLanes, kChunks>, {lane_blocks(n, kLanes, kRows<kChunks>), kLaneThreads}, to,
             rstd->f32(), from, gain, n, c, inverse, eps);
    });
    const int lanes = row_lanes(c);
    if (!done) {
      launch(rms_norm_forward_any_kernel<T>, {lane_blocks(n, lanes), kLaneThreads}, to, rstd->f32(), from, gain, n, c,
             inverse, eps, lanes, wide);
    }
  });
}

void rms_norm_backward(Tensor* dx, Tensor* dweight, const Tensor* dy, const Tensor* x, const Tensor* rstd,
                       const Tensor* weight, const Tensor* residual, int32_t n, int32_t c, double) {
  const int32_t piece_rows = rows_of_piece(n), pieces = int32_t(ceil_div(n, piece_rows));
  Scratch scratch(sizeof(float) * (weight ? size_t(pieces) * size_t(c) : 1));
  float* partials = scratch.f32();
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* to = elements<T>(dx);
    const T *from = elements<T>(dy), *input = elements<T>(x), *other = elements<T>(residual);
    const float *gain = elements<float>(weight), *scale = elements<float>(rstd), inverse = 1.0f / float(c);
    const bool wide = wide_access(c, to, from, input, other, gain);
    const bool done = wide && with_row_lanes(c, [&](auto lanes, auto chunks) {
      constexpr int kLanes = decltype(lanes)::value, kChunks = decltype(chunks)::value;
      if (gain) {
        launch(rms_norm_backward_kernel<T, kLanes, kChunks, true>, {unsigned(pieces), kLaneThreads}, to, partials, from,
               input, scale, gain, other, n, c, piece_rows, inverse);
      } else {
        launch(rms_norm_backward_kernel<T, kLanes, kChunks, false>, {lane_blocks(n, kLanes), kLaneThreads}, to, nullptr,
               from, input, scale, nullptr, other, n, c, kLaneThreads / kLanes, inverse);
      }
    });
    if (done) return;
    const int lanes = row_lanes(c);
    launch(rms_norm_backward_any_kernel<T>, {lane_blocks(n, lanes), kLaneThreads}, to, from, input, scale, gain, other,
           n, c, inverse, lanes, wide);
    if (!gain) return;
    const int32_t column_blocks = int32_t(ceil_div(c, kLaneThreads));
    launch(rms_norm_weight_gradient_any_kernel<T>, {unsigned(pieces) * unsigned(column_blocks), kLaneThreads}, partials,
           from, input, scale, n, c, piece_rows, kLaneThreads / lanes, column_blocks);
  });
  if (weight) {
    launch(rms_norm_weight_gradient_kernel, {unsigned(ceil_div(c, 32)), 1024}, dweight->f32(), partials, pieces, c);
  }
}

}  // namespace rs::gpu
