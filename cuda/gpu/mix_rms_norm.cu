// The residual mix a·x + b·x0 and the norm that follows it, in one pass, and its gradient in one pass. The gradients of
// a and b are sums over everything: pieces of rows first, whose size depends on N alone, then the pieces in double.
#include "lanes.h"

namespace rs::gpu {
namespace {

constexpr int kPiecesAtMost = 16384, kRowsOfPiece = 32;  // the latter at least

int32_t rows_of_piece(int32_t n) {
  const int64_t wanted = ceil_div(n, kPiecesAtMost);
  return int32_t(wanted > kRowsOfPiece ? wanted : kRowsOfPiece);
}

// x ← a·x + b·x0
__device__ inline void mix(float (&x)[8], const float (&x0)[8], float a, float b) {
#pragma unroll
  for (int i = 0; i < 8; i++) x[i] = fmaf(a, x[i], b * x0[i]);
}
__device__ inline void scale(float (&v)[8], float r) {
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] *= r;
}

template <class T, int kLanes, int kChunks>
__global__ void __launch_bounds__(kLaneThreads)
    mix_rms_norm_forward_kernel(T* __restrict__ mixed, T* __restrict__ y, float* __restrict__ rstd, const T* x,
                                const T* x0, const float* a, const float* b, int32_t n, int32_t c, float inverse,
                                float eps) {
  const int lane = threadIdx.x % kLanes;
  const int64_t row = int64_t{blockIdx.x} * (kLaneThreads / kLanes) + threadIdx.x / kLanes, start = row * c;
  const bool present = row < n;
  Chunk<T> inputs[kChunks], origins[kChunks];
  load_row<kLanes>(inputs, x + start, lane, c, present);
  load_row<kLanes>(origins, x0 + start, lane, c, present);
  const float p = *a, q = *b;
  float v[kChunks][8], squares = 0;
#pragma unroll
  for (int k = 0; k < kChunks; k++) {
    float origin[8];
    unpack(v[k], inputs[k]);
    unpack(origin, origins[k]);
    mix(v[k], origin, p, q);
    squares = add_squares(squares, v[k]);
  }
  const float r = reciprocal_root(lanes_sum(squares, kLanes), inverse, eps);
  if (!present) return;
  if (lane == 0) rstd[row] = r;
#pragma unroll
  for (int k = 0; k < kChunks; k++) {
    const int32_t at = (k * kLanes + lane) * 8;
    if (at >= c) continue;
    store_chunk(mixed + start + at, v[k]);
    scale(v[k], r);
    store_chunk(y + start + at, v[k]);
  }
}

// Rows of any length and address.
template <class T>
__global__ void __launch_bounds__(kLaneThreads)
    mix_rms_norm_forward_any_kernel(T* mixed, T* y, float* rstd, const T* x, const T* x0, const float* a,
                                    const float* b, int32_t n, int32_t c, float inverse, float eps, int lanes,
                                    bool wide) {
  const int lane = threadIdx.x % lanes;
  const int64_t row = int64_t{blockIdx.x} * (kLaneThreads / lanes) + threadIdx.x / lanes, start = row * c;
  const int64_t end = row < n ? c : 0;
  const float p = *a, q = *b;
  float squares = 0, v[8], origin[8];
  for (int64_t at = lane * 8; at < end; at += lanes * 8) {
    load8(v, x + start + at, int(end - at), wide);
    load8(origin, x0 + start + at, int(end - at), wide);
    mix(v, origin, p, q);
    squares = add_squares(squares, v);
    store8(mixed + start + at, v, int(end - at), wide);
  }
  const float r = reciprocal_root(lanes_sum(squares, lanes), inverse, eps);
  if (row < n && lane == 0) rstd[row] = r;
  // From the inputs again: `mixed` may have been rounded.
  for (int64_t at = lane * 8; at < end; at += lanes * 8) {
    load8(v, x + start + at, int(end - at), wide);
    load8(origin, x0 + start + at, int(end - at), wide);
    mix(v, origin, p, q);
    scale(v, r);
    store8(y + start + at, v, int(end - at), wide);
  }
}

// ---- gradient ----

// What reaches a row: g = r·(grad − along·unit) + other. grad becomes dx = a·g, origin_grad becomes itself + b·g; the
// sums of g·x and g·x0 grow.
struct MixGradient {
  float a, b, sum_a, sum_b;

