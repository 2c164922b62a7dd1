// Functions of one number, element by element, and their derivatives; formulas in kernels.h.
#include "groups.h"

namespace rs::gpu {

namespace {

constexpr float kGeluInner = 0.7978845608028654f;  // sqrt(2/π)
constexpr float kGeluCubic = 0.044715f;

// 1/(1 + e^−x) and its derivative s·(1 − s), both with a small relative error at both ends.
__device__ float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}
struct SigmoidAndSlope {
  float value, slope;
};
__device__ SigmoidAndSlope sigmoid_and_slope(float x) {
  const float e = expf(-fabsf(x)), inverse = 1.0f / (1.0f + e);
  return {(x < 0.0f ? e : 1.0f) * inverse, e * inverse * inverse};
}
// max(x, 0) that keeps NaN, as fmaxf does not.
__device__ float positive(float x) { return 0.0f > x ? 0.0f : x; }

template <int Kind>
struct UnaryForward {
  float p;
  __device__ float operator()(float x, float) const {
    if constexpr (Kind == RS_RELU) return positive(x);
    if constexpr (Kind == RS_RELU2) return positive(x) * positive(x);
    // 0.5·(1 + tanh(u)) = sigmoid(2u), which keeps its digits where tanh is close to −1.
    if constexpr (Kind == RS_GELU) return x * sigmoid(2.0f * kGeluInner * (x + kGeluCubic * x * x * x));
    if constexpr (Kind == RS_SILU) return x * sigmoid(x);
    if constexpr (Kind == RS_SIGMOID) return sigmoid(x);
    if constexpr (Kind == RS_TANH) return tanhf(x);
    if constexpr (Kind == RS_SOFTCAP) return p * tanhf(x / p);
    if constexpr (Kind == RS_EXP) return expf(x);
    if constexpr (Kind == RS_LOG) return logf(x);
    if constexpr (Kind == RS_SQRT) return sqrtf(x);
    if constexpr (Kind == RS_SQUARE) return x * x;
    if constexpr (Kind == RS_NEGATE) return -x;
  }
};

// Whether the derivative is computed from the function's value, or else from its argument: the other is not read.
constexpr bool from_value(int kind) {
  return kind == RS_SIGMOID || kind == RS_TANH || kind == RS_SOFTCAP || kind == RS_EXP || kind == RS_SQRT;
}

// The gradient from dy and the value or argument v.
template <int Kind>
struct UnaryBackward {
  float p;
  __device__ float operator()(float dy, float v) const {
    if constexpr (Kind == RS_RELU) return v <= 0.0f ? 0.0f : dy;
    if constexpr (Kind == RS_RELU2) return dy * 2.0f * positive(v);
    if constexpr (Kind == RS_GELU) {
      const SigmoidAndSlope s = sigmoid_and_slope(2.0f * kGeluInner * (v + kGeluCubic * v * v * v));
      return dy * (s.value + v * s.slope * (2.0f * kGeluInner * (1.0f + 3.0f * kGeluCubic * v * v)));
    }
    if constexpr (Kind == RS_SILU) {
      const SigmoidAndSlope s = sigmoid_and_slope(v);
      return dy * (s.value + v * s.slope);
    }
    if constexpr (Kind == RS_SIGMOID) return dy * v * (1.0f - v);
    if constexpr (Kind == RS_TANH) return dy * (1.0f - v * v);
    if constexpr (Kind == RS_SOFTCAP) {
      const float t = v / p;
      return dy * (1.0f - t * t);
    }
    if constexpr (Kind == RS_EXP) return dy * v;
    if constexpr (Kind == RS_LOG) return dy / v;
    if constexpr (Kind == RS_SQRT) return dy * 0.5f / v;
    if constexpr (Kind == RS_SQUARE) return dy * 2.0f * v;
    if constexpr (Kind == RS_NEGATE) return -dy;
  }
};

// Calls f with the kind as a constant.
template <int Kind = RS_RELU, class F>
void with_kind(int32_t kind, F&& f) {
  if (kind == Kind) return f(std::integral_constant<int, Kind>{});
  if constexpr (Kind < RS_NEGATE) with_kind<Kind + 1>(kind, f);
  else fail(RS_INVALID, "there is no kind %d", kind);
}

}  // namespace

void unary_forward(Tensor* y, const Tensor* x, int32_t kind, double parameter) {
  const float p = float(parameter);
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    with_kind(kind, [&](auto constant) {
      map(elements<T>(y), elements<T>(x), x->count, UnaryForward<decltype(constant)::value>{p});
    });
  });
}

void unary_backward(Tensor* dx, const Tensor* dy, const Tensor* x, const Tensor* y, int32_t kind, double parameter) {
  const float p = float(parameter);
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    with_kind(kind, [&](auto constant) {
      constexpr int Kind = decltype(constant)::value;
      T* target = elements<T>(dx);
      const T *grad = elements<T>(dy), *other = elements<T>(from_value(Kind) ? y : x);
      if constexpr (Kind == RS_NEGATE) map(target, grad, x->count, UnaryBackward<Kind>{p});
      else map(target, grad, other, x->count, UnaryBackward<Kind>{p});
    });
  });
}

}  // namespace rs::gpu
