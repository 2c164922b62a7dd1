// Output layer, soft cap, cross entropy and their gradients over chunks of rows, so that only a chunk's logits exist.
//
// A chunk goes through three products; dw adds up the chunks in their order. Between the first product and the others
// one kernel reads each logit and writes its gradient in its place: a block holds a whole row in registers, so the pass
// costs one reading and one writing of the logits. Where a cap bounds the logits and Hopper's kernel takes the sizes,
// that pass is part of the first product: it stores gradients that lack their row's factor, which then goes to x (for
// dw) and to dx, and one column's share, that of the target.
#include <algorithm>
#include <type_traits>

#include "aligned.h"
#include "capped_softmax.h"
#include "cross_entropy_row.h"
#include "hopper/product.h"
#include "lanes.h"
#include "products.h"

namespace rs::gpu {

namespace {

// Large enough that a chunk's products fill the device, small beside its memory.
constexpr int64_t chunk_bytes = int64_t{256} << 20;

constexpr int groups = 4;

// Replaces a row of logits by the gradient of the mean and writes the row's loss. mean[1] is the targets' number.
template <class T, int threads>
__global__ void __launch_bounds__(threads)
    loss_in_place_kernel(float* losses, T* logits, const int32_t* targets, const float* mean, IdCheck check, int32_t v,
                         int32_t first, float cap, bool wide) {
  __shared__ Partition shared[threads / 32];
  T* row = logits + int64_t{blockIdx.x} * v;
  const int32_t target = checked_target(check, targets[blockIdx.x], int64_t{first} + blockIdx.x, v);
  RowTile<T, threads, groups> tile;
  if (target < 0) {
#pragma unroll
    for (int i = 0; i < groups; i++)
#pragma unroll
      for (int k = 0; k < 8; k++) tile.x[i][k] = 0;
    tile.store(row, v, wide);
    if (threadIdx.x == 0) losses[blockIdx.x] = 0;
    return;
  }
  // Every thread reads the target's logit here: behind the barrier below it is overwritten.
  float wanted = to_float(row[target]);
  tile.load(row, v, cap, wide);
  if (cap > 0) wanted = LossMath<T>::squash(wanted, cap);

  const float unit = cap > 0 ? cap : 1.0f, top = unit * warp_max(tile.largest()), base = Partition::base(top);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < groups; i++) {
    float part = 0;
#pragma unroll
    for (int k = 0; k < 8; k++) {
      const float x = tile.x[i][k], e = LossMath<T>::exponential(unit, x, base);
      part += e;
      tile.x[i][k] = cap > 0 ? e * fmaf(-x, x, 1.0f) : e;
    }
    sum += part;
  }
  const Partition all = block_partition<T, threads>({top, warp_sum(sum)}, shared);

  const float scale = 1.0f / mean[1], inverse = 1.0f / all.sum;
  const float each = scale * inverse * LossMath<T>::exponential(1.0f, top, all.top);
#pragma unroll
  for (int i = 0; i < groups; i++)
#pragma unroll
    for (int k = 0; k < 8; k++) tile.x[i][k] *= each;
  tile.store(row, v, wide);
  if (target / 8 % threads == threadIdx.x) {
    const float d = scale * (LossMath<T>::exponential(unit, wanted, all.top) * inverse - 1.0f);
    row[target] = from_float<T>(cap > 0 ? d * fmaf(-wanted, wanted, 1.0f) : d);
  }
  if (threadIdx.x == 0) losses[blockIdx.x] = fmaf(-unit, wanted, all.top) + logf(all.sum);
}

template <class T, int threads>
void enqueue_in_place(float* losses, const float* mean, const LossRows& rows) {
  T* logits = static_cast<T*>(const_cast<void*>(rows.logits));
  launch(loss_in_place_kernel<T, threads>, {dim3(unsigned(rows.n)), dim3(threads)}, losses, logits, rows.targets, mean,
         id_check(), rows.v, rows.first, rows.cap, wide_access(rows.v, logits));
}

// Losses, and the logits' gradients in their place. lse has room for a number a row.
void losses_in_place(float* losses, float* lse, const float* mean, const LossRows& rows) {
  with_float(rows.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    if (rows.v <= 8 * groups * 32) return enqueue_in_place<T, 32>(losses, mean, rows);
    if (rows.v <= 8 * groups * 128) return enqueue_in_place<T, 128>(losses, mean, rows);
    if (rows.v <= 8 * groups * 256) return enqueue_in_place<T, 256>(losses, mean, rows);
    if (rows.v <= 8 * groups * 512) return enqueue_in_place<T, 512>(losses, mean, rows);
    if (rows.v <= 8 * groups * 1024) return enqueue_in_place<T, 1024>(losses, mean, rows);
    // Beyond what a block's registers hold the logits are read twice.
    enqueue_losses(losses, lse, rows);
    enqueue_loss_gradients(const_cast<void*>(rows.logits), nullptr, mean, lse, rows);
  });
}

