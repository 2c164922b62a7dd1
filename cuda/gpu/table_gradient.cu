// Sums of gradient rows by id. The positions are sorted by id and cut into segments of one size, whatever the ids: a
// frequent id takes no longer than rare ones. A warp adds up a segment's rows of 256 columns. A run of equal ids within
// the segment goes straight to the table; of one that crosses a border, the sum of the part is kept, and a second
// kernel adds the parts in order. Each row of dy is read once.
#include "table_gradient.h"

#include "lanes.h"
#include "sorted_ids.h"

namespace rs::gpu {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;
constexpr int kColumns = 256;  // of a warp
constexpr int kCombineThreads = 256, kCombineWarps = kCombineThreads / 32;
constexpr int kShortRun = 16;  // parts that one warp adds up alone

struct Sums {
  float *dtable, *parts;  // parts[segments, 2, slabs·kColumns]: of the run from before, and of the one that goes on
  SortedIds sorted;
  int64_t c;
  int32_t n, segment, slabs, g, d, unused;  // no gaps: parameters are compared byte by byte

  __device__ float* part(int64_t segment_index, bool from_before, int64_t column) const {
    return parts + (segment_index * 2 + (from_before ? 0 : 1)) * slabs * kColumns + column;
  }
};

__device__ inline void add_to(float* target, const float (&sum)[8], int count, bool wide) {
  float v[8];
  load8(v, target, count, wide);
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] += sum[i];
  store8(target, v, count, wide);
}

template <class T>
__device__ inline Chunk<float> load_any(const T* p, int count, bool wide) {
  float v[8];
  load8(v, p, count, wide);
  return {make_float4(v[0], v[1], v[2], v[3]), make_float4(v[4], v[5], v[6], v[7])};
}

// kFast: whole chunks of eight, aligned, in one group each. kDots (kFast only): d is a power of two up to 256, and the
// product of each row with its row of the table gives dgate.
template <class T, bool kGated, bool kDots, bool kFast>
__global__ void __launch_bounds__(kThreads)
    table_gradient_kernel(Sums p, T* __restrict__ dgate, const T* __restrict__ dy, const float* __restrict__ table,
                          const T* __restrict__ gate, bool wide) {
  constexpr int kBatch = kFast && sizeof(T) == 2 ? 8 : 4;  // rows in flight
  using Row = std::conditional_t<kFast, Chunk<T>, Chunk<float>>;
  const int lane = threadIdx.x % 32;
  const int64_t item = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  const int64_t index = item / p.slabs, begin = index * p.segment;
  if (begin >= p.n) return;
  const int64_t end = begin + p.segment < p.n ? begin + p.segment : p.n;
  const int64_t column = item % p.slabs * kColumns + lane * 8, left = p.c - column;
  const int width = left >= 8 ? 8 : left > 0 ? int(left) : 0;
  const int64_t group = kGated && width > 0 ? column / p.d : 0;
  const int dot_lanes = p.d / 8;
  wide = kFast || wide;

  int32_t current = p.sorted.ids[begin];
  bool from_before = begin > 0 && p.sorted.ids[begin - 1] == current;
  float sum[8] = {}, entry[8] = {};
  const auto open = [&] {
#pragma unroll
    for (int i = 0; i < 8; i++) sum[i] = 0;
    if (kDots && width > 0) load8(entry, table + int64_t{current} * p.c + column, 8, true);
  };
  const auto close = [&](bool goes_on) {
    if (width == 0) return;
    if (from_before || goes_on) store8(p.part(index, from_before, column), sum, 8, true);
    else add_to(p.dtable + int64_t{current} * p.c + column, sum, width, wide);
  };
  open();
  // Lane i holds element i of 32; those of the next 32 are on their way meanwhile.
  int32_t next_id = 0, next_place = 0;
  const auto fetch = [&](int64_t at) {
    if (at >= end) return;
    next_id = p.sorted.ids[at];
    next_place = p.sorted.places[at];
  };
  fetch(begin + lane);
  for (int64_t chunk = begin; chunk < end; chunk += 32) {
    const int32_t ids = next_id, places = next_place;
    fetch(chunk + 32 + lane);
    for (int first = 0; first < 32 && chunk + first < end; first += kBatch) {
      const int count = end - chunk - first < kBatch ? int(end - chunk - first) : kBatch;
      Row rows[kBatch];
      int32_t place[kBatch];
      float s[kBatch], dots[kBatch];  // sigmoids of the gates; products with the table
#pragma unroll
      for (int u = 0; u < kBatch; u++) {
        place[u] = __shfl_sync(0xffffffffu, places, first + u);
        rows[u] = Row{};
        s[u] = dots[u] = 0;
        if (u >= count || width == 0) continue;
        const int64_t start = int64_t{place[u]} * p.c + column;
        if constexpr (kFast) rows[u] = load_chunk(dy + start);
        else rows[u] = load_any(dy + start, width, wide);
        if constexpr (kGated && kFast) s[u] = to_float(gate[int64_t{place[u]} * p.g + group]);
      }
      if constexpr (kGated && kFast) {
#pragma unroll
        for (int u = 0; u < kBatch; u++) s[u] = sigmoid(s[u]);
      }
      const auto add = [&](int u) {
        float v[8];
        unpack(v, rows[u]);
        if constexpr (kDots) dots[u] = add_products(0, v, entry);
#pragma unroll
        for (int i = 0; i < 8; i++) {
          if constexpr (!kGated) {
            sum[i] += v[i];
          } else if constexpr (kFast) {
            sum[i] = fmaf(v[i], 2.0f * s[u], sum[i]);
          } else if (i < width) {
            const float g = to_float(gate[int64_t{place[u]} * p.g + (column + i) / p.d]);
            sum[i] = fmaf(v[i], 2.0f * sigmoid(g), sum[i]);
          }
        }
      };
      // Most often the batch lies within the run, and its rows need no branches between them: ids rise.
      if (kFast && count == kBatch && __shfl_sync(0xffffffffu, ids, first + kBatch - 1) == current) {
#pragma unroll
        for (int u = 0; u < kBatch; u++) add(u);
      } else {
#pragma unroll
        for (int u = 0; u < kBatch; u++) {
          if (u >= count) break;
          const int32_t id = __shfl_sync(0xffffffffu, ids, first + u);
          if (id != current) {
            close(false);
            current = id;
            from_before = false;
            open();
          }
          add(u);
        }
      }
      if constexpr (kDots) {
#pragma unroll
        for (int offset = 16; offset > 0; offset /= 2) {
          if (offset >= dot_lanes) continue;
#pragma unroll
          for (int u = 0; u < kBatch; u++) dots[u] += __shfl_xor_sync(0xffffffffu, dots[u], offset);
        }
        if (width > 0 && (lane & (dot_lanes - 1)) == 0) {
#pragma unroll
          for (int u = 0; u < kBatch; u++)
            if (u < count) dgate[int64_t{place[u]} * p.g + group] = from_float<T>(gate_gradient(s[u], dots[u]));
        }
      }
    }
  }
  close(end < p.n && p.sorted.ids[end] == current);
}

