// Sums of a matrix [rows, c] over its columns (one sum a row) or over its rows (one sum a column), of terms that are
// made on the way. The order of additions depends on the shape alone, that of a row's sum on c alone. Partial sums are
// float32 and short (at most 64 elements a thread along a row); those of sums over rows are added in float64.
//
// A Term has
//   Raw                                  what is in flight for eight neighbours of a row
//   kInFlight                            how many of those a thread should have under way
//   load(raw, row, column, count)        starts the loads; count ≥ 1 of the eight exist, column is a multiple of 8
//   values(v, raw, row, column, count)   the eight terms, 0 from count on; called once for each element, so a term may
//                                        also store what belongs there
#pragma once
#include "rows.h"

namespace rs::gpu {

constexpr int64_t kPiece = 16384;      // elements of a row that one block sums: 8 groups of 8 a thread
constexpr int64_t kColumnBlocks = 1056;  // that sums over rows aim at: 8 for each of 132 multiprocessors

// Where sums go: float32 or bfloat16, each times `scale`.
struct SumOutput {
  void* data;
  int64_t dtype;  // these are kernels' parameters, which have no gaps: see gpu.h
  double scale;
#ifdef __CUDACC__
  __device__ void store(int64_t i, double sum) const {
    const float value = float(scale * sum);
    if (dtype == RS_BF16) static_cast<bf16*>(data)[i] = from_float<bf16>(value);
    else static_cast<float*>(data)[i] = value;
  }
#endif
};

#ifdef __CUDACC__

// The elements of x[rows, c]; `wide` as of wide_access for its rows.
template <class T>
struct Elements {
  const T* x;
  int64_t c, wide;
  using Raw = Group<T, 8>;
  static constexpr int kInFlight = 4;
  __device__ void load(Raw& raw, int64_t row, int64_t column, int count) const {
    raw.load(x + row * c + column, count, wide);
  }
  __device__ void values(float (&v)[8], const Raw& raw, int64_t, int64_t, int) const { raw.unpack(v); }
};

// A team of Threads threads sums one piece of one row; item = row·pieces + piece.
template <int Threads, class Term>
__global__ void __launch_bounds__(kThreads)
    sum_over_columns_kernel(SumOutput out, Term term, int64_t rows, int64_t c, int64_t pieces) {
  __shared__ float shared[33];
  const int64_t item = int64_t{blockIdx.x} * (kThreads / Threads) + threadIdx.x / Threads;
  const int64_t row = pieces == 1 ? item : item / pieces, piece = item - row * pieces;
  const int64_t last = row < rows ? min(c, (piece + 1) * kPiece) : 0;
  float sum = 0;
  constexpr int kStep = Threads * 8;
  for (int64_t start = piece * kPiece + threadIdx.x % Threads * 8; start < last; start += Term::kInFlight * kStep) {
    typename Term::Raw raw[Term::kInFlight];
#pragma unroll
    for (int k = 0; k < Term::kInFlight; k++) {
      const int count = count_left(start + k * kStep, last, 8);
      if (count > 0) term.load(raw[k], row, start + k * kStep, count);
    }
#pragma unroll
    for (int k = 0; k < Term::kInFlight; k++) {
      const int count = count_left(start + k * kStep, last, 8);
      if (count == 0) break;
      float v[8];
      term.values(v, raw[k], row, start + k * kStep, count);
      sum += ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
    }
  }
  sum = team_sum<Threads>(sum, shared);
  if (threadIdx.x % Threads == 0 && row < rows) out.store(item, sum);
}

// out[rows]
template <class Term>
void sum_over_columns(const SumOutput& out, const Term& term, int64_t rows, int64_t c) {
  const auto enqueue = [&](auto kernel, int threads, const SumOutput& target, int64_t pieces) {
    launch(kernel, {dim3(unsigned(ceil_div(rows * pieces, kThreads / threads))), dim3(kThreads)}, target, term, rows, c,
           pieces);
  };
  if (c <= 64) return enqueue(sum_over_columns_kernel<8, Term>, 8, out, 1);
  if (c <= 2048) return enqueue(sum_over_columns_kernel<32, Term>, 32, out, 1);
  if (c <= kPiece) return enqueue(sum_over_columns_kernel<kThreads, Term>, kThreads, out, 1);
  const int64_t pieces = ceil_div(c, kPiece);
  Scratch partial(sizeof(float) * size_t(rows * pieces));
  enqueue(sum_over_columns_kernel<kThreads, Term>, kThreads, {partial.f32(), RS_F32, 1.0}, pieces);
  sum_over_columns(out, Elements<float>{partial.f32(), pieces, wide_access(pieces, partial.f32())}, rows, pieces);
}

// A block sums rows_per_chunk rows of across·8 columns: `across` (a power of two up to 32) threads side by side, the
// others down the rows. Sums of chunk k go to row k of the output.
template <class Term>
__global__ void __launch_bounds__(kThreads)
    sum_over_rows_kernel(SumOutput out, Term term, int64_t rows, int64_t c, int across, int64_t tiles,
                         int64_t rows_per_chunk) {
  constexpr int kWarps = kThreads / 32;
  __shared__ float shared[kWarps][256];
  const int x = threadIdx.x % across, deep = kThreads / across;
  const int64_t chunk = blockIdx.x / tiles, first_column = (blockIdx.x - chunk * tiles) * across * 8;
  const int64_t column = first_column + x * 8;
  const int count = count_left(column, c, 8);
  const int64_t last = min(rows, (chunk + 1) * rows_per_chunk);
  float sums[8] = {};
  if (count > 0) {
    for (int64_t start = chunk * rows_per_chunk + threadIdx.x / across; start < last; start += Term::kInFlight * deep) {
      typename Term::Raw raw[Term::kInFlight];
#pragma unroll
      for (int k = 0; k < Term::kInFlight; k++)
        if (start + k * deep < last) term.load(raw[k], start + k * deep, column, count);
#pragma unroll
      for (int k = 0; k < Term::kInFlight; k++) {
        if (start + k * deep >= last) break;
        float v[8];
        term.values(v, raw[k], start + k * deep, column, count);
#pragma unroll
        for (int i = 0; i < 8; i++) sums[i] += v[i];
      }
    }
  }
  for (int offset = across; offset < 32; offset *= 2) {
#pragma unroll
    for (int i = 0; i < 8; i++) sums[i] += __shfl_xor_sync(0xffffffffu, sums[i], offset);
  }
  const int lane = threadIdx.x % 32;
  if (lane < across) {
#pragma unroll
    for (int i = 0; i < 8; i++) shared[threadIdx.x / 32][lane * 8 + i] = sums[i];
  }
  __syncthreads();
  if (int(threadIdx.x) < across * 8 && first_column + threadIdx.x < c) {
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < kWarps; warp++) sum += shared[warp][threadIdx.x];
    out.store(chunk * c + first_column + threadIdx.x, sum);
  }
}

