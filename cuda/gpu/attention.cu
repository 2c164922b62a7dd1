// Causal softmax attention: which kernels run (see attention.h), and delta = Σ dy·y of each query, which both gradients
// need; Hopper's gradient of the queries makes it itself. Nowhere is there memory of T×T.
#include <algorithm>
#include <type_traits>

#include "aligned.h"
#include "angles.h"
#include "attention.h"

namespace rs::gpu {

namespace {

constexpr int delta_threads = 256, delta_rows = 4;  // rows of a lane at once: loads in flight

// So many lanes share a row, eight columns each at a time. Rows are numbered as they lie: heads, then time, then the
// batch. Writes delta[B,H,T].
template <class T, int Lanes>
__global__ void __launch_bounds__(delta_threads)
attention_delta_kernel(float* target, const T* dy, const T* y, AttentionShape s, int64_t rows, bool wide) {
  constexpr int groups = delta_threads / Lanes;
  static_assert(delta_rows <= Lanes, "a lane for each row to be written");
  const int lane = threadIdx.x % Lanes, group = threadIdx.x / Lanes;
  const int64_t first = int64_t{blockIdx.x} * groups * delta_rows;
  // The row that this lane writes. One division of 64 bits a block; rows are few steps ahead of its first.
  const int ahead = lane * groups + group;
  const bool writes = lane < delta_rows && first + ahead < rows;
  const int64_t first_time = first / s.h, batch = first_time / s.t;  // times over the whole batch
  const unsigned at_head = unsigned(first % s.h) + unsigned(ahead);
  const unsigned at_time = unsigned(first_time % s.t) + at_head / unsigned(s.h);
  const int64_t item = (batch + at_time / unsigned(s.t)) * s.h + at_head % unsigned(s.h);
  const unsigned time = at_time % unsigned(s.t);
  float sum[delta_rows] = {};
  for (int64_t column = lane * 8; column < s.d; column += Lanes * 8) {
    float a[delta_rows][8], b[delta_rows][8];
#pragma unroll
    for (int i = 0; i < delta_rows; i++) {
      const int64_t row = first + i * groups + group;
      const int count = row < rows ? int(s.d - column) : 0;
      load8(a[i], dy + row * s.d + column, count, wide);
      load8(b[i], y + row * s.d + column, count, wide);
    }
#pragma unroll
    for (int i = 0; i < delta_rows; i++)
#pragma unroll
      for (int j = 0; j < 8; j++) sum[i] = fmaf(a[i][j], b[i][j], sum[i]);
  }
#pragma unroll
  for (int i = 0; i < delta_rows; i++)
#pragma unroll
    for (int offset = Lanes / 2; offset > 0; offset /= 2) sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], offset);
  if (!writes) return;
  float delta = sum[0];
#pragma unroll
  for (int i = 1; i < delta_rows; i++) delta = lane == i ? sum[i] : delta;
  target[item * s.t + time] = delta;
}

template <class T, int Lanes>
void launch_delta(float* target, const T* dy, const T* y, const AttentionShape& s) {
  const int64_t rows = int64_t{s.b} * s.t * s.h;
  const Launch shape{dim3(unsigned(ceil_div(rows, delta_threads / Lanes * delta_rows))), dim3(delta_threads)};
  launch(attention_delta_kernel<T, Lanes>, shape, target, dy, y, s, rows, wide_access(s.d, dy, y));
}

AttentionShape shape_of(int32_t b, int32_t t, int32_t h, int32_t g, int32_t d, int32_t window, double scale) {
  return {b, t, h, g, d, std::min(window, t - 1), float(scale)};
}

// The kernels for tensor cores take the largest product of a row for its largest score, so the scale must be positive.
bool fits_tensor_cores(const Tensor* q, const AttentionShape& s) {
  return q->dtype == RS_BF16 && (s.d == 64 || s.d == 128) && s.scale > 0;
}
// The copy engine takes strides below 2^40 bytes.
bool fits_hopper(const AttentionShape& s) {
  return has_hopper_kernels() && s.h < 65536 && int64_t{s.t} * s.h * s.d * int64_t{sizeof(bf16)} < int64_t{1} << 40;
}

// Query–key pairs of one head: exact, so that the count does not depend on the build.
double pairs(const AttentionShape& s) {
  const double most = s.window + 1.0;  // of one query
  return most * (most + 1) / 2 + (s.t - most) * most;
}

}  // namespace

