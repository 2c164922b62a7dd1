// Products of whole groups of eight elements, with an epilogue: the path that most work of a training takes.
#pragma once
#include "mixed_product.h"
#include "products.h"

namespace rs::gpu {

// For sizes that fits_library (plans.h) takes, at any address. epilogue is RS_EPILOGUE_NONE, or, with beta 0, _RELU2 or
// _RELU2_BACKWARD, whose aux is `add`.
void large_product(const Product& product, int32_t epilogue);

}  // namespace rs::gpu