  __device__ void add(float (&grad)[8], float (&origin_grad)[8], const float (&unit)[8], const float (&other)[8],
                      const float (&x)[8], const float (&x0)[8], float r, float along) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const float g = fmaf(r, fmaf(-along, unit[i], grad[i]), other[i]);
      grad[i] = a * g;
      origin_grad[i] = fmaf(b, g, origin_grad[i]);
      sum_a = fmaf(g, x[i], sum_a);
      sum_b = fmaf(g, x0[i], sum_b);
    }
  }

  // The block's sums in double to sums[2·block] and the next. Every thread has to call it.
  __device__ void finish(double* sums) {
    __shared__ float parts[2][kLaneThreads / 32];
    const float part_a = warp_sum(sum_a), part_b = warp_sum(sum_b);
    if (threadIdx.x % 32 == 0) {
      parts[0][threadIdx.x / 32] = part_a;
      parts[1][threadIdx.x / 32] = part_b;
    }
    __syncthreads();
    if (threadIdx.x >= 2) return;
    double sum = 0;
    for (int i = 0; i < kLaneThreads / 32; i++) sum += double(parts[threadIdx.x][i]);
    sums[int64_t{blockIdx.x} * 2 + threadIdx.x] = sum;
  }
};

// Short rows are loaded whole before the first sum; of long ones only what the sum needs, for want of registers.
template <class T, int kChunks>
constexpr bool kWhole = sizeof(T) * kChunks <= 8;

// In bfloat16 the unit row y is made again from x and x0, which are read in any case: one tensor of eight is not moved.
// In float32 that would be another rounding.
template <class T>
constexpr bool kUnitAgain = sizeof(T) == 2;
// x ← (a·x + b·x0)·r
__device__ inline void make_unit(float (&x)[8], const float (&x0)[8], float a, float b, float r) {
  mix(x, x0, a, b);
  scale(x, r);
}

template <class T, int kLanes, int kChunks>
__global__ void __launch_bounds__(kLaneThreads, sizeof(T) * kChunks <= 4 ? 3 : 1)
    mix_rms_norm_backward_kernel(T* __restrict__ dx, T* __restrict__ dx0, double* __restrict__ sums,
                                 const T* __restrict__ dy, const T* __restrict__ dmixed, const T* __restrict__ y,
                                 const float* __restrict__ rstd, const T* x, const T* x0, const float* a,
                                 const float* b, int32_t n, int32_t c, int32_t piece_rows, float inverse) {
  constexpr int kGroups = kLaneThreads / kLanes;
  constexpr int kKept = kWhole<T, kChunks> ? kChunks : 1;
  const int lane = threadIdx.x % kLanes, group = threadIdx.x / kLanes;
  const int64_t begin = int64_t{blockIdx.x} * piece_rows, end = begin + piece_rows < n ? begin + piece_rows : n;
  MixGradient gradient{*a, *b, 0, 0};
  // The count of rounds is the same for all lanes of a warp, for the sums over lanes.
  for (int64_t first = begin; first < end; first += kGroups) {
    const int64_t row = first + group, start = row * c;
    const bool present = row < end;
    Chunk<T> grads[kChunks], units[kUnitAgain<T> ? 1 : kChunks];
    load_row<kLanes>(grads, dy + start, lane, c, present);
    if constexpr (!kUnitAgain<T>) load_row<kLanes>(units, y + start, lane, c, present);
    const float r = present ? rstd[row] : 0.0f;
    Chunk<T> others[kKept], inputs[kKept], origins[kKept], origin_grads[kKept];
    const auto load_rest = [&](int64_t from) {
      load_row<kLanes>(others, dmixed + from, lane, c, present && dmixed != nullptr);
      load_row<kLanes>(inputs, x + from, lane, c, present);
      load_row<kLanes>(origins, x0 + from, lane, c, present);
      load_row<kLanes>(origin_grads, dx0 + from, lane, c, present);
    };
    if constexpr (kWhole<T, kChunks>) load_rest(start);
    const auto unit_of = [&](float (&unit)[8], int k) {
      if constexpr (kUnitAgain<T>) {
        float origin[8];
        unpack(unit, inputs[kWhole<T, kChunks> ? k : 0]);
        unpack(origin, origins[kWhole<T, kChunks> ? k : 0]);
        make_unit(unit, origin, gradient.a, gradient.b, r);
      } else {
        unpack(unit, units[k]);
      }
    };
    float dot = 0;
#pragma unroll
    for (int k = 0; k < kChunks; k++) {
      if constexpr (kUnitAgain<T> && !kWhole<T, kChunks>) {
        const bool inside = present && (k * kLanes + lane) * 8 < c;
        load_row<kLanes>(inputs, x + start + k * kLanes * 8, lane, c, inside);
        load_row<kLanes>(origins, x0 + start + k * kLanes * 8, lane, c, inside);
      }
      float grad[8], unit[8];
      unpack(grad, grads[k]);
      unit_of(unit, k);
      dot = add_products(dot, grad, unit);
    }
    const float along = lanes_sum(dot, kLanes) * inverse;
#pragma unroll
    for (int k = 0; k < kChunks; k++) {
      const int32_t at = (k * kLanes + lane) * 8;
      if (!present || at >= c) continue;
      // Chunk k is chunk 0 of a row that begins with it; `at` was tested.
      if constexpr (!kWhole<T, kChunks>) load_rest(start + k * kLanes * 8);
      const int kept = kWhole<T, kChunks> ? k : 0;
      float grad[8], unit[8], other[8], in[8], origin[8], origin_grad[8];
      unpack(grad, grads[k]);
      unit_of(unit, k);
      unpack(other, others[kept]);
      unpack(in, inputs[kept]);
      unpack(origin, origins[kept]);
      unpack(origin_grad, origin_grads[kept]);
      gradient.add(grad, origin_grad, unit, other, in, origin, r, along);
      store_chunk(dx + start + at, grad);
      store_chunk(dx0 + start + at, origin_grad);
    }
  }
  gradient.finish(sums);
}

