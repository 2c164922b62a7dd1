// The gradient of causal attention with respect to the queries: dq = scale·dS·k, where dS = P∘(dy·vᵀ − delta) and
// P = exp(scale·q·kᵀ − lse). Three products for each block of keys; weights never leave registers. One warpgroup brings
// tiles and takes results away by TMA, two multiply in turns, so that one's exponentials hide behind the other's
// products. With `Rope` the gradient goes on through the backward pass of rope_rms_norm while it is in registers.
// delta = Σ dy·y is made on the way and written with lse for the gradient of the keys, which runs after this.
#include "attention_common.h"
#include "attention_query_rope.h"

namespace rs::gpu {

namespace {

static_assert(half_rows == level_rows, "a warpgroup's queries are one block of levels");

template <int D>
struct QueryGradientShared {
  static constexpr uint32_t query_bytes = half_rows * D * 2, block_bytes = tile_rows * D * 2;
  static constexpr int stages = 2;
  uint8_t query[2][2][query_bytes];  // of each warpgroup: q and dy
  uint8_t key[stages][block_bytes];
  uint8_t value[stages][block_bytes];
  uint8_t result[2][query_bytes];  // before the result, with Rope: the rows' angles
  uint64_t result_full[2], result_empty[2];  // empty: the one before was read, and the angles are there
  uint64_t query_full[2], query_empty[2], key_full[stages], key_empty[stages], value_full[stages], value_empty[stages];
};

// What a lane adds to Σ dy·y of its two rows, `row` and row + 8 of a warpgroup's 64: every fourth chunk of eight columns.
template <int D>
struct DeltaRows {
  uint4 y[2][D / 32];

  // `rows` of the tile's rows exist from this thread's first one on, which lies at `first`; rows lie `stride` apart.
  __device__ void load(const bf16* first, int64_t stride, int rows) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
      for (int i = 0; i < D / 32; i++) {
        y[h][i] = make_uint4(0, 0, 0, 0);
        if (8 * h < rows) y[h][i] = *reinterpret_cast<const uint4*>(first + 8 * h * stride + 32 * i + lane % 4 * 8);
      }
  }
  // delta of both rows, in all four lanes.
  __device__ void finish(float (&delta)[2], uint8_t* dy, int row) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float sums[2] = {};
#pragma unroll
      for (int i = 0; i < D / 32; i++) {
        const uint4 other = *reinterpret_cast<const uint4*>(chunk_place(dy, row, h, 4 * i + lane % 4));
        add_products(sums, y[h][i].x, other.x);
        add_products(sums, y[h][i].y, other.y);
        add_products(sums, y[h][i].z, other.z);
        add_products(sums, y[h][i].w, other.w);
      }
      delta[h] = sums[0] + sums[1];
      delta[h] += __shfl_xor_sync(0xffffffffu, delta[h], 1);
      delta[h] += __shfl_xor_sync(0xffffffffu, delta[h], 2);
    }
  }

 private:
  static __device__ void add_products(float (&sums)[2], uint32_t a, uint32_t b) {
    sums[0] = fmaf(__uint_as_float(a << 16), __uint_as_float(b << 16), sums[0]);
    sums[1] = fmaf(__uint_as_float(a & 0xffff0000u), __uint_as_float(b & 0xffff0000u), sums[1]);
  }
};

