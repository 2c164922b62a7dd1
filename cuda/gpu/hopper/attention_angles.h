// How the backward pass of rope_rms_norm at the end of attention's gradients gets its angles: by TMA, as if they were
// bfloat16, since 64 positions have as many bytes of angles as 64 rows of one head have.
#pragma once
#include "../angles.h"
#include "../attention.h"
#include "../hopper.h"

namespace rs::gpu {

// Boxes of 64 positions, 32 angles each: a panel. Positions after the last get zeros.
inline CUtensorMap angle_map(const uint32_t* angles, const AttentionShape& shape) {
  const int64_t sizes[2] = {shape.d, shape.t}, strides[1] = {shape.d};
  const int32_t box[2] = {64, 64};
  return tensor_map(angles, 2, sizes, strides, box);
}

#if defined(__CUDACC__) && defined(RS_HOPPER)

// What a lane needs of such a tile in shared memory for columns 8i + 2·(lane%4) + {0, 1} of a row: half of every other
// chunk of 16 bytes. The row is one of this lane's, lane/4 plus a multiple of eight.
__device__ inline float4 read_angles(const uint8_t* tile, int row, int i, int lane) {
  constexpr uint32_t row_bytes = 128, panel_bytes = 64 * row_bytes;
  const uint8_t* place = tile + i / 4 * panel_bytes + row * row_bytes + lane % 2 * 8;
  const uint2 words = *reinterpret_cast<const uint2*>(place + (i % 4 * 2 ^ (lane % 4 / 2 ^ lane / 4)) * 16);
  const float2 even = angle_of(words.x), odd = angle_of(words.y);
  return {even.x, even.y, odd.x, odd.y};
}

#endif  // RS_HOPPER

}  // namespace rs::gpu
