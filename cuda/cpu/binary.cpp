// Sum, difference, product and quotient of a matrix with a matrix, a row, a column or a scalar.
#include "../impl.h"
#include "parallel.h"
#include "reduce.h"
#include "simd.h"

namespace rs::RS_BACKEND {

static int64_t rows_per_piece(int64_t c) { return c >= (1 << 14) ? 1 : (1 << 14) / (c > 0 ? c : 1); }

// The operand b of one row: a run to read, or one number.
struct Operand {
  const float* run;
  float one;
  RS_INLINE Vec at(int64_t j, int n) const { return run ? load(run + j, n) : splat(one); }
};

static Operand operand(const float* b, int32_t shape, int64_t row, int64_t c) {
  switch (shape) {
    case RS_FULL: return {b + row * c, 0};
    case RS_ROW: return {b, 0};
    case RS_COLUMN: return {nullptr, b[row]};
    default: return {nullptr, b[0]};
  }
}

template <class F>
static void forward(Tensor* y, const Tensor* a, const Tensor* b, int32_t shape, int64_t rows, int64_t c, F f) {
  float* out = y->f32();
  const float *left = a->f32(), *right = b->f32();
  parallel_for(rows, rows_per_piece(c), [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t row = begin; row < end; row++) {
      const Operand other = operand(right, shape, row, c);
      each_vec(c, [&](int64_t j, int n) RS_INLINE_LAMBDA {
        store(out + row * c + j, f(load(left + row * c + j, n), other.at(j, n)), n);
      });
    }
  });
}

void binary_forward(Tensor* y, const Tensor* a, const Tensor* b, int32_t kind, int32_t shape, int32_t n, int32_t c) {
  switch (kind) {
    case RS_ADD: return forward(y, a, b, shape, n, c, [](Vec p, Vec q) RS_INLINE_LAMBDA { return p + q; });
    case RS_SUBTRACT: return forward(y, a, b, shape, n, c, [](Vec p, Vec q) RS_INLINE_LAMBDA { return p - q; });
    case RS_MULTIPLY: return forward(y, a, b, shape, n, c, [](Vec p, Vec q) RS_INLINE_LAMBDA { return p * q; });
    case RS_DIVIDE: return forward(y, a, b, shape, n, c, [](Vec p, Vec q) RS_INLINE_LAMBDA { return p / q; });
    default: fail(RS_INVALID, "there is no kind %d", kind);
  }
}

// term_a and term_b give the gradients of a and b at one place from (dy, a, b).
template <class TermA, class TermB>
static void backward(Tensor* da, Tensor* db, const Tensor* dy, const Tensor* a, const Tensor* b, int32_t shape,
                     int64_t rows, int64_t c, TermA term_a, TermB term_b) {
  const float *grad = dy->f32(), *left = a->f32(), *right = b->f32();
  const auto place_a = [&](const Operand& other, int64_t row, int64_t j, int n) RS_INLINE_LAMBDA {
    return term_a(load(grad + row * c + j, n), load(left + row * c + j, n), other.at(j, n));
  };
  const auto place_b = [&](const Operand& other, int64_t row, int64_t j, int n) RS_INLINE_LAMBDA {
    return term_b(load(grad + row * c + j, n), load(left + row * c + j, n), other.at(j, n));
  };
  const bool sum_over_rows = shape == RS_ROW || shape == RS_SCALAR;
  // A scalar's gradient is the sum over rows of these.
  Scratch row_sums(sizeof(float) * static_cast<size_t>(shape == RS_SCALAR && db ? rows + 1 : 1));
  float* per_row = shape == RS_SCALAR ? row_sums.f32() : db ? db->f32() : nullptr;
  if (da || (db && shape != RS_ROW)) {
    parallel_for(rows, rows_per_piece(c), [&](int64_t begin, int64_t end, int32_t) {
      for (int64_t row = begin; row < end; row++) {
        const Operand other = operand(right, shape, row, c);
        if (da)
          each_vec(c, [&](int64_t j, int n) RS_INLINE_LAMBDA {
            store(da->f32() + row * c + j, place_a(other, row, j, n), n);
          });
        if (!db || shape == RS_ROW) continue;
        if (shape == RS_FULL)
          each_vec(c, [&](int64_t j, int n) RS_INLINE_LAMBDA {
            store(per_row + row * c + j, place_b(other, row, j, n), n);
          });
        else
          per_row[row] = sum_vec(c, [&](int64_t j, int n) RS_INLINE_LAMBDA {
            Vec term = place_b(other, row, j, n);
            return n == lanes ? term : select(lane_index() < n, term, Vec{});
          });
      }
    });
  }
  if (!db || !sum_over_rows) return;
  if (shape == RS_ROW) {
    const Operand other = operand(right, RS_ROW, 0, c);
    return sum_rows(db->f32(), rows, c, 1, false,
                    [&](int64_t row, int64_t j, int n) RS_INLINE_LAMBDA { return place_b(other, row, j, n); });
  }
  double sum = 0;
  for (int64_t row = 0; row < rows; row++) sum += per_row[row];
  db->f32()[0] = static_cast<float>(sum);
}

void binary_backward(Tensor* da, Tensor* db, const Tensor* dy, const Tensor* a, const Tensor* b, int32_t kind,
                     int32_t shape, int32_t n, int32_t c) {
  const auto same = [](Vec g, Vec, Vec) RS_INLINE_LAMBDA { return g; };
  switch (kind) {
    case RS_ADD: return backward(da, db, dy, a, b, shape, n, c, same, same);
    case RS_SUBTRACT:
      return backward(da, db, dy, a, b, shape, n, c, same, [](Vec g, Vec, Vec) RS_INLINE_LAMBDA { return -g; });
    case RS_MULTIPLY:
      return backward(
          da, db, dy, a, b, shape, n, c, [](Vec g, Vec, Vec q) RS_INLINE_LAMBDA { return g * q; },
          [](Vec g, Vec p, Vec) RS_INLINE_LAMBDA { return g * p; });
    case RS_DIVIDE:
      return backward(
          da, db, dy, a, b, shape, n, c, [](Vec g, Vec, Vec q) RS_INLINE_LAMBDA { return g / q; },
          [](Vec g, Vec p, Vec q) RS_INLINE_LAMBDA { return -g * p / (q * q); });
    default: fail(RS_INVALID, "there is no kind %d", kind);
  }
}

}  // namespace rs::RS_BACKEND
