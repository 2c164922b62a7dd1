// Gradients of attention's keys and values on Hopper. A tile, 128 keys of one key/value head, meets block by block the
// queries that see it, of all query heads of its group, and adds up dV = Pᵀ·dY and dK = dSᵀ·Q in registers, where
// P = exp(scale·S − lse), S = Q·Kᵀ, dS = P·(dY·Vᵀ − delta). Scores are made transposed (a row is a key), so that Pᵀ
// and dSᵀ come out of one product in just the registers where the next one wants its left operand.
// Two warpgroups of 64 keys each multiply, the warps of a third bring the operands. Thread blocks live as long as the
// kernel and know their tiles from the start (attention_key_value_tiles.h). With `Rope` the gradient of a key goes on
// through the backward pass of rope_rms_norm before it is stored.
#include "../attention.h"
#include "attention_key_value_operands.h"
#include "attention_key_value_rope.h"

namespace rs::gpu {
namespace {

constexpr int warpgroup = 128;
constexpr int threads = (workers + 1) * warpgroup;

__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Descriptors differ in their low word only; sums of 32 bits keep the pipe of addresses ahead of the tensor cores.
__device__ inline uint64_t descriptor(uint32_t low) { return uint64_t{uint32_t(k_major(0) >> 32)} << 32 | low; }

// c[keys, queries] = a·bᵀ, all rows of D elements; a and b are low words of k_major.
template <int D>
__device__ inline void multiply_rows(float (&c)[block_queries / 2], uint32_t a, uint32_t b) {
  asm volatile("" : "+r"(a));  // else each step's sum is kept in a register for the next block
#pragma unroll
  for (int k = 0; k < D / 16; k++) {
    const uint32_t step = (k / 4 * SharedMemory<D>::panel_bytes + k % 4 * 32) / 16;
    multiply_add<0>(c, descriptor(a + step), descriptor(b + step), k != 0);
  }
  products_commit();
}

// c[keys, D] += a[keys, queries]·b[queries, D], a in registers, b the low word of n_major.
template <int Count>
__device__ inline void multiply_columns(float (&c)[Count], const uint32_t (&a)[block_queries / 16][4], uint32_t b) {
#pragma unroll
  for (int k = 0; k < block_queries / 16; k++) multiply_add<1>(c, a[k], descriptor(b + k * (16 * 128) / 16), true);
  products_commit();
}

// Accumulators to a left operand.
__device__ inline void pack(uint32_t (&packed)[block_queries / 16][4], const float (&x)[block_queries / 2]) {
#pragma unroll
  for (int i = 0; i < block_queries / 4; i++) packed[i / 4][i % 4] = pack_bf16(x[2 * i], x[2 * i + 1]);
}

// Writes an accumulator of 64 rows as bfloat16, times `scale`: rows lie `stride` apart, the first `rows` of them exist.
// The four lanes that share a row exchange words so that each has eight neighbours.
template <int D>
__device__ inline void store_rows(bf16* target, int64_t stride, int rows, const float (&x)[D / 2], float scale) {
  const int thread = late_thread(), lane = thread % 32, quarter = lane % 4;
  const bool odd = quarter & 1, high = quarter & 2;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int row = thread / 32 * 16 + lane / 4 + half * 8;
    bf16* place = target + row * stride + quarter * 8;
#pragma unroll
    for (int part = 0; part < D / 32; part++) {
      uint32_t w[4];  // columns 32·part + 8i + 2·quarter + {0, 1}, in the end 32·part + 8·quarter + 2i + {0, 1}
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int at = 4 * (4 * part + i) + 2 * half;
        w[i] = pack_bf16(x[at] * scale, x[at + 1] * scale);
      }
#pragma unroll
      for (int i = 0; i < 4; i += 2) {
        const uint32_t got = __shfl_xor_sync(0xffffffffu, odd ? w[i] : w[i + 1], 1);
        if (odd) w[i] = got;
        else w[i + 1] = got;
      }
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const uint32_t got = __shfl_xor_sync(0xffffffffu, high ? w[i] : w[i + 2], 2);
        if (high) w[i] = got;
        else w[i + 2] = got;
      }
      // By name: the compiler stores some of these word by word.
      if (row < rows)
        asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(place + part * 32), "r"(w[0]), "r"(w[1]),
                     "r"(w[2]), "r"(w[3])
                     : "memory");
    }
  }
}

