// Causal attention with a window, forward, in the manner of FlashAttention-3 (arXiv:2407.08608): one warpgroup brings
// tiles by TMA, two multiply. A warpgroup's values of one block are added up while it takes the exponentials of the
// next, and the two take turns, so that one's exponentials hide behind the other's products.
#include "attention_common.h"

namespace rs::gpu {

namespace {

template <int D>
struct ForwardShared {
  static constexpr uint32_t query_bytes = half_rows * D * 2, block_bytes = tile_rows * D * 2;
  static constexpr int stages = 2;
  uint8_t query[2][2][query_bytes];  // [tile's parity][warpgroup]; the result takes its place
  uint8_t key[stages][block_bytes];
  uint8_t value[stages][block_bytes];
  uint64_t query_full[2], query_empty[2], key_full[stages], key_empty[stages], value_full[stages], value_empty[stages];
};

// Softmax in powers of two, one more block: scores become weights relative to 2^(scale·top). `top` is a row's largest
// score when it was last taken, and is taken anew only where weights would pass 2^8; what was summed so far is then to
// be multiplied by `factor`. Returns whether a row of the warp has a factor other than 1: each row decides for itself.
template <int Count>
__device__ inline bool weigh(float (&s)[Count], float (&top)[2], float (&total)[2], float (&factor)[2], float scale) {
  // Four chains for each row: places 4i + 2h + e, by i odd or even and e.
  const auto place = [](int h, int i, int j) { return 8 * i + 4 * (j / 2) + 2 * h + j % 2; };
  bool moved = false;
#pragma unroll
  for (int h = 0; h < 2; h++) {
    float most[4];
#pragma unroll
    for (int j = 0; j < 4; j++) most[j] = s[place(h, 0, j)];
#pragma unroll
    for (int i = 1; i < Count / 8; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) most[j] = fmaxf(most[j], s[place(h, i, j)]);
    }
    float largest = fmaxf(fmaxf(most[0], most[1]), fmaxf(most[2], most[3]));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const bool move = (largest - top[h]) * scale > 8.0f;
    const float before = top[h];
    top[h] = move ? largest : before;
    factor[h] = exp2_fast((before - top[h]) * scale);
    moved |= move;
  }
#pragma unroll
  for (int h = 0; h < 2; h++) {
    const float offset = top[h] * scale;
    float sums[4] = {};
#pragma unroll
    for (int i = 0; i < Count / 8; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        float& x = s[place(h, i, j)];
        x = exp2_fast(fmaf(x, scale, -offset));
        sums[j] += x;
      }
    }
    total[h] = fmaf(total[h], factor[h], (sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
  return __any_sync(0xffffffffu, moved);
}

template <int D>
__global__ void __launch_bounds__(384, 1)
    attention_forward_kernel(const __grid_constant__ CUtensorMap y_map, float* lse,
                             const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap k_map,
                             const __grid_constant__ CUtensorMap v_map, AttentionShape shape, TileOrder order) {
  using Shared = ForwardShared<D>;
  extern __shared__ uint8_t dynamic_shared[];
  Shared& shared = *reinterpret_cast<Shared*>(dynamic_shared + (-shared_address(dynamic_shared) & 1023));
  const int warpgroup = __shfl_sync(0xffffffffu, int(threadIdx.x) / 128, 0);
  const int lane = threadIdx.x % 32;

  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; i++) {
      barrier_create(&shared.query_full[i], 1);
      barrier_create(&shared.query_empty[i], 2);  // one thread of each warpgroup
    }
    for (int i = 0; i < Shared::stages; i++) {
      barrier_create(&shared.key_full[i], 1);
      barrier_create(&shared.key_empty[i], 8);  // one thread of each warp
      barrier_create(&shared.value_full[i], 1);
      barrier_create(&shared.value_empty[i], 8);
    }
    barrier_fence();
  }
  __syncthreads();

