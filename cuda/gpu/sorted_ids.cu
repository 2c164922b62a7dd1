// A stable radix sort of ids with their positions, eight bits a pass from the lowest. A pass counts the digits of each
// tile of positions, turns the counts into the places where a tile's first element of each digit goes, and moves the
// elements there in order. The only atomics add up counts, whose order can't be seen.
#include "sorted_ids.h"

namespace rs::gpu {
namespace {

constexpr int kDigitBits = 8, kDigits = 1 << kDigitBits;
constexpr int kThreads = kDigits;  // a thread for each digit
constexpr int kWarps = kThreads / 32, kRounds = 8, kTile = kThreads * kRounds;

__device__ inline int digit_of(int32_t key, int shift) { return (key >> shift) & (kDigits - 1); }

// Sum of the values of the threads before this one; `total` is that of the block. `shared` has kWarps elements and may
// be used again at once. Every thread has to call it.
__device__ inline int32_t sum_before(int32_t value, int32_t* shared, int32_t& total) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int32_t sum = value;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const int32_t before = __shfl_up_sync(0xffffffffu, sum, offset);
    if (lane >= offset) sum += before;
  }
  __syncthreads();
  if (lane == 31) shared[warp] = sum;
  __syncthreads();
  int32_t before = 0;
  total = 0;
#pragma unroll
  for (int i = 0; i < kWarps; i++) {
    if (i < warp) before += shared[i];
    total += shared[i];
  }
  return before + sum - value;
}

// counts[digit, tile] of keys[n]. The first pass (`check` is set) reports ids outside the table.
__global__ void __launch_bounds__(kThreads)
    sorted_ids_count_kernel(int32_t* counts, const int32_t* keys, int32_t n, int32_t v, int32_t tiles, int shift,
                            bool first, IdCheck check) {
  __shared__ int32_t count[kDigits];
  count[threadIdx.x] = 0;
  __syncthreads();
  const int64_t begin = int64_t{blockIdx.x} * kTile + threadIdx.x;
#pragma unroll
  for (int round = 0; round < kRounds; round++) {
    const int64_t at = begin + round * kThreads;
    if (at >= n) break;
    const int32_t key = first ? checked_id(check, keys[at], at, v) : keys[at];
    atomicAdd(&count[digit_of(key, shift)], 1);
  }
  __syncthreads();
  counts[int64_t{threadIdx.x} * tiles + blockIdx.x] = count[threadIdx.x];
}

// A block for each digit: its counts become sums over the tiles before, and totals[digit] the sum over all.
__global__ void __launch_bounds__(kThreads)
    sorted_ids_offsets_kernel(int32_t* counts, int32_t* totals, int32_t tiles) {
  __shared__ int32_t shared[kWarps];
  int32_t* row = counts + int64_t{blockIdx.x} * tiles;
  int32_t carry = 0;
  for (int64_t begin = 0; begin < tiles; begin += kThreads) {
    const int64_t at = begin + threadIdx.x;
    int32_t total;
    const int32_t before = sum_before(at < tiles ? row[at] : 0, shared, total);
    if (at < tiles) row[at] = carry + before;
    carry += total;
  }
  if (threadIdx.x == 0) totals[blockIdx.x] = carry;
}