template <int D, bool Rope>
__global__ void __launch_bounds__(384, 1)
    attention_query_gradient_kernel(const __grid_constant__ CUtensorMap dq_map, float* levels, const bf16* y,
                                    const float* lse, const __grid_constant__ CUtensorMap y_map,
                                    const __grid_constant__ CUtensorMap dy_map,
                                    const __grid_constant__ CUtensorMap q_map,
                                    const __grid_constant__ CUtensorMap k_map,
                                    const __grid_constant__ CUtensorMap v_map,
                                    const __grid_constant__ CUtensorMap angles_map, AttentionShape shape,
                                    TileOrder order, RopeNorm rope) {
  using Shared = QueryGradientShared<D>;
  extern __shared__ uint8_t dynamic_shared[];
  Shared& shared = *reinterpret_cast<Shared*>(dynamic_shared + (-shared_address(dynamic_shared) & 1023));
  const int warpgroup = __shfl_sync(0xffffffffu, int(threadIdx.x) / 128, 0);
  const int lane = threadIdx.x % 32;

  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; i++) {
      barrier_create(&shared.query_full[i], 1);
      barrier_create(&shared.query_empty[i], 4);  // one thread of each warp of the warpgroup
      barrier_create(&shared.result_full[i], 4);
      barrier_create(&shared.result_empty[i], 1);
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

  if (warpgroup == 0) {  // a warp for the queries and results of each warpgroup, one for the keys, one for the values
    registers_down<40>();
    const int warp = threadIdx.x / 32;
    if (lane == 0 && warp < 2) {
      prefetch_map(&q_map);
      prefetch_map(&dy_map);
      const auto store_result = [&](const Tile& done, uint32_t round) {
        barrier_wait(&shared.result_full[warp], round % 2);
        store_rows<D>(&dq_map, shared.result[warp], done, done.first + warp * half_rows);
        store_wait_read<0>();
      };
      Tile tile, before{}, next;
      bool more = find_tile(tile, shape, order, 0);
      uint32_t round = 0;
      for (; more; round++, before = tile, tile = next) {
        barrier_wait(&shared.query_empty[warp], round % 2 ^ 1);
        barrier_expect(&shared.query_full[warp], 2 * Shared::query_bytes);
        for (int i = 0; i < 2; i++) {
          for (int panel = 0; panel < D / 64; panel++) {
            load_tile(shared.query[warp][i] + panel * (half_rows * row_bytes), i == 0 ? &q_map : &dy_map,
                      &shared.query_full[warp], panel * 64, tile.head, tile.first + warp * half_rows, tile.batch);
          }
        }
        more = find_tile(next, shape, order, round + 1);
        if (more) {  // which is waited for as soon as there is room: let it be in the cache
          for (int panel = 0; panel < D / 64; panel++) {
            prefetch_tile(&q_map, panel * 64, next.head, next.first + warp * half_rows, next.batch);
            prefetch_tile(&dy_map, panel * 64, next.head, next.first + warp * half_rows, next.batch);
            prefetch_tile(&y_map, panel * 64, next.head, next.first + warp * half_rows, next.batch);
          }
        }
        if (round > 0) store_result(before, round - 1);
        if (Rope) {
          load_angles<D>(shared.result[warp], &angles_map, &shared.result_empty[warp], tile.first + warp * half_rows);
        } else {
          barrier_arrive(&shared.result_empty[warp]);
        }
      }
      store_result(before, round - 1);  // every thread block has a tile
    } else if (lane == 0) {
      const bool keys = warp == 2;
      load_blocks<D, Shared::stages>(keys ? shared.key[0] : shared.value[0], keys ? &k_map : &v_map,
                                     keys ? shared.key_full : shared.value_full,
                                     keys ? shared.key_empty : shared.value_empty, shape, order);
    }
  } else {
    registers_up<232>();
    const int group = warpgroup - 1;
    const int row = threadIdx.x % 128 / 32 * 16 + lane / 4;  // of the warpgroup's 64; and row + 8
    const float scale = shape.scale * log2_e;
    const uint32_t query = shared_address(shared.query[group][0]), dy = shared_address(shared.query[group][1]);
    if (group == 1) pass_turn(group);  // the first turn is the other's

    uint32_t count = 0;  // blocks so far
    Tile tile;
    for (uint32_t round = 0; find_tile(tile, shape, order, round); round++) {
      const int first = tile.first + group * half_rows;  // query of the warpgroup
      float sum[D / 2], level[2], mean[2];               // of a row: −lse·log2(e), delta
      RopeRows<D> rows;
      const int rows_left = shape.t - first - row;  // that exist from this thread's first one on
      const int64_t stride = int64_t{shape.h} * D;
      DeltaRows<D> deltas;
      deltas.load(y + (int64_t{tile.batch} * shape.t + first + row) * stride + int64_t{tile.head} * D, stride,
                  rows_left);
#pragma unroll
      for (int h = 0; h < 2; h++)
        level[h] = 8 * h < rows_left ? lse[tile.row + group * half_rows + row + 8 * h] * -log2_e : -INFINITY;
#pragma unroll
      for (int i = 0; i < D / 2; i++) sum[i] = 0.0f;
      barrier_wait(&shared.query_full[group], round % 2);
      deltas.finish(mean, shared.query[group][1], row);
      if (lane % 4 == 0 && first < shape.t) {
        const int64_t head = int64_t{tile.batch} * shape.h + tile.head;
        float* block = levels + level_place(head, shape.t, first / level_rows);
#pragma unroll
        for (int h = 0; h < 2; h++) block[row + 8 * h] = level[h], block[level_rows + row + 8 * h] = mean[h];
      }

      // One block of keys; size is 64, or 32 for half of it. What only the tile's last one does waits behind products.
      const auto add_block = [&](auto size, auto last, int block, const Need& need) {
        constexpr int Size = decltype(size)::value;
        constexpr bool Last = decltype(last)::value;
        const uint32_t stage = count % Shared::stages, phase = count / Shared::stages % 2;
        const uint32_t key = shared_address(shared.key[stage]) + need.skip * row_bytes;
        const uint32_t value = shared_address(shared.value[stage]) + need.skip * row_bytes;
        float s[Size], dp[Size];
        barrier_wait(&shared.key_full[stage], phase);
        barrier_wait(&shared.value_full[stage], phase);
        await_turn(group);
        products_fence();
        multiply_rows<D>(s, query, key);
        products_commit();
        multiply_rows<D>(dp, dy, value);
        products_commit();
        pass_turn(group);
        if (Rope && Last) rows.load_rstd(rope, shape, tile, first + row);

        products_wait<1>();
        touch(s);
        if (need.masked) {
          mask_scores(s, first + row - (block * tile_rows + need.skip) - lane % 4 * 2, shape.window);
        }
#pragma unroll
        for (int i = 0; i < Size; i++) s[i] = exp2_fast(fmaf(s[i], scale, level[i / 2 % 2]));

        products_wait<0>();
        touch(dp);
        if (lane == 0) {
          barrier_arrive(&shared.value_empty[stage]);
          if (!Rope && Last) barrier_arrive(&shared.query_empty[group]);
        }
        uint32_t ds[Size / 8][4];
#pragma unroll
        for (int i = 0; i < Size / 2; i++) {
          const float d = mean[i % 2];
          ds[i / 4][i % 4] = pack_bf16(s[2 * i] * (dp[2 * i] - d), s[2 * i + 1] * (dp[2 * i + 1] - d));
        }
        products_fence();
        add_rows<Size / 8>(sum, ds, key);
        products_commit();
        if (Rope && Last) {
          rows.load_units(shared.query[group][0], row);
          if (arrived(rows.unit) && lane == 0) barrier_arrive(&shared.query_empty[group]);
        }
        products_wait<0>();
        touch(sum);
        if (lane == 0) barrier_arrive(&shared.key_empty[stage]);
        count++;
      };
      const auto add = [&](auto last, int block) {
        const Need need = what_is_needed(first, block * tile_rows, shape.window);
        if (need.half) add_block(std::integral_constant<int, 32>(), last, block, need);
        else add_block(std::integral_constant<int, 64>(), last, block, need);
      };
      for (int block = tile.high; block > tile.low; block--) add(std::false_type(), block);
      add(std::true_type(), tile.low);

      barrier_wait(&shared.result_empty[group], round % 2);
      if (Rope) rows.backward(sum, shape.scale, shared.result[group], row);
      __syncwarp();  // a warp's rows of angles and of the result are the same memory, no other warp's
      const float factor = Rope ? 1.0f : shape.scale, scales[2] = {factor, factor};
      store_accumulators<D>(shared.result[group], sum, scales);
      fence_async();
      __syncwarp();
      if (lane == 0) barrier_arrive(&shared.result_full[group]);
    }
  }
}

