// AdamW (arXiv:1711.05101) over all tensors in one launch: their pieces form one list, and a block finds its own in it.
#include <algorithm>
#include <cmath>

#include "gpu.h"

namespace rs::gpu {

namespace {

constexpr int threads = 256, quads = 2, rounds = 2;       // a quad is four neighbours
constexpr int64_t piece = 4 * threads * quads * rounds;  // elements of a block

struct Row {
  float *p, *m, *v;
  const float* g;
  int64_t count;
  uint32_t first_piece;  // in the list
  int32_t offset;        // of its numbers in the scalars; the highest bit says that 16-byte accesses are possible
};
// As many as fit into the 4 KB of a kernel's parameters.
constexpr int most_rows = 80;
struct Table {
  Row rows[most_rows];
  int32_t size;
};
constexpr uint32_t wide_bit = 0x80000000u;

struct Numbers {
  float keep1, add1, keep2, add2, eps, decay, rate, correction;
};

// Four neighbours at p. Unless `whole` they may be at any address, and those from `count` on read as 0.
template <bool whole>
__device__ float4 load4(const float* p, int64_t count) {
  if constexpr (whole) return *reinterpret_cast<const float4*>(p);
  return make_float4(count > 0 ? p[0] : 0.0f, count > 1 ? p[1] : 0.0f, count > 2 ? p[2] : 0.0f,
                     count > 3 ? p[3] : 0.0f);
}
template <bool whole>
__device__ void store4(float* p, const float4& x, int64_t count) {
  if constexpr (whole) {
    *reinterpret_cast<float4*>(p) = x;
    return;
  }
  if (count > 0) p[0] = x.x;
  if (count > 1) p[1] = x.y;
  if (count > 2) p[2] = x.z;
  if (count > 3) p[3] = x.w;
}

__device__ void update(float& p, float& m, float& v, float g, const Numbers& numbers) {
  m = fmaf(numbers.keep1, m, numbers.add1 * g);
  v = fmaf(numbers.keep2, v, numbers.add2 * (g * g));
  const float step = numbers.rate * m / (sqrtf(v * numbers.correction) + numbers.eps);
  p = fmaf(p, numbers.decay, -step);
}

// The elements from `begin` on, a piece of them at most.
template <bool whole>
__device__ void update_piece(const Row& row, const float* scalars, int64_t begin) {
  __shared__ Numbers shared;
  __shared__ double powers[2];
  float4 p[quads], g[quads], m[quads], v[quads];
  const auto place = [&](int round, int i) { return begin + 4 * ((round * quads + i) * threads + int(threadIdx.x)); };
  const auto load = [&](int round) {
#pragma unroll
    for (int i = 0; i < quads; i++) {
      const int64_t at = place(round, i), left = row.count - at;
      g[i] = load4<whole>(row.g + at, left);
      m[i] = load4<whole>(row.m + at, left);
      v[i] = load4<whole>(row.v + at, left);
      p[i] = load4<whole>(row.p + at, left);
    }
  };
  // The first loads are under way while two threads compute the powers of the bias corrections.
  load(0);
  if (threadIdx.x % 32 == 0 && threadIdx.x < 64)
    powers[threadIdx.x / 32] = pow(double(scalars[1 + threadIdx.x / 32]), double(scalars[5]));
  __syncthreads();
  if (threadIdx.x == 0) {
    const double lr = scalars[0], beta1 = scalars[1], beta2 = scalars[2];
    shared = {float(beta1), float(1 - beta1), float(beta2), float(1 - beta2), scalars[3], float(1 - lr * scalars[4]),
              float(lr / (1 - powers[0])), float(1 / (1 - powers[1]))};
  }
  __syncthreads();
  const Numbers numbers = shared;
#pragma unroll
  for (int round = 0; round < rounds; round++) {
    if (round > 0) load(round);
#pragma unroll
    for (int i = 0; i < quads; i++) {
      update(p[i].x, m[i].x, v[i].x, g[i].x, numbers);
      update(p[i].y, m[i].y, v[i].y, g[i].y, numbers);
      update(p[i].z, m[i].z, v[i].z, g[i].z, numbers);
      update(p[i].w, m[i].w, v[i].w, g[i].w, numbers);
      const int64_t at = place(round, i), left = row.count - at;
      store4<whole>(row.m + at, m[i], left);
      store4<whole>(row.v + at, v[i], left);
      store4<whole>(row.p + at, p[i], left);
    }
  }
}

__global__ void __launch_bounds__(threads) adamw_kernel(const __grid_constant__ Table table, const float* scalars) {
  // The last row that begins at or before this block's piece.
  int index = 0;
  for (int step = 64; step > 0; step /= 2)
    if (index + step < table.size && table.rows[index + step].first_piece <= blockIdx.x) index += step;
  const Row& row = table.rows[index];
  const int64_t begin = int64_t{blockIdx.x - row.first_piece} * piece;
  const float* numbers = scalars + (uint32_t(row.offset) & ~wide_bit);
  if ((uint32_t(row.offset) & wide_bit) != 0 && begin + piece <= row.count) update_piece<true>(row, numbers, begin);
  else update_piece<false>(row, numbers, begin);
}

}  // namespace

void adamw_step(const AdamWRow* rows, int32_t tensors, const Tensor* scalars) {
  static_assert(sizeof(Table) + sizeof(void*) <= 4096, "a kernel's parameters");
  for (int32_t done = 0; done < tensors;) {
    Table table{};
    int64_t pieces = 0;
    for (; done < tensors && table.size < most_rows; done++) {
      const AdamWRow& row = rows[done];
      const int64_t more = ceil_div(row.p->count, piece);
      if (table.size > 0 && pieces + more > INT32_MAX) break;  // a grid's size
      Row& to = table.rows[table.size++];
      to = {row.p->f32(), row.m->f32(), row.v->f32(), row.g->f32(), row.p->count, uint32_t(pieces), row.offset};
      if (wide_access(0, to.p, to.m, to.v, to.g)) to.offset = int32_t(uint32_t(to.offset) | wide_bit);
      pieces += more;
    }
    launch(adamw_kernel, {dim3(unsigned(pieces)), dim3(threads)}, table, scalars->f32());
  }
}

}  // namespace rs::gpu
