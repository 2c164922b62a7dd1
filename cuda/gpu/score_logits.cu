// Scores of logits against targets that only the caller holds, and a keyed hash of every row, in one reading of them.
//
// SipHash is a chain along a row, so a thread has a row. A warp brings tiles of 32 rows × 64 logits into shared memory
// (256 bytes of a row at a time, the next tile under way while one is worked on). 52 instructions hash a word of two
// logits; the pipe of additions and logic alone would be slower than memory, so most rotations are multiplications.
#include "gpu.h"

namespace rs::gpu {

namespace {

constexpr int tile_rows = 32, tile_columns = 64;
constexpr int chunk = 4, row_chunks = tile_columns / chunk;  // a chunk is 16 bytes

// Chunks of a row lie permuted, so that the same column of eight neighbouring rows is in eight different banks.
__device__ int place_of(int row, int chunk_index) {
  return row * tile_columns + (chunk_index ^ row % row_chunks) * chunk;
}

__device__ uint32_t shared_address_of(const void* p) { return uint32_t(__cvta_generic_to_shared(p)); }
__device__ void copy16(float* target, const float* source) {
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16;" ::"r"(shared_address_of(target)), "l"(source)
               : "memory");
}
__device__ void copy4(float* target, const float* source) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address_of(target)), "l"(source) : "memory");
}
__device__ void end_of_tile() { asm volatile("cp.async.commit_group;" ::: "memory"); }
__device__ void wait_for_all_but_last_tile() { asm volatile("cp.async.wait_group 1;" ::: "memory"); }

// Brings `columns` ≤ 64 columns of rows 0 … rows−1 (and the last of them again for the lanes that have none).
template <bool wide>
__device__ void fetch(float* tile, const float* logits, int64_t v, int rows, int columns) {
  const int lane = threadIdx.x;
  if constexpr (wide) {
#pragma unroll
    for (int i = 0; i < tile_rows * row_chunks / 32; i++) {
      const int row = (lane + 32 * i) / row_chunks, index = lane % row_chunks;
      if (index * chunk < columns) copy16(tile + place_of(row, index), logits + min(row, rows - 1) * v + index * chunk);
    }
  } else {
#pragma unroll 4
    for (int i = 0; i < tile_rows * tile_columns / 32; i++) {
      const int row = i / 2, column = lane + 32 * (i % 2);
      if (column < columns)
        copy4(tile + place_of(row, column / chunk) + column % chunk, logits + min(row, rows - 1) * v + column);
    }
  }
}

// x rotated left by `bits` < 32, xor y. By shifts, or by the halves' products with 2^bits, which hold all pieces.
template <int bits>
__device__ inline uint64_t shifted_xor(uint64_t x, uint64_t y) {
  const uint32_t low = uint32_t(x), high = uint32_t(x >> 32);
  return (uint64_t{__funnelshift_l(low, high, bits)} << 32 | __funnelshift_l(high, low, bits)) ^ y;
}
template <int bits>
__device__ inline uint64_t multiplied_xor(uint64_t x, uint64_t y) {
  uint64_t low, high;
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(low) : "r"(uint32_t(x)), "n"(1 << bits));
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(high) : "r"(uint32_t(x >> 32)), "n"(1 << bits));
  const uint32_t first = (uint32_t(low) | uint32_t(high >> 32)) ^ uint32_t(y);
  const uint32_t second = (uint32_t(high) | uint32_t(low >> 32)) ^ uint32_t(y >> 32);
  return uint64_t{second} << 32 | first;
}
__device__ inline uint64_t swapped(uint64_t x) { return x << 32 | x >> 32; }

// SipHash-2-4 (J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", 2012), as in the CPU build.
struct SipHash {
  uint64_t a, b, c, d;

  __device__ void round() {
    a += b;
    c += d;
    b = multiplied_xor<13>(b, a);
    d = shifted_xor<16>(d, c);
    a = swapped(a);
    c += b;
    a += d;
    b = multiplied_xor<17>(b, c);
    d = multiplied_xor<21>(d, a);
    c = swapped(c);
  }
  __device__ void take(uint32_t low, uint32_t high) {
    const uint64_t word = uint64_t{high} << 32 | low;
    d ^= word;
    round();
    round();
    a ^= word;
  }
  __device__ uint64_t finish() {
    c ^= 0xFF;
    for (int i = 0; i < 4; i++) round();
    return a ^ b ^ c ^ d;
  }
};

// Σ 2^(x·log2(e) − offset), where the offset goes with the largest x so far; float32 within a tile, float64 over all.
struct LogSum {
  static constexpr float log2_of_e = 1.44269504088896341f;
  float top = -INFINITY, offset = 0, part = 0;
  double sum = 0;