// out[j] = Σ partial[k·stride + j] over k < pieces, for j < c; blocks of 32 columns by 32 slices of the pieces. Static,
// for it is no template and several files have it.
static __global__ void __launch_bounds__(1024)
    add_partials_kernel(SumOutput out, const float* partial, int64_t pieces, int64_t stride, int64_t c) {
  __shared__ double shared[32][33];
  const int x = threadIdx.x % 32, y = threadIdx.x / 32;
  const int64_t j = int64_t{blockIdx.x} * 32 + x;
  double sum = 0;
  if (j < c) {
#pragma unroll 8
    for (int64_t k = y; k < pieces; k += 32) sum += double(partial[k * stride + j]);
  }
  shared[y][x] = sum;
  __syncthreads();
  // Warp y takes column y: the slices lie in its lanes.
  sum = shared[x][y];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  const int64_t mine = int64_t{blockIdx.x} * 32 + y;
  if (x == 0 && mine < c) out.store(mine, sum);
}
static inline void add_partials(const SumOutput& out, const float* partial, int64_t pieces, int64_t stride, int64_t c) {
  launch(add_partials_kernel, {dim3(unsigned(ceil_div(c, 32))), dim3(1024)}, out, partial, pieces, stride, c);
}

// out[c]
template <class Term>
void sum_over_rows(const SumOutput& out, const Term& term, int64_t rows, int64_t c) {
  int across = 1;
  while (across < 32 && across * 8 < c) across *= 2;
  const int64_t tiles = ceil_div(c, across * 8), deep = kThreads / across;
  const int64_t most = kColumnBlocks > tiles ? kColumnBlocks / tiles : 1, wanted = ceil_div(rows, deep * 8);
  const int64_t rows_per_chunk = ceil_div(rows, wanted < most ? wanted : most);
  const int64_t chunks = ceil_div(rows, rows_per_chunk);
  const auto enqueue = [&](const SumOutput& target) {
    launch(sum_over_rows_kernel<Term>, {dim3(unsigned(tiles * chunks)), dim3(kThreads)}, target, term, rows, c, across,
           tiles, rows_per_chunk);
  };
  if (chunks == 1) return enqueue(out);
  Scratch partial(sizeof(float) * size_t(chunks * c));
  enqueue({partial.f32(), RS_F32, 1.0});
  add_partials(out, partial.f32(), chunks, c, c);
}

#endif  // __CUDACC__

}  // namespace rs::gpu
