// Elements of tensors in the form that a product wants: rounded, transposed, kept beside weights; and epilogues of the
// products that have none of their own.
#include "convert.h"

#include <algorithm>

#include "mixed_product.h"
#include "products.h"

namespace rs::gpu {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) round_to_bf16_kernel(bf16* y, const float* x, int64_t count, bool wide) {
  const int64_t step = int64_t{gridDim.x} * kThreads * 8;
  for (int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * 8; at < count; at += step) {
    const int left = int(min(int64_t{8}, count - at));
    float v[8];
    load8(v, x + at, left, wide);
    store8(y + at, v, left, wide);
  }
}

constexpr int kTile = 32;

template <class Y, class X>
__global__ void __launch_bounds__(kThreads) transpose_elements_kernel(Y* y, const X* x, int64_t rows, int64_t cols) {
  __shared__ float tile[kTile][kTile + 1];
  const int across = threadIdx.x % kTile, down = threadIdx.x / kTile;
  const int64_t tiles_across = (cols + kTile - 1) / kTile, tiles = (rows + kTile - 1) / kTile * tiles_across;
  for (int64_t i = blockIdx.x; i < tiles; i += gridDim.x) {
    const int64_t row = i / tiles_across * kTile, col = i % tiles_across * kTile;
    __syncthreads();
    for (int r = down; r < kTile; r += kThreads / kTile)
      if (row + r < rows && col + across < cols) tile[r][across] = to_float(x[(row + r) * cols + col + across]);
    __syncthreads();
    for (int r = down; r < kTile; r += kThreads / kTile)
      if (col + r < cols && row + across < rows) y[(col + r) * rows + row + across] = from_float<Y>(tile[across][r]);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) finish_elements_kernel(T* c, const float* sums, const T* aux, float beta,
                                                                   int32_t epilogue, int64_t count, bool wide) {
  const int64_t step = int64_t{gridDim.x} * kThreads * 8;
  const bool with_aux = reads_aux(beta, epilogue);
  for (int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * 8; at < count; at += step) {
    const int left = int(min(int64_t{8}, count - at));
    float v[8], other[8] = {};
    load8(v, sums + at, left, wide);
    if (with_aux) load8(other, aux + at, left, wide);
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = finished(v[i], other[i], 1, beta, epilogue);
    store8(c + at, v, left, wide);
  }
}

// Keys of the copies beside a parameter: the elements in order, and transposed ones by their sizes (below 2^31 each).
uint64_t rounded_key(int64_t count) { return uint64_t{1} << 62 | uint64_t(count); }
uint64_t transposed_key(int32_t rows, int32_t cols) {
  return uint64_t{1} << 63 | uint64_t(rows) << 32 | uint64_t(uint32_t(cols));
}

// Memory for x's copy in bfloat16, and whether it has to be filled.
bf16* copy_of(const Tensor* x, uint64_t key, int64_t count, std::optional<Scratch>& spare, bool& fill) {
  const size_t bytes = sizeof(bf16) * size_t(count);
  fill = true;
  if (!x->parameter) return static_cast<bf16*>(spare.emplace(bytes).data());
  if (void* found = find_derived(x, key)) {
    fill = false;
    return static_cast<bf16*>(found);
  }
  return static_cast<bf16*>(keep_derived(x, key, bytes));
}

}  // namespace

void round_to_bf16(bf16* y, const float* x, int64_t count) {
  launch(round_to_bf16_kernel, {dim3(grid_for(count, kThreads * 8)), dim3(kThreads)}, y, x, count,
         wide_access(8, y, x));
}

void transpose_elements(void* y, int32_t y_type, const void* x, int32_t x_type, int32_t rows, int32_t cols) {
  const Launch shape{dim3(grid_for(ceil_div(rows, kTile) * ceil_div(cols, kTile), 1)), dim3(kThreads)};
  with_float(y_type, [&](auto* to) {
    using Y = std::remove_pointer_t<decltype(to)>;
    if (x_type == y_type) {
      launch(transpose_elements_kernel<Y, Y>, shape, static_cast<Y*>(y), static_cast<const Y*>(x), rows, cols);
    } else {
      launch(transpose_elements_kernel<Y, float>, shape, static_cast<Y*>(y), static_cast<const float*>(x), rows, cols);
    }
  });
}

void finish_elements(void* c, int32_t c_type, const float* sums, const void* aux, float beta, int32_t epilogue,
                     int64_t count) {
  with_float(c_type, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    auto* to = static_cast<T*>(c);
    const auto* other = static_cast<const T*>(aux);
    launch(finish_elements_kernel<T>, {dim3(grid_for(count, kThreads * 8)), dim3(kThreads)}, to, sums, other, beta,
           epilogue, count, wide_access(8, to, other, reinterpret_cast<const T*>(sums)));
  });
}

const bf16* bf16_elements(const Tensor* x, std::optional<Scratch>& spare) {
  if (x->dtype == RS_BF16) return static_cast<const bf16*>(x->data);
  bool fill;
  bf16* y = copy_of(x, rounded_key(x->count), x->count, spare, fill);
  if (fill) round_to_bf16(y, x->f32(), x->count);
  return y;
}

const bf16* bf16_transposed(const Tensor* x, int32_t rows, int32_t cols, std::optional<Scratch>& spare) {
  bool fill;
  bf16* y = copy_of(x, transposed_key(rows, cols), int64_t{rows} * cols, spare, fill);
  if (fill) transpose_elements(y, RS_BF16, x->data, x->dtype, rows, cols);
  return y;
}

}  // namespace rs::gpu
