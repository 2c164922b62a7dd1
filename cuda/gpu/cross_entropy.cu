// Cross entropy of logits that exist as a tensor, with an optional soft cap, and its gradient. One block a row.
#include <algorithm>
#include <type_traits>

#include "cross_entropy_row.h"

namespace rs::gpu {

namespace {

// ---- the mean over the targets that count ----

struct LossCounters {
  uint32_t count, counted_blocks, summed_blocks, unused;
};
constexpr int mean_threads = 256;

// Whether this block is the last of the grid to get here. What the others wrote before is visible to it then.
__device__ bool is_last_block(uint32_t* arrived) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(arrived, 1u) == gridDim.x - 1;
  __syncthreads();
  __threadfence();
  return last;
}

// Sum over a block of mean_threads threads; thread 0 gets it. May be called again after a barrier.
__device__ double block_total(double x) {
  __shared__ double shared[mean_threads / 32];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  double sum = 0;
  for (int i = 0; i < mean_threads / 32; i++) sum += shared[i];
  return sum;
}

__global__ void count_targets_kernel(float* mean, LossCounters* counters, const int32_t* targets, int32_t n) {
  uint32_t count = 0;
  for (int64_t i = blockIdx.x * mean_threads + threadIdx.x; i < n; i += gridDim.x * mean_threads)
    count += targets[i] != -1;
  count = __reduce_add_sync(0xffffffffu, count);
  if (threadIdx.x % 32 == 0 && count > 0) atomicAdd(&counters->count, count);
  if (is_last_block(&counters->counted_blocks) && threadIdx.x == 0) mean[1] = float(atomicAdd(&counters->count, 0u));
}

// Which element a thread adds depends on n alone, and so does the order of the blocks' sums.
__global__ void mean_of_losses_kernel(float* mean, double* partial, LossCounters* counters, const float* losses,
                                      int32_t n) {
  double sum = 0;
  for (int64_t i = blockIdx.x * mean_threads + threadIdx.x; i < n; i += gridDim.x * mean_threads) sum += losses[i];
  sum = block_total(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
  if (!is_last_block(&counters->summed_blocks)) return;
  sum = block_total(threadIdx.x < gridDim.x ? __ldcg(partial + threadIdx.x) : 0.0);
  if (threadIdx.x == 0) mean[0] = counters->count > 0 ? float(sum / counters->count) : 0.0f;
}

// ---- rows ----

constexpr int groups = 4;

template <class T, int threads>
__global__ void __launch_bounds__(threads)
    cross_entropy_forward_kernel(float* losses, float* lse, const T* logits, const int32_t* targets, IdCheck check,
                                 int32_t v, int32_t first, float cap, bool wide) {
  __shared__ Partition shared[threads / 32];
  const T* row = logits + int64_t{blockIdx.x} * v;
  const int32_t target = checked_target(check, targets[blockIdx.x], int64_t{first} + blockIdx.x, v);
  const float unit = cap > 0 ? cap : 1.0f;
  Partition all{-INFINITY, 0};
  for (int64_t begin = 0; begin < v; begin += 8 * threads * groups) {
    RowTile<T, threads, groups> tile;
    tile.load(row + begin, v - begin, cap, wide);
    const float top = fmaxf(all.top, unit * tile.largest()), base = Partition::base(top);
    float sum = 0;
#pragma unroll
    for (int i = 0; i < groups; i++)
#pragma unroll
      for (int k = 0; k < 8; k++) sum += LossMath<T>::exponential(unit, tile.x[i][k], base);
    all = {top, all.sum * LossMath<T>::exponential(1.0f, all.top, base) + sum};
  }
  const float top = warp_max(all.top);
  const float scale = LossMath<T>::exponential(1.0f, all.top, Partition::base(top));
  all = block_partition<T, threads>({top, warp_sum(all.sum * scale)}, shared);
  if (threadIdx.x != 0) return;
  const float log_sum = logf(all.sum);
  if (lse != nullptr) lse[blockIdx.x] = all.top + log_sum;
  if (target < 0) {
    losses[blockIdx.x] = 0;
    return;
  }
  float wanted = to_float(row[target]);
  if (cap > 0) wanted = LossMath<T>::squash(wanted, cap);
  losses[blockIdx.x] = fmaf(-unit, wanted, all.top) + log_sum;
}

template <class T, int threads>
__global__ void __launch_bounds__(threads)
    cross_entropy_backward_kernel(T* dlogits, const float* dmean, const float* mean, const float* lse, const T* logits,
                                  const int32_t* targets, IdCheck check, int32_t v, int32_t first, float cap,
                                  bool wide) {
  const int64_t offset = int64_t{blockIdx.x} * v;
  const int32_t target = checked_target(check, targets[blockIdx.x], int64_t{first} + blockIdx.x, v);
  const float unit = cap > 0 ? cap : 1.0f, count = mean[1], log_sum = lse[blockIdx.x];
  const float scale = target >= 0 && count > 0 ? (dmean != nullptr ? dmean[0] : 1.0f) / count : 0.0f;
  // The thread whose group the target lies in reads its logit before it writes, and its gradient after the group.
  const bool owner = target >= 0 && target / 8 % threads == threadIdx.x;
  const float wanted = owner ? to_float(logits[offset + target]) : 0.0f;
  for (int64_t begin = 0; begin < v; begin += 8 * threads * groups) {
    RowTile<T, threads, groups> tile;
    if (target < 0) {
#pragma unroll
      for (int i = 0; i < groups; i++)
#pragma unroll
        for (int k = 0; k < 8; k++) tile.x[i][k] = 0;
    } else {
      tile.load(logits + offset + begin, v - begin, cap, wide);
#pragma unroll
      for (int i = 0; i < groups; i++)
#pragma unroll
        for (int k = 0; k < 8; k++) {
          const float x = tile.x[i][k], d = scale * LossMath<T>::exponential(unit, x, log_sum);
          tile.x[i][k] = cap > 0 ? d * fmaf(-x, x, 1.0f) : d;
        }
    }
    tile.store(dlogits + offset + begin, v - begin, wide);
  }
  if (!owner) return;
  const float x = cap > 0 ? LossMath<T>::squash(wanted, cap) : wanted;
  const float d = scale * (LossMath<T>::exponential(unit, x, log_sum) - 1.0f);
  dlogits[offset + target] = from_float<T>(cap > 0 ? d * fmaf(-x, x, 1.0f) : d);
}

// A warp for rows that one of its tiles holds, else a block of eight.
template <class F>
void with_threads(int32_t v, F&& f) {
  if (v <= 8 * groups * 32) f(std::integral_constant<int, 32>());
  else f(std::integral_constant<int, 256>());
}

}  // namespace

LossMean::LossMean(float* mean, const int32_t* targets, int32_t n)
    : mean_(mean), n_(n), memory_(sizeof(LossCounters) + sizeof(double) * most_blocks) {
  static_assert(most_blocks <= mean_threads, "one thread reads one partial sum");
  auto* counters = static_cast<LossCounters*>(memory_.data());
  enqueue_zero(counters, sizeof *counters);
  launch(count_targets_kernel, {dim3(unsigned(std::min<int64_t>(ceil_div(n, 4 * mean_threads), most_blocks))),
                                dim3(mean_threads)},
         mean, counters, targets, n);
}

void LossMean::finish(const float* losses) {
  auto* counters = static_cast<LossCounters*>(memory_.data());
  launch(mean_of_losses_kernel, {dim3(unsigned(std::min<int64_t>(ceil_div(n_, 4 * mean_threads), most_blocks))),
                                 dim3(mean_threads)},
         mean_, reinterpret_cast<double*>(counters + 1), counters, losses, n_);
}

void enqueue_losses(float* losses, float* lse, const LossRows& rows) {
  with_float(rows.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    with_threads(rows.v, [&](auto size) {
      constexpr int threads = decltype(size)::value;
      const T* logits = static_cast<const T*>(rows.logits);
      launch(cross_entropy_forward_kernel<T, threads>, {dim3(unsigned(rows.n)), dim3(threads)}, losses, lse, logits,
             rows.targets, id_check(), rows.v, rows.first, rows.cap, wide_access(rows.v, logits));
    });
  });
}

