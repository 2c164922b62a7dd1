// Ops that move elements: blocks of rows, transposition. What is only moved goes in words of 2 to 16 bytes, the widest
// that all sizes and addresses are multiples of, whatever its type.
#include "groups.h"

namespace rs::gpu {

namespace {

constexpr int kWords = 4;  // that a thread has in flight

int element_size(const Tensor* x) { return x->dtype == RS_BF16 ? 2 : 4; }

// Bytes of the widest word, given the bitwise or of all that must be a multiple of it.
int word_size(uint64_t bits) {
  bits |= 16;
  return int(bits & (~bits + 1));
}

// Calls f with a null pointer of the type of a word.
template <class F>
void with_word(int bytes, F&& f) {
  if (bytes == 16) f(static_cast<uint4*>(nullptr));
  else if (bytes == 8) f(static_cast<uint2*>(nullptr));
  else if (bytes == 4) f(static_cast<uint32_t*>(nullptr));
  else f(static_cast<uint16_t*>(nullptr));
}

Launch shape_for(int64_t words) { return {dim3(unsigned(ceil_div(words, kThreads * kWords))), dim3(kThreads)}; }

// Sums of the elements of type T in two words.
template <class T>
__device__ T add(T a, T b) { return from_float<T>(to_float(a) + to_float(b)); }
template <class T>
__device__ uint4 add(uint4 a, uint4 b) {
  constexpr int W = 16 / int(sizeof(T));
  const Group<T, W> left{{a.x, a.y, a.z, a.w}}, right{{b.x, b.y, b.z, b.w}};
  float p[W], q[W];
  left.unpack(p);
  right.unpack(q);
#pragma unroll
  for (int i = 0; i < W; i++) p[i] += q[i];
  Group<T, W> sum;
  sum.pack(p);
  return make_uint4(sum.words[0], sum.words[1], sum.words[2], sum.words[3]);
}

// Rows of `width` words out of rows of x_stride into rows of y_stride words. Neighbouring threads go on from row to
// row, so narrow blocks leave no thread idle. T is void for a copy, or the type of the elements that are added.
template <class T, class Word>
__global__ void __launch_bounds__(kThreads)
    copy_block_kernel(Word* y, const Word* x, int64_t words, int32_t width, int32_t y_stride, int32_t x_stride) {
  constexpr bool kAdd = !std::is_void_v<T>;
  const int64_t first = int64_t{blockIdx.x} * (kThreads * kWords) + threadIdx.x;
  Word from[kWords], old[kAdd ? kWords : 1];
  int64_t to[kWords];
#pragma unroll
  for (int k = 0; k < kWords; k++) {
    const int64_t at = first + k * kThreads;
    if (at >= words) break;
    const MatrixPlace place = place_of(at, width);
    to[k] = place.row * y_stride + place.column;
    from[k] = __ldg(x + place.row * x_stride + place.column);
    if constexpr (kAdd) old[k] = y[to[k]];
  }
#pragma unroll
  for (int k = 0; k < kWords; k++) {
    if (first + k * kThreads >= words) break;
    if constexpr (kAdd) y[to[k]] = add<T>(old[k], from[k]);
    else y[to[k]] = from[k];
  }
}

// y[cols, rows] = x[rows, cols] for each matrix of a batch, by tiles of 64×64 in shared memory; W neighbours are read
// and written at once, as one Word (rows and cols are multiples of W then). The odd pitch spreads a column over the
// banks.
template <class E, int W, class Word>
__global__ void __launch_bounds__(kThreads)
    transpose_tiles_kernel(Word* y, const Word* x, int32_t rows, int32_t cols, int32_t tiles_down,
                           int32_t tiles_across) {
  constexpr int kTile = 64, kAcross = kTile / W;
  __shared__ E tile[kTile][kTile + 1];
  const int64_t matrix = blockIdx.x / (int64_t{tiles_down} * tiles_across);
  const int32_t place = int32_t(blockIdx.x - matrix * tiles_down * tiles_across);
  const int32_t row0 = place / tiles_across * kTile, col0 = place % tiles_across * kTile;
  const int64_t start = matrix * rows * cols;
#pragma unroll
  for (int k = 0; k < kTile * kAcross / kThreads; k++) {
    const int item = k * kThreads + threadIdx.x, row = item / kAcross, col = item % kAcross * W;
    if (row0 < rows - row && col0 < cols - col) {
      const Word word = __ldg(x + (start + int64_t{row0 + row} * cols + col0 + col) / W);
      const E* parts = reinterpret_cast<const E*>(&word);
#pragma unroll
      for (int i = 0; i < W; i++) tile[row][col + i] = parts[i];
    }
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kTile * kAcross / kThreads; k++) {
    const int item = k * kThreads + threadIdx.x, col = item / kAcross, row = item % kAcross * W;
    if (row0 < rows - row && col0 < cols - col) {
      Word word;
      E* parts = reinterpret_cast<E*>(&word);
#pragma unroll
      for (int i = 0; i < W; i++) parts[i] = tile[row + i][col];
      y[(start + int64_t{col0 + col} * rows + row0 + row) / W] = word;
    }
  }
}

// y[batch, cols, rows, inner] = x[batch, rows, cols, inner], inner counted in words.
template <class Word>
__global__ void __launch_bounds__(kThreads)
    transpose_runs_kernel(Word* y, const Word* x, int64_t words, int32_t rows, int32_t cols, int32_t inner) {
  const int64_t first = int64_t{blockIdx.x} * (kThreads * kWords) + threadIdx.x;
  Word moved[kWords];
#pragma unroll
  for (int k = 0; k < kWords; k++) {
    const int64_t at = first + k * kThreads;
    if (at >= words) break;
    const MatrixPlace run = place_of(at, inner), down = place_of(run.row, rows);
    const MatrixPlace matrix = place_of(down.row, cols);
    moved[k] = __ldg(x + ((matrix.row * rows + down.column) * cols + matrix.column) * inner + run.column);
  }
#pragma unroll
  for (int k = 0; k < kWords; k++) {
    const int64_t at = first + k * kThreads;
    if (at >= words) break;
    y[at] = moved[k];
  }
}

template <class E, int W, class Word>
void transpose_tiles(void* y, const void* x, int32_t batch, int32_t rows, int32_t cols) {
  const int64_t down = ceil_div(rows, 64), across = ceil_div(cols, 64);
  launch(transpose_tiles_kernel<E, W, Word>, {dim3(unsigned(batch * down * across)), dim3(kThreads)},
         static_cast<Word*>(y), static_cast<const Word*>(x), rows, cols, down, across);
}

}  // namespace

void copy_block(Tensor* y, const Tensor* x, int32_t n, int32_t width, int32_t y_stride, int32_t y_offset,
                int32_t x_stride, int32_t x_offset, bool accumulate) {
  const uint64_t size = uint64_t(element_size(x));
  char* target = static_cast<char*>(y->data) + y_offset * size;
  const char* source = static_cast<const char*>(x->data) + x_offset * size;
  if (!accumulate && width == x_stride && width == y_stride) {
    return enqueue_copy(target, source, size_t(n) * size_t(width) * size);
  }
  const uint64_t addresses = uint64_t(reinterpret_cast<uintptr_t>(target)) | reinterpret_cast<uintptr_t>(source);
  // The rows' distances matter only where there is a second row.
  const uint64_t strides = n > 1 ? uint64_t(y_stride) | uint64_t(x_stride) : 0;
  int bytes = word_size(addresses | (uint64_t(width) | strides) * size);
  if (accumulate && bytes < 16) bytes = int(size);
  const int each = bytes / int(size);
  const auto enqueue = [&](auto kernel, auto* word) {
    using Word = std::remove_pointer_t<decltype(word)>;
    const int64_t words = int64_t{n} * (width / each);
    launch(kernel, shape_for(words), reinterpret_cast<Word*>(target), reinterpret_cast<const Word*>(source), words,
           width / each, y_stride / each, x_stride / each);
  };
  if (!accumulate) {
    with_word(bytes, [&](auto* word) {
      enqueue(copy_block_kernel<void, std::remove_pointer_t<decltype(word)>>, word);
    });
    return;
  }
  with_float(x->dtype, [&](auto* one) {
    using T = std::remove_pointer_t<decltype(one)>;
    if (bytes == 16) enqueue(copy_block_kernel<T, uint4>, static_cast<uint4*>(nullptr));
    else enqueue(copy_block_kernel<T, T>, one);
  });
}

void transpose(Tensor* y, const Tensor* x, int32_t batch, int32_t rows, int32_t cols, int32_t inner) {
  const uint64_t size = uint64_t(element_size(x)), run = uint64_t(inner) * size;
  if (rows == 1 || cols == 1) return enqueue_copy(y->data, x->data, size_t(x->count) * size);
  const uint64_t addresses = reinterpret_cast<uintptr_t>(y->data) | reinterpret_cast<uintptr_t>(x->data);
  // Small matrices would leave most of a tile empty; what they jump over lies in the cache.
  if (run <= 8 && addresses % run == 0 && rows >= 16 && cols >= 16 && (run & (run - 1)) == 0) {
    const bool wide = word_size(addresses | (uint64_t(rows) | uint64_t(cols)) * run) == 16;
    if (run == 8) return transpose_tiles<uint2, 1, uint2>(y->data, x->data, batch, rows, cols);
    if (run == 4) {
      return wide ? transpose_tiles<uint32_t, 4, uint4>(y->data, x->data, batch, rows, cols)
                  : transpose_tiles<uint32_t, 1, uint32_t>(y->data, x->data, batch, rows, cols);
    }
    return wide ? transpose_tiles<uint16_t, 8, uint4>(y->data, x->data, batch, rows, cols)
                : transpose_tiles<uint16_t, 1, uint16_t>(y->data, x->data, batch, rows, cols);
  }
  const int bytes = word_size(addresses | run);
  with_word(bytes, [&](auto* word) {
    using Word = std::remove_pointer_t<decltype(word)>;
    const int64_t words = int64_t(x->count * int64_t(size)) / bytes;
    launch(transpose_runs_kernel<Word>, shape_for(words), static_cast<Word*>(y->data),
           static_cast<const Word*>(x->data), words, rows, cols, inner * int64_t(size) / bytes);
  });
}

}  // namespace rs::gpu
