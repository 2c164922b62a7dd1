// What the attention kernels that give each thread block a tile of queries share: which tile when, which keys it needs,
// the tensor maps and the way back from accumulators to memory.
//
// A tile is 128 queries of one head, 64 for each of two warpgroups, against blocks of 128 keys. At the edges of what
// its queries see (diagonal, start of the window) a warpgroup computes only the half block of 64 keys that it needs:
// 5 % less work with a window of 1024.
#pragma once
#include "../attention.h"
#include "../hopper.h"

namespace rs::gpu {

constexpr int tile_rows = 128;  // queries of a tile and keys of a block
constexpr int half_rows = 64;   // queries of a warpgroup and keys of half a block
constexpr uint32_t row_bytes = 128;  // of a panel
constexpr float log2_e = 1.44269504088896341f;

// x[B,T,heads,D]: boxes of `rows` positions of one head, 64 columns each.
inline CUtensorMap head_map(const bf16* x, const AttentionShape& shape, int32_t heads, int32_t rows) {
  const int64_t stride = int64_t{heads} * shape.d;
  const int64_t sizes[4] = {shape.d, heads, shape.t, shape.b}, strides[3] = {shape.d, stride, stride * shape.t};
  const int32_t box[4] = {64, 1, rows, 1};
  return tensor_map(x, 4, sizes, strides, box);
}

// The same with a window of at most T, so that differences of positions fit.
inline AttentionShape bound_window(AttentionShape shape) {
  if (shape.window > shape.t) shape.window = shape.t;
  return shape;
}

// The order in which the blocks of the grid (one an SM) take tiles: groups of heads whose keys stay in the L2 cache, in
// a group the last queries, which see most keys, first. Every other round runs backwards through the grid, so that
// each SM gets nearly the same work (within 1 % at 512 heads of 2048 positions).
struct TileOrder {
  int32_t heads, blocks, group;  // B·H, tiles of a head, heads of a group
};
inline TileOrder tile_order(const AttentionShape& shape) {
  const int32_t group = multiprocessors() / 6;
  return {shape.b * shape.h, int32_t(ceil_div(shape.t, tile_rows)), group > 0 ? group : 1};
}
inline unsigned tile_grid(const TileOrder& order) {
  const int64_t tiles = int64_t{order.heads} * order.blocks, most = multiprocessors();
  return unsigned(tiles < most ? tiles : most);
}

#if defined(__CUDACC__) && defined(RS_HOPPER)

struct Tile {
  int32_t batch, head, key_head, first;  // query head and its key/value head; first query
  int32_t low, high;                     // blocks of keys that its queries see, both included
  int64_t row;                           // of lse[B,H,T], at the first query
};

// The tile of this thread block in round `round`; false after the last. As many tiles as memory holds fit an int32.
__device__ inline bool find_tile(Tile& tile, const AttentionShape& shape, const TileOrder& order, uint32_t round) {
  const uint32_t grid = gridDim.x, place = blockIdx.x;
  const uint32_t index = round * grid + (round % 2 ? grid - 1 - place : place);
  if (index >= uint32_t(order.heads) * uint32_t(order.blocks)) return false;
  const uint32_t group_tiles = uint32_t(order.group) * uint32_t(order.blocks);
  const uint32_t group = index / group_tiles, within = index - group * group_tiles;
  const uint32_t first_head = group * order.group, heads = min(uint32_t(order.group), order.heads - first_head);
  const uint32_t back = within / heads, head = first_head + (within - back * heads);
  const int block = order.blocks - 1 - int(back);
  tile.batch = int(head / uint32_t(shape.h));
  tile.head = int(head - uint32_t(tile.batch) * uint32_t(shape.h));
  tile.key_head = int(int64_t{tile.head} * shape.g / shape.h);
  tile.first = block * tile_rows;
  tile.low = max(0, tile.first - shape.window) / tile_rows;
  tile.high = block;
  tile.row = int64_t{head} * shape.t + tile.first;
  return true;
}

// One thread brings blocks of keys or values of all its tiles, as the stages of a ring become empty: `target` has
// Stages blocks of 128 rows.
template <int D, int Stages>
__device__ inline void load_blocks(uint8_t* target, const CUtensorMap* map, uint64_t* full, uint64_t* empty,
                                   const AttentionShape& shape, const TileOrder& order) {
  constexpr uint32_t bytes = tile_rows * D * 2;
  prefetch_map(map);
  uint32_t count = 0;  // blocks so far
  Tile tile;
  for (uint32_t round = 0; find_tile(tile, shape, order, round); round++) {
    for (int block = tile.high; block >= tile.low; block--, count++) {
      const uint32_t stage = count % Stages;
      barrier_wait(&empty[stage], count / Stages % 2 ^ 1);
      barrier_expect(&full[stage], bytes);
      for (int panel = 0; panel < D / 64; panel++) {
        load_tile(target + stage * bytes + panel * (tile_rows * row_bytes), map, &full[stage], panel * 64,
                  tile.key_head, block * tile_rows, tile.batch);
      }
    }
  }
}

// What the 64 queries from `row` on need of the 128 keys from `key` on.
struct Need {
  bool half;    // only 64 of the keys, from `skip` on
  int skip;     // 0 or 64
  bool masked;  // not every query sees every one of them
};
__device__ inline Need what_is_needed(int row, int key, int window) {
  const bool low = key + half_rows > row - window, high = key < row && key + tile_rows > row - window;
  Need need;
  need.half = !(low && high);
  need.skip = high && !low ? half_rows : 0;
  const int first = key + need.skip, end = first + (need.half ? half_rows : tile_rows);
  need.masked = end > row + 1 || first < row + half_rows - 1 - window;
  return need;
}

// Scores of keys that a query does not see become −∞. `ahead` is the position of this thread's first query minus that
// of its first key.
template <int Count>
__device__ inline void mask_scores(float (&s)[Count], int ahead, int window) {
#pragma unroll
  for (int i = 0; i < Count; i++) {
    const int column = i / 4 * 8 + i % 2, row = i / 2 % 2 * 8;
    if (unsigned(ahead + row - column) > unsigned(window)) s[i] = -INFINITY;
  }
}

// The two warpgroups enqueue their products in turns, so that they do not both wait for products, and then both compute
// with the results while none run.
constexpr bool in_turns = true;
constexpr int turn_barrier = 1, own_barrier = 3;  // named barriers, one for each warpgroup
__device__ inline void await_turn(int group) {
  if (in_turns) named_barrier(turn_barrier + group, 256);
}
__device__ inline void pass_turn(int group) {
  if (in_turns) named_barrier_arrive(turn_barrier + (group ^ 1), 256);
}

__device__ inline float exp2_fast(float x) {  // two units in the last place; tiny results become 0
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// s = a·bᵀ, a of 64 rows in panels of 64 rows, b of 128 or 64 rows in panels of 128.
template <int D, int Count>
__device__ inline void multiply_rows(float (&s)[Count], uint32_t a, uint32_t b) {
  const uint64_t a_start = k_major(a), b_start = k_major(b);
#pragma unroll
  for (int step = 0; step < D / 16; step++) {
    multiply_add<0>(s, a_start + (step / 4 * half_rows * row_bytes + step % 4 * 32) / 16,
                    b_start + (step / 4 * tile_rows * row_bytes + step % 4 * 32) / 16, step > 0);
  }
}

// sum[64,D] += weights·b, b of as many rows as weights (the first of them: 16·Steps) has columns, in panels of 128.
template <int Steps, int Sum, int Weights>
__device__ inline void add_rows(float (&sum)[Sum], const uint32_t (&weights)[Weights][4], uint32_t b) {
  const uint64_t start = n_major(b, tile_rows * row_bytes);
#pragma unroll
  for (int step = 0; step < Steps; step++) {
    multiply_add<1>(sum, weights[step], start + step * 16 * row_bytes / 16, true);
  }
}

// Where a tile of 64 rows in shared memory has columns 8i … 8i+7 of row + 8h: panels, swizzled.
template <class Byte>
__device__ inline Byte* chunk_place(Byte* tile, int row, int h, int i) {
  Byte* panel = tile + i / 8 * (half_rows * row_bytes);
  return panel + (row + 8 * h) * row_bytes + ((i % 8) ^ (row % 8)) * 16;
}

// A warpgroup's accumulators times a factor for each of a thread's two rows, as a bfloat16 tile of 64 rows in shared
// memory, as TMA reads it.
template <int D>
__device__ inline void store_accumulators(uint8_t* target, const float (&x)[D / 2], const float (&factor)[2]) {
  const int lane = threadIdx.x % 32, row = threadIdx.x % 128 / 32 * 16 + lane / 4;
#pragma unroll
  for (int i = 0; i < D / 8; i++) {
#pragma unroll
    for (int h = 0; h < 2; h++) {
      *reinterpret_cast<uint32_t*>(chunk_place(target, row, h, i) + lane % 4 * 4) =
          pack_bf16(x[4 * i + 2 * h] * factor[h], x[4 * i + 2 * h + 1] * factor[h]);
    }
  }
}

// One thread enqueues the copy of such a tile to its place in memory.
template <int D>
__device__ inline void store_rows(const CUtensorMap* map, const uint8_t* source, const Tile& tile, int first) {
  for (int panel = 0; panel < D / 64; panel++) {
    store_tile(map, source + panel * (half_rows * row_bytes), panel * 64, tile.head, first, tile.batch);
  }
  store_commit();
}

#endif  // RS_HOPPER

}  // namespace rs::gpu
