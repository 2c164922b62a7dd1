// Functions of one number, element by element, and their derivatives; formulas in kernels.h.
#include "../impl.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

static constexpr int64_t elements_per_piece = 1 << 14;
static constexpr float gelu_inner = 0.7978845608028654f;  // sqrt(2/π)
static constexpr float gelu_cubic = 0.044715f;

template <class F>
static void map(Tensor* y, const Tensor* x, F f) {
  float* out = y->f32();
  const float* in = x->f32();
  parallel_for(y->count, elements_per_piece, [&](int64_t begin, int64_t end, int32_t) {
    each_vec(end - begin, [&](int64_t i, int n) RS_INLINE_LAMBDA {
      store(out + begin + i, f(load(in + begin + i, n)), n);
    });
  });
}

// dx = f(dy, x, y)
template <class F>
static void map_gradient(Tensor* dx, const Tensor* dy, const Tensor* x, const Tensor* y, F f) {
  float* out = dx->f32();
  const float *grad = dy->f32(), *in = x->f32(), *value = y->f32();
  parallel_for(dx->count, elements_per_piece, [&](int64_t begin, int64_t end, int32_t) {
    each_vec(end - begin, [&](int64_t i, int n) RS_INLINE_LAMBDA {
      i += begin;
      store(out + i, f(load(grad + i, n), load(in + i, n), load(value + i, n)), n);
    });
  });
}

void unary_forward(Tensor* y, const Tensor* x, int32_t kind, double parameter) {
  const float p = static_cast<float>(parameter);
  switch (kind) {
    case RS_RELU:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA { return max(Vec{}, v); });
    case RS_RELU2:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA {
        Vec positive = max(Vec{}, v);
        return positive * positive;
      });
    case RS_GELU:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA {
        // 0.5·(1 + tanh(u)) = sigmoid(2u), which keeps its digits where tanh is close to −1.
        return v * sigmoid(2.0f * gelu_inner * (v + gelu_cubic * v * v * v));
      });
    case RS_SILU:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA { return v * sigmoid(v); });
    case RS_SIGMOID:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA { return sigmoid(v); });
    case RS_TANH:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA { return tanh(v); });
    case RS_SOFTCAP:
      return map(y, x, [p](Vec v) RS_INLINE_LAMBDA { return p * tanh(v / p); });
    case RS_EXP:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA { return exp(v); });
    case RS_LOG:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA { return log(v); });
    case RS_SQRT:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA { return sqrt(v); });
    case RS_SQUARE:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA { return v * v; });
    case RS_NEGATE:
      return map(y, x, [](Vec v) RS_INLINE_LAMBDA { return -v; });
    default:
      fail(RS_INVALID, "there is no kind %d", kind);
  }
}

void unary_backward(Tensor* dx, const Tensor* dy, const Tensor* x, const Tensor* y, int32_t kind, double parameter) {
  const float p = static_cast<float>(parameter);
  switch (kind) {
    case RS_RELU:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec v, Vec) RS_INLINE_LAMBDA { return select(v <= 0.0f, Vec{}, g); });
    case RS_RELU2:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec v, Vec) RS_INLINE_LAMBDA { return g * 2.0f * max(Vec{}, v); });
    case RS_GELU:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec v, Vec) RS_INLINE_LAMBDA {
        SigmoidAndSlope s = sigmoid_and_slope(2.0f * gelu_inner * (v + gelu_cubic * v * v * v));
        return g * (s.value + v * s.slope * (2.0f * gelu_inner * (1.0f + 3.0f * gelu_cubic * v * v)));
      });
    case RS_SILU:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec v, Vec) RS_INLINE_LAMBDA {
        SigmoidAndSlope s = sigmoid_and_slope(v);
        return g * (s.value + v * s.slope);
      });
    case RS_SIGMOID:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec, Vec f) RS_INLINE_LAMBDA { return g * f * (1.0f - f); });
    case RS_TANH:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec, Vec f) RS_INLINE_LAMBDA { return g * (1.0f - f * f); });
    case RS_SOFTCAP:
      return map_gradient(dx, dy, x, y, [p](Vec g, Vec, Vec f) RS_INLINE_LAMBDA {
        Vec t = f / p;
        return g * (1.0f - t * t);
      });
    case RS_EXP:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec, Vec f) RS_INLINE_LAMBDA { return g * f; });
    case RS_LOG:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec v, Vec) RS_INLINE_LAMBDA { return g / v; });
    case RS_SQRT:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec, Vec f) RS_INLINE_LAMBDA { return g * 0.5f / f; });
    case RS_SQUARE:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec v, Vec) RS_INLINE_LAMBDA { return g * 2.0f * v; });
    case RS_NEGATE:
      return map_gradient(dx, dy, x, y, [](Vec g, Vec, Vec) RS_INLINE_LAMBDA { return -g; });
    default:
      fail(RS_INVALID, "there is no kind %d", kind);
  }
}

}  // namespace rs::RS_BACKEND
