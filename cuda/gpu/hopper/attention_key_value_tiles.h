// Which keys and which queries a tile of attention_key_value_gradient.cu holds, and in what order tiles are drawn.
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
  int32_t section;     // pairs whose tiles are drawn together
  int32_t tiles;
};

// Tiles come in sections of as many pairs as the cache holds q, dy, k and v of; within a section those with the keys
// that most queries see first, so that what is left at the end is light.
inline Job make_job(const AttentionShape& s) {
  constexpr int64_t cached = 32 << 20;  // bytes, of the 50 MB of an H100
  const int64_t pairs = int64_t{s.b} * s.g;
  const int64_t bytes = (ceil_div(s.h, s.g) + 1) * 2 * s.t * s.d * int64_t{sizeof(bf16)};
  const int64_t fit = cached / bytes < 1 ? 1 : cached / bytes;
  Job job;
  job.t = s.t;
  job.h = s.h;
  job.g = s.g;
  job.window = s.window < s.t ? s.window : s.t - 1;
  job.scale = s.scale;
  job.pairs = int32_t(pairs);
  job.key_blocks = int32_t(ceil_div(s.t, tile_keys));
  job.section = int32_t(fit < pairs ? fit : pairs);
  job.tiles = job.pairs * job.key_blocks;
  return job;
}

#ifdef __CUDACC__

struct Tile {
  int b, g;
  int key;             // the first; negative: no tile is left
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

__device__ inline Tile tile_at(const Job& job, int index) {
  const int whole = job.section * job.key_blocks;
  const int start = index / whole * job.section, rest = index % whole;
  const int pairs = min(job.section, job.pairs - start);
  const int pair = start + rest % pairs;
  Tile tile;
  tile.b = pair / job.g;
  tile.g = pair % job.g;
  tile.key = rest / pairs * tile_keys;
  tile.head = first_head(job, tile.g);
  tile.end_head = first_head(job, tile.g + 1);
  tile.block = tile.key / block_queries;
  tile.end_block = end_block(job, tile.key + tile_keys - 1);
  return tile;
}

#endif  // __CUDACC__

}  // namespace
}  // namespace rs::gpu
