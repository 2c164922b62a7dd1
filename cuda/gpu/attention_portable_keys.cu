// The gradient of keys and values on the tensor cores of any GPU since sm_80; attention_portable.cu has the rest. A
// warp owns 16 keys and computes transposed scores [keys, queries], whose registers are the left operand of dv += Pᵀ·dy
// and dk += dSᵀ·q as they are. Sums run over the query heads of the group in order, in each over the queries in order.
#include "attention_portable.h"

namespace rs::gpu {

using namespace tiles;

namespace {

constexpr int warps = 8, key_rows = 16 * warps;  // keys of a block
constexpr int queries = 32;                      // in a tile

template <int D>
__global__ void __launch_bounds__(warps * 32, D == 64 ? 2 : 1)
attention_key_value_gradient_mma_kernel(bf16* dk, bf16* dv, const float* delta, const bf16* dy, const float* lse,
                                        const bf16* q, const bf16* k, const bf16* v, AttentionShape s) {
  constexpr int threads = warps * 32, tile_bytes = queries * D * 2;
  // Keys, values, two stages of queries and dy, two stages of lse and delta.
  extern __shared__ __align__(128) unsigned char shared[];
  const uint32_t key_tile = shared_address(shared), value_tile = key_tile + key_rows * D * 2,
                 stages = value_tile + key_rows * D * 2, numbers = stages + 4 * tile_bytes;
  const float* stage_numbers = reinterpret_cast<const float*>(shared + 2 * key_rows * D * 2 + 4 * tile_bytes);

  const Place place(key_rows, s.t, s.g);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first = place.block * key_rows;  // the first block of a head has the most queries
  const int own = first + warp * 16;         // this warp's first key
  const int64_t query_stride = int64_t{s.h} * D, key_stride = int64_t{s.g} * D;
  const int64_t key_base = int64_t{place.batch} * s.t * key_stride + int64_t{place.head} * D;

  // Head h reads key/value head ⌊h·G/H⌋: the first of a group's heads is ⌈group·H/G⌉.
  const int first_head = int((int64_t{place.head} * s.h + s.g - 1) / s.g);
  const int end_head = int(((int64_t{place.head} + 1) * s.h + s.g - 1) / s.g);
  const int64_t last_query = min(int64_t{s.t} - 1, int64_t{first} + key_rows - 1 + s.window);
  const int first_tile = first / queries, last_tile = int(last_query / queries);

  const auto fetch = [&](int head, int tile, int stage) {
    const int64_t base = int64_t{place.batch} * s.t * query_stride + int64_t{head} * D;
    const uint32_t target = stages + stage * 2 * tile_bytes;
    copy_tile<D, queries, threads>(target, q + base, query_stride, tile * queries, s.t);
    copy_tile<D, queries, threads>(target + tile_bytes, dy + base, query_stride, tile * queries, s.t);
    // Queries beyond T get lse 0 and delta 0: with q and dy 0 they add P·0 and 1·(0 − 0).
    if (threadIdx.x < 2 * queries) {
      const int row = tile * queries + int(threadIdx.x) % queries;
      const float* from = (threadIdx.x < queries ? lse : delta) + (int64_t{place.batch} * s.h + head) * s.t;
      copy_word(numbers + (stage * 2 * queries + threadIdx.x) * 4, row < s.t ? from + row : from, row < s.t);
    }
  };
  copy_tile<D, key_rows, threads>(key_tile, k + key_base, key_stride, first, s.t);
  copy_tile<D, key_rows, threads>(value_tile, v + key_base, key_stride, first, s.t);
  fetch(first_head, first_tile, 0);

  const Operands<D> operands(lane);
  const float scale = s.scale * log2_e;
  float dkeys[1][D / 8][4], dvalues[1][D / 8][4];
  clear(dkeys);
  clear(dvalues);

  int head = first_head, tile = first_tile;
  for (int stage = 0; head < end_head; stage ^= 1) {
    const int query = tile * queries;
    if (tile++ == last_tile) {
      tile = first_tile;
      head++;
    }
    copies_wait();
    __syncthreads();  // this stage is there; nobody reads the other one
    if (head < end_head) fetch(head, tile, stage ^ 1);
    // Whether any of these queries sees any of the warp's keys.
    if (own >= s.t || own > query + queries - 1 || own + 15 < query - s.window) continue;

    const uint32_t query_tile = stages + stage * 2 * tile_bytes, dy_tile = query_tile + tile_bytes;
    const float *tops = stage_numbers + stage * 2 * queries, *levels = tops + queries;
    float p[1][queries / 8][4], change[1][queries / 8][4];
    scores<D, 1, queries / 16>(p, operands, key_tile, warp * 16, query_tile);
    const bool sees_all = own + 15 <= query && own >= query + queries - 1 - s.window;
#pragma unroll
    for (int n = 0; n < queries / 8; n++) {
      const float2 top = *reinterpret_cast<const float2*>(tops + 8 * n + lane % 4 * 2);
#pragma unroll
      for (int e = 0; e < 4; e++)
        p[0][n][e] = power_of_two(fmaf(p[0][n][e], scale, -(e % 2 ? top.y : top.x) * log2_e));
    }
    if (!sees_all) {
#pragma unroll
      for (int n = 0; n < queries / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int key = own + lane / 4 + e / 2 * 8, by = query + 8 * n + lane % 4 * 2 + e % 2;
          if (key > by || key < by - s.window) p[0][n][e] = 0;
        }
    }
    uint32_t weights[1][queries / 16][4];
    to_operands(weights, p);
    add_weighted<D>(dvalues, weights, operands, dy_tile);
    scores<D, 1, queries / 16>(change, operands, value_tile, warp * 16, dy_tile);
#pragma unroll
    for (int n = 0; n < queries / 8; n++) {
      const float2 level = *reinterpret_cast<const float2*>(levels + 8 * n + lane % 4 * 2);
#pragma unroll
      for (int e = 0; e < 4; e++) change[0][n][e] = p[0][n][e] * (change[0][n][e] - (e % 2 ? level.y : level.x));
    }
    to_operands(weights, change);
    add_weighted<D>(dkeys, weights, operands, query_tile);
  }

  const float factor[1][2] = {{s.scale, s.scale}}, one[1][2] = {{1, 1}};
  const int64_t target = key_base + own * key_stride;
  store_sums<D, 1>(dk + target, key_stride, s.t - own, shared + warp * 16 * D * 2, dkeys, factor);
  store_sums<D, 1>(dv + target, key_stride, s.t - own, shared + (key_rows + warp * 16) * D * 2, dvalues, one);
}

}  // namespace

template <int D>
static void key_value_gradient(bf16* dk, bf16* dv, const float* delta, const bf16* dy, const float* lse, const bf16* q,
                               const bf16* k, const bf16* v, const AttentionShape& s) {
  const Launch shape{grid_of(ceil_div(s.t, key_rows) * s.g * s.b), dim3(warps * 32),
                     size_t(2 * key_rows + 4 * queries) * D * 2 + 4 * queries * sizeof(float)};
  launch(attention_key_value_gradient_mma_kernel<D>, shape, dk, dv, delta, dy, lse, q, k, v, s);
}
void portable_attention_key_value_gradient(bf16* dk, bf16* dv, const float* delta, const bf16* dy, const float* lse,
                                           const bf16* q, const bf16* k, const bf16* v, const AttentionShape& s) {
  if (s.d == 64) key_value_gradient<64>(dk, dv, delta, dy, lse, q, k, v, s);
  else key_value_gradient<128>(dk, dv, delta, dy, lse, q, k, v, s);
}

}  // namespace rs::gpu
