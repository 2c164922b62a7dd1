// The backward pass of rope_rms_norm (../rope_rms_norm.cu) on the accumulators of attention's query gradient: a row's
// columns lie in four lanes, and one thread has both columns of each pair that RoPE turns.
#pragma once
#include "attention_angles.h"
#include "attention_common.h"

namespace rs::gpu {

#if defined(__CUDACC__) && defined(RS_HOPPER)

// One thread brings the angles of 64 positions.
template <int D>
__device__ inline void load_angles(uint8_t* target, const CUtensorMap* map, uint64_t* bar, int first) {
  barrier_expect(bar, half_rows * D * 2);
  for (int panel = 0; panel < D / 64; panel++) {
    load_tile(target + panel * (half_rows * row_bytes), map, bar, panel * 64, first);
  }
}

// What the backward pass of rope_rms_norm needs for a thread's two rows of accumulators, `row` and row + 8.
template <int D>
struct RopeRows {
  uint32_t unit[D / 4];  // the norm's outputs: word 2i+h has the pair of columns that accumulators 4i+2h+{0, 1} have
  float rstd[2];

  // `position` is that of the first row. Rows after the last take its number; they are never stored.
  __device__ void load_rstd(const RopeNorm& rope, const AttentionShape& shape, const Tile& tile, int position) {
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int64_t time = min(position + 8 * h, shape.t - 1);
      rstd[h] = rope.rstd[(int64_t{tile.batch} * shape.t + time) * shape.h + tile.head];
    }
  }
  // From a tile in shared memory.
  __device__ void load_units(const uint8_t* tile, int row) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < D / 8; i++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        unit[2 * i + h] = *reinterpret_cast<const uint32_t*>(chunk_place(tile, row, h, i) + lane % 4 * 4);
      }
    }
  }
  // The gradient of the norm's outputs, scale·x, becomes that of the input. `angles` as load_angles brings them.
  __device__ void backward(float (&x)[D / 2], float scale, const uint8_t* angles, int row) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float dots[4] = {};  // four chains
#pragma unroll
      for (int i = 0; i < D / 8; i++) {
        dots[i % 2 * 2] = fmaf(x[4 * i + 2 * h], low_half(unit[2 * i + h]), dots[i % 2 * 2]);
        dots[i % 2 * 2 + 1] = fmaf(x[4 * i + 2 * h + 1], high_half(unit[2 * i + h]), dots[i % 2 * 2 + 1]);
      }
      float dot = (dots[0] + dots[1]) + (dots[2] + dots[3]);
      dot += __shfl_xor_sync(0xffffffffu, dot, 1);
      dot += __shfl_xor_sync(0xffffffffu, dot, 2);
      const float factor = scale * rstd[h], along = factor * dot * (1.0f / D);
#pragma unroll
      for (int i = 0; i < D / 16; i++) {
        const float4 angle = read_angles(angles, row + 8 * h, i, lane);
        const uint32_t u = unit[2 * i + h], w = unit[2 * i + h + D / 8];
        float *p = &x[4 * i + 2 * h], *q = &x[4 * i + 2 * h + D / 4];
        turn_back(p[0], q[0], low_half(u), low_half(w), factor, along, angle.x, angle.y);
        turn_back(p[1], q[1], high_half(u), high_half(w), factor, along, angle.z, angle.w);
      }
    }
  }

 private:
  static __device__ float low_half(uint32_t pair) { return __uint_as_float(pair << 16); }
  static __device__ float high_half(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }
  // Columns j and j + D/2, with their norm's outputs.
  static __device__ void turn_back(float& p, float& q, float unit_p, float unit_q, float factor, float along,
                                   float cos, float sin) {
    const float a = fmaf(factor, p, -along * unit_p), b = fmaf(factor, q, -along * unit_q);
    p = fmaf(a, cos, -b * sin);
    q = fmaf(b, cos, a * sin);
  }
};

#endif  // RS_HOPPER

}  // namespace rs::gpu