void enqueue_loss_gradients(void* dlogits, const float* dmean, const float* mean, const float* lse,
                            const LossRows& rows) {
  with_float(rows.dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    with_threads(rows.v, [&](auto size) {
      constexpr int threads = decltype(size)::value;
      const T* logits = static_cast<const T*>(rows.logits);
      T* target = static_cast<T*>(dlogits);
      launch(cross_entropy_backward_kernel<T, threads>, {dim3(unsigned(rows.n)), dim3(threads)}, target, dmean, mean,
             lse, logits, rows.targets, id_check(), rows.v, rows.first, rows.cap, wide_access(rows.v, logits, target));
    });
  });
}

void cross_entropy_forward(Tensor* mean, Tensor* losses, Tensor* lse, const Tensor* logits, const Tensor* targets,
                           int32_t n, int32_t v, double soft_cap) {
  LossMean average(mean->f32(), targets->i32(), n);
  enqueue_losses(losses->f32(), lse->f32(), {logits->data, logits->dtype, targets->i32(), n, v, 0, float(soft_cap)});
  average.finish(losses->f32());
}

void cross_entropy_backward(Tensor* dlogits, const Tensor* dmean, const Tensor* mean, const Tensor* lse,
                            const Tensor* logits, const Tensor* targets, int32_t n, int32_t v, double soft_cap) {
  enqueue_loss_gradients(dlogits->data, dmean->f32(), mean->f32(), lse->f32(),
                         {logits->data, logits->dtype, targets->i32(), n, v, 0, float(soft_cap)});
}

}  // namespace rs::gpu
