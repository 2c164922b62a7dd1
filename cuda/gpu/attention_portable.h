// Tiles of bfloat16 in shared memory and a warp's products on them, with what every GPU since sm_80 has: cp.async,
// ldmatrix and mma.sync.m16n8k16 (PTX ISA 7.0, "Warp-level matrix instructions").
//
// A tile is [rows][D] without gaps. Of row r, the 16-byte group c lies at c ^ (r % 8): the eight rows that one 8×8
// matrix is loaded from are in eight different groups of banks. A warp's sums are of 16 rows (lane/4 and lane/4 + 8) by
// 8 columns (2·(lane%4) and the next): sum[0], sum[1] of the first row, sum[2], sum[3] of the second.
#pragma once
#include "attention.h"

namespace rs::gpu::tiles {

__device__ inline uint32_t shared_address(const void* p) { return uint32_t(__cvta_generic_to_shared(p)); }

// ---- copies in the background ----

// 16 bytes, or 4, from global to shared memory; zeros, and no access, unless `valid`.
__device__ inline void copy_group(uint32_t target, const void* source, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(__cvta_generic_to_global(source)),
               "r"(valid ? 16 : 0)
               : "memory");
}
__device__ inline void copy_word(uint32_t target, const void* source, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(target), "l"(__cvta_generic_to_global(source)),
               "r"(valid ? 4 : 0)
               : "memory");
}
// Waits for all that this thread copied; others see it after a barrier.
__device__ inline void copies_wait() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// Rows first … first+Rows−1 of a head into a tile, zeros from row t on; `stride` elements from row to row.
template <int D, int Rows, int Threads>
__device__ inline void copy_tile(uint32_t tile, const bf16* source, int64_t stride, int first, int t) {
  constexpr int groups = D / 8, pass = Threads / groups;
  static_assert(Threads % groups == 0 && Rows % pass == 0 && pass % 8 == 0, "a thread keeps its group of banks");
  const int group = threadIdx.x % groups, begin = threadIdx.x / groups;
  const uint32_t target = tile + begin * D * 2 + ((group ^ begin % 8) * 16);
#pragma unroll
  for (int row = 0; row < Rows; row += pass) {
    const int from = first + begin + row;
    const bool valid = from < t;
    copy_group(target + row * D * 2, valid ? source + from * stride + group * 8 : source, valid);
  }
}

// ---- operands ----

__device__ inline void load_matrices(uint32_t (&m)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(address)
               : "memory");
}
__device__ inline void load_matrices_transposed(uint32_t (&m)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(address)
               : "memory");
}

// A lane's part of loads of 16 rows × 16 columns, at `row` and `column` of a tile (multiples of 16).
template <int D>
class Operands {
 public:
  __device__ explicit Operands(int lane)
      : left_(lane % 16 * D * 2), left_swizzle_((lane / 16 ^ lane % 8) * 16),
        right_((lane % 8 + lane / 16 * 8) * D * 2), right_swizzle_((lane / 8 % 2 ^ lane % 8) * 16) {}

  // The left operand: rows are M, columns K.
  __device__ void left(uint32_t (&m)[4], uint32_t tile, int row, int column) const {
    load_matrices(m, tile + row * D * 2 + left_ + (column * 2 ^ left_swizzle_));
  }
  // Two right operands: rows are N, columns K; m[0], m[1] of the first eight rows, m[2], m[3] of the others.
  __device__ void right(uint32_t (&m)[4], uint32_t tile, int row, int column) const {
    load_matrices(m, tile + row * D * 2 + right_ + (column * 2 ^ right_swizzle_));
  }
  // Two right operands: rows are K, columns N; m[0], m[1] of the first eight columns, m[2], m[3] of the others.
  __device__ void right_transposed(uint32_t (&m)[4], uint32_t tile, int row, int column) const {
    load_matrices_transposed(m, tile + row * D * 2 + left_ + (column * 2 ^ left_swizzle_));
  }

 private:
  uint32_t left_, left_swizzle_, right_, right_swizzle_;
};

// ---- products ----

