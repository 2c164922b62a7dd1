// The product that makes queries and keys. Where Hopper's kernel takes it, RoPE and norm come before the store.
#include <optional>

#include "aligned.h"
#include "angles.h"
#include "hopper/product.h"
#include "products.h"

namespace rs::RS_BACKEND {

void linear_rope_rms_norm_forward(Tensor* y, Tensor* rstd, const Tensor* x, const Tensor* w, const Tensor* cos,
                                  const Tensor* sin, int32_t b, int32_t t, int32_t h, int32_t d, int32_t c,
                                  double eps) {
  const int64_t rows = int64_t{b} * t;
  if (x->dtype == RS_BF16 && has_hopper_kernels() && rows <= INT32_MAX) {
    AlignedOutput<bf16> to(y);
    AlignedOutput<float> scale(rstd);
    const AlignedInput<bf16> from(x);
    std::optional<Scratch> spare;
    HopperRopeProduct product{to, scale, from, bf16_elements(w, spare), nullptr, int32_t(rows), t, h, d, c, float(eps)};
    if (hopper_rope_product_supports(product)) {
      product.angles = packed_angles(cos, sin);
      hopper_rope_product(product);
      to.finish();
      scale.finish();
      count_operations(2.0 * double(rows) * h * d * c);
      return;
    }
  }
  Scratch memory((x->dtype == RS_BF16 ? sizeof(bf16) : sizeof(float)) * size_t(y->count));
  Tensor plain = *y;
  plain.data = memory.data();
  plain.parameter = false;
  matmul(&plain, x, w, nullptr, b, t, h * d, c, false, true, false, RS_EPILOGUE_NONE);
  rope_rms_norm_forward(y, rstd, &plain, cos, sin, b, t, h, d, eps);
}

}  // namespace rs::RS_BACKEND