// A worker's way through the blocks of queries of a tile. Those that its own keys do not meet are given back unread.
template <class Shared>
struct Walk {
  int block, first, end;   // of the tile, the same for every head
  int own_first, own_end;  // of this worker's keys
  int left;                // blocks, of all heads
  __device__ void next(Place<Shared::stages>& stage) {
    stage.next();
    left--;
    if (++block == end) block = first;
  }
  // Goes on to the next block that these keys meet and waits until it is there; false where none is left.
  __device__ bool seek(Shared& shared, Place<Shared::stages>& stage) {
    for (; left > 0; next(stage)) {
      barrier_wait(&shared.full[stage.index], stage.phase);
      if (block >= own_first && block < own_end) return true;
      warp_arrive(&shared.empty[stage.index]);
    }
    return false;
  }
};

// A thread has at most 240 registers, of which the gradients take D and two blocks of scores 64. So Pᵀ as an operand
// is done with before the next scores are begun, and dS is made in the place of P; else ptxas finds too few and waits
// after each product (its warning C7512, which must not appear, nor C7517 and C7518).
template <int D, bool Rope>
__device__ void work(SharedMemory<D>& shared, int worker, bf16* dk, bf16* dv, const float* rstd, const Job& job) {
  using Shared = SharedMemory<D>;
  constexpr uint32_t step = Shared::rows_bytes / 16;  // from stage to stage
  const int lane = threadIdx.x % 32;
  const uint32_t keys = uint32_t(k_major(shared_address(shared.keys[worker])));
  const uint32_t values = uint32_t(k_major(shared_address(shared.values[worker])));
  const uint32_t query_rows = uint32_t(k_major(shared_address(shared.queries)));
  const uint32_t dy_rows = uint32_t(k_major(shared_address(shared.dys)));
  const uint32_t query_columns = uint32_t(n_major(shared_address(shared.queries), Shared::panel_bytes));
  const uint32_t dy_columns = uint32_t(n_major(shared_address(shared.dys), Shared::panel_bytes));
  const float factor = job.scale * log2_e;
  Place<Shared::stages> stage;
  Tile tile;
  for (uint32_t round = 0; find_tile(tile, job, round); round++) {
    const uint32_t phase = round % 2;
    float dkeys[D / 2], dvalues[D / 2], p[block_queries / 2], dp[block_queries / 2];
    uint32_t units[D / 4];  // with Rope: the keys, before their memory is given back
    float rstds[2];
#pragma unroll
    for (int i = 0; i < D / 2; i++) dkeys[i] = dvalues[i] = 0.0f;
#pragma unroll
    for (int i = 0; i < block_queries / 2; i++) p[i] = dp[i] = 0.0f;
    const int key = tile.key + worker * worker_keys;
    Walk<Shared> walk;
    walk.block = walk.first = tile.block;
    walk.end = tile.end_block;
    walk.own_first = key / block_queries;
    walk.own_end = key < job.t ? end_block(job, key + worker_keys - 1) : 0;
    walk.left = (tile.end_head - tile.head) * (tile.end_block - tile.block);

    // What can be done behind the tile's last products.
    const auto leave_keys = [&] {
      if (Rope) {
        load_rstd(rstds, rstd, job, tile, key);
        read_units<D>(units, shared.keys[worker]);
      }
      if (!Rope || arrived(units)) warp_arrive(&shared.keys_empty[worker]);
    };

    barrier_wait(&shared.keys_full[worker], phase);
    if (walk.seek(shared, stage)) {
      touch(dkeys);
      touch(dvalues);
      touch(p);
      touch(dp);
      products_fence();
      multiply_rows<D>(p, keys, query_rows + stage.index * step);
      multiply_rows<D>(dp, values, dy_rows + stage.index * step);
      while (true) {
        const int now = stage.index;
        const int distance = walk.block * block_queries - key;  // from the first key to the first query
        uint32_t left[block_queries / 16][4];

        products_wait<1>();  // for the scores
        touch(p);
#pragma unroll
        for (int i = 0; i < block_queries / 8; i++) {
          const float2 level = *reinterpret_cast<const float2*>(&shared.levels[now].lse[8 * i + lane % 4 * 2]);
#pragma unroll
          for (int half = 0; half < 4; half += 2) {
            p[4 * i + half] = exp2_fast(fmaf(p[4 * i + half], factor, level.x));
            p[4 * i + half + 1] = exp2_fast(fmaf(p[4 * i + half + 1], factor, level.y));
          }
        }
        if (distance < worker_keys - 1 || distance + block_queries - 1 > job.window) {
          // A query sees the keys 0 … window before it.
          const int before = distance + lane % 4 * 2 - (threadIdx.x % warpgroup / 32 * 16 + lane / 4);
#pragma unroll
          for (int i = 0; i < block_queries / 2; i++)
            if (uint32_t(before + i / 4 * 8 + i % 2 - i / 2 % 2 * 8) > uint32_t(job.window)) p[i] = 0.0f;
        }
        pack(left, p);
        products_fence();
        multiply_columns(dvalues, left, dy_columns + now * step);

        products_wait<1>();  // for dY·Vᵀ
        touch(dp);
#pragma unroll
        for (int i = 0; i < block_queries / 8; i++) {
          const float2 level = *reinterpret_cast<const float2*>(&shared.levels[now].delta[8 * i + lane % 4 * 2]);
#pragma unroll
          for (int half = 0; half < 4; half += 2) {
            p[4 * i + half] *= dp[4 * i + half] - level.x;
            p[4 * i + half + 1] *= dp[4 * i + half + 1] - level.y;
          }
        }
        uint32_t dleft[block_queries / 16][4];
        pack(dleft, p);
        products_fence();
        multiply_columns(dkeys, dleft, query_columns + now * step);

        // The next scores queue up behind this product: work for the tensor cores while exponentials are made.
        walk.next(stage);
        if (!walk.seek(shared, stage)) {
          leave_keys();
          products_wait<0>();
          warp_arrive(&shared.empty[now]);
          break;
        }
        products_wait<1>();  // for dV
        touch(dvalues);
        products_fence();
        multiply_rows<D>(p, keys, query_rows + stage.index * step);
        multiply_rows<D>(dp, values, dy_rows + stage.index * step);
        products_wait<2>();  // for dK
        warp_arrive(&shared.empty[now]);
      }
    } else {
      leave_keys();
    }
    touch(dkeys);
    touch(dvalues);
    const int64_t stride = int64_t{job.g} * D;
    const int64_t start = (int64_t{tile.b} * job.t + key) * stride + int64_t{tile.g} * D;
    if (Rope) {
      store_rows<D>(dv + start, stride, job.t - key, dvalues, 1.0f);
      barrier_wait(&shared.angles_full[worker], phase);
      rope_backward<D>(dkeys, units, job.scale, shared.angles[worker], rstds);
      store_rows<D>(dk + start, stride, job.t - key, dkeys, 1.0f);
      warp_arrive(&shared.angles_empty[worker]);  // stores wait for what was read
    } else {
      store_rows<D>(dv + start, stride, job.t - key, dvalues, 1.0f);
      store_rows<D>(dk + start, stride, job.t - key, dkeys, job.scale);
    }
  }
}

