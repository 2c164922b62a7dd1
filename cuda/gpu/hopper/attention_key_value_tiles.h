// Which keys and which queries a tile of attention_key_value_gradient.cu holds, and in what order they come.
#pragma once
#include "../attention.h"

namespace rs::gpu {
namespace {

constexpr int workers = 2;         // warpgroups that multiply
constexpr int worker_keys = 64;    // rows of one product
constexpr int tile_keys = workers * worker_keys;
constexpr int block_queries = 64;  // columns of one product

struct Job {
  int32_t t, h, g, window;  // window at most t − 1
  float scale;
  int32_t pairs;       // of batch row and key/value head
  int32_t key_blocks;  // tiles of a pair
  int32_t section;     // pairs whose tiles come together
  int32_t tiles;
};

// Tiles come in sections of pairs whose q and dy stay in the L2 cache; within a section those with the keys that most
// queries see first. Every other round runs backwards through the grid (one thread block an SM), so that each SM gets
// nearly the same work: with sections of a sixth of the SMs within 1 % at 512 pairs of 2048 positions.
inline Job make_job(const AttentionShape& s) {
  constexpr int64_t cached = 24 << 20;  // bytes, of the 50 MB of an H100
  const int64_t pairs = int64_t{s.b} * s.g;
  const int64_t bytes = ceil_div(s.h, s.g) * 2 * s.t * s.d * int64_t{sizeof(bf16)};
  int64_t section = multiprocessors() / 6;
  while (section > 1 && section * bytes > cached) section /= 2;
  if (section < 1) section = 1;
  Job job;
  job.t = s.t;
  job.h = s.h;
  job.g = s.g;
  job.window = s.window < s.t ? s.window : s.t - 1;
  job.scale = s.scale;
  job.pairs = int32_t(pairs);
  job.key_blocks = int32_t(ceil_div(s.t, tile_keys));
  job.section = int32_t(section < pairs ? section : pairs);
  job.tiles = job.pairs * job.key_blocks;
  return job;
}

#ifdef __CUDACC__

struct Tile {
  int b, g;
  int key;             // the first
  int head, end_head;  // query heads that read g; none where there are more key/value heads than query heads
  int block, end_block;  // blocks of queries that see one of the keys
};

// The block of queries after the last that sees a key up to this one.
__device__ inline int end_block(const Job& job, int last_key) {
  return min(job.t - 1, last_key + job.window) / block_queries + 1;
}

// The first h with ⌊h·G/H⌋ ≥ g, which is ⌈g·H/G⌉. Products stay below 2³² for fewer than 2¹⁶ heads.
__device__ inline int first_head(const Job& job, int g) {
  return int((uint32_t(g) * uint32_t(job.h) + uint32_t(job.g) - 1) / uint32_t(job.g));
}

// The tile of this thread block in round `round`; false after the last. As many tiles as memory holds fit an int32.
__device__ inline bool find_tile(Tile& tile, const Job& job, uint32_t round) {
  const uint32_t grid = gridDim.x, place = blockIdx.x;
  const uint32_t index = round * grid + (round % 2 ? grid - 1 - place : place);
  if (index >= uint32_t(job.tiles)) return false;
  const uint32_t whole = uint32_t(job.section) * uint32_t(job.key_blocks);
  const uint32_t section = index / whole, rest = index - section * whole, start = section * uint32_t(job.section);
  const uint32_t pairs = min(uint32_t(job.section), uint32_t(job.pairs) - start);
  const uint32_t key_block = rest / pairs, pair = start + (rest - key_block * pairs);
  tile.b = int(pair / uint32_t(job.g));
  tile.g = int(pair - uint32_t(tile.b) * uint32_t(job.g));
  tile.key = int(key_block) * tile_keys;
  tile.head = first_head(job, tile.g);
  tile.end_head = first_head(job, tile.g + 1);
  tile.block = tile.key / block_queries;
  tile.end_block = end_block(job, tile.key + tile_keys - 1);
  return true;
}

#endif  // __CUDACC__

}  // namespace
}  // namespace rs::gpu
