// Muon for a batch of matrices of one shape: Nesterov momentum, Polar Express, variance normalisation, cautious decay.
// The matrices lie side by side in scratch memory, so every step of the iteration is one batched product; the symmetric
// ones are computed on and below the diagonal and mirrored, which gives the same bits as computing all of them.
#include <cmath>
#include <cstring>

#include "matmul.h"
#include "parallel.h"

namespace rs::RS_BACKEND {

namespace {

// Coefficients of the first five iterations of Polar Express (arXiv:2505.16932).
constexpr float polar[5][3] = {
    {8.156554524902461f, -22.48329292557795f, 15.878769915207462f},
    {4.042929935166739f, -2.808917465908714f, 0.5000178451051316f},
    {3.8916678022926607f, -2.772484153217685f, 0.5060648178503393f},
    {3.285753657755655f, -2.3681294933425376f, 0.46449024233003106f},
    {2.3465413258596377f, -1.7097828382687081f, 0.42323551169305323f},
};

// Rows of a matrix that one piece of element-wise work takes; sums go by the same pieces whatever the threads.
constexpr int64_t piece_rows = 32;

// Elements above the diagonal from those below it, for `batch` square matrices side by side. A piece is `lanes` rows.
void mirror(float* matrices, int64_t batch, int64_t size) {
  const int64_t strips = divide_up(size, lanes);
  parallel_for(batch * strips, 4, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++) {
      float* matrix = matrices + i / strips * size * size;
      const int64_t first = i % strips * lanes, last = std::min<int64_t>(size, first + lanes);
      for (int64_t row = first; row < last; row++)
        for (int64_t j = row + 1; j < last; j++) matrix[row * size + j] = matrix[j * size + row];
      for (int64_t column = last; column < size; column += lanes) {
        if (column + lanes <= size) {
          Vec square[lanes];
#pragma GCC unroll 16
          for (int r = 0; r < lanes; r++) square[r] = load(matrix + (column + r) * size + first);
          transpose_square<lanes / 2>(square);
#pragma GCC unroll 16
          for (int r = 0; r < lanes; r++) store(matrix + (first + r) * size + column, square[r]);
        } else {
          for (int64_t row = first; row < last; row++)
            for (int64_t j = column; j < size; j++) matrix[row * size + j] = matrix[j * size + row];
        }
      }
    }
  });
}

struct Batch {
  const MuonRow* rows;
  int64_t count, height, width;
  int64_t size() const { return height * width; }
  int64_t pieces() const { return divide_up(height, piece_rows); }  // of one matrix

  // Calls f(matrix, piece, first row, rows) for every piece of every matrix.
  template <class F>
  void each_piece(F&& f) const {
    parallel_for(count * pieces(), 1, [&](int64_t begin, int64_t end, int32_t) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t row = i % pieces() * piece_rows;
        f(i / pieces(), i % pieces(), row, std::min(piece_rows, height - row));
      }
    });
  }
};

// Momentum, Nesterov and division by 1.02·‖·‖ + 1e-6 into x.
void start(const Batch& batch, float* x, double* sums, float momentum) {
  batch.each_piece([&](int64_t t, int64_t piece, int64_t row, int64_t rows) {
    const int64_t first = row * batch.width;
    float *m = batch.rows[t].momentum->f32() + first, *target = x + t * batch.size() + first;
    const float* g = batch.rows[t].g->f32() + first;
    sums[t * batch.pieces() + piece] = sum_vec(rows * batch.width, [&](int64_t i, int n) RS_INLINE_LAMBDA {
      const Vec gradient = load(g + i, n), old = load(m + i, n);
      const Vec mean = old + (1 - momentum) * (gradient - old);
      const Vec ahead = gradient + momentum * (mean - gradient);
      store(m + i, mean, n);
      store(target + i, ahead, n);
      return ahead * ahead;
    });
  });
  batch.each_piece([&](int64_t t, int64_t, int64_t row, int64_t rows) {
    double sum = 0;
    for (int64_t i = 0; i < batch.pieces(); i++) sum += sums[t * batch.pieces() + i];
    const float scale = static_cast<float>(1 / (1.02 * std::sqrt(sum) + 1e-6));
    float* target = x + t * batch.size() + row * batch.width;
    each_vec(rows * batch.width, [&](int64_t i, int n) RS_INLINE_LAMBDA { store(target + i, load(target + i, n) * scale, n); });
  });
}

// x ← a·x + (b·S + c·S²)·x with S = x·xᵀ, or with S = xᵀ·x from the right where matrices are tall; the result is in `y`.
void iterate(const Batch& batch, const float* coefficients, const float* x, float* y, float* s, float* q) {
  const int64_t h = batch.height, w = batch.width;
  const bool tall = h > w;
  const int64_t small = std::min(h, w), square = small * small;
  Product gram{{x, w, tall}, {x, w, !tall}, nullptr, small, std::max(h, w), {s, small}};
  gram.lower = true;
  multiply_batch(gram, batch.count, batch.size(), batch.size(), small);
  mirror(s, batch.count, small);
  Product polynomial{{s, small, false}, {s, small, false}, nullptr, small, small,
                     {q, small, s, epilogue_combine, coefficients[2], coefficients[1] / coefficients[2]}};
  polynomial.lower = true;
  multiply_batch(polynomial, batch.count, square, square, small);
  mirror(q, batch.count, small);
  const Target target{y, w, x, epilogue_combine, 1, coefficients[0]};
  if (tall)
    multiply_batch({{x, w, false}, {q, small, false}, nullptr, w, small, target}, batch.count, batch.size(), square, h);
  else
    multiply_batch({{q, small, false}, {x, w, false}, nullptr, w, small, target}, batch.count, square, batch.size(), h);
}