__device__ inline void multiply_add(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// sum[16·M rows][16·N columns] = rows from `row` on of tile `left` · (the rows of tile `right`)ᵀ, over D.
template <int D, int M, int N>
__device__ inline void scores(float (&sum)[M][2 * N][4], const Operands<D>& operands, uint32_t left, int row,
                              uint32_t right) {
#pragma unroll
  for (int i = 0; i < M; i++)
#pragma unroll
    for (int n = 0; n < 2 * N; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) sum[i][n][e] = 0;
#pragma unroll
  for (int column = 0; column < D; column += 16) {
    uint32_t a[M][4];
#pragma unroll
    for (int i = 0; i < M; i++) operands.left(a[i], left, row + 16 * i, column);
#pragma unroll
    for (int n = 0; n < N; n++) {
      uint32_t b[4];
      operands.right(b, right, 16 * n, column);
#pragma unroll
      for (int i = 0; i < M; i++) {
        multiply_add(sum[i][2 * n], a[i], b[0], b[1]);
        multiply_add(sum[i][2 * n + 1], a[i], b[2], b[3]);
      }
    }
  }
}

// Sums of 16·M rows × 16·K columns as left operands: rounded to bfloat16, the columns become K.
template <int M, int K>
__device__ inline void to_operands(uint32_t (&a)[M][K][4], const float (&sum)[M][2 * K][4]) {
#pragma unroll
  for (int i = 0; i < M; i++)
#pragma unroll
    for (int j = 0; j < K; j++)
#pragma unroll
      for (int part = 0; part < 4; part++) {
        const float(&pair)[4] = sum[i][2 * j + part / 2];
        a[i][j][part] = pack_bf16(pair[part % 2 * 2], pair[part % 2 * 2 + 1]);
      }
}

// sum[16·M rows][D columns] += a · the first 16·K rows of a tile.
template <int D, int M, int K>
__device__ inline void add_weighted(float (&sum)[M][D / 8][4], const uint32_t (&a)[M][K][4],
                                    const Operands<D>& operands, uint32_t tile) {
#pragma unroll
  for (int j = 0; j < K; j++)
#pragma unroll
    for (int n = 0; n < D / 16; n++) {
      uint32_t b[4];
      operands.right_transposed(b, tile, 16 * j, 16 * n);
#pragma unroll
      for (int i = 0; i < M; i++) {
        multiply_add(sum[i][2 * n], a[i][j], b[0], b[1]);
        multiply_add(sum[i][2 * n + 1], a[i][j], b[2], b[3]);
      }
    }
}

// Writes a warp's sums, times a factor for each of a lane's rows, to the first `count` rows at `target` by 16 bytes.
// They go through `rows`, 16·M rows of a tile that this warp alone has read and nobody needs any more.
template <int D, int M>
__device__ inline void store_sums(bf16* target, int64_t stride, int count, unsigned char* rows,
                                  const float (&sum)[M][D / 8][4], const float (&factor)[M][2]) {
  const int lane = threadIdx.x % 32;
  __syncwarp();
#pragma unroll
  for (int i = 0; i < M; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = 16 * i + 8 * half + lane / 4;
#pragma unroll
      for (int n = 0; n < D / 8; n++)
        *reinterpret_cast<uint32_t*>(rows + row * D * 2 + (n ^ row % 8) * 16 + lane % 4 * 4) =
            pack_bf16(sum[i][n][2 * half] * factor[i][half], sum[i][n][2 * half + 1] * factor[i][half]);
    }
  __syncwarp();
#pragma unroll 4
  for (int k = lane; k < 16 * M * D / 8; k += 32) {
    const int row = k / (D / 8), group = k % (D / 8);
    if (row < count)
      *reinterpret_cast<uint4*>(target + row * stride + group * 8) =
          *reinterpret_cast<const uint4*>(rows + row * D * 2 + (group ^ row % 8) * 16);
  }
}

// ---- numbers ----

constexpr float log2_e = 1.44269504088896341f, ln_2 = 0.693147180559945309f;

// 2^x to within 2 units in the last place, 0 below 2^-126.
__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

template <int M, int N>
__device__ inline void clear(float (&sum)[M][N][4]) {
#pragma unroll
  for (int i = 0; i < M; i++)
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
      for (int e = 0; e < 4; e++) sum[i][n][e] = 0;
}

// What a block works on: block numbers run through the row blocks of a head, then heads, then the batch.
struct Place {
  int block;        // row block of the head
  int batch, head;  // head of queries, or of keys and values
  __device__ Place(int rows, int t, int heads) {
    const unsigned blocks = unsigned((t - 1) / rows + 1), item = blockIdx.x / blocks;
    block = int(blockIdx.x % blocks);
    batch = int(item / unsigned(heads));
    head = int(item % unsigned(heads));
  }
};

}  // namespace rs::gpu::tiles