template <class T>
__global__ void __launch_bounds__(kLaneThreads)
    mix_rms_norm_backward_any_kernel(T* dx, T* dx0, double* sums, const T* dy, const T* dmixed, const T* y,
                                     const float* rstd, const T* x, const T* x0, const float* a, const float* b,
                                     int32_t n, int32_t c, int32_t piece_rows, float inverse, int lanes, bool wide) {
  const int lane = threadIdx.x % lanes, group = threadIdx.x / lanes, groups = kLaneThreads / lanes;
  const int64_t begin = int64_t{blockIdx.x} * piece_rows, end = begin + piece_rows < n ? begin + piece_rows : n;
  MixGradient gradient{*a, *b, 0, 0};
  for (int64_t first = begin; first < end; first += groups) {
    const int64_t row = first + group, start = row * c, width = row < end ? c : 0;
    const float r = row < end ? rstd[row] : 0.0f;
    const auto unit_of = [&](float (&unit)[8], int64_t place, int count) {
      if constexpr (kUnitAgain<T>) {
        float origin[8];
        load8(unit, x + place, count, wide);
        load8(origin, x0 + place, count, wide);
        make_unit(unit, origin, gradient.a, gradient.b, r);
      } else {
        load8(unit, y + place, count, wide);
      }
    };
    float dot = 0, grad[8], unit[8];
    for (int64_t at = lane * 8; at < width; at += lanes * 8) {
      load8(grad, dy + start + at, int(width - at), wide);
      unit_of(unit, start + at, int(width - at));
      dot = add_products(dot, grad, unit);
    }
    const float along = lanes_sum(dot, lanes) * inverse;
    for (int64_t at = lane * 8; at < width; at += lanes * 8) {
      const int count = int(width - at);
      float other[8] = {}, in[8], origin[8], origin_grad[8];
      load8(grad, dy + start + at, count, wide);
      unit_of(unit, start + at, count);
      if (dmixed) load8(other, dmixed + start + at, count, wide);
      load8(in, x + start + at, count, wide);
      load8(origin, x0 + start + at, count, wide);
      load8(origin_grad, dx0 + start + at, count, wide);
      gradient.add(grad, origin_grad, unit, other, in, origin, r, along);
      store8(dx + start + at, grad, count, wide);
      store8(dx0 + start + at, origin_grad, count, wide);
    }
  }
  gradient.finish(sums);
}

