// How attention_key_value_gradient.cu gets its operands: the shared memory, the barriers, and the warps that announce
// tiles and bring keys, values, queries, dy, lse and delta; with `Rope` also the keys' angles and rstd.
#pragma once
#include "../hopper.h"
#include "attention_key_value_tiles.h"

#if defined(__CUDACC__) && defined(RS_HOPPER)

namespace rs::gpu {
namespace {

constexpr int announced = 4;  // tiles that the drawing warp may be ahead
constexpr float log2_e = 1.44269504088896341f;

// What a thread block has. Panels as in hopper.h.
template <int D>
struct alignas(1024) SharedMemory {
  static constexpr int stages = 4;  // at least 3: a worker may hold one and wait for the next but one
  static constexpr int panels = D / 64;
  static constexpr uint32_t panel_bytes = 64 * 128;  // of 64 keys or 64 queries
  static constexpr uint32_t rows_bytes = panels * panel_bytes;

  uint8_t keys[workers][rows_bytes];
  uint8_t values[workers][rows_bytes];
  uint8_t queries[stages][rows_bytes];
  uint8_t dys[stages][rows_bytes];
  uint8_t angles[workers][rows_bytes];  // words of angles.h in the places of two elements of a key
  float rstd[workers][worker_keys];
  float lse[stages][block_queries];  // times −log2(e)
  float delta[stages][block_queries];
  uint64_t full[stages], empty[stages];              // of queries, dys, lse and delta
  uint64_t keys_full[workers], keys_empty[workers];  // of keys and values
  uint64_t angles_full[workers], angles_empty[workers];  // of angles and rstd
  uint64_t tile_full[announced], tile_empty[announced];
  Tile tile[announced];
};
static_assert(worker_keys == 64 && block_queries == 64, "tiles and products of other sizes");

// A place in a ring of barriers, and the parity of its phase.
template <int Count>
struct Place {
  int index = 0;
  uint32_t phase = 0;
  __device__ void next() {
    if (++index == Count) {
      index = 0;
      phase ^= 1;
    }
  }
};

// When all lanes are done with what the barrier guards. The barrier counts warps.
__device__ inline void warp_arrive(uint64_t* bar) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) barrier_arrive(bar);
}

// The next announced tile, for a whole warp; false where none is left. Shuffles let the compiler know that all lanes
// have the same, without which loops over it count as divergent.
template <class Shared>
__device__ inline bool read_tile(Tile& tile, Shared& shared, Place<announced>& place) {
  barrier_wait(&shared.tile_full[place.index], place.phase);
  const auto same = [](int x) { return __shfl_sync(0xffffffffu, x, 0); };
  const Tile& next = shared.tile[place.index];
  tile = {same(next.b),        same(next.g),     same(next.key),      same(next.head),
          same(next.end_head), same(next.block), same(next.end_block)};
  warp_arrive(&shared.tile_empty[place.index]);
  place.next();
  return tile.key >= 0;
}

// One thread: draws tiles and announces them, brings queries and dys. Without a counter a thread block has one tile.
template <class Shared>
__device__ void bring_queries(Shared& shared, const CUtensorMap& queries, const CUtensorMap& dys, const Job& job,
                              uint32_t* counter) {
  Place<announced> place;
  Place<Shared::stages> stage;
  int index = int(blockIdx.x);
  while (true) {
    Tile tile{};
    tile.key = -1;
    if (index < job.tiles) tile = tile_at(job, index);
    barrier_wait(&shared.tile_empty[place.index], place.phase ^ 1);
    shared.tile[place.index] = tile;
    barrier_arrive(&shared.tile_full[place.index]);
    place.next();
    if (tile.key < 0) return;
    index = counter ? int(gridDim.x + atomicAdd(counter, 1u)) : job.tiles;
    for (int head = tile.head; head < tile.end_head; head++) {
      for (int block = tile.block; block < tile.end_block; block++, stage.next()) {
        uint64_t* full = &shared.full[stage.index];
        barrier_wait(&shared.empty[stage.index], stage.phase ^ 1);
        barrier_expect(full, 2 * Shared::rows_bytes);
#pragma unroll
        for (int panel = 0; panel < Shared::panels; panel++)
          load_tile(shared.queries[stage.index] + panel * Shared::panel_bytes, &queries, full, panel * 64, head,
                    block * block_queries, tile.b);
#pragma unroll
        for (int panel = 0; panel < Shared::panels; panel++)
          load_tile(shared.dys[stage.index] + panel * Shared::panel_bytes, &dys, full, panel * 64, head,
                    block * block_queries, tile.b);
      }
    }
  }
}

