// Softmax of soft-capped logits without their maximum: a cap bounds them, so one constant keeps every exponential, the
// sum of 2³¹ of them and its inverse among the normal float32 numbers.
#pragma once
#include <cmath>

#include "gpu.h"

namespace rs::gpu {

// For a logit z: r = 1/(e^(2z/cap) + 1), so tanh(z/cap) = 1 − 2r; e = e^(cap·tanh(z/cap) − 0.4·cap), from e^(−1.4·cap)
// to e^(0.6·cap). At the largest cap that is 4·10⁻³¹ to 10¹³: at the lower end e·r·(1 − r), whose last factor is 2⁻²⁴ or
// 0, is just normal, and the upper one leaves room for a sum over V times a number of rows (2⁶², 5·10¹⁸) and its inverse
// times an activation.
struct CappedSoftmax {
  static constexpr float largest_cap = 50;
  float rate, drop;  // of the exponents: 2·log2(e)/cap and −2·cap·log2(e)

  explicit CappedSoftmax(float cap) : rate(float(2 * M_LOG2E / cap)), drop(float(-2 * M_LOG2E * cap)) {}

#ifdef __CUDACC__
  // Right for infinities, too. The hardware's tanh would save one of three special functions a logit, and be off by
  // 2⁻¹¹: cap/2048 in a capped logit.
  __device__ float r(float z) const {
    float x = rate * z;
    asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(x));
    x += 1.0f;
    asm("rcp.approx.ftz.f32 %0, %0;" : "+f"(x));
    return x;
  }
  __device__ float e(float r) const {
    float x = exponent(r);
    asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(x));
    return x;
  }
  // A quarter of the cap's slope 1 − tanh², as r·(1 − r), so that little is lost near a tanh of 1; near −1 it is off by
  // the rounding of r, 2⁻²³.
  static __device__ float quarter_slope(float r) { return fmaf(-r, r, r); }
  // −log of e over the sum.
  __device__ float loss(float sum, float r) const { return fmaf(float(-M_LN2), exponent(r), logf(sum)); }

 private:
  __device__ float exponent(float r) const { return fmaf(drop, r, -0.3f * drop); }  // of 2
#endif
};

}  // namespace rs::gpu
