// Attention on the tensor cores of any GPU since sm_80, after FlashAttention-2 (arXiv:2307.08691): blocks of queries
// and keys in shared memory, scores and probabilities in registers only. Forward and the gradient of the queries walk
// over the keys that a block of queries sees; the gradient of keys and values (attention_portable_keys.cu) walks over
// the queries that see a block of keys, so that no sum is shared between blocks. P and dS are rounded to bfloat16 as
// operands. A row's bits depend on its head's data alone: blocks begin at fixed places and are walked through in order.
#include "attention_portable.h"

namespace rs::gpu {

using namespace tiles;

namespace {

constexpr int warps = 4, query_rows = 128;  // of a block that owns queries; a warp has 32 of them

// Keys in a tile of the forward pass and of the query gradient, which holds two such tiles of scores in registers.
constexpr int forward_keys = 64, gradient_keys = 32;

// The queries of a warp and what it knows of the keys they see.
struct Rows {
  int first, t, window;
  // Whether a row sees any of `count` keys from `key` on.
  __device__ bool sees(int key, int count) const {
    return first < t && key <= first + 31 && key + count - 1 >= first - window;
  }
  // Whether every row sees all of them.
  __device__ bool sees_all(int key, int count) const { return key + count - 1 <= first && key >= first + 31 - window; }
};

// Calls f(sum's element, seen) for the scores of a warp's rows with the keys from `key` on.
template <int M, int N, class F>
__device__ inline void each_score(float (&sum)[M][N][4], const Rows& rows, int key, F&& f) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < M; i++)
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int row = rows.first + 16 * i + lane / 4 + e / 2 * 8, column = key + 8 * n + lane % 4 * 2 + e % 2;
        f(sum[i][n][e], column <= row && column >= row - rows.window);
      }
}

// Scores (not scaled yet) become probabilities up to a factor of the row; largest, total (this lane's part) and sum
// follow. Every row sees its own position in the first tile that its warp works on: `largest` is finite from there on.
template <int D, int N>
__device__ inline void online_softmax(float (&score)[2][N][4], float (&largest)[2][2], float (&total)[2][2],
                                      float (&sum)[2][D / 8][4], float scale) {
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float top = largest[i][half];
#pragma unroll
      for (int n = 0; n < N; n++) top = fmaxf(top, fmaxf(score[i][n][2 * half], score[i][n][2 * half + 1]));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
      const float fade = power_of_two((largest[i][half] - top) * scale), shift = top * scale;
      largest[i][half] = top;
      float added = 0;
#pragma unroll
      for (int n = 0; n < N; n++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float& x = score[i][n][2 * half + e];
          x = power_of_two(fmaf(x, scale, -shift));
          added += x;
        }
      total[i][half] = fmaf(total[i][half], fade, added);
#pragma unroll
      for (int n = 0; n < D / 8; n++) {
        sum[i][n][2 * half] *= fade;
        sum[i][n][2 * half + 1] *= fade;
      }
    }
}

