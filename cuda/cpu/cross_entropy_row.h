// Cross entropy of one row of logits, for the ops that have whole logits and for the one that makes them block by block.
#pragma once
#include "../impl.h"
#include "simd.h"

namespace rs::RS_BACKEND {

// Throws where a target is neither −1 nor an index into v logits, and returns how many count.
static inline int64_t count_targets(const int32_t* targets, int64_t n, int32_t v) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    if (targets[i] < -1 || targets[i] >= v)
      fail(RS_INVALID, "target %d of row %lld is not in -1..%d", targets[i], static_cast<long long>(i), v - 1);
    count += targets[i] >= 0;
  }
  return count;
}

// Mean over the targets that count (0 without any) and their number; one order whatever the threads.
static inline void mean_of_losses(float* mean, const float* losses, const int32_t* targets, int64_t n, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += targets[i] >= 0 ? losses[i] : 0;
  mean[0] = count > 0 ? static_cast<float>(sum / static_cast<double>(count)) : 0;
  mean[1] = static_cast<float>(count);
}

// e^x for x ≤ 88, about 1 ulp; 0 below −87.3, where it would be subnormal. Keeps NaN. Half the work of exp.
RS_INLINE Vec exp_in_range(Vec x) {
  const Vec magic = splat(12582912.0f);  // 1.5·2^23: adding it rounds to an integer that lies in the low bits
  const Vec bounded = max(splat(-87.3f), x);
  const Vec shifted = fma(bounded, splat(1.44269504088896341f), magic);
  const Vec whole = shifted - magic;
  const Vec rest = fma(whole, splat(2.12194440e-4f), fma(whole, splat(-0.693359375f), bounded));
  const Vec power = from_bits((bits_of(shifted) - bits_of(magic) + 127) << 23);
  return select(x < -87.3f, Vec{}, exp_reduced(rest) * power);
}

// The largest of v numbers; lanes past the end repeat the row's first number.
RS_INLINE float largest(const float* row, int64_t v) {
  Vec top = splat(row[0]);
  each_vec(v, [&](int64_t j, int count) RS_INLINE_LAMBDA {
    Vec x = load(row + j, count);
    if (count < lanes) x = select(lane_index() < count, x, splat(row[0]));
    top = max(top, x);
  });
  return max_lanes(top);
}

// Σ e^(scale·x − offset) over v numbers.
RS_INLINE double sum_of_exponentials(const float* row, int64_t v, float scale, float offset) {
  return sum_vec(v, [&](int64_t j, int count) RS_INLINE_LAMBDA {
    const Vec e = exp_in_range(fma(splat(scale), load(row + j, count), splat(-offset)));
    return count < lanes ? select(lane_index() < count, e, Vec{}) : e;
  });
}

// Largest of scale·x, and Σ e^(scale·x − top).
struct Partition {
  float top;
  double sum;
  double log() const { return top + __builtin_log(sum); }
};
RS_INLINE Partition partition_of(const float* row, int64_t v, float scale) {
  const float top = largest(row, v) * scale;
  return {top, sum_of_exponentials(row, v, scale, top)};
}

// target = tanh(row / cap); target may be row.
RS_INLINE void squash_row(float* target, const float* row, int64_t v, float cap) {
  const float inverse = 1 / cap;
  each_vec(v, [&](int64_t j, int count) RS_INLINE_LAMBDA {
    store(target + j, tanh(load(row + j, count) * inverse), count);
  });
}

// drow = scale·(softmax − one at `target`), times the soft cap's slope where cap > 0. `row` holds tanh(logit / cap) then,
// else the logits. The softmax is e^(x − offset)·inverse. drow may be row.
RS_INLINE void gradient_row(float* drow, const float* row, int64_t v, float cap, float offset, float inverse,
                            int32_t target, float scale) {
  const float factor = cap > 0 ? cap : 1, at_target = row[target];
  const Vec each = splat(scale * inverse);
  each_vec(v, [&](int64_t j, int count) RS_INLINE_LAMBDA {
    const Vec x = load(row + j, count);
    Vec d = each * exp_in_range(fma(splat(factor), x, splat(-offset)));
    if (cap > 0) d = d * (1.0f - x * x);
    store(drow + j, d, count);
  });
  const float slope = cap > 0 ? 1 - at_target * at_target : 1;
  drow[target] = scale * (inverse * exp_in_range(splat(factor * at_target - offset))[0] - 1) * slope;
}

}  // namespace rs::RS_BACKEND