// Σ of squares of each row (rows ≥ columns) or each column of x into `squares`, `lines` numbers a matrix.
void line_squares(const Batch& batch, const float* x, float* squares, float* piece_squares) {
  const int64_t w = batch.width;
  if (batch.height >= w) {
    batch.each_piece([&](int64_t t, int64_t, int64_t row, int64_t rows) {
      for (int64_t r = row; r < row + rows; r++) {
        const float* line = x + t * batch.size() + r * w;
        squares[t * batch.height + r] = sum_vec(w, [&](int64_t i, int n) RS_INLINE_LAMBDA {
          const Vec value = load(line + i, n);
          return value * value;
        });
      }
    });
    return;
  }
  batch.each_piece([&](int64_t t, int64_t piece, int64_t row, int64_t rows) {
    float* sums = piece_squares + (t * batch.pieces() + piece) * w;
    std::memset(sums, 0, sizeof(float) * w);
    for (int64_t r = row; r < row + rows; r++) {
      const float* line = x + t * batch.size() + r * w;
      each_vec(w, [&](int64_t i, int n) RS_INLINE_LAMBDA {
        const Vec value = load(line + i, n);
        store(sums + i, fma(value, value, load(sums + i, n)), n);
      });
    }
  });
  parallel_for(batch.count, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t t = begin; t < end; t++)
      for (int64_t i = 0; i < w; i++) {
        double sum = 0;
        for (int64_t piece = 0; piece < batch.pieces(); piece++) sum += piece_squares[(t * batch.pieces() + piece) * w + i];
        squares[t * w + i] = static_cast<float>(sum);
      }
  });
}

// Second moments of the lines, and by what each line is multiplied: 1/√second, then the Frobenius norm as it was. The
// sums of squares in `factors` are replaced.
void normalise(const Batch& batch, float* factors, float beta2) {
  const int64_t lines = std::max(batch.height, batch.width), length = std::min(batch.height, batch.width);
  parallel_for(batch.count, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t t = begin; t < end; t++) {
      float *factor = factors + t * lines, *second = batch.rows[t].second->f32();
      double before = 0, after = 0;
      for (int64_t i = 0; i < lines; i++) {
        const double sum = factor[i];
        second[i] += (1 - beta2) * (static_cast<float>(sum / length) - second[i]);
        factor[i] = 1 / std::sqrt(std::max(second[i], 1e-10f));
        before += sum;
        after += sum * factor[i] * factor[i];
      }
      const float keep = static_cast<float>(std::sqrt(before) / std::max(std::sqrt(after), 1e-10));
      for (int64_t i = 0; i < lines; i++) factor[i] *= keep;
    }
  });
}

}  // namespace

void muon_step(const MuonRow* rows, int32_t tensors, int32_t height, int32_t width, int32_t iterations, int32_t,
               const Tensor* scalars, int32_t offset) {
  const float* numbers = scalars->f32() + offset;
  const float lr = numbers[0], momentum = numbers[1], beta2 = numbers[2], decay = numbers[3];
  const Batch batch{rows, tensors, height, width};
  const int64_t small = std::min(height, width), lines = std::max(height, width), pieces = batch.pieces();
  Scratch first(sizeof(float) * tensors * batch.size()), second(sizeof(float) * tensors * batch.size());
  Scratch gram(sizeof(float) * tensors * small * small), polynomial(sizeof(float) * tensors * small * small);
  Scratch sums(sizeof(double) * tensors * pieces);
  float *x = first.f32(), *y = second.f32();
  start(batch, x, static_cast<double*>(sums.data()), momentum);
  for (int32_t i = 0; i < iterations; i++) {
    iterate(batch, polar[i], x, y, gram.f32(), polynomial.f32());
    std::swap(x, y);
  }
  const bool by_row = height >= width, normalises = beta2 > 0;
  Scratch factors(normalises ? sizeof(float) * tensors * lines : 0);
  Scratch piece_squares(normalises && !by_row ? sizeof(float) * tensors * pieces * width : 0);
  if (normalises) {
    line_squares(batch, x, factors.f32(), piece_squares.f32());
    normalise(batch, factors.f32(), beta2);
  }
  batch.each_piece([&](int64_t t, int64_t, int64_t row, int64_t count) {
    for (int64_t r = row; r < row + count; r++) {
      const float* line = x + t * batch.size() + r * width;
      float* p = rows[t].p->f32() + r * width;
      const float* factor = factors.f32() + t * lines;
      each_vec(width, [&](int64_t i, int n) RS_INLINE_LAMBDA {
        Vec u = load(line + i, n);
        if (normalises) u = u * (by_row ? splat(factor[r]) : load(factor + i, n));
        const Vec weight = load(p + i, n);
        store(p + i, weight - lr * u - select(u * weight >= 0.0f, lr * decay * weight, Vec{}), n);
      });
    }
  });
  const double size = static_cast<double>(batch.size()), square = static_cast<double>(small) * small;
  count_operations(tensors * iterations * (3 * size * small + square * small));
}

}  // namespace rs::RS_BACKEND