// da += Σ sums[2·piece], db += Σ sums[2·piece + 1], by one block.
constexpr int kSumThreads = 1024;
__global__ void __launch_bounds__(kSumThreads)
    mix_rms_norm_factors_kernel(float* da, float* db, const double* sums, int32_t pieces) {
  __shared__ double parts[2][kSumThreads];
  double sum_a = 0, sum_b = 0;
#pragma unroll 4
  for (int32_t piece = threadIdx.x; piece < pieces; piece += kSumThreads) {
    sum_a += sums[2 * int64_t{piece}];
    sum_b += sums[2 * int64_t{piece} + 1];
  }
  parts[0][threadIdx.x] = sum_a;
  parts[1][threadIdx.x] = sum_b;
  for (int half = kSumThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x >= half) continue;
    parts[0][threadIdx.x] += parts[0][threadIdx.x + half];
    parts[1][threadIdx.x] += parts[1][threadIdx.x + half];
  }
  if (threadIdx.x != 0) return;
  *da += float(parts[0][0]);
  *db += float(parts[1][0]);
}

}  // namespace

void mix_rms_norm_forward(Tensor* mixed, Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* x0, const Tensor* a,
                          const Tensor* b, int32_t index, int32_t n, int32_t c, double eps) {
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T *sum = elements<T>(mixed), *to = elements<T>(y);
    const T *from = elements<T>(x), *origin = elements<T>(x0);
    const float *left = a->f32() + index, *right = b->f32() + index, inverse = 1.0f / float(c);
    const bool wide = wide_access(c, sum, to, from, origin);
    const bool done = wide && with_row_lanes(c, [&](auto lanes, auto chunks) {
      constexpr int kLanes = decltype(lanes)::value, kChunks = decltype(chunks)::value;
      launch(mix_rms_norm_forward_kernel<T, kLanes, kChunks>, {lane_blocks(n, kLanes), kLaneThreads}, sum, to,
             rstd->f32(), from, origin, left, right, n, c, inverse, eps);
    });
    if (done) return;
    const int lanes = row_lanes(c);
    launch(mix_rms_norm_forward_any_kernel<T>, {lane_blocks(n, lanes), kLaneThreads}, sum, to, rstd->f32(), from,
           origin, left, right, n, c, inverse, eps, lanes, wide);
  });
}

void mix_rms_norm_backward(Tensor* dx, Tensor* dx0, Tensor* da, Tensor* db, const Tensor* dy, const Tensor* dmixed,
                           const Tensor* y, const Tensor* rstd, const Tensor* x, const Tensor* x0, const Tensor* a,
                           const Tensor* b, int32_t index, int32_t n, int32_t c) {
  const int32_t piece_rows = rows_of_piece(n), pieces = int32_t(ceil_div(n, piece_rows));
  Scratch scratch(sizeof(double) * 2 * size_t(pieces));
  double* sums = static_cast<double*>(scratch.data());
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T *to = elements<T>(dx), *to_origin = elements<T>(dx0);
    const T *from = elements<T>(dy), *from_sum = elements<T>(dmixed), *unit = elements<T>(y);
    const T *input = elements<T>(x), *origin = elements<T>(x0);
    const float *scale = elements<float>(rstd), *left = a->f32() + index, *right = b->f32() + index;
    const float inverse = 1.0f / float(c);
    const bool wide = wide_access(c, to, to_origin, from, from_sum, unit, input, origin);
    const bool done = wide && with_row_lanes(c, [&](auto lanes, auto chunks) {
      constexpr int kLanes = decltype(lanes)::value, kChunks = decltype(chunks)::value;
      launch(mix_rms_norm_backward_kernel<T, kLanes, kChunks>, {unsigned(pieces), kLaneThreads}, to, to_origin, sums,
             from, from_sum, unit, scale, input, origin, left, right, n, c, piece_rows, inverse);
    });
    if (done) return;
    launch(mix_rms_norm_backward_any_kernel<T>, {unsigned(pieces), kLaneThreads}, to, to_origin, sums, from, from_sum,
           unit, scale, input, origin, left, right, n, c, piece_rows, inverse, row_lanes(c), wide);
  });
  launch(mix_rms_norm_factors_kernel, {1, kSumThreads}, da->f32() + index, db->f32() + index, sums, pieces);
}

}  // namespace rs::gpu
