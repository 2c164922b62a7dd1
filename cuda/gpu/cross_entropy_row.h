// Cross entropy of a row of logits by a block: what the op on whole logits and the one that makes them in chunks share.
//
// A thread holds groups of eight neighbours, `threads` groups apart. bfloat16 logits use the hardware's exponential and
// reciprocal (relative error 2^-22, far below that of the logits); float32 ones the accurate functions.
#pragma once
#include "gpu.h"

namespace rs::gpu {

// The mean over the targets that count, in two steps around the losses: gradients need their number first.
class LossMean {
 public:
  LossMean(float* mean, const int32_t* targets, int32_t n);  // writes mean[1], the number
  void finish(const float* losses);                          // writes mean[0]; losses are 0 where ignored

 private:
  static constexpr int most_blocks = 128;
  float* mean_;
  int32_t n_;
  Scratch memory_;  // counters, then a partial sum of each block
};

// Rows of logits [n,V] of type `dtype`. `first` is the place of the first of them, for reports of a wrong target.
struct LossRows {
  const void* logits;
  int32_t dtype;
  const int32_t* targets;
  int32_t n, v, first;
  float cap;
};
// Writes losses and, unless null, lse.
void enqueue_losses(float* losses, float* lse, const LossRows& rows);
// Writes the gradients of dmean[0]·mean (dmean null: of mean) to dlogits, which may be the logits; reads mean[1].
void enqueue_loss_gradients(void* dlogits, const float* dmean, const float* mean, const float* lse,
                            const LossRows& rows);

#ifdef __CUDACC__

// The target of row `place`: −1 or an index; anything else is reported by one thread and taken for 0.
__device__ inline int32_t checked_target(const IdCheck& check, int32_t target, int64_t place, int32_t v) {
  if (target == -1 || (target >= 0 && target < v)) return target;
  return threadIdx.x == 0 ? checked_id(check, target, place, v) : 0;
}

__device__ inline float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float reciprocal_approximate(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
constexpr float log2_of_e = 1.44269504088896341f;

// Soft cap and exponentials at the accuracy that logits of type T deserve.
template <class T>
struct LossMath;
template <>
struct LossMath<float> {
  // tanh(x / cap)
  __device__ static float squash(float x, float cap) { return tanhf(x * (1.0f / cap)); }
  // e^(unit·x − offset)
  __device__ static float exponential(float unit, float x, float offset) { return expf(fmaf(unit, x, -offset)); }
};
template <>
struct LossMath<bf16> {
  // 1 − 2/(e^(2x/cap) + 1), which is right for infinities too
  __device__ static float squash(float x, float cap) {
    return fmaf(-2.0f, reciprocal_approximate(exp2_approximate(x * (2 * log2_of_e / cap)) + 1.0f), 1.0f);
  }
  __device__ static float exponential(float unit, float x, float offset) {
    return exp2_approximate(fmaf(unit * log2_of_e, x, -offset * log2_of_e));
  }
};

// Eight neighbours as they lie in memory, 16-byte aligned: several groups are on their way before one is unpacked.
template <class T>
struct Eight;
template <>
struct Eight<bf16> {
  uint4 words;
  __device__ void load(const bf16* p) { words = *reinterpret_cast<const uint4*>(p); }
  __device__ void clear() { words = make_uint4(0, 0, 0, 0); }
  __device__ void unpack(float (&x)[8]) const {
    const uint32_t raw[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      x[2 * i] = __uint_as_float(raw[i] << 16);
      x[2 * i + 1] = __uint_as_float(raw[i] & 0xffff0000u);
    }
  }
};
template <>
struct Eight<float> {
  float4 low, high;
  __device__ void load(const float* p) {
    low = *reinterpret_cast<const float4*>(p);
    high = *reinterpret_cast<const float4*>(p + 4);
  }
  __device__ void clear() { low = high = make_float4(0, 0, 0, 0); }
  __device__ void unpack(float (&x)[8]) const {
    x[0] = low.x; x[1] = low.y; x[2] = low.z; x[3] = low.w;
    x[4] = high.x; x[5] = high.y; x[6] = high.z; x[7] = high.w;
  }
};

// What a thread holds of a tile of 8·threads·groups logits.
template <class T, int threads, int groups>
struct RowTile {
  float x[groups][8];

  __device__ static int64_t place(int group) { return 8 * (int64_t{threadIdx.x} + int64_t{group} * threads); }

  // The first `count` logits at `row` (more may follow), as tanh(logit / cap) where cap > 0; −∞ behind them.
  __device__ void load(const T* row, int64_t count, float cap, bool wide) {
    if (wide) {
      Eight<T> raw[groups];
#pragma unroll
      for (int i = 0; i < groups; i++) {
        if (place(i) < count) raw[i].load(row + place(i));
        else raw[i].clear();
      }
#pragma unroll
      for (int i = 0; i < groups; i++) raw[i].unpack(x[i]);
    } else {
#pragma unroll
      for (int i = 0; i < groups; i++)
#pragma unroll
        for (int k = 0; k < 8; k++) x[i][k] = place(i) + k < count ? to_float(row[place(i) + k]) : 0.0f;
    }
    if (cap > 0) {
#pragma unroll
      for (int i = 0; i < groups; i++)
#pragma unroll
        for (int k = 0; k < 8; k++) x[i][k] = LossMath<T>::squash(x[i][k], cap);
    }
#pragma unroll
    for (int i = 0; i < groups; i++) {
      if (place(i) + 8 <= count) continue;
#pragma unroll
      for (int k = 0; k < 8; k++)
        if (place(i) + k >= count) x[i][k] = -INFINITY;
    }
  }

  __device__ float largest() const {
    float top = -INFINITY;
#pragma unroll
    for (int i = 0; i < groups; i++)
#pragma unroll
      for (int k = 0; k < 8; k++) top = fmaxf(top, x[i][k]);
    return top;
  }

  __device__ void store(T* row, int64_t count, bool wide) const {
#pragma unroll
    for (int i = 0; i < groups; i++) {
      const int64_t left = count - place(i);
      if (left > 0) store8(row + place(i), x[i], left < 8 ? int(left) : 8, wide);
    }
  }
};

// Largest of some logits and Σ e^(logit − top), of a thread, then of a warp, then of a block.
struct Partition {
  float top, sum;

  // Where nothing but −∞ was seen, exponentials are taken from 0 on, so that they become 0 and not NaN.
  __device__ static float base(float top) { return top == -INFINITY ? 0.0f : top; }
};

// The same for the whole block; every thread gets it. `shared` has an entry for each warp. One barrier.
template <class T, int threads>
__device__ inline Partition block_partition(Partition warp, Partition* shared) {
  constexpr int warps = threads / 32;
  static_assert((warps & (warps - 1)) == 0, "lanes stand for warps");
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = warp;
  __syncthreads();
  const Partition mine = shared[threadIdx.x % warps];
  float top = mine.top;
#pragma unroll
  for (int offset = warps / 2; offset > 0; offset /= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, offset));
  const float base = Partition::base(top);
  float sum = mine.sum * LossMath<T>::exponential(1.0f, mine.top, base);
#pragma unroll
  for (int offset = warps / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  return {base, sum};
}

#endif  // __CUDACC__

}  // namespace rs::gpu
