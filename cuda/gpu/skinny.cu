// Products bound by memory because a side is tiny, such as gates: few columns of c, few terms of a sum, and the
// gradient of such a weight, whose sums run over all rows of a batch. Each reads the large operand once.
#include <algorithm>

#include "mixed_product.h"

namespace rs::gpu {

namespace {

constexpr int kThreads = 256;
constexpr int kRows = 4;             // of c, that a thread works on side by side, so that their loads overlap
constexpr int64_t kWeights = 8192;   // floats of b in shared memory

// op(b)[term, column] as float32.
__device__ float weight(const MixedProduct& p, int term, int column) {
  const int64_t at = p.trans_b ? int64_t{column} * p.k + term : int64_t{term} * p.n + column;
  return load_any(p.b, p.b_type, at, p.rounds);
}

// ---- few columns: c[M, N ≤ Columns] ----

// `lanes` threads, a power of two, share kRows rows; each sums every lanes-th group of eight terms.
template <class T, int Columns>
__global__ void __launch_bounds__(kThreads) few_columns_kernel(const MixedProduct p, int lanes, bool wide) {
  extern __shared__ __align__(16) float weights[];  // [Columns][terms], zeros beyond N and K
  const int k = p.k, terms = (k + 7) / 8 * 8;
  for (int i = threadIdx.x; i < Columns * terms; i += kThreads) {
    const int column = i / terms, term = i % terms;
    weights[i] = column < p.n && term < k ? weight(p, term, column) : 0.0f;
  }
  __syncthreads();
  const int lane = threadIdx.x % lanes, group = threadIdx.x / lanes, groups = kThreads / lanes;
  const auto* a = static_cast<const T*>(p.a);
  const int64_t at_once = int64_t{groups} * kRows;
  for (int64_t first = blockIdx.x * at_once; first < p.m; first += gridDim.x * at_once) {
    float sums[kRows][Columns] = {};
    for (int at = lane * 8; at < k; at += lanes * 8) {
      float x[kRows][8];
#pragma unroll
      for (int r = 0; r < kRows; r++) {
        const int64_t row = first + r * groups + group;
        const bool inside = row < p.m;
        load8(x[r], a + (inside ? row : 0) * k + at, inside ? k - at : 0, wide);
        if (sizeof(T) == 4 && p.rounds) round_all(x[r]);
      }
#pragma unroll
      for (int n = 0; n < Columns; n++) {
        float w[8];
        load8(w, weights + n * terms + at, 8, true);
#pragma unroll
        for (int r = 0; r < kRows; r++)
#pragma unroll
          for (int i = 0; i < 8; i++) sums[r][n] = fmaf(x[r][i], w[i], sums[r][n]);
      }
    }
    for (int offset = lanes / 2; offset > 0; offset /= 2)
#pragma unroll
      for (int r = 0; r < kRows; r++)
#pragma unroll
        for (int n = 0; n < Columns; n++) sums[r][n] += __shfl_xor_sync(0xffffffffu, sums[r][n], offset);
    // Every lane stores columns of its own, so that neighbours write side by side.
    for (int n = lane; n < p.n; n += lanes) {
#pragma unroll
      for (int r = 0; r < kRows; r++) {
        const int64_t row = first + r * groups + group;
        float sum = 0;
#pragma unroll
        for (int i = 0; i < Columns; i++)
          if (i == n) sum = sums[r][i];
        if (row < p.m) finish(p, row * p.n + n, sum);
      }
    }
  }
}

template <int Columns>
void few_columns(const MixedProduct& p) {
  const int64_t groups_of_eight = ceil_div(p.k, 8);
  int lanes = 1;
  while (lanes < 32 && lanes < groups_of_eight) lanes *= 2;
  Launch shape{dim3(grid_for(p.m, kThreads / lanes * kRows)), dim3(kThreads)};
  shape.shared = sizeof(float) * size_t(Columns * groups_of_eight * 8);
  with_float(p.a_type, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launch(few_columns_kernel<T, Columns>, shape, p, lanes, wide_access(p.k, static_cast<const T*>(p.a)));
  });
}

// ---- few terms: c[M, N] with K ≤ 16 ----

// A thread makes eight neighbours of kRows rows; a block has `columns` such groups beside each other.
template <class T>
__global__ void __launch_bounds__(kThreads) few_terms_kernel(const MixedProduct p, int columns, bool wide) {
  extern __shared__ __align__(16) float weights[];  // [K][width], zeros beyond N
  const int n = p.n, k = p.k, width = (n + 7) / 8 * 8;
  for (int i = threadIdx.x; i < k * width; i += kThreads) {
    const int term = i / width, column = i % width;
    weights[i] = column < n ? weight(p, term, column) : 0.0f;
  }
  __syncthreads();
  const int column = (int(blockIdx.y) * columns + int(threadIdx.x) % columns) * 8;
  const int slot = int(threadIdx.x) / columns, slots = kThreads / columns;
  if (slot >= slots || column >= width) return;
  auto* c = static_cast<T*>(p.c);
  const auto* aux = static_cast<const T*>(p.aux);
  const bool with_aux = reads_aux(p.beta, p.epilogue);
  const int64_t at_once = int64_t{slots} * kRows;
  for (int64_t first = blockIdx.x * at_once; first < p.m; first += gridDim.x * at_once) {
    float sums[kRows][8] = {};
#pragma unroll 4
    for (int term = 0; term < k; term++) {
      float w[8];
      load8(w, weights + term * width + column, 8, true);
#pragma unroll
      for (int r = 0; r < kRows; r++) {
        const int64_t row = first + r * slots + slot;
        const float x = row < p.m ? load_any(p.a, p.a_type, row * k + term, p.rounds) : 0.0f;
#pragma unroll
        for (int i = 0; i < 8; i++) sums[r][i] = fmaf(x, w[i], sums[r][i]);
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; r++) {
      const int64_t row = first + r * slots + slot, at = row * n + column;
      if (row >= p.m) continue;
      float other[8] = {};
      if (with_aux) load8(other, aux + at, n - column, wide);
#pragma unroll
      for (int i = 0; i < 8; i++) sums[r][i] = finished(sums[r][i], other[i], p.alpha, p.beta, p.epilogue);
      store8(c + at, sums[r], n - column, wide);
    }
  }
}

void few_terms(const MixedProduct& p) {
  const int64_t groups = ceil_div(p.n, 8), columns = std::min<int64_t>(groups, kThreads);
  Launch shape{dim3(grid_for(p.m, kThreads / columns * kRows), unsigned(ceil_div(groups, columns))), dim3(kThreads)};
  shape.shared = sizeof(float) * size_t(p.k * groups * 8);
  with_float(p.c_type, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    const bool wide = wide_access(p.n, static_cast<const T*>(p.c), static_cast<const T*>(p.aux));
    launch(few_terms_kernel<T>, shape, p, int(columns), wide);
  });
}

// ---- long sums: c[M, N] = a[K, M]ᵀ·b[K, N] ----

constexpr int kTile = 64;        // of c, both ways
constexpr int kShared = 4096;    // floats
constexpr int64_t kParts = 528;  // blocks that fill the largest devices

// Rows [first, first + count) of the columns from `column` on, `width` of them, as float32 in rows of `stride` (a
// multiple of four, zeros beyond `width`).
template <class T>
__device__ void load_rows(float* target, const T* source, int64_t first, int count, int64_t columns, int64_t column,
                          int width, int stride, bool wide, bool round) {
  const int groups = (width + 7) / 8;
  for (int i = threadIdx.x; i < count * groups; i += kThreads) {
    const int row = i / groups, at = i % groups * 8;
    float v[8];
    load8(v, source + (first + row) * columns + column + at, width - at, wide);
    if (sizeof(T) == 4 && round) round_all(v);
    auto* to = reinterpret_cast<float4*>(target + row * stride + at);
    to[0] = make_float4(v[0], v[1], v[2], v[3]);
    if (at + 4 < stride) to[1] = make_float4(v[4], v[5], v[6], v[7]);
  }
}

// Block tile + tiles·part adds the terms [part·chunk, (part + 1)·chunk) of one tile. Its threads are slices of terms,
// in each a thread for 4×4 elements.
template <class A, class B>
__global__ void __launch_bounds__(kThreads) long_product_kernel(float* partials, const A* a, const B* b, int64_t m,
                                                                int64_t n, int64_t k, int64_t chunk, bool round,
                                                                bool wide_a, bool wide_b) {
  __shared__ __align__(16) float shared[kShared];
  const int64_t tiles_n = (n + kTile - 1) / kTile, tiles = (m + kTile - 1) / kTile * tiles_n;
  const int64_t tile = blockIdx.x % tiles, part = blockIdx.x / tiles;
  const int64_t m0 = tile / tiles_n * kTile, n0 = tile % tiles_n * kTile;
  const int rows = int(min(int64_t{kTile}, m - m0)), columns = int(min(int64_t{kTile}, n - n0));
  const int row_groups = (rows + 3) / 4, column_groups = (columns + 3) / 4, squares = row_groups * column_groups;
  const int stride_a = row_groups * 4, stride_b = column_groups * 4;
  const int depth = min(kThreads, kShared / (stride_a + stride_b));
  float* const tile_a = shared;
  float* const tile_b = shared + depth * stride_a;

  const int slices = kThreads / squares, slice = int(threadIdx.x) / squares, square = int(threadIdx.x) % squares;
  const int row = square / column_groups * 4, column = square % column_groups * 4;
  const int64_t end = min(k, (part + 1) * chunk);
  float sums[4][4] = {};
  for (int64_t first = part * chunk; first < end; first += depth) {
    const int count = int(min(int64_t{depth}, end - first));
    __syncthreads();
    load_rows(tile_a, a, first, count, m, m0, rows, stride_a, wide_a, round);
    load_rows(tile_b, b, first, count, n, n0, columns, stride_b, wide_b, round);
    __syncthreads();
    if (slice >= slices) continue;
#pragma unroll 4
    for (int term = slice; term < count; term += slices) {
      const float4 x = *reinterpret_cast<const float4*>(tile_a + term * stride_a + row);
      const float4 y = *reinterpret_cast<const float4*>(tile_b + term * stride_b + column);
      const float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sums[i][j] = fmaf(xs[i], ys[j], sums[i][j]);
    }
  }
  __syncthreads();
  if (slice < slices) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      auto* to = reinterpret_cast<float4*>(shared) + threadIdx.x * 4 + i;
      *to = make_float4(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < squares * 16; i += kThreads) {
    float sum = 0;
    for (int s = 0; s < slices; s++) sum += shared[s * squares * 16 + i];
    const int at_row = i / 16 / column_groups * 4 + i % 16 / 4, at_column = i / 16 % column_groups * 4 + i % 4;
    if (at_row < rows && at_column < columns) partials[part * m * n + (m0 + at_row) * n + n0 + at_column] = sum;
  }
}

// 32 elements a block, each by 32 threads, in one order.
__global__ void __launch_bounds__(1024) add_parts_kernel(const MixedProduct p, const float* partials, int64_t parts) {
  __shared__ double shared[32][33];
  const int64_t count = p.m * p.n, at = int64_t{blockIdx.x} * 32 + threadIdx.x;
  double sum = 0;
  if (at < count)
    for (int64_t part = threadIdx.y; part < parts; part += 32) sum += partials[part * count + at];
  shared[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || at >= count) return;
  for (int i = 1; i < 32; i++) sum += shared[i][threadIdx.x];
  finish(p, at, float(sum));
}

}  // namespace