// Moves a tile: a warp takes 32·kRounds neighbours, round by round, and ranks equal digits by lane. `places` is null in
// the first pass, where keys are the ids as they came.
__global__ void __launch_bounds__(kThreads)
    sorted_ids_move_kernel(int32_t* to_keys, int32_t* to_places, const int32_t* keys, const int32_t* places,
                           const int32_t* counts, const int32_t* totals, int32_t n, int32_t v, int32_t tiles,
                           int shift) {
  // One more digit for what is beyond the end.
  __shared__ int32_t counters[kWarps][kDigits + 1];
  __shared__ int32_t shared[kWarps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int i = threadIdx.x; i < kWarps * (kDigits + 1); i += kThreads) (&counters[0][0])[i] = 0;
  int32_t total;
  const int32_t before = sum_before(totals[threadIdx.x], shared, total);
  int32_t next = before + counts[int64_t{threadIdx.x} * tiles + blockIdx.x];
  const int64_t begin = int64_t{blockIdx.x} * kTile + warp * 32 * kRounds + lane;
  int32_t key[kRounds], rank[kRounds];
#pragma unroll
  for (int round = 0; round < kRounds; round++) {
    const int64_t at = begin + round * 32;
    key[round] = at < n ? keys[at] : 0;
    if (places == nullptr && (key[round] < 0 || key[round] >= v)) key[round] = 0;
  }
  __syncthreads();
#pragma unroll
  for (int round = 0; round < kRounds; round++) {
    const int digit = begin + round * 32 < n ? digit_of(key[round], shift) : kDigits;
    const unsigned equal = __match_any_sync(0xffffffffu, digit), below = equal & ((1u << lane) - 1);
    const int32_t counted = counters[warp][digit];
    __syncwarp();
    if (below == 0) counters[warp][digit] = counted + __popc(equal);
    __syncwarp();
    rank[round] = counted + __popc(below);
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kWarps; i++) {
    const int32_t count = counters[i][threadIdx.x];
    counters[i][threadIdx.x] = next;
    next += count;
  }
  __syncthreads();
#pragma unroll
  for (int round = 0; round < kRounds; round++) {
    const int64_t at = begin + round * 32;
    if (at >= n) break;
    const int32_t to = counters[warp][digit_of(key[round], shift)] + rank[round];
    to_keys[to] = key[round];
    to_places[to] = places ? places[at] : int32_t(at);
  }
}

__global__ void __launch_bounds__(kThreads) sorted_ids_ends_kernel(int32_t* ends, const int32_t* keys, int32_t n) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at < n && (at == n - 1 || keys[at] != keys[at + 1])) ends[keys[at]] = int32_t(at + 1);
}

}  // namespace

SortedIds sorted_ids(const Tensor* ids, int32_t n, int32_t v) {
  // Both sizes are below 2^31; the highest bit keeps clear of the keys of others.
  const uint64_t key = uint64_t{1} << 63 | uint64_t(v) << 31 | uint64_t(n);
  const auto split = [&](void* block) {
    int32_t* first = static_cast<int32_t*>(block);
    return SortedIds{first, first + n, first + 2 * int64_t{n}};
  };
  if (void* found = find_derived(ids, key)) return split(found);

  const int32_t tiles = int32_t(ceil_div(n, kTile));
  const int64_t count = int64_t{kDigits} * tiles;
  // All memory before the kept block is marked as good: no failure may leave it unfilled.
  Scratch spare(sizeof(int32_t) * (2 * size_t(n) + size_t(count) + kDigits));
  void* block = keep_derived(ids, key, sizeof(int32_t) * (2 * size_t(n) + size_t(v)));
  const SortedIds sorted = split(block);
  int32_t* kept[2] = {static_cast<int32_t*>(block), static_cast<int32_t*>(block) + n};
  int32_t* other[2] = {static_cast<int32_t*>(spare.data()), static_cast<int32_t*>(spare.data()) + n};
  int32_t *counts = other[1] + n, *totals = counts + count;

  int passes = 1;
  while (int64_t{1} << (passes * kDigitBits) < v) passes++;
  const int32_t *keys = ids->i32(), *places = nullptr;
  const IdCheck check = id_check();
  for (int pass = 0; pass < passes; pass++) {
    // The last pass ends in the kept block.
    int32_t* const* to = (passes - pass) % 2 == 1 ? kept : other;
    const int shift = pass * kDigitBits;
    launch(sorted_ids_count_kernel, {unsigned(tiles), kThreads}, counts, keys, n, v, tiles, shift, pass == 0, check);
    launch(sorted_ids_offsets_kernel, {kDigits, kThreads}, counts, totals, tiles);
    launch(sorted_ids_move_kernel, {unsigned(tiles), kThreads}, to[0], to[1], keys, places, counts, totals, n, v, tiles,
           shift);
    keys = to[0];
    places = to[1];
  }
  launch(sorted_ids_ends_kernel, {unsigned(ceil_div(n, kThreads)), kThreads}, const_cast<int32_t*>(sorted.ends), keys,
         n);
  return sorted;
}

}  // namespace rs::gpu