// One tile of keys and one of values: the values of a tile come while its scores are computed, the keys of the next one
// during softmax and the product with the values. Tiles go from the diagonal back.
template <int D>
__global__ void __launch_bounds__(warps * 32, D == 64 ? 3 : 2)
attention_forward_mma_kernel(bf16* y, float* lse, const bf16* q, const bf16* k, const bf16* v, AttentionShape s) {
  constexpr int keys = forward_keys, threads = warps * 32;
  extern __shared__ __align__(128) unsigned char shared[];
  const uint32_t query_tile = shared_address(shared), key_tile = query_tile + query_rows * D * 2,
                 value_tile = key_tile + keys * D * 2;

  const Place place(query_rows, s.t, s.h);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // The last block of a head has the most keys: first.
  const int first = ((s.t - 1) / query_rows - place.block) * query_rows;
  const Rows rows{first + warp * 32, s.t, s.window};
  const int key_head = int(int64_t{place.head} * s.g / s.h);
  const int64_t query_stride = int64_t{s.h} * D, key_stride = int64_t{s.g} * D;
  const int64_t query_base = int64_t{place.batch} * s.t * query_stride + int64_t{place.head} * D;
  const int64_t key_base = int64_t{place.batch} * s.t * key_stride + int64_t{key_head} * D;
  q += query_base;
  k += key_base;
  v += key_base;

  const int first_tile = max(0, first - s.window) / keys, last_tile = min(first + query_rows - 1, s.t - 1) / keys;
  copy_tile<D, query_rows, threads>(query_tile, q, query_stride, first, s.t);
  copy_tile<D, keys, threads>(key_tile, k, key_stride, last_tile * keys, s.t);

  const Operands<D> operands(lane);
  const float scale = s.scale * log2_e, infinity = __int_as_float(0x7f800000);
  float sum[2][D / 8][4], largest[2][2], total[2][2];
  clear(sum);
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      largest[i][half] = -infinity;
      total[i][half] = 0;
    }

  for (int tile = last_tile; tile >= first_tile; tile--) {
    const int key = tile * keys;
    const bool active = rows.sees(key, keys);
    copies_wait();
    __syncthreads();  // the keys are there; nobody reads the values of the tile before
    copy_tile<D, keys, threads>(value_tile, v, key_stride, key, s.t);
    float score[2][keys / 8][4];
    if (active) scores<D, 2, keys / 16>(score, operands, query_tile, warp * 32, key_tile);
    copies_wait();
    __syncthreads();  // the values are there; nobody reads the keys
    if (tile > first_tile) copy_tile<D, keys, threads>(key_tile, k, key_stride, key - keys, s.t);
    if (!active) continue;
    if (!rows.sees_all(key, keys))
      each_score(score, rows, key, [&](float& x, bool seen) { x = seen ? x : -infinity; });
    online_softmax<D>(score, largest, total, sum, scale);
    uint32_t weights[2][keys / 16][4];
    to_operands(weights, score);
    add_weighted<D>(sum, weights, operands, value_tile);
  }

  float inverse[2][2];
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float all = total[i][half];
      all += __shfl_xor_sync(0xffffffffu, all, 1);
      all += __shfl_xor_sync(0xffffffffu, all, 2);
      inverse[i][half] = 1.0f / all;
      const int row = rows.first + 16 * i + 8 * half + lane / 4;
      if (lane % 4 == 0 && row < s.t)
        lse[(int64_t{place.batch} * s.h + place.head) * s.t + row] =
            fmaf(largest[i][half], s.scale, logf(all));
    }
  store_sums<D, 2>(y + query_base + rows.first * query_stride, query_stride, s.t - rows.first,
                   shared + warp * 32 * D * 2, sum, inverse);
}

