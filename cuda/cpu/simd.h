// The vector of this instruction set (GCC vector extensions, RS_LANES floats) and what the ops do with it: loads, stores,
// reductions in one fixed order, exp, log, tanh and sigmoid. Element-wise work handles the rest of a row through the same
// vector code with partial loads, so an element's bits do not depend on where in its row or tensor it stands.
// Included by files that are compiled once for every instruction set; everything lies in namespace rs::RS_BACKEND.
#pragma once
#include <cstdint>
#include <cstring>

#ifdef __FAST_MATH__
#error "simd.h relies on IEEE arithmetic: rounding by adding a constant, NaN, infinities"
#endif
#ifndef RS_LANES
#define RS_LANES 4
#endif
#define RS_INLINE __attribute__((always_inline)) inline
#define RS_INLINE_LAMBDA __attribute__((always_inline))

namespace rs::RS_BACKEND {

constexpr int lanes = RS_LANES;
typedef float Vec __attribute__((vector_size(4 * RS_LANES)));
typedef int32_t IntVec __attribute__((vector_size(4 * RS_LANES)));

RS_INLINE Vec splat(float x) { return x - Vec{}; }
RS_INLINE IntVec splat_int(int32_t x) { return x - IntVec{}; }
RS_INLINE Vec load(const float* p) {
  Vec x;
  memcpy(&x, p, sizeof(Vec));
  return x;
}
RS_INLINE void store(float* p, Vec x) { memcpy(p, &x, sizeof(Vec)); }

// The first `n` lanes (1 … lanes), the others 0.
RS_INLINE Vec load(const float* p, int n) {
  if (n == lanes) return load(p);
  float part[lanes] = {};
  for (int i = 0; i < n; i++) part[i] = p[i];
  return load(part);
}
RS_INLINE void store(float* p, Vec x, int n) {
  if (n == lanes) return store(p, x);
  float part[lanes];
  store(part, x);
  for (int i = 0; i < n; i++) p[i] = part[i];
}

RS_INLINE IntVec bits_of(Vec x) { return (IntVec)x; }
RS_INLINE Vec from_bits(IntVec x) { return (Vec)x; }
// 0, 1, 2 …
RS_INLINE IntVec lane_index() {
  IntVec x;
  for (int i = 0; i < lanes; i++) x[i] = i;
  return x;
}
RS_INLINE Vec select(IntVec mask, Vec yes, Vec no) { return mask ? yes : no; }
// x·y + z, fused where the instruction set has it (the compiler contracts one expression).
RS_INLINE Vec fma(Vec x, Vec y, Vec z) { return x * y + z; }
// NaN in the second operand is kept, one in the first is lost.
RS_INLINE Vec min(Vec x, Vec y) { return x < y ? x : y; }
RS_INLINE Vec max(Vec x, Vec y) { return x > y ? x : y; }
RS_INLINE Vec abs(Vec x) { return from_bits(bits_of(x) & splat_int(0x7fffffff)); }
RS_INLINE Vec copy_sign(Vec magnitude, Vec sign) {
  return from_bits((bits_of(magnitude) & splat_int(0x7fffffff)) | (bits_of(sign) & splat_int(int32_t(0x80000000))));
}
RS_INLINE Vec sqrt(Vec x) {
  for (int i = 0; i < lanes; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

// x with lanes l and l + Half exchanged.
template <int Half>
RS_INLINE Vec swap_lanes(Vec x) {
  return __builtin_shuffle(x, lane_index() ^ Half);
}
// Folds the lanes as a balanced tree: lane i with lane i + half, and so on.
template <class F>
RS_INLINE float fold_lanes(Vec x, F&& f) {
  if constexpr (lanes >= 16) x = f(x, swap_lanes<8>(x));
  if constexpr (lanes >= 8) x = f(x, swap_lanes<4>(x));
  x = f(x, swap_lanes<2>(x));
  x = f(x, swap_lanes<1>(x));
  return x[0];
}
RS_INLINE float sum_lanes(Vec x) {
  return fold_lanes(x, [](Vec a, Vec b) RS_INLINE_LAMBDA { return a + b; });
}
// Largest lane; NaN if a lane is NaN.
RS_INLINE float max_lanes(Vec x) {
  return fold_lanes(x, [](Vec a, Vec b) RS_INLINE_LAMBDA { return (a >= b) | (a != a) ? a : b; });
}

// Calls f(i, n) for i = 0, lanes, 2·lanes … below count, n being `lanes` until the rest.
template <class F>
RS_INLINE void each_vec(int64_t count, F&& f) {
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) f(i, lanes);
  if (i < count) f(i, static_cast<int>(count - i));
}

// Σ f(i, n) over a run of `count` elements: four accumulators for whole vectors, then a tree. f must give 0 in the
// lanes past n.
template <class F>
RS_INLINE float sum_vec(int64_t count, F&& f) {
  Vec s0 = {}, s1 = {}, s2 = {}, s3 = {};
  int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    s0 += f(i, lanes);
    s1 += f(i + lanes, lanes);
    s2 += f(i + 2 * lanes, lanes);
    s3 += f(i + 3 * lanes, lanes);
  }
  for (; i + lanes <= count; i += lanes) s0 += f(i, lanes);
  if (i < count) s1 += f(i, static_cast<int>(count - i));
  return sum_lanes((s0 + s1) + (s2 + s3));
}

// exp(r) for |r| ≤ ln2/2: Cephes' expf polynomial (relative error 1e-8 before rounding).
RS_INLINE Vec exp_reduced(Vec r) {
  Vec p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  return fma(p, r * r, r) + 1.0f;
}

// e^x, about 1 ulp. Overflows to infinity above 88.7228, goes to 0 through the subnormal numbers, keeps NaN.
RS_INLINE Vec exp(Vec x) {
  const Vec magic = splat(12582912.0f);  // 1.5·2^23: adding it rounds to an integer that lies in the low bits
  Vec bounded = max(splat(-105.0f), min(splat(89.0f), x));
  Vec shifted = fma(bounded, splat(1.44269504088896341f), magic);
  Vec n = shifted - magic;
  Vec r = fma(n, splat(-0.693359375f), bounded);
  r = fma(n, splat(2.12194440e-4f), r);
  IntVec k = bits_of(shifted) - bits_of(magic);
  // 2^k in two factors, since k reaches −152 and 128.
  IntVec half = k >> 1;
  Vec scale = from_bits((half + 127) << 23);
  Vec rest = from_bits((k - half + 127) << 23);
  return exp_reduced(r) * scale * rest;
}

// 2^x for x ≤ 127, about 2 ulp; stays at 2^−125 below that. Keeps NaN. The fast one, for softmax of attention.
RS_INLINE Vec exp2_clamped(Vec x) {
  const Vec magic = splat(12582912.0f);
  Vec bounded = max(splat(-125.0f), x);
  Vec shifted = bounded + magic;
  Vec f = bounded - (shifted - magic);
  // Minimax on |f| ≤ 1/2 (relative error 3e-9), the constant term being 1.
  Vec p = splat(1.5353362e-4f);
  p = fma(p, f, splat(1.3398874e-3f));
  p = fma(p, f, splat(9.6184373e-3f));
  p = fma(p, f, splat(5.5503324e-2f));
  p = fma(p, f, splat(2.4022648e-1f));
  p = fma(p, f, splat(6.9314720e-1f));
  p = fma(p, f, splat(1.0f));
  // The integer lies in the low bits of `shifted`; the shift drops the others.
  return p * from_bits((bits_of(shifted) << 23) + (127 << 23));
}

// Natural logarithm, about 1 ulp (Cephes' logf). log(0) = −∞, NaN below 0, subnormal arguments included.
RS_INLINE Vec log(Vec x) {
  IntVec tiny = x < 1.17549435e-38f;
  Vec scaled = select(tiny, x * 8388608.0f, x);
  IntVec raw = bits_of(scaled);
  IntVec exponent = ((raw >> 23) & 0xff) - 126;
  Vec m = from_bits((raw & 0x007fffff) | 0x3f000000);  // 0.5 … 1
  IntVec low = m < 0.707106781186547524f;
  exponent += low;  // a true lane is −1
  m = select(low, m + m, m) - 1.0f;
  Vec e = __builtin_convertvector(exponent, Vec) - select(tiny, splat(23.0f), Vec{});
  Vec z = m * m;
  Vec p = splat(7.0376836292e-2f);
  p = fma(p, m, splat(-1.1514610310e-1f));
  p = fma(p, m, splat(1.1676998740e-1f));
  p = fma(p, m, splat(-1.2420140846e-1f));
  p = fma(p, m, splat(1.4249322787e-1f));
  p = fma(p, m, splat(-1.6668057665e-1f));
  p = fma(p, m, splat(2.0000714765e-1f));
  p = fma(p, m, splat(-2.4999993993e-1f));
  p = fma(p, m, splat(3.3333331174e-1f));
  Vec y = p * m * z;
  y = fma(e, splat(-2.12194440e-4f), y);
  y = fma(z, splat(-0.5f), y);
  Vec result = fma(e, splat(0.693359375f), m + y);
  const Vec infinity = splat(__builtin_inff());
  result = select(x == 0.0f, -infinity, result);
  result = select(x == infinity, infinity, result);
  return select((x < 0.0f) | (x != x), splat(__builtin_nanf("")), result);
}

// tanh, about 2 ulp: an odd polynomial (Cephes' tanhf) below 0.625, 1 − 2/(e^2|x| + 1) above.
RS_INLINE Vec tanh(Vec x) {
  Vec size = abs(x);
  Vec z = x * x;
  Vec p = splat(-5.70498872745e-3f);
  p = fma(p, z, splat(2.06390887954e-2f));
  p = fma(p, z, splat(-5.37397155531e-2f));
  p = fma(p, z, splat(1.33314422036e-1f));
  p = fma(p, z, splat(-3.33332819422e-1f));
  Vec small = fma(p * z, x, x);
  Vec large = copy_sign(1.0f - 2.0f / (exp(size + size) + 1.0f), x);
  return select(size < 0.625f, small, large);
}

// 1/(1 + e^−x) with a small relative error at both ends.
RS_INLINE Vec sigmoid(Vec x) {
  Vec e = exp(-abs(x));
  return select(x < 0.0f, e, splat(1.0f)) / (1.0f + e);
}

// sigmoid and its derivative s·(1 − s), both with a small relative error at both ends.
struct SigmoidAndSlope {
  Vec value, slope;
};
RS_INLINE SigmoidAndSlope sigmoid_and_slope(Vec x) {
  Vec e = exp(-abs(x)), inverse = 1.0f / (1.0f + e);
  return {select(x < 0.0f, e, splat(1.0f)) * inverse, e * inverse * inverse};
}

// One number through a vector function, so that scalars and vectors agree.
RS_INLINE float sigmoid_scalar(float x) { return sigmoid(splat(x))[0]; }
RS_INLINE float log_scalar(float x) { return log(splat(x))[0]; }

}  // namespace rs::RS_BACKEND