template <int D, bool Rope>
__global__ void __launch_bounds__(threads, 1)
    attention_key_value_gradient_kernel(const __grid_constant__ CUtensorMap queries,
                                        const __grid_constant__ CUtensorMap dys,
                                        const __grid_constant__ CUtensorMap keys,
                                        const __grid_constant__ CUtensorMap values,
                                        const __grid_constant__ CUtensorMap angles,
                                        const __grid_constant__ CUtensorMap levels, bf16* dk, bf16* dv,
                                        const float* rstd, const Job job) {
  using Shared = SharedMemory<D>;
  static_assert(sizeof(Shared) <= 227 * 1024, "more than a block may have");
  extern __shared__ __align__(1024) uint8_t memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  const int warp = __shfl_sync(0xffffffffu, int(threadIdx.x / 32), 0);

  if (threadIdx.x == 0) {
    for (int i = 0; i < Shared::stages; i++) {
      barrier_create(&shared.full[i], 1);
      barrier_create(&shared.empty[i], workers * 4);  // warps that multiply
    }
    for (int i = 0; i < workers; i++) {
      barrier_create(&shared.keys_full[i], 1);
      barrier_create(&shared.keys_empty[i], 4);
      barrier_create(&shared.angles_full[i], 1);
      barrier_create(&shared.angles_empty[i], 4);
    }
    barrier_fence();
  }
  __syncthreads();

  if (warp / 4 == workers) {
    registers_down<24>();
    if (threadIdx.x % 32 != 0 || warp % 4 > workers) return;
    if (warp % 4 == workers) bring_queries(shared, queries, dys, levels, job);
    else bring_keys<Rope>(shared, warp % 4, keys, values, angles, job);
  } else {
    registers_up<240>();
    work<D, Rope>(shared, warp / 4, dk, dv, rstd, job);
  }
}

