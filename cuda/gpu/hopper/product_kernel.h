// The kernel of a product. A block keeps running tile after tile: one thread of its first warpgroup brings panels of a
// and b into a ring of stages and runs ahead into the next tile while two other warpgroups multiply. Sums over k are
// made by one chain of m64nNk16 instructions in the order of k, whatever the tile.
#pragma once
#include "product_copies.h"
#include "product_epilogue.h"

namespace rs::gpu::product {

// Both warpgroups share a tile of 128×columns, 64 rows each, so b's panel is read into shared memory once for both.
// Kept: a block stays with its columns and keeps all of b's panels that they need, so that only a streams in; a tile is
// one warpgroup's, and they take turns: one multiplies while the other stores. The blocks of a cluster have tiles side
// by side and bring a's panel together.
template <int Columns, int Stages, bool Kept = false, int Cluster = 1>
struct Tiling {
  static_assert(Kept || Cluster == 1, "only blocks that keep b share a");
  static constexpr int rows = 128, columns = Columns, stages = Stages, cluster = Cluster;
  static constexpr bool kept = Kept;
  static constexpr int blocks = Kept ? 2 : 1;  // of 64 rows, of a warpgroup
  static constexpr int step = 64;              // of k
  static constexpr int most_steps = Kept ? 8 : 1 << 30;
  static constexpr int a_bytes = rows * step * 2, b_bytes = Columns * step * 2;
  static constexpr int stage_bytes = a_bytes + (Kept ? 0 : b_bytes), kept_bytes = Kept ? most_steps * b_bytes : 0;
  static constexpr int ring_bytes = Stages * stage_bytes;
  static constexpr int shared_bytes = 1024 + kept_bytes + ring_bytes + 2 * Stages * 8;
  static constexpr int releases = (Kept ? 4 : 8) * Cluster;  // of a stage: one of each warp that reads it
};

struct Maps {
  CUtensorMap a[3], b[3];
};

// An item of a block's work is a tile. Tiles are numbered along n first, so blocks that run together share rows of a;
// where the last round would leave half of the blocks idle, it is cut into halves: items from `whole` on have 64 rows.
// With Kept, an item is a band of 128 rows, in the block's columns.
struct Shape {
  int32_t m, n, column_tiles, items, whole;
  int32_t steps, first_ends, second_ends;  // of k: all, and where the first and second pair of matrices end
  int32_t columns_at_once, stride;         // clusters side by side (Kept); from one item of a cluster to its next
};

struct Place {
  int row, column;
  bool whole;
};

template <class T>
__device__ inline int first_item(const Shape& shape) {
  return T::kept ? blockIdx.x / T::cluster / shape.columns_at_once : blockIdx.x / T::cluster;
}
template <class T>
__device__ inline Place place_of(const Shape& shape, int item) {
  if constexpr (T::kept) {
    const int column = int(blockIdx.x) % (shape.columns_at_once * T::cluster);
    return {item * T::rows, column * T::columns, true};
  }
  const bool whole = item < shape.whole;
  const int tile = whole ? item : shape.whole + (item - shape.whole) / 2, half = whole ? 0 : (item - shape.whole) % 2;
  const int band = tile / shape.column_tiles, rows = whole ? T::rows : T::rows / 2;
  return {band * T::rows + half * rows, (tile - band * shape.column_tiles) * T::columns, whole};
}

// Walks over a block's work, one step of k after the other.
template <class T>
struct Cursor {
  int item, step = 0;
  bool first = true;  // item of the block
  Place place;

  __device__ Cursor(const Shape& shape) : item(first_item<T>(shape)), place(place_of<T>(shape, item)) {}
  __device__ void advance(const Shape& shape) {
    if (++step < shape.steps) return;
    step = 0, first = false, item += shape.stride, place = place_of<T>(shape, item);
  }
  // Which pair of matrices the step belongs to, and its first column there.
  __device__ int pair(const Shape& shape) const {
    return int(step >= shape.first_ends) + int(step >= shape.second_ends);
  }
  __device__ int column(const Shape& shape) const {
    const int which = pair(shape);
    return T::step * (step - (which == 0 ? 0 : which == 1 ? shape.first_ends : shape.second_ends));
  }
};

// The ring: stages and their barriers, and a place in it.
template <class T>
struct Ring {
  uint8_t *kept, *stages;
  uint64_t *full, *empty;
  int slot = 0;
  uint32_t parity = 0;

