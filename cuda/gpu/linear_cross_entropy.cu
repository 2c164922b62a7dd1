// Output layer, soft cap, cross entropy and their gradients over chunks of rows, so that only a chunk's logits exist.
//
// A chunk goes through three products and, between the first and the others, one kernel that reads each logit once and
// writes its gradient in its place: a block holds a whole row in registers, so the pass costs one reading and one
// writing of the logits. dw adds up the chunks in their order.
#include <algorithm>
#include <type_traits>

#include "cross_entropy_row.h"
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

}  // namespace

void linear_cross_entropy(Tensor* mean, Tensor* losses, Tensor* dx, Tensor* dw, const Tensor* x, const Tensor* w,
                          const Tensor* targets, int32_t n, int32_t c, int32_t v, double soft_cap) {
  const int32_t type = x->dtype;
  const int64_t element = type == RS_BF16 ? 2 : 4, chunk = rows_of_chunk(n, v, element);
  const bool gradient = dx != nullptr;
  LossMean average(mean->f32(), targets->i32(), n);
  std::optional<Scratch> spare;
  const void* weight = type == RS_BF16 ? static_cast<const void*>(bf16_elements(w, spare)) : w->data;
  Scratch logits(size_t(element * chunk * v)), lse(sizeof(float) * size_t(chunk));

  for (int64_t first = 0; first < n; first += chunk) {
    const int32_t rows = int32_t(std::min(chunk, n - first));
    const void* inputs = static_cast<const char*>(x->data) + first * c * element;
    float* each = losses->f32() + first;
    Product product{};
    product.c_type = product.type = type;
    product.beta = 0;

    product.c = logits.data();
    product.a = inputs;
    product.b = weight;
    product.trans_b = true;
    product.m = rows, product.n = v, product.k = c;
    multiply(product);

    const LossRows loss{logits.data(), type, targets->i32() + first, rows, v, int32_t(first), float(soft_cap)};
    if (!gradient) {
      enqueue_losses(each, nullptr, loss);
      continue;
    }
    losses_in_place(each, lse.f32(), mean->f32(), loss);

    product.c = static_cast<char*>(dx->data) + first * c * element;
    product.a = logits.data();
    product.trans_b = false;
    product.n = c, product.k = v;
    multiply(product);

    product.c = dw->data;
    product.c_type = RS_F32;
    product.b = inputs;
    product.trans_a = true;
    product.m = v, product.k = rows;
    product.add = first > 0 ? dw->data : nullptr;
    product.beta = first > 0 ? 1.0f : 0.0f;
    multiply(product);
  }
  average.finish(losses->f32());
  count_operations((gradient ? 6.0 : 2.0) * n * v * c);
}

}  // namespace rs::gpu