// Rows of a chunk: all chunks but the last alike, and whole tiles of the products where that many fit.
int64_t rows_of_chunk(int64_t n, int64_t v, int64_t element) {
  constexpr int64_t tile = 256;
  const int64_t most = std::max<int64_t>(1, chunk_bytes / (v * element));
  if (most < tile) return std::min(n, most);
  const int64_t chunks = ceil_div(n, most / tile * tile);
  return std::min(n, ceil_div(ceil_div(n, chunks), tile) * tile);
}

// A chunk's place and sizes; `type` is that of all matrices but dw.
struct Part {
  int32_t first, rows, c, v, type;
};

void multiply_logits(void* logits, const void* x, const void* weight, const Part& part) {
  Product product{};
  product.c = logits, product.a = x, product.b = weight;
  product.c_type = product.type = part.type;
  product.trans_b = true;
  product.m = part.rows, product.n = part.v, product.k = part.c;
  multiply(product);
}

void multiply_input_gradient(void* dx, const void* dlogits, const void* weight, const Part& part) {
  Product product{};
  product.c = dx, product.a = dlogits, product.b = weight;
  product.c_type = product.type = part.type;
  product.m = part.rows, product.n = part.c, product.k = part.v;
  multiply(product);
}

void add_weight_gradient(void* dw, const void* dlogits, const void* x, const Part& part) {
  Product product{};
  product.c = dw, product.a = dlogits, product.b = x;
  product.c_type = RS_F32, product.type = part.type;
  product.trans_a = true;
  product.m = part.v, product.n = part.c, product.k = part.rows;
  product.add = part.first > 0 ? dw : nullptr;
  product.beta = part.first > 0 ? 1.0f : 0.0f;
  multiply(product);
}

// ---- where the first product makes the gradients ----

constexpr int row_warps = 8;    // of a block: a warp has a row, and threadIdx.x is the lane
constexpr int lane_chunks = 2;  // of eight elements of a row of x: HopperLossProduct takes up to 512

// A factor of 0, that of an ignored target, gives 0 whatever it meets.
__device__ void store_scaled(bf16* row, const Chunk<bf16> (&chunks)[lane_chunks], int32_t c, float factor) {
#pragma unroll
  for (int k = 0; k < lane_chunks; k++) {
    const int32_t at = (32 * k + threadIdx.x) * 8;
    float v[8];
    unpack(v, chunks[k]);
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = factor == 0 ? 0.0f : v[i] * factor;
    if (at < c) store_chunk(row + at, v);
  }
}

// Of n rows: the loss, the factor that the row's gradients lack, x times that, and the gradient of the target's logit.
__global__ void __launch_bounds__(32 * row_warps)
    finish_rows_kernel(float* losses, float* factors, bf16* scaled, bf16* gradients, const float* sums, const bf16* x,
                       const bf16* weight, const int32_t* targets, const float* mean, IdCheck check,
                       CappedSoftmax softmax, int32_t n, int32_t c, int32_t v, int32_t first) {
  const int64_t row = int64_t{blockIdx.x} * row_warps + threadIdx.y;
  if (row >= n) return;
  const int32_t target = checked_target(check, targets[row], first + row, v);
  Chunk<bf16> of_x[lane_chunks], of_weight[lane_chunks];
  load_row<32>(of_x, x + row * c, threadIdx.x, c, true);
  load_row<32>(of_weight, weight + int64_t{target} * c, threadIdx.x, c, target >= 0);
  float sum = 0, logit = 0;
  for (int32_t at = threadIdx.x; at * HopperLossProduct::columns < v; at += 32) sum += sums[int64_t{at} * n + row];
#pragma unroll
  for (int k = 0; k < lane_chunks; k++) {
    float p[8], q[8];
    unpack(p, of_x[k]);
    unpack(q, of_weight[k]);
    logit = add_products(logit, p, q);
  }
  sum = warp_sum(sum);
  const float r = softmax.r(warp_sum(logit));
  const float factor = target >= 0 ? 4.0f / (sum * mean[1]) : 0.0f;
  store_scaled(scaled + row * c, of_x, c, factor);
  if (threadIdx.x != 0) return;
  factors[row] = factor;
  losses[row] = target >= 0 ? softmax.loss(sum, r) : 0.0f;
  if (target >= 0)
    gradients[row * v + target] = from_float<bf16>((softmax.e(r) - sum) * CappedSoftmax::quarter_slope(r));
}