  __device__ explicit Ring(uint8_t* shared)
      : kept(shared), stages(kept + T::kept_bytes), full(reinterpret_cast<uint64_t*>(stages + T::ring_bytes)),
        empty(full + T::stages) {}
  __device__ void advance() {
    if (++slot == T::stages) slot = 0, parity ^= 1;
  }
  __device__ void advance(int steps) {
    const int to = slot + steps;
    slot = to % T::stages, parity ^= uint32_t(to / T::stages) & 1;
  }
  // By all lanes of a warp: it has read the stage.
  __device__ void release(int which) const {
    const int lane = threadIdx.x % 32;
    if constexpr (T::cluster == 1) {
      if (lane == 0) barrier_arrive(&empty[which]);
    } else {
      if (lane < T::cluster) barrier_arrive_at(&empty[which], lane);
    }
  }
};

template <class T, bool Grouped>
__device__ inline void produce(const Maps& maps, const Shape& shape, Ring<T> ring) {
  constexpr uint16_t everyone = (1 << T::cluster) - 1;
  const int skip = blockIdx.x % T::cluster * (T::rows / T::cluster);  // to the rows of a that this block brings
  for (Cursor<T> now(shape); now.item < shape.items; now.advance(shape)) {
    barrier_wait(&ring.empty[ring.slot], ring.parity ^ 1);
    uint64_t* full = &ring.full[ring.slot];
    const bool brings_b = !T::kept || now.first;
    barrier_expect(full, T::a_bytes + (brings_b ? T::b_bytes : 0));
    const int pair = now.pair(shape), k = now.column(shape), row = now.place.row + skip;
    uint8_t* stage = ring.stages + ring.slot * T::stage_bytes;
    uint8_t* a_panel = stage + skip * T::step * 2;
    if constexpr (T::cluster > 1) load_shared_tile(a_panel, &maps.a[pair], full, k, row, everyone);
    else rs::gpu::load_tile(a_panel, &maps.a[pair], full, k, row);
    if (brings_b) {
      uint8_t* b_panel = T::kept ? ring.kept + now.step * T::b_bytes : stage + T::a_bytes;
      const int b_row = now.place.column;
      load_tile(b_panel, &maps.b[pair], full, k, Grouped ? 0 : b_row, Grouped ? b_row / 32 : 0);
    }
    ring.advance();
  }
}

template <class T, class Out>
__device__ inline void consume(const typename Out::Target& target, const Shape& shape, Ring<T> ring) {
  const int group = threadIdx.x / 128 - 1, lane = threadIdx.x % 32;
  const int lane_row = threadIdx.x % 128 / 32 * 16 + lane / 4;
  const uint64_t a_start = k_major(shared_address(ring.stages) + (T::kept ? 0 : group * 64 * T::step * 2));
  const uint64_t b_start = k_major(shared_address(T::kept ? ring.kept : ring.stages + T::a_bytes));
  float sums[T::blocks][T::columns / 2];
  Out output;
  if (T::kept && group == 1) named_barrier_arrive(2, 256);

  int turn = 0;
  for (int item = first_item<T>(shape); item < shape.items; item += shape.stride, turn ^= 1) {
    const Place place = place_of<T>(shape, item);
    if (T::kept && turn != group) {
      ring.advance(shape.steps);
      continue;
    }
    if (!T::kept && !place.whole && group == 1) {  // the rows are the other warpgroup's alone
      for (int step = 0; step < shape.steps; step++, ring.advance()) {
        barrier_wait(&ring.full[ring.slot], ring.parity);
        ring.release(ring.slot);
      }
      continue;
    }
    output.place(target, shape.m, shape.n, place.row + (T::kept ? 0 : 64 * group), place.column, lane_row, lane);
    if (T::kept) {
      if (Out::fetches) output.fetch();  // while the other warpgroup multiplies
      // b's panels came with the block's first item; who did not wait for them then is told by this barrier.
      named_barrier(2 + group, 256);
    }

    int last = 0;  // the stage before
    auto multiply = [&](int begin, int end) {
#pragma unroll 1
      for (int step = begin; step < end; step++) {
        barrier_wait(&ring.full[ring.slot], ring.parity);
        const uint64_t a_stage = uint64_t(ring.slot * (T::stage_bytes / 16));
        const uint64_t b_stage = T::kept ? uint64_t(step * (T::b_bytes / 16)) : a_stage;
        products_fence();
#pragma unroll
        for (int k = 0; k < T::step / 16; k++)
#pragma unroll
          for (int block = 0; block < T::blocks; block++)
            multiply_add<0>(sums[block], a_start + a_stage + block * (64 * T::step * 2 / 16) + 2 * k,
                            b_start + b_stage + 2 * k, step + k > 0);
        products_commit();
        if (step > 0) {
          products_wait<1>();
          ring.release(last);
        }
        last = ring.slot;
        ring.advance();
      }
    };
    if constexpr (Out::fetches && !T::kept) {
      const int early = max(0, shape.steps - Out::parts - 2);
      multiply(0, early);
      output.fetch();
      if constexpr (Out::parts == 0) {
        multiply(early, shape.steps);
      } else {
        int step = max(early, shape.steps - Out::parts);
        multiply(early, step);
#pragma unroll
        for (int part = 0; part < Out::parts; part++, step++) {  // behind the step that was begun last
          if (step < shape.steps) multiply(step, step + 1);
          output.prepare(part);
        }
      }
    } else {
      multiply(0, shape.steps);
    }
    if (T::kept) named_barrier_arrive(3 - group, 256);
    products_wait<0>();
#pragma unroll
    for (int block = 0; block < T::blocks; block++) touch(sums[block]);
    ring.release(last);
    output.store(sums);
  }
}

// Out is Output or one like it; Grouped: how it wants b's rows.
template <class T, class Out, bool Grouped>
__global__ void __launch_bounds__(384, 1)
    product_kernel(const __grid_constant__ typename Out::Target target, const __grid_constant__ Maps maps,
                   const __grid_constant__ Shape shape) {
  extern __shared__ uint8_t shared[];
  Ring<T> ring(shared + (1024 - shared_address(shared) % 1024) % 1024);
  if (threadIdx.x == 0) {
    for (int i = 0; i < T::stages; i++) {
      barrier_create(&ring.full[i], 1);
      barrier_create(&ring.empty[i], T::releases);
    }
    barrier_fence();
    prefetch_map(&maps.a[0]);
    prefetch_map(&maps.b[0]);
  }
  if constexpr (T::cluster > 1) cluster_barrier();
  else __syncthreads();
  if (threadIdx.x < 128) {
    registers_down<40>();
    if (threadIdx.x == 0) produce<T, Grouped>(maps, shape, ring);
  } else {
    registers_up<232>();
    consume<T, Out>(target, shape, ring);
  }
  __syncwarp();
  // No block ends while another may still write to its memory or arrive at its barriers.
  if constexpr (T::cluster > 1) cluster_barrier();
}

}  // namespace rs::gpu::product