// Adds up the parts of the run that begins in segment blockIdx.x and goes on after it, if there is one.
__global__ void __launch_bounds__(kCombineThreads) table_gradient_combine_kernel(Sums p, bool wide) {
  const int64_t index = blockIdx.x, begin = index * p.segment, end = begin + p.segment;
  if (end >= p.n) return;
  const int32_t id = p.sorted.ids[end - 1];
  if (p.sorted.ids[end] != id || (begin > 0 && p.sorted.ids[begin - 1] == id)) return;
  const int64_t parts = (p.sorted.ends[id] - 1) / p.segment - index + 1;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const auto add_parts = [&](float (&sum)[8], int64_t column, int64_t first, int64_t last) {
#pragma unroll 4
    for (int64_t i = first; i < last; i++) {
      float v[8];
      load8(v, p.part(index + i, i > 0, column), 8, true);
#pragma unroll
      for (int j = 0; j < 8; j++) sum[j] += v[j];
    }
  };
  const auto finish = [&](const float (&sum)[8], int64_t column) {
    const int64_t left = p.c - column;
    if (left > 0) add_to(p.dtable + int64_t{id} * p.c + column, sum, left < 8 ? int(left) : 8, wide);
  };
  if (parts <= kShortRun) {
    for (int slab = warp; slab < p.slabs; slab += kCombineWarps) {
      const int64_t column = int64_t{slab} * kColumns + lane * 8;
      float sum[8] = {};
      add_parts(sum, column, 0, parts);
      finish(sum, column);
    }
    return;
  }
  __shared__ float sums[kCombineWarps][kColumns];
  const int64_t share = (parts + kCombineWarps - 1) / kCombineWarps, first = warp * share;
  const int64_t last = first + share < parts ? first + share : parts;
  for (int slab = 0; slab < p.slabs; slab++) {
    const int64_t column = int64_t{slab} * kColumns + lane * 8;
    float sum[8] = {};
    add_parts(sum, column, first, last);
    store8(&sums[warp][lane * 8], sum, 8, false);
    __syncthreads();
    if (warp == 0) {
      for (int other = 1; other < kCombineWarps; other++) {
#pragma unroll
        for (int j = 0; j < 8; j++) sum[j] += sums[other][lane * 8 + j];
      }
      finish(sum, column);
    }
    __syncthreads();
  }
}

}  // namespace

bool add_table_gradient(const TableGradient& t) {
  Sums sums{};
  sums.sorted = sorted_ids(t.ids, t.n, t.v);
  sums.dtable = t.dtable->f32();
  sums.n = t.n;
  // Shorter segments where there are few positions, so that all multiprocessors have work.
  sums.segment = t.n >= 1 << 17 ? 64 : 16;
  sums.slabs = int32_t(ceil_div(t.c, kColumns));
  sums.c = t.c;
  sums.g = t.g;
  sums.d = t.d;
  const int64_t segments = ceil_div(t.n, sums.segment);
  Scratch parts(sizeof(float) * size_t(segments) * 2 * size_t(sums.slabs) * kColumns);
  sums.parts = parts.f32();
  const Launch shape{unsigned(ceil_div(segments * sums.slabs, kWarps)), kThreads};
  bool dots = false, wide = false;
  with_float(t.dy->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const T *dy = elements<T>(t.dy), *gate = elements<T>(t.gate);
    T* dgate = elements<T>(t.dgate);
    const float* table = elements<float>(t.table);
    wide = wide_access(t.c, dy, sums.dtable, table);
    const bool fast = wide && (gate == nullptr || t.d % 8 == 0);
    dots = fast && gate != nullptr && t.d <= kColumns && kColumns % t.d == 0;
    const auto run = [&](auto* kernel) { launch(kernel, shape, sums, dgate, dy, table, gate, wide); };
    if (dots) run(table_gradient_kernel<T, true, true, true>);
    else if (gate && fast) run(table_gradient_kernel<T, true, false, true>);
    else if (gate) run(table_gradient_kernel<T, true, false, false>);
    else if (fast) run(table_gradient_kernel<T, false, false, true>);
    else run(table_gradient_kernel<T, false, false, false>);
  });
  launch(table_gradient_combine_kernel, {unsigned(segments), kCombineThreads}, sums, wide);
  return dots;
}

}  // namespace rs::gpu