template <int D>
void query_gradient(bf16* dq, float* levels, const bf16* dy, const bf16* y, const float* lse, const bf16* q,
                    const bf16* k, const bf16* v, const AttentionShape& shape, const RopeNorm* rope) {
  const TileOrder order = tile_order(shape);
  const Launch where{tile_grid(order), 384, sizeof(QueryGradientShared<D>) + 1024};
  const auto kernel = rope ? attention_query_gradient_kernel<D, true> : attention_query_gradient_kernel<D, false>;
  launch(kernel, where, head_map(dq, shape, shape.h, half_rows), levels, y, lse,
         head_map(y, shape, shape.h, half_rows), head_map(dy, shape, shape.h, half_rows),
         head_map(q, shape, shape.h, half_rows), head_map(k, shape, shape.g, tile_rows),
         head_map(v, shape, shape.g, tile_rows),
         rope ? angle_map(rope->angles, shape) : CUtensorMap{}, shape, order, rope ? *rope : RopeNorm{});
}

}  // namespace

void hopper_attention_query_gradient(bf16* dq, float* levels, const bf16* dy, const bf16* y, const float* lse,
                                     const bf16* q, const bf16* k, const bf16* v, const AttentionShape& shape,
                                     const RopeNorm* rope) {
  const AttentionShape bounded = bound_window(shape);
  if (shape.d == 64) query_gradient<64>(dq, levels, dy, y, lse, q, k, v, bounded, rope);
  else query_gradient<128>(dq, levels, dy, y, lse, q, k, v, bounded, rope);
}

}  // namespace rs::gpu
