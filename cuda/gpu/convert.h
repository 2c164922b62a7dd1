// What surrounds products by the vendor's library: elements in another type or transposed, and epilogues.
#pragma once
#include "gpu.h"

namespace rs::gpu {

inline size_t element_size(int32_t type) { return type == RS_BF16 ? 2 : 4; }  // bytes

// y = x as bfloat16.
void round_to_bf16(bf16* y, const float* x, int64_t count);
// y[cols, rows] = x[rows, cols], rounded where y is bfloat16 and x float32. Types are RS_F32 or RS_BF16; a bfloat16 x
// needs a y of the same type.
void transpose_elements(void* y, int32_t y_type, const void* x, int32_t x_type, int32_t rows, int32_t cols);
// c = epilogue(sums), or + beta·aux. c may be `sums` where it is float32; aux has c's type.
void finish_elements(void* c, int32_t c_type, const float* sums, const void* aux, float beta, int32_t epilogue,
                     int64_t count);

}  // namespace rs::gpu
