// Muon for a batch of matrices of one shape: Nesterov momentum, Polar Express, variance normalisation, cautious decay.
//
// The matrices lie side by side in scratch memory, so every step of the iteration is one batched product; four kernels
// around the products read and write the matrices of the table, up to 64 a launch, their addresses as parameters.
#include <algorithm>

#include "products.h"

namespace rs::gpu {

namespace {

// Coefficients of the first five iterations of Polar Express (arXiv:2505.16932).
constexpr float polar[5][3] = {
    {8.156554524902461f, -22.48329292557795f, 15.878769915207462f},
    {4.042929935166739f, -2.808917465908714f, 0.5000178451051316f},
    {3.8916678022926607f, -2.772484153217685f, 0.5060648178503393f},
    {3.285753657755655f, -2.3681294933425376f, 0.46449024233003106f},
    {2.3465413258596377f, -1.7097828382687081f, 0.42323551169305323f},
};

constexpr int threads = 256;

struct Matrix {
  float *p, *momentum, *second;
  const float* g;
};
// Matrix blockIdx.y of a launch is matrix first + blockIdx.y of the stack.
struct Table {
  Matrix matrix[64];
  uint64_t wide;  // by matrix: whether 16-byte accesses are possible
  int32_t first, size;

  __device__ bool is_wide() const { return wide >> blockIdx.y & 1; }
  __device__ int64_t index() const { return int64_t{first} + blockIdx.y; }
};

// Elements of a matrix by groups of eight, spread over the `gridDim.x` blocks that a matrix has.
template <class F>
__device__ void each_group(int64_t size, F&& f) {
  const int64_t step = 8 * int64_t{gridDim.x} * threads;
  for (int64_t i = 8 * (int64_t{blockIdx.x} * threads + threadIdx.x); i < size; i += step)
    f(i, int(min(size - i, int64_t{8})));
}

// Sum over the block; every thread gets it. May be called again at once.
__device__ double block_total(double x) {
  __shared__ double shared[threads / 32];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  double sum = 0;
  for (int i = 0; i < threads / 32; i++) sum += shared[i];
  return sum;
}

// The gradient seen from the momentum's next value.
__device__ float nesterov(float g, float m, float momentum) { return fmaf(momentum, m - g, g); }

// Renews the momentum; partial[matrix, block] = Σ of squares of the Nesterov gradients.
__global__ void __launch_bounds__(threads)
    muon_momentum_kernel(const __grid_constant__ Table table, double* partial, const float* numbers, int64_t size) {
  const Matrix& matrix = table.matrix[blockIdx.y];
  const bool wide = table.is_wide();
  const float momentum = numbers[1];
  double sum = 0;
  each_group(size, [&](int64_t i, int count) {
    float g[8], m[8], squares = 0;
    load8(g, matrix.g + i, count, wide);
    load8(m, matrix.momentum + i, count, wide);
#pragma unroll
    for (int k = 0; k < 8; k++) {
      m[k] = fmaf(1 - momentum, g[k] - m[k], m[k]);
      const float ahead = nesterov(g[k], m[k], momentum);
      squares = fmaf(ahead, ahead, squares);
    }
    store8(matrix.momentum + i, m, count, wide);
    sum += squares;
  });
  sum = block_total(sum);
  if (threadIdx.x == 0) partial[table.index() * gridDim.x + blockIdx.x] = sum;
}

// x = Nesterov gradient / (1.02·‖·‖ + 1e-6), rounded once.
template <class T>
__global__ void __launch_bounds__(threads)
    muon_start_kernel(T* x, const __grid_constant__ Table table, const double* partial, const float* numbers,
                      int64_t size) {
  const Matrix& matrix = table.matrix[blockIdx.y];
  const bool wide = table.is_wide();
  const float momentum = numbers[1];
  double sum = 0;
  for (unsigned i = threadIdx.x; i < gridDim.x; i += threads) sum += partial[table.index() * gridDim.x + i];
  const float scale = float(1 / (1.02 * sqrt(block_total(sum)) + 1e-6));
  T* to = x + table.index() * size;
  each_group(size, [&](int64_t i, int count) {
    float g[8], m[8];
    load8(g, matrix.g + i, count, wide);
    load8(m, matrix.momentum + i, count, wide);
#pragma unroll
    for (int k = 0; k < 8; k++) m[k] = scale * nesterov(g[k], m[k], momentum);
    store8(to + i, m, count, wide);
  });
}

// Sum of squares of a line (a row where rows ≥ columns, else a column) into sums[matrix, line], its second moment, and
// 1/√second into factors[matrix, line].
__device__ void finish_line(float* sums, float* factors, float* second, int64_t place, int32_t line, float sum,
                            int32_t length, float beta2) {
  const float moment = fmaf(1 - beta2, sum / float(length) - second[line], second[line]);
  second[line] = moment;
  sums[place] = sum;
  factors[place] = 1.0f / sqrtf(fmaxf(moment, 1e-10f));
}

// A warp has a row.
template <class T>
__global__ void __launch_bounds__(threads)
    muon_rows_kernel(float* sums, float* factors, const __grid_constant__ Table table, const T* x, const float* numbers,
                     int32_t rows, int32_t columns, bool wide) {
  const float beta2 = numbers[2];
  const int64_t row = int64_t{blockIdx.x} * (threads / 32) + threadIdx.x / 32;
  if (!(beta2 > 0) || row >= rows) return;
  const T* line = x + (table.index() * rows + row) * columns;
  float sum = 0;
  for (int64_t i = 8 * (threadIdx.x % 32); i < columns; i += 8 * 32) {
    float v[8];
    load8(v, line + i, int(min(columns - i, int64_t{8})), wide);
#pragma unroll
    for (int k = 0; k < 8; k++) sum = fmaf(v[k], v[k], sum);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0)
    finish_line(sums, factors, table.matrix[blockIdx.y].second, table.index() * rows + row, int32_t(row), sum, columns,
                beta2);
}

// A block has 64 columns: eight threads beside each other for these, 32 below each other for the rows.
template <class T>
__global__ void __launch_bounds__(threads)
    muon_columns_kernel(float* sums, float* factors, const __grid_constant__ Table table, const T* x,
                        const float* numbers, int32_t rows, int32_t columns, bool wide) {
  constexpr int strips = threads / 8;
  __shared__ float shared[strips][64];
  const float beta2 = numbers[2];
  if (!(beta2 > 0)) return;
  const int strip = threadIdx.x / 8, inside = 8 * (threadIdx.x % 8);
  const int64_t first = 64 * int64_t{blockIdx.x}, left = columns - first - inside;
  const int count = left < 0 ? 0 : left < 8 ? int(left) : 8;
  const T* matrix = x + table.index() * rows * columns + first + inside;
  float squares[8] = {};
#pragma unroll 4
  for (int64_t row = strip; row < rows; row += strips) {
    float v[8];
    load8(v, matrix + row * columns, count, wide);
#pragma unroll
    for (int k = 0; k < 8; k++) squares[k] = fmaf(v[k], v[k], squares[k]);
  }
#pragma unroll
  for (int k = 0; k < 8; k++) shared[strip][inside + k] = squares[k];
  __syncthreads();
  const int64_t column = first + threadIdx.x;
  if (threadIdx.x >= 64 || column >= columns) return;
  float sum = 0;
#pragma unroll
  for (int i = 0; i < strips; i++) sum += shared[i][threadIdx.x];
  finish_line(sums, factors, table.matrix[blockIdx.y].second, table.index() * columns + column, int32_t(column), sum,
              rows, beta2);
}

// u = x, each line times its factor and all times what keeps the Frobenius norm; p ← p − lr·u − lr·wd·p·[u·p ≥ 0].
template <class T>
__global__ void __launch_bounds__(threads)
    muon_update_kernel(const __grid_constant__ Table table, const T* x, const float* sums, const float* factors,
                       const float* numbers, int32_t rows, int32_t columns) {
  const float lr = numbers[0], beta2 = numbers[2], decay = lr * numbers[3];
  const bool by_row = rows >= columns, normalises = beta2 > 0, wide = table.is_wide();
  const int64_t lines = max(rows, columns), size = int64_t{rows} * columns;
  float keep = 1;
  factors += table.index() * lines;
  if (normalises) {
    sums += table.index() * lines;
    double before = 0, after = 0;
    for (int64_t i = threadIdx.x; i < lines; i += threads) {
      const double sum = sums[i], factor = factors[i];
      before += sum;
      after += sum * factor * factor;
    }
    before = block_total(before);
    after = block_total(after);
    keep = float(sqrt(before) / fmax(sqrt(after), 1e-10));
  }
  float* weights = table.matrix[blockIdx.y].p;
  const T* from = x + table.index() * size;
  each_group(size, [&](int64_t i, int count) {
    float u[8], p[8];
    load8(u, from + i, count, wide);
    load8(p, weights + i, count, wide);
    int64_t row = i / columns;
    int32_t column = int32_t(i - row * columns);
#pragma unroll
    for (int k = 0; k < 8; k++) {
      if (k < count) {
        if (normalises) u[k] *= factors[by_row ? row : column] * keep;
        const float step = fmaf(-lr, u[k], p[k]);
        p[k] = u[k] * p[k] >= 0 ? fmaf(-decay, p[k], step) : step;
        if (++column == columns) column = 0, row++;
      }
    }
    store8(weights + i, p, count, wide);
  });
}

// Blocks for the elements of a matrix: a few groups a thread, several times as many elements as there are lines (whose
// sums each block adds up), and at most 256. Depends on the shape alone, and so do the sums' orders.
unsigned blocks_of(int64_t size, int64_t lines) {
  return unsigned(std::min<int64_t>(256, ceil_div(size, std::max<int64_t>(8 * 2 * threads, 4 * lines))));
}

struct Batch {
  const MuonRow* rows;
  int32_t count, height, width;
  int64_t size() const { return int64_t{height} * width; }
  int32_t small() const { return std::min(height, width); }
  int32_t lines() const { return std::max(height, width); }
  unsigned blocks() const { return blocks_of(size(), lines()); }

