// What the attention kernels share: sizes, and the entry points of those for one family of GPUs, for tensor cores in
// general, and for any sizes. attention.cu chooses between them.
#pragma once
#include "gpu.h"

namespace rs::gpu {

// q, y, dy, dq are [B,T,H,D]; k, v, dk, dv [B,T,G,D]; lse and delta [B,H,T]. Query head h reads key/value head h·G/H,
// rounded down; position t sees max(0, t−window) … t; scores are multiplied by `scale`; lse is the natural logarithm of
// the sum of exponentials. delta[b,h,t] = Σ dy·y over D. The window is at most T−1.
struct AttentionShape {
  int32_t b, t, h, g, d, window;
  float scale;
};

// Where q (or k) is the output of rope_rms_norm, its gradient may go on through that one's backward pass before it is
// rounded: dq (dk) is then the gradient of what went in.
struct RopeNorm {
  const float* rstd;       // [B,T,H] (k: [B,T,G])
  const uint32_t* angles;  // [T, D/2], of angles.h
};

// What Hopper's gradients know of each query, levels[B·H, ⌈T/64⌉, 2, 64]: −lse·log2(e) of 64 positions of a head, then
// their delta, so that one copy brings both. Positions after the last have −∞ and 0: no weight.
constexpr int level_rows = 64;
__host__ __device__ inline int64_t level_blocks(int32_t t) { return (t - 1) / level_rows + 1; }
// Where such a block begins; `head` counts over the batch.
__host__ __device__ inline int64_t level_place(int64_t head, int32_t t, int32_t block) {
  return (head * level_blocks(t) + block) * (2 * level_rows);
}

// Hopper (hopper/attention_*.cu): bfloat16, D 64 or 128, every address a multiple of 16, a positive scale. `rope`
// may be null.
void hopper_attention_forward(bf16* y, float* lse, const bf16* q, const bf16* k, const bf16* v,
                              const AttentionShape& shape);
void hopper_attention_query_gradient(bf16* dq, float* levels, const bf16* dy, const bf16* y, const float* lse,
                                     const bf16* q, const bf16* k, const bf16* v, const AttentionShape& shape,
                                     const RopeNorm* rope);
// `levels` as the gradient of the queries wrote them.
void hopper_attention_key_value_gradient(bf16* dk, bf16* dv, const float* levels, const bf16* dy, const bf16* q,
                                         const bf16* k, const bf16* v, const AttentionShape& shape,
                                         const RopeNorm* rope);

// The same with the tensor cores of any GPU since sm_80 (attention_portable.cu), under the same conditions.
void portable_attention_forward(bf16* y, float* lse, const bf16* q, const bf16* k, const bf16* v,
                                const AttentionShape& shape);
void portable_attention_query_gradient(bf16* dq, const float* delta, const bf16* dy, const float* lse, const bf16* q,
                                       const bf16* k, const bf16* v, const AttentionShape& shape);
void portable_attention_key_value_gradient(bf16* dk, bf16* dv, const float* delta, const bf16* dy, const float* lse,
                                           const bf16* q, const bf16* k, const bf16* v, const AttentionShape& shape);

// Any D, address and scale, in float32 arithmetic (attention_plain.cu). T is float or bf16.
template <class T>
void plain_attention_forward(T* y, float* lse, const T* q, const T* k, const T* v, const AttentionShape& shape);
template <class T>
void plain_attention_query_gradient(T* dq, const float* delta, const T* dy, const float* lse, const T* q, const T* k,
                                    const T* v, const AttentionShape& shape);
template <class T>
void plain_attention_key_value_gradient(T* dk, T* dv, const float* delta, const T* dy, const float* lse, const T* q,
                                        const T* k, const T* v, const AttentionShape& shape);

}  // namespace rs::gpu