void attention_forward(Tensor* y, Tensor* lse, const Tensor* q, const Tensor* k, const Tensor* v, int32_t b, int32_t t,
                       int32_t h, int32_t g, int32_t d, int32_t window, double scale) {
  const AttentionShape s = shape_of(b, t, h, g, d, window, scale);
  if (fits_tensor_cores(q, s)) {
    AlignedOutput<bf16> to(y);
    AlignedOutput<float> sums(lse);
    const AlignedInput<bf16> query(q), key(k), value(v);
    (fits_hopper(s) ? hopper_attention_forward : portable_attention_forward)(to, sums, query, key, value, s);
    to.finish();
    sums.finish();
  } else {
    with_float(q->dtype, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      plain_attention_forward<T>(elements<T>(y), lse->f32(), elements<T>(q), elements<T>(k), elements<T>(v), s);
    });
  }
  count_operations(4.0 * d * b * h * pairs(s));
}

namespace {

// dq, dk and dv; with q_rstd and the rest, which only the kernels for Hopper take, those of what went into RoPE and norm.
void gradients(Tensor* dq, Tensor* dk, Tensor* dv, const Tensor* dy, const Tensor* y, const Tensor* lse,
               const Tensor* q, const Tensor* k, const Tensor* v, const Tensor* q_rstd, const Tensor* k_rstd,
               const Tensor* cos, const Tensor* sin, const AttentionShape& s) {
  const bool hopper = fits_tensor_cores(q, s) && fits_hopper(s);
  const size_t of_head = hopper ? size_t(level_place(1, s.t, 0)) : size_t(s.t);
  const Scratch statistics(size_t(s.b) * size_t(s.h) * of_head * sizeof(float));
  float* delta = statistics.f32();  // on Hopper: levels
  if (!fits_tensor_cores(q, s)) {
    with_float(q->dtype, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      const T *from = elements<T>(dy), *query = elements<T>(q), *key = elements<T>(k), *value = elements<T>(v);
      launch_delta<T, 32>(delta, from, elements<T>(y), s);
      plain_attention_query_gradient<T>(elements<T>(dq), delta, from, lse->f32(), query, key, value, s);
      plain_attention_key_value_gradient<T>(elements<T>(dk), elements<T>(dv), delta, from, lse->f32(), query, key,
                                            value, s);
    });
    return;
  }
  AlignedOutput<bf16> to_query(dq), to_key(dk), to_value(dv);
  const AlignedInput<bf16> from(dy), output(y), query(q), key(k), value(v);
  const AlignedInput<float> sums(lse);
  const bool through_rope = q_rstd != nullptr;
  if (hopper) {
    const AlignedInput<float> query_rstd(q_rstd), key_rstd(k_rstd);
    const uint32_t* angles = through_rope ? packed_angles(cos, sin) : nullptr;
    const RopeNorm of_query{query_rstd, angles}, of_key{key_rstd, angles};
    hopper_attention_query_gradient(to_query, delta, from, output, sums, query, key, value, s,
                                    through_rope ? &of_query : nullptr);
    hopper_attention_key_value_gradient(to_key, to_value, delta, from, query, key, value, s,
                                        through_rope ? &of_key : nullptr);
  } else {
    if (s.d == 64) launch_delta<bf16, 8>(delta, from, output, s);
    else launch_delta<bf16, 16>(delta, from, output, s);
    portable_attention_query_gradient(to_query, delta, from, sums, query, key, value, s);
    portable_attention_key_value_gradient(to_key, to_value, delta, from, sums, query, key, value, s);
  }
  to_query.finish();
  to_key.finish();
  to_value.finish();
}

}  // namespace

void attention_backward(Tensor* dq, Tensor* dk, Tensor* dv, const Tensor* dy, const Tensor* y, const Tensor* lse,
                        const Tensor* q, const Tensor* k, const Tensor* v, const Tensor* q_rstd, const Tensor* k_rstd,
                        const Tensor* cos, const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t g, int32_t d,
                        int32_t window, double scale) {
  const AttentionShape s = shape_of(b, t, h, g, d, window, scale);
  count_operations(10.0 * d * b * h * pairs(s));
  const bool hopper = fits_tensor_cores(q, s) && fits_hopper(s);
  if (q_rstd == nullptr || hopper) {
    gradients(dq, dk, dv, dy, y, lse, q, k, v, q_rstd, k_rstd, cos, sin, s);
    return;
  }
  const size_t size = q->dtype == RS_BF16 ? sizeof(bf16) : sizeof(float);
  const Scratch query(size * size_t(dq->count)), key(size * size_t(dk->count));
  Tensor to_query = *dq, to_key = *dk;
  to_query.data = query.data(), to_key.data = key.data();
  gradients(&to_query, &to_key, dv, dy, y, lse, q, k, v, nullptr, nullptr, nullptr, nullptr, s);
  rope_rms_norm_backward(dq, &to_query, q, q_rstd, cos, sin, b, t, h, d);
  rope_rms_norm_backward(dk, &to_key, k, k_rstd, cos, sin, b, t, g, d);
}

}  // namespace rs::gpu