// Boxes of one block of levels, as if they were bfloat16.
CUtensorMap level_map(const float* levels, const AttentionShape& s) {
  constexpr int32_t width = 2 * level_rows * sizeof(float) / sizeof(bf16);
  const int64_t sizes[] = {width, int64_t{s.b} * s.h * level_blocks(s.t)}, strides[] = {width};
  const int32_t box[] = {width, 1};
  return tensor_map(levels, 2, sizes, strides, box, false);
}

template <int D>
void run(bf16* dk, bf16* dv, const float* levels, const bf16* dy, const bf16* q, const bf16* k, const bf16* v,
         const AttentionShape& s, const RopeNorm* rope) {
  const auto map = [&](const bf16* data, int32_t heads) {
    const int64_t sizes[] = {D, heads, s.t, s.b};
    const int64_t strides[] = {D, int64_t{heads} * D, int64_t{s.t} * heads * D};
    const int32_t box[] = {64, 1, 64, 1};
    return tensor_map(data, 4, sizes, strides, box);
  };
  const Job job = make_job(s);
  const int blocks = job.tiles < multiprocessors() ? job.tiles : multiprocessors();
  const auto kernel =
      rope ? attention_key_value_gradient_kernel<D, true> : attention_key_value_gradient_kernel<D, false>;
  launch(kernel, {dim3(unsigned(blocks)), dim3(threads), sizeof(SharedMemory<D>)},
         map(q, s.h), map(dy, s.h), map(k, s.g), map(v, s.g), rope ? angle_map(rope->angles, s) : CUtensorMap{},
         level_map(levels, s), dk, dv, rope ? rope->rstd : nullptr, job);
}

}  // namespace

void hopper_attention_key_value_gradient(bf16* dk, bf16* dv, const float* levels, const bf16* dy, const bf16* q,
                                         const bf16* k, const bf16* v, const AttentionShape& shape,
                                         const RopeNorm* rope) {
  if (shape.d == 64) run<64>(dk, dv, levels, dy, q, k, v, shape, rope);
  else run<128>(dk, dv, levels, dy, q, k, v, shape, rope);
}

}  // namespace rs::gpu