void long_product(const MixedProduct& product) {
  const int64_t m = product.m, n = product.n, k = product.k;
  const int64_t tiles = ceil_div(m, kTile) * ceil_div(n, kTile);
  // Sizes alone decide on the parts, and with them on the order of the sums.
  const int64_t most = std::max<int64_t>(1, std::min(ceil_div(k, 256), ceil_div(kParts, tiles)));
  const int64_t chunk = ceil_div(ceil_div(k, most), 32) * 32, parts = ceil_div(k, chunk);
  Scratch partials(sizeof(float) * size_t(parts * m * n));
  for (int64_t item = 0; item < product.items; item++) {
    MixedProduct p = product;
    const int64_t c_at = item * p.stride_c;
    with_float(p.c_type, [&](auto* type) {
      using T = std::remove_pointer_t<decltype(type)>;
      p.c = static_cast<T*>(p.c) + c_at;
      if (p.aux != nullptr) p.aux = static_cast<const T*>(p.aux) + c_at;
    });
    with_float(p.a_type, [&](auto* a_type) {
      with_float(p.b_type, [&](auto* b_type) {
        using A = std::remove_pointer_t<decltype(a_type)>;
        using B = std::remove_pointer_t<decltype(b_type)>;
        const A* a = static_cast<const A*>(p.a) + item * p.stride_a;
        const B* b = static_cast<const B*>(p.b) + item * p.stride_b;
        launch(long_product_kernel<A, B>, {dim3(unsigned(tiles * parts)), dim3(kThreads)}, partials.f32(), a, b, m, n,
               k, chunk, p.rounds != 0, wide_access(m, a), wide_access(n, b));
      });
    });
    launch(add_parts_kernel, {dim3(unsigned(ceil_div(m * n, 32))), dim3(32, 32)}, p,
           static_cast<const float*>(partials.f32()), parts);
  }
}

bool skinny_product(const MixedProduct& p) {
  const int64_t width = ceil_div(p.n, 8) * 8, terms = ceil_div(p.k, 8) * 8;
  if (p.trans_a) {
    if (p.trans_b || p.k < kLongSum || p.m > kTile || p.n > kTile) return false;
    long_product(p);
  } else if (p.items != 1) {
    return false;
  } else if (p.n <= 4 && 4 * terms <= kWeights) {
    few_columns<4>(p);
  } else if (p.n <= 16 && 16 * terms <= kWeights) {
    few_columns<16>(p);
  } else if (p.k <= 16 && p.k * width <= kWeights) {
    few_terms(p);
  } else {
    return false;
  }
  return true;
}

}  // namespace rs::gpu