  __device__ static float power(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
  template <int count>
  __device__ void add(const float (&x)[count]) {
    float largest = x[0];
#pragma unroll
    for (int i = 1; i < count; i++) largest = fmaxf(largest, x[i]);
    if (largest > top) {
      const float raised = largest * log2_of_e, factor = top == -INFINITY ? 0.0f : power(offset - raised);
      part *= factor;
      sum *= factor;
      top = largest;
      offset = raised;
    }
#pragma unroll
    for (int i = 0; i < count; i++) part += power(fmaf(x[i], log2_of_e, -offset));
  }
  __device__ void end_tile() {
    sum += part;
    part = 0;
  }
  __device__ double log_of_all() const { return double(offset) / double(log2_of_e) + log(sum); }
};

template <bool wide>
__global__ void __launch_bounds__(32)
    score_logits_kernel(float* nats, uint64_t* hashes, const int32_t* targets, const float* logits, uint64_t key0,
                        uint64_t key1, int32_t n, int32_t v) {
  __shared__ __align__(16) float tiles[2][tile_rows * tile_columns];
  const int lane = threadIdx.x;
  const int64_t first = int64_t{blockIdx.x} * tile_rows;
  const int rows = int(min(int64_t{tile_rows}, n - first));
  const float* block = logits + first * v;

  SipHash hash{key0 ^ 0x736F6D6570736575u, key1 ^ 0x646F72616E646F6Du, key0 ^ 0x6C7967656E657261u,
               key1 ^ 0x7465646279746573u};
  LogSum sum;
  uint32_t left = 0;  // the last logit of an odd row
  fetch<wide>(tiles[0], block, v, rows, min(v, tile_columns));
  end_of_tile();
  int current = 0;
  for (int64_t begin = 0; begin < v; begin += tile_columns) {
    const int64_t next = begin + tile_columns;
    if (next < v)
      fetch<wide>(tiles[1 - current], block + next, v, rows, int(min(v - next, int64_t{tile_columns})));
    end_of_tile();
    wait_for_all_but_last_tile();
    __syncwarp();
    const float* tile = tiles[current];
    if (v - begin >= tile_columns) {
#pragma unroll 1
      for (int i = 0; i < row_chunks; i += 2) {
        const float4 p = *reinterpret_cast<const float4*>(tile + place_of(lane, i));
        const float4 q = *reinterpret_cast<const float4*>(tile + place_of(lane, i + 1));
        hash.take(__float_as_uint(p.x), __float_as_uint(p.y));
        hash.take(__float_as_uint(p.z), __float_as_uint(p.w));
        hash.take(__float_as_uint(q.x), __float_as_uint(q.y));
        hash.take(__float_as_uint(q.z), __float_as_uint(q.w));
        sum.add({p.x, p.y, p.z, p.w, q.x, q.y, q.z, q.w});
      }
    } else {
      const int columns = int(v - begin);
      for (int i = 0; i < columns; i += 2) {
        const float* pair = tile + place_of(lane, i / chunk) + i % chunk;
        if (i + 1 < columns) {
          hash.take(__float_as_uint(pair[0]), __float_as_uint(pair[1]));
          sum.add({pair[0], pair[1]});
        } else {
          left = __float_as_uint(pair[0]);
          sum.add({pair[0]});
        }
      }
    }
    sum.end_tile();
    __syncwarp();
    current = 1 - current;
  }
  if (lane >= rows) return;
  // The last word: what is left, and the length in bytes in the highest byte.
  hash.take(left, uint32_t(4 * int64_t{v}) << 24);
  hashes[first + lane] = hash.finish();
  const int32_t target = targets[first + lane];
  nats[first + lane] = target < 0 ? 0.0f : float(sum.log_of_all() - double(block[lane * int64_t{v} + target]));
}

}  // namespace

void score_logits(float* nats, uint64_t* hashes, const int32_t* targets, const uint64_t* key, const Tensor* logits,
                  int32_t n, int32_t v) {
  for (int64_t i = 0; i < n; i++) {
    if (targets[i] < -1 || targets[i] >= v)
      fail(RS_INVALID, "target %d of row %lld is not in -1..%d", targets[i], static_cast<long long>(i), v - 1);
  }
  const size_t words = size_t(n);
  Scratch wanted(4 * words), losses(4 * words), marks(8 * words);
  upload(wanted.data(), targets, 4 * words);
  const bool wide = v % chunk == 0 && reinterpret_cast<uintptr_t>(logits->data) % 16 == 0;
  launch(wide ? score_logits_kernel<true> : score_logits_kernel<false>,
         {dim3(unsigned(ceil_div(n, tile_rows))), dim3(32)}, losses.f32(), static_cast<uint64_t*>(marks.data()),
         static_cast<const int32_t*>(wanted.data()), logits->f32(), key[0], key[1], n, v);
  download(nats, losses.data(), 4 * words);
  download(hashes, marks.data(), 8 * words);
}

}  // namespace rs::gpu