  // Calls f(table) for up to 64 matrices at a time.
  template <class F>
  void each_table(F&& f) const {
    for (int32_t first = 0; first < count; first += 64) {
      Table table{};
      table.first = first;
      table.size = std::min(64, count - first);
      for (int32_t i = 0; i < table.size; i++) {
        const MuonRow& row = rows[first + i];
        table.matrix[i] = {row.p->f32(), row.momentum->f32(), row.second->f32(), row.g->f32()};
        const Matrix& matrix = table.matrix[i];
        if (wide_access(size(), matrix.p, matrix.momentum, matrix.g)) table.wide |= uint64_t{1} << i;
      }
      f(table);
    }
  }
};

// y = a·x + (b·S + c·S²)·x with S = x·xᵀ, or with S = xᵀ·x from the right where matrices are tall.
// The matrices of an optimizer are no rows of a batch: their products may use what is fastest for just these sizes.
void iterate(const Batch& batch, int32_t type, const float* coefficients, const void* x, void* y, void* s, void* q) {
  const bool tall = batch.height > batch.width;
  const int32_t small = batch.small();
  const int64_t square = int64_t{small} * small;
  Product gram{};
  gram.type = gram.c_type = type;
  gram.batch = batch.count;
  gram.exact = true;
  gram.c = s;
  gram.a = gram.b = x;
  gram.m = gram.n = small, gram.k = batch.lines();
  gram.trans_a = tall, gram.trans_b = !tall;
  gram.stride_a = gram.stride_b = batch.size(), gram.stride_c = square;
  multiply(gram);

  Product polynomial{};
  polynomial.type = polynomial.c_type = type;
  polynomial.batch = batch.count;
  polynomial.exact = true;
  polynomial.c = q;
  polynomial.a = polynomial.b = polynomial.add = s;
  polynomial.m = polynomial.n = polynomial.k = small;
  polynomial.stride_a = polynomial.stride_b = polynomial.stride_c = square;
  polynomial.alpha = coefficients[2], polynomial.beta = coefficients[1];
  multiply(polynomial);

  Product update{};
  update.type = update.c_type = type;
  update.batch = batch.count;
  update.exact = true;
  update.c = y;
  update.a = tall ? x : q, update.b = tall ? q : x, update.add = x;
  update.m = batch.height, update.n = batch.width, update.k = small;
  update.stride_a = tall ? batch.size() : square, update.stride_b = tall ? square : batch.size();
  update.stride_c = batch.size();
  update.beta = coefficients[0];
  multiply(update);
}

template <class T>
void step(const Batch& batch, int32_t type, int32_t iterations, const float* numbers) {
  const int64_t size = batch.size(), square = int64_t{batch.small()} * batch.small();
  const size_t all = sizeof(T) * size_t(batch.count * size), squares = sizeof(T) * size_t(batch.count * square);
  const unsigned blocks = batch.blocks();
  Scratch first(all), second(all), gram(squares), polynomial(squares);
  Scratch partial(sizeof(double) * blocks * size_t(batch.count));
  T *x = static_cast<T*>(first.data()), *y = static_cast<T*>(second.data());
  double* norms = static_cast<double*>(partial.data());
  batch.each_table([&](const Table& table) {
    const Launch shape{dim3(blocks, unsigned(table.size)), dim3(threads)};
    launch(muon_momentum_kernel, shape, table, norms, numbers, size);
    launch(muon_start_kernel<T>, shape, x, table, norms, numbers, size);
  });
  for (int32_t i = 0; i < iterations; i++) {
    iterate(batch, type, polar[i], x, y, gram.data(), polynomial.data());
    std::swap(x, y);
  }
  Scratch line_sums(sizeof(float) * size_t(batch.count) * size_t(batch.lines()));
  Scratch line_factors(sizeof(float) * size_t(batch.count) * size_t(batch.lines()));
  float *sums = line_sums.f32(), *factors = line_factors.f32();
  const bool by_row = batch.height >= batch.width, wide = wide_access(batch.width, x);
  batch.each_table([&](const Table& table) {
    const unsigned lines = unsigned(ceil_div(batch.lines(), by_row ? threads / 32 : 64));
    launch(by_row ? muon_rows_kernel<T> : muon_columns_kernel<T>, {dim3(lines, unsigned(table.size)), dim3(threads)},
           sums, factors, table, x, numbers, batch.height, batch.width, wide);
    launch(muon_update_kernel<T>, {dim3(blocks, unsigned(table.size)), dim3(threads)}, table, x, sums, factors, numbers,
           batch.height, batch.width);
  });
}

}  // namespace

void muon_step(const MuonRow* rows, int32_t tensors, int32_t height, int32_t width, int32_t iterations, int32_t dtype,
               const Tensor* scalars, int32_t offset) {
  const Batch batch{rows, tensors, height, width};
  with_float(dtype, [&](auto* type) {
    step<std::remove_pointer_t<decltype(type)>>(batch, dtype, iterations, scalars->f32() + offset);
  });
  const double size = double(batch.size()), square = double(batch.small()) * batch.small();
  count_operations(tensors * iterations * (3 * size * batch.small() + square * batch.small()));
}

}  // namespace rs::gpu