  if (warpgroup == 0) {  // brings tiles: a warp for the queries, one for the keys, one for the values
    registers_down<40>();
    const int warp = threadIdx.x / 32;
    Tile tile;
    if (lane == 0 && warp == 0) {
      prefetch_map(&q_map);
      for (uint32_t round = 0; find_tile(tile, shape, order, round); round++) {
        const uint32_t stage = round % 2;
        barrier_wait(&shared.query_empty[stage], round / 2 % 2 ^ 1);
        barrier_expect(&shared.query_full[stage], 2 * Shared::query_bytes);
        for (int i = 0; i < 2; i++) {
          for (int panel = 0; panel < D / 64; panel++) {
            load_tile(shared.query[stage][i] + panel * (half_rows * row_bytes), &q_map, &shared.query_full[stage],
                      panel * 64, tile.head, tile.first + i * half_rows, tile.batch);
          }
        }
      }
    } else if (lane == 0 && warp <= 2) {
      const bool keys = warp == 1;
      load_blocks<D, Shared::stages>(keys ? shared.key[0] : shared.value[0], keys ? &k_map : &v_map,
                                     keys ? shared.key_full : shared.value_full,
                                     keys ? shared.key_empty : shared.value_empty, shape, order);
    }
  } else {
    registers_up<232>();
    const int group = warpgroup - 1, thread = threadIdx.x % 128;
    const int row = thread / 32 * 16 + lane / 4;  // of the warpgroup's 64; and row + 8
    const float scale = shape.scale * log2_e;
    if (group == 1) pass_turn(group);  // the first turn is the other's

    uint32_t count = 0;  // blocks before the current one
    Tile tile;
    for (uint32_t round = 0; find_tile(tile, shape, order, round); round++) {
      const int first = tile.first + group * half_rows;  // query of the warpgroup
      const uint32_t stage = round % 2;
      float sum[D / 2], top[2] = {-INFINITY, -INFINITY}, total[2] = {}, factor[2];
      uint32_t weights[8][4];
#pragma unroll
      for (int i = 0; i < D / 2; i++) sum[i] = 0.0f;

      // Enqueues sum += weights·values of block number `count`, whose weights are there.
      const auto add_values = [&](const Need& need) {
        const uint32_t value = shared_address(shared.value[count % Shared::stages]) + need.skip * row_bytes;
        barrier_wait(&shared.value_full[count % Shared::stages], count / Shared::stages % 2);
        if (need.half) add_rows<4>(sum, weights, value);
        else add_rows<8>(sum, weights, value);
        products_commit();
      };
      // Weights of block number `count`; where `Before`, with the products of the one before, whose need is `last`.
      // Size is 64, or 32 for half a block.
      const auto block_weights = [&](auto size, auto before, int block, const Need& need, const Need& last) {
        constexpr int Size = decltype(size)::value;
        constexpr bool Before = decltype(before)::value;
        uint64_t* key_empty = &shared.key_empty[count % Shared::stages];
        float s[Size];
        barrier_wait(&shared.key_full[count % Shared::stages], count / Shared::stages % 2);
        await_turn(group);
        products_fence();
        multiply_rows<D>(s, shared_address(shared.query[stage][group]),
                         shared_address(shared.key[count % Shared::stages]) + need.skip * row_bytes);
        products_commit();
        if (Before) {
          count--;
          add_values(last);
          count++;
        }
        pass_turn(group);
        products_wait<Before ? 1 : 0>();
        touch(s);
        if (lane == 0) barrier_arrive(key_empty);
        if (need.masked) {
          mask_scores(s, first + row - (block * tile_rows + need.skip) - lane % 4 * 2, shape.window);
        }
        const bool moved = weigh(s, top, total, factor, scale);
        if (Before) {
          products_wait<0>();
          touch(sum);
          if (lane == 0) barrier_arrive(&shared.value_empty[(count - 1) % Shared::stages]);
          if (moved) {
#pragma unroll
            for (int i = 0; i < D / 2; i++) sum[i] *= factor[i / 2 % 2];
          }
        }
#pragma unroll
        for (int i = 0; i < Size / 2; i++) weights[i / 4][i % 4] = pack_bf16(s[2 * i], s[2 * i + 1]);
      };
      constexpr std::integral_constant<int, 64> whole{};
      constexpr std::integral_constant<int, 32> half{};

      barrier_wait(&shared.query_full[stage], round / 2 % 2);
      Need need = what_is_needed(first, tile.high * tile_rows, shape.window);
      if (need.half) block_weights(half, std::false_type(), tile.high, need, need);
      else block_weights(whole, std::false_type(), tile.high, need, need);
      if (round > 0 && thread == 0) {  // by now the result of the tile before was read from the place of its queries
        store_wait_read<0>();
        barrier_arrive(&shared.query_empty[stage ^ 1]);
      }
      for (int block = tile.high - 1; block >= tile.low; block--) {
        const Need last = need;
        need = what_is_needed(first, block * tile_rows, shape.window);
        count++;
        if (need.half) block_weights(half, std::true_type(), block, need, last);
        else block_weights(whole, std::true_type(), block, need, last);
      }
      products_fence();
      add_values(need);
#pragma unroll
      for (int h = 0; h < 2; h++) {
        total[h] += __shfl_xor_sync(0xffffffffu, total[h], 1);
        total[h] += __shfl_xor_sync(0xffffffffu, total[h], 2);
        if (lane % 4 == 0 && first + row + 8 * h < shape.t) {
          lse[tile.row + group * half_rows + row + 8 * h] = fmaf(top[h], shape.scale, logf(total[h]));
        }
        factor[h] = 1.0f / total[h];
      }
      products_wait<0>();
      touch(sum);
      if (lane == 0) barrier_arrive(&shared.value_empty[count % Shared::stages]);
      count++;

      named_barrier(own_barrier + group, 128);  // no warp reads the queries any more
      store_accumulators<D>(shared.query[stage][group], sum, factor);
      fence_async();
      named_barrier(own_barrier + group, 128);
      if (thread == 0) store_rows<D>(&y_map, shared.query[stage][group], tile, first);
    }
    if (thread == 0) store_wait_read<0>();
  }
}

template <int D>
void forward(bf16* y, float* lse, const bf16* q, const bf16* k, const bf16* v, const AttentionShape& shape) {
  const TileOrder order = tile_order(shape);
  const Launch where{tile_grid(order), 384, sizeof(ForwardShared<D>) + 1024};
  launch(attention_forward_kernel<D>, where, head_map(y, shape, shape.h, half_rows), lse,
         head_map(q, shape, shape.h, half_rows), head_map(k, shape, shape.g, tile_rows),
         head_map(v, shape, shape.g, tile_rows), shape, order);
}

}  // namespace

void hopper_attention_forward(bf16* y, float* lse, const bf16* q, const bf16* k, const bf16* v,
                              const AttentionShape& shape) {
  const AttentionShape bounded = bound_window(shape);
  if (shape.d == 64) forward<64>(y, lse, q, k, v, bounded);
  else forward<128>(y, lse, q, k, v, bounded);
}

}  // namespace rs::gpu