// One warp: brings lse and delta. Queries after the last get 0, so that with their rows of q and dy, which TMA fills
// with 0, they add 0.
template <class Shared>
__device__ void bring_statistics(Shared& shared, const float* lse, const float* delta, const Job& job) {
  constexpr int each = block_queries / 32;
  const int lane = threadIdx.x % 32;
  Place<announced> place;
  Place<Shared::stages> stage;
  Tile tile;
  while (read_tile(tile, shared, place)) {
    for (int head = tile.head; head < tile.end_head; head++) {
      const int64_t row = (int64_t{tile.b} * job.h + head) * job.t;
      for (int block = tile.block; block < tile.end_block; block++, stage.next()) {
        float ls[each], ds[each];
#pragma unroll
        for (int i = 0; i < each; i++) {
          const int t = block * block_queries + i * 32 + lane;
          ls[i] = t < job.t ? lse[row + t] * -log2_e : 0.0f;
          ds[i] = t < job.t ? delta[row + t] : 0.0f;
        }
        barrier_wait(&shared.empty[stage.index], stage.phase ^ 1);
#pragma unroll
        for (int i = 0; i < each; i++) {
          shared.lse[stage.index][i * 32 + lane] = ls[i];
          shared.delta[stage.index][i * 32 + lane] = ds[i];
        }
        warp_arrive(&shared.full[stage.index]);
      }
    }
  }
}

// One warp for each worker: brings its keys and values. Positions after the last get angles of zero.
template <bool Rope, class Shared>
__device__ void bring_keys(Shared& shared, int worker, const CUtensorMap& keys, const CUtensorMap& values,
                           const CUtensorMap& angles, const float* rstd, const Job& job) {
  Place<announced> place;
  uint32_t phase = 0;
  Tile tile;
  for (; read_tile(tile, shared, place); phase ^= 1) {
    const int key = tile.key + worker * worker_keys;
    uint64_t* full = &shared.keys_full[worker];
    barrier_wait(&shared.keys_empty[worker], phase ^ 1);
    if (threadIdx.x % 32 == 0) {
      barrier_expect(full, 2 * Shared::rows_bytes);
#pragma unroll
      for (int panel = 0; panel < Shared::panels; panel++) {
        const uint32_t offset = panel * Shared::panel_bytes;
        load_tile(shared.keys[worker] + offset, &keys, full, panel * 64, tile.g, key, tile.b);
        load_tile(shared.values[worker] + offset, &values, full, panel * 64, tile.g, key, tile.b);
      }
    }
    __syncwarp();
    if (!Rope) continue;
    barrier_wait(&shared.angles_empty[worker], phase ^ 1);
    for (int i = threadIdx.x % 32; i < worker_keys; i += 32) {
      const int t = key + i;
      shared.rstd[worker][i] = t < job.t ? rstd[(int64_t{tile.b} * job.t + t) * job.g + tile.g] : 0.0f;
    }
    __syncwarp();
    if (threadIdx.x % 32 == 0) {
      barrier_expect(&shared.angles_full[worker], Shared::rows_bytes);
#pragma unroll
      for (int panel = 0; panel < Shared::panels; panel++)
        load_tile(shared.angles[worker] + panel * Shared::panel_bytes, &angles, &shared.angles_full[worker], panel * 64,
                  key);
    }
    __syncwarp();
  }
}

}  // namespace
}  // namespace rs::gpu

#endif
