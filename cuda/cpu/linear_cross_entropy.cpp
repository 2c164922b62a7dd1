// Output layer, soft cap, cross entropy and their gradients in one pass.
#include <cmath>
#include <cstring>
#include <vector>

#include "../impl.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

void linear_cross_entropy(Tensor* mean, Tensor* losses, Tensor* dx, Tensor* dw, const Tensor* x, const Tensor* w,
                          const Tensor* targets, int32_t n, int32_t c, int32_t v, double soft_cap) {
  Scratch logits_memory(sizeof(float) * n * v), small_memory(sizeof(float) * (n + 2));
  Tensor logits{logits_memory.f32(), int64_t(n) * v, RS_F32, false, 0, nullptr};
  Tensor lse{small_memory.f32(), n, RS_F32, false, 0, nullptr};
  Tensor one{small_memory.f32() + n, 1, RS_F32, false, 0, nullptr};
  one.f32()[0] = 1;
  matmul(&logits, x, w, nullptr, 1, n, v, c, false, true, false, RS_EPILOGUE_NONE);
  cross_entropy_forward(mean, losses, &lse, &logits, targets, n, v, soft_cap);
  if (!dx) return;
  cross_entropy_backward(&logits, &one, mean, &lse, &logits, targets, n, v, soft_cap);
  matmul(dx, &logits, w, nullptr, 1, n, c, v, false, false, false, RS_EPILOGUE_NONE);
  matmul(dw, &logits, x, nullptr, 1, v, c, n, true, false, false, RS_EPILOGUE_NONE);
}

}  // namespace rs::RS_BACKEND
