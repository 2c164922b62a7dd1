// How attention_key_value_gradient.cu gets its operands: the shared memory, the barriers, and the threads that bring
// keys, values, queries, dy, lse and delta; with `Rope` also the keys' angles. All of it comes by tensor copies: no
// thread writes to shared memory, nor plain bulk copies in its name, since tools that look for races do not see the
// order that these barriers give.
#pragma once
#include "../hopper.h"
#include "attention_key_value_tiles.h"

#if defined(__CUDACC__) && defined(RS_HOPPER)

namespace rs::gpu {
namespace {

constexpr float log2_e = 1.44269504088896341f;

// What a thread block has. Panels as in hopper.h.
template <int D>
struct alignas(1024) SharedMemory {
  static constexpr int stages = 4;  // at least 3: a worker may hold one and wait for the next but one
  static constexpr int panels = D / 64;
  static constexpr uint32_t panel_bytes = 64 * 128;  // of 64 keys or 64 queries
  static constexpr uint32_t rows_bytes = panels * panel_bytes;
  static constexpr uint32_t level_bytes = 2 * block_queries * sizeof(float);

  uint8_t keys[workers][rows_bytes];
  uint8_t values[workers][rows_bytes];
  uint8_t queries[stages][rows_bytes];
  uint8_t dys[stages][rows_bytes];
  uint8_t angles[workers][rows_bytes];  // words of angles.h in the places of two elements of a key
  struct {
    float lse[block_queries], delta[block_queries];  // lse times −log2(e)
  } levels[stages];
  uint64_t full[stages], empty[stages];              // of queries, dys, lse and delta
  uint64_t keys_full[workers], keys_empty[workers];  // of keys and values
  uint64_t angles_full[workers], angles_empty[workers];
};
static_assert(worker_keys == 64 && block_queries == 64, "tiles and products of other sizes");
static_assert(block_queries == level_rows, "one copy brings the levels of a block");

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

// One thread: brings queries and dys with their levels.
template <class Shared>
__device__ void bring_queries(Shared& shared, const CUtensorMap& queries, const CUtensorMap& dys,
                              const CUtensorMap& levels, const Job& job) {
  Place<Shared::stages> stage;
  Tile tile;
  for (uint32_t round = 0; find_tile(tile, job, round); round++) {
    for (int head = tile.head; head < tile.end_head; head++) {
      const int level = (tile.b * job.h + head) * int(level_blocks(job.t));
      for (int block = tile.block; block < tile.end_block; block++, stage.next()) {
        uint64_t* full = &shared.full[stage.index];
        barrier_wait(&shared.empty[stage.index], stage.phase ^ 1);
        barrier_expect(full, 2 * Shared::rows_bytes + Shared::level_bytes);
#pragma unroll
        for (int panel = 0; panel < Shared::panels; panel++)
          load_tile(shared.queries[stage.index] + panel * Shared::panel_bytes, &queries, full, panel * 64, head,
                    block * block_queries, tile.b);
        load_tile(&shared.levels[stage.index], &levels, full, 0, level + block);
#pragma unroll
        for (int panel = 0; panel < Shared::panels; panel++)
          load_tile(shared.dys[stage.index] + panel * Shared::panel_bytes, &dys, full, panel * 64, head,
                    block * block_queries, tile.b);
      }
    }
  }
}

// One thread for each worker: brings its keys and values. Positions after the last get angles of zero.
template <bool Rope, class Shared>
__device__ void bring_keys(Shared& shared, int worker, const CUtensorMap& keys, const CUtensorMap& values,
                           const CUtensorMap& angles, const Job& job) {
  Tile tile;
  for (uint32_t round = 0; find_tile(tile, job, round); round++) {
    const int key = tile.key + worker * worker_keys;
    const uint32_t phase = round % 2;
    uint64_t* full = &shared.keys_full[worker];
    barrier_wait(&shared.keys_empty[worker], phase ^ 1);
    barrier_expect(full, 2 * Shared::rows_bytes);
#pragma unroll
    for (int panel = 0; panel < Shared::panels; panel++) {
      const uint32_t offset = panel * Shared::panel_bytes;
      load_tile(shared.keys[worker] + offset, &keys, full, panel * 64, tile.g, key, tile.b);
      load_tile(shared.values[worker] + offset, &values, full, panel * 64, tile.g, key, tile.b);
    }
    if (!Rope) continue;
    full = &shared.angles_full[worker];
    barrier_wait(&shared.angles_empty[worker], phase ^ 1);
    barrier_expect(full, Shared::rows_bytes);
#pragma unroll
    for (int panel = 0; panel < Shared::panels; panel++)
      load_tile(shared.angles[worker] + panel * Shared::panel_bytes, &angles, full, panel * 64, key);
  }
}

}  // namespace
}  // namespace rs::gpu

#endif
