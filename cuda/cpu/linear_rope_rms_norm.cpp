// The product that makes queries and keys, then RoPE and norm: here one after the other.
#include "../impl.h"

namespace rs::RS_BACKEND {

void linear_rope_rms_norm_forward(Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* w, const Tensor* cos,
                                  const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t d, int32_t c,
                                  double eps) {
  Scratch memory(sizeof(float) * static_cast<size_t>(y->count));
  Tensor plain = *y;
  plain.data = memory.data();
  plain.parameter = false;
  matmul(&plain, x, w, nullptr, b, t, h * d, c, false, true, false, RS_EPILOGUE_NONE);
  rope_rms_norm_forward(y, rstd, &plain, cos, sin, b, t, h, d, eps);
}

}  // namespace rs::RS_BACKEND