// dq = scale·Σ dS·k, dS = P·(dy·v − delta). Tiles of keys and values in two stages.
template <int D>
__global__ void __launch_bounds__(warps * 32, D == 64 ? 3 : 2)
attention_query_gradient_mma_kernel(bf16* dq, const float* delta, const bf16* dy, const float* lse, const bf16* q,
                                    const bf16* k, const bf16* v, AttentionShape s) {
  constexpr int keys = gradient_keys, threads = warps * 32, tile_bytes = keys * D * 2;
  extern __shared__ __align__(128) unsigned char shared[];
  const uint32_t query_tile = shared_address(shared), dy_tile = query_tile + query_rows * D * 2,
                 stages = dy_tile + query_rows * D * 2;  // each: keys, values

  const Place place(query_rows, s.t, s.h);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first = ((s.t - 1) / query_rows - place.block) * query_rows;
  const Rows rows{first + warp * 32, s.t, s.window};
  const int key_head = int(int64_t{place.head} * s.g / s.h);
  const int64_t query_stride = int64_t{s.h} * D, key_stride = int64_t{s.g} * D;
  const int64_t query_base = int64_t{place.batch} * s.t * query_stride + int64_t{place.head} * D;
  const int64_t key_base = int64_t{place.batch} * s.t * key_stride + int64_t{key_head} * D;
  k += key_base;
  v += key_base;

  const int first_tile = max(0, first - s.window) / keys, last_tile = min(first + query_rows - 1, s.t - 1) / keys;
  const auto fetch = [&](int tile) {
    const uint32_t stage = stages + (tile & 1) * 2 * tile_bytes;
    copy_tile<D, keys, threads>(stage, k, key_stride, tile * keys, s.t);
    copy_tile<D, keys, threads>(stage + tile_bytes, v, key_stride, tile * keys, s.t);
  };
  copy_tile<D, query_rows, threads>(query_tile, q + query_base, query_stride, first, s.t);
  copy_tile<D, query_rows, threads>(dy_tile, dy + query_base, query_stride, first, s.t);
  fetch(first_tile);

  const Operands<D> operands(lane);
  const float scale = s.scale * log2_e;
  float sum[2][D / 8][4], top[2][2], level[2][2], factor[2][2];
  clear(sum);
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = rows.first + 16 * i + 8 * half + lane / 4;
      const int64_t at = (int64_t{place.batch} * s.h + place.head) * s.t + row;
      top[i][half] = row < s.t ? lse[at] * log2_e : 0.0f;
      level[i][half] = row < s.t ? delta[at] : 0.0f;
      factor[i][half] = s.scale;
    }

  for (int tile = first_tile; tile <= last_tile; tile++) {
    const int key = tile * keys;
    copies_wait();
    __syncthreads();  // this stage is there; nobody reads the other one
    if (tile < last_tile) fetch(tile + 1);
    if (!rows.sees(key, keys)) continue;
    const uint32_t stage = stages + (tile & 1) * 2 * tile_bytes;
    float score[2][keys / 8][4], change[2][keys / 8][4];
    scores<D, 2, keys / 16>(score, operands, query_tile, warp * 32, stage);
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int n = 0; n < keys / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) score[i][n][e] = power_of_two(fmaf(score[i][n][e], scale, -top[i][e / 2]));
    if (!rows.sees_all(key, keys)) each_score(score, rows, key, [&](float& x, bool seen) { x = seen ? x : 0.0f; });
    scores<D, 2, keys / 16>(change, operands, dy_tile, warp * 32, stage + tile_bytes);
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int n = 0; n < keys / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) change[i][n][e] = score[i][n][e] * (change[i][n][e] - level[i][e / 2]);
    uint32_t weights[2][keys / 16][4];
    to_operands(weights, change);
    add_weighted<D>(sum, weights, operands, stage);
  }
  store_sums<D, 2>(dq + query_base + rows.first * query_stride, query_stride, s.t - rows.first,
                   shared + warp * 32 * D * 2, sum, factor);
}

}  // namespace

template <int D>
static void forward(bf16* y, float* lse, const bf16* q, const bf16* k, const bf16* v, const AttentionShape& s) {
  const Launch shape{grid_of(ceil_div(s.t, query_rows) * s.h * s.b), dim3(warps * 32),
                     size_t(query_rows + 2 * forward_keys) * D * 2};
  launch(attention_forward_mma_kernel<D>, shape, y, lse, q, k, v, s);
}
void portable_attention_forward(bf16* y, float* lse, const bf16* q, const bf16* k, const bf16* v,
                                const AttentionShape& s) {
  if (s.d == 64) forward<64>(y, lse, q, k, v, s);
  else forward<128>(y, lse, q, k, v, s);
}

template <int D>
static void query_gradient(bf16* dq, const float* delta, const bf16* dy, const float* lse, const bf16* q, const bf16* k,
                           const bf16* v, const AttentionShape& s) {
  const Launch shape{grid_of(ceil_div(s.t, query_rows) * s.h * s.b), dim3(warps * 32),
                     size_t(2 * query_rows + 4 * gradient_keys) * D * 2};
  launch(attention_query_gradient_mma_kernel<D>, shape, dq, delta, dy, lse, q, k, v, s);
}
void portable_attention_query_gradient(bf16* dq, const float* delta, const bf16* dy, const float* lse, const bf16* q,
                                       const bf16* k, const bf16* v, const AttentionShape& s) {
  if (s.d == 64) query_gradient<64>(dq, delta, dy, lse, q, k, v, s);
  else query_gradient<128>(dq, delta, dy, lse, q, k, v, s);
}

}  // namespace rs::gpu
