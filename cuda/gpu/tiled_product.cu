// The product that takes everything: tiles of 64×64 in shared memory, one chain of sums over k for each element, so
// that its bits depend on its own row and column alone.
#include <algorithm>

#include "mixed_product.h"

namespace rs::gpu {

namespace {

constexpr int kTile = 64, kDepth = 16, kThreads = 256;

// A thread owns 4×4 elements of a tile. `total` tiles, the columns' first, then the rows', then the batch's.
__global__ void __launch_bounds__(kThreads) tiled_product_kernel(const MixedProduct p, int64_t tiles_m, int64_t tiles_n,
                                                                 int64_t total) {
  // Rows are padded to keep the transposing writes apart; 68 floats keep them aligned for float4.
  __shared__ __align__(16) float as[kDepth][kTile + 4], bs[kDepth][kTile + 4];
  const int tid = threadIdx.x, row = tid / 16 * 4, column = tid % 16 * 4;
  const int64_t k = p.k, n = p.n;
  for (int64_t tile = blockIdx.x; tile < total; tile += gridDim.x) {
    const int64_t n0 = tile % tiles_n * kTile, m0 = tile / tiles_n % tiles_m * kTile, item = tile / tiles_n / tiles_m;
    float sums[4][4] = {};
    for (int64_t k0 = 0; k0 < k; k0 += kDepth) {
      __syncthreads();
#pragma unroll
      for (int i = tid; i < kTile * kDepth; i += kThreads) {
        // Neighbouring threads read neighbours in memory.
        const int am = p.trans_a ? i % kTile : i / kDepth, ak = p.trans_a ? i / kTile : i % kDepth;
        const int bn = p.trans_b ? i / kDepth : i % kTile, bk = p.trans_b ? i % kDepth : i / kTile;
        float x = 0, y = 0;
        if (m0 + am < p.m && k0 + ak < k) {
          const int64_t at = p.trans_a ? (k0 + ak) * p.m + m0 + am : (m0 + am) * k + k0 + ak;
          x = load_any(p.a, p.a_type, item * p.stride_a + at, p.rounds);
        }
        if (n0 + bn < n && k0 + bk < k) {
          const int64_t at = p.trans_b ? (n0 + bn) * k + k0 + bk : (k0 + bk) * n + n0 + bn;
          y = load_any(p.b, p.b_type, item * p.stride_b + at, p.rounds);
        }
        as[ak][am] = x;
        bs[bk][bn] = y;
      }
      __syncthreads();
#pragma unroll
      for (int step = 0; step < kDepth; step++) {
        const float4 x = *reinterpret_cast<const float4*>(&as[step][row]);
        const float4 y = *reinterpret_cast<const float4*>(&bs[step][column]);
        const float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 4; j++) sums[i][j] = fmaf(xs[i], ys[j], sums[i][j]);
      }
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int64_t at_row = m0 + row + i, at_column = n0 + column + j;
        if (at_row < p.m && at_column < n) finish(p, item * p.stride_c + at_row * n + at_column, sums[i][j]);
      }
  }
}

}  // namespace

void tiled_product(const MixedProduct& product) {
  if (product.trans_a && !product.trans_b && product.k >= kLongSum) return long_product(product);
  const int64_t tiles_m = ceil_div(product.m, kTile), tiles_n = ceil_div(product.n, kTile);
  const int64_t total = tiles_m * tiles_n * product.items;
  const auto blocks = unsigned(std::min<int64_t>(total, int64_t{1} << 30));
  launch(tiled_product_kernel, {dim3(blocks), dim3(kThreads)}, product, tiles_m, tiles_n, total);
}

}  // namespace rs::gpu