__global__ void __launch_bounds__(32 * row_warps) scale_rows_kernel(bf16* x, const float* factors, int32_t n,
                                                                    int32_t c) {
  const int64_t row = int64_t{blockIdx.x} * row_warps + threadIdx.y;
  if (row >= n) return;
  Chunk<bf16> chunks[lane_chunks];
  load_row<32>(chunks, x + row * c, threadIdx.x, c, true);
  store_scaled(x + row * c, chunks, c, factors[row]);
}

void capped_losses_and_gradients(const float* mean, Tensor* losses, Tensor* dx, Tensor* dw, const Tensor* x,
                                 const Tensor* w, const Tensor* targets, int32_t n, int32_t c, int32_t v, float cap) {
  const int64_t chunk = rows_of_chunk(n, v, sizeof(bf16));
  const AlignedInput<bf16> aligned_x(x);
  AlignedOutput<bf16> aligned_dx(dx);
  std::optional<Scratch> spare;
  const bf16 *weight = bf16_elements(w, spare), *input = aligned_x;
  bf16* to_input = aligned_dx;
  Scratch gradients(sizeof(bf16) * size_t(chunk * v)), scaled(sizeof(bf16) * size_t(chunk * c));
  Scratch sums(sizeof(float) * size_t(chunk * ceil_div(v, HopperLossProduct::columns)));
  Scratch factors(sizeof(float) * size_t(chunk));
  bf16 *g = static_cast<bf16*>(gradients.data()), *scaled_x = static_cast<bf16*>(scaled.data());

  for (int64_t first = 0; first < n; first += chunk) {
    const Part part{int32_t(first), int32_t(std::min(chunk, n - first)), c, v, RS_BF16};
    const Launch by_rows{dim3(unsigned(ceil_div(part.rows, row_warps))), dim3(32, row_warps)};
    hopper_loss_product({g, sums.f32(), input + first * c, weight, part.rows, v, c, cap});
    launch(finish_rows_kernel, by_rows, losses->f32() + first, factors.f32(), scaled_x, g, sums.f32(),
           input + first * c, weight, targets->i32() + first, mean, id_check(), CappedSoftmax(cap), part.rows, c, v,
           part.first);
    multiply_input_gradient(to_input + first * c, g, weight, part);
    launch(scale_rows_kernel, by_rows, to_input + first * c, factors.f32(), part.rows, c);
    add_weight_gradient(dw->data, g, scaled_x, part);
  }
  aligned_dx.finish();
}

// ---- everywhere else ----

void losses_and_gradients(const float* mean, Tensor* losses, Tensor* dx, Tensor* dw, const Tensor* x, const Tensor* w,
                          const Tensor* targets, int32_t n, int32_t c, int32_t v, float cap) {
  const int32_t type = x->dtype;
  const int64_t element = type == RS_BF16 ? 2 : 4, chunk = rows_of_chunk(n, v, element);
  std::optional<Scratch> spare;
  const void* weight = type == RS_BF16 ? static_cast<const void*>(bf16_elements(w, spare)) : w->data;
  Scratch logits(size_t(element * chunk * v)), lse(sizeof(float) * size_t(chunk));

  for (int64_t first = 0; first < n; first += chunk) {
    const Part part{int32_t(first), int32_t(std::min(chunk, n - first)), c, v, type};
    const void* inputs = static_cast<const char*>(x->data) + first * c * element;
    float* each = losses->f32() + first;
    multiply_logits(logits.data(), inputs, weight, part);
    const LossRows loss{logits.data(), type, targets->i32() + first, part.rows, v, part.first, cap};
    if (dx == nullptr) {
      enqueue_losses(each, nullptr, loss);
      continue;
    }
    losses_in_place(each, lse.f32(), mean, loss);
    multiply_input_gradient(static_cast<char*>(dx->data) + first * c * element, logits.data(), weight, part);
    add_weight_gradient(dw->data, logits.data(), inputs, part);
  }
}

}  // namespace

void linear_cross_entropy(Tensor* mean, Tensor* losses, Tensor* dx, Tensor* dw, const Tensor* x, const Tensor* w,
                          const Tensor* targets, int32_t n, int32_t c, int32_t v, double soft_cap) {
  const bool gradient = dx != nullptr;
  const float cap = float(soft_cap);
  LossMean average(mean->f32(), targets->i32(), n);
  const bool capped = gradient && x->dtype == RS_BF16 && has_hopper_kernels() &&
                      hopper_loss_product_supports({nullptr, nullptr, nullptr, nullptr, n, v, c, cap});
  const auto run = capped ? capped_losses_and_gradients : losses_and_gradients;
  run(mean->f32(), losses, dx, dw, x, w, targets, n, c, v, cap);
  average.finish(losses->f32());
  count_operations((gradient ? 6.0 : 2.0) * n * v * c);
}

}  // namespace rs::gpu
