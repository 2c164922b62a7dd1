// AdamW (arXiv:1711.05101) over all tensors in one parallel pass.
#include <cmath>

#include "../impl.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

// The pieces of all tensors form one list, so that small tensors cost no barrier of their own.
constexpr int64_t piece_size = 16384;

static int64_t pieces_of(const AdamWRow& row) { return (row.p->count + piece_size - 1) / piece_size; }

static void update(const AdamWRow& row, const float* numbers, int64_t begin, int64_t count) {
  const double lr = numbers[0], beta1 = numbers[1], beta2 = numbers[2], step = numbers[5];
  const Vec keep1 = splat(numbers[1]), add1 = splat(static_cast<float>(1 - beta1));
  const Vec keep2 = splat(numbers[2]), add2 = splat(static_cast<float>(1 - beta2)), eps = splat(numbers[3]);
  const Vec decay = splat(static_cast<float>(1 - lr * numbers[4]));
  const Vec rate = splat(static_cast<float>(lr / (1 - std::pow(beta1, step))));
  const Vec correction = splat(static_cast<float>(1 / (1 - std::pow(beta2, step))));
  float *p = row.p->f32() + begin, *m = row.m->f32() + begin, *v = row.v->f32() + begin;
  const float* g = row.g->f32() + begin;
  each_vec(count, [&](int64_t i, int n) RS_INLINE_LAMBDA {
    const Vec gradient = load(g + i, n);
    const Vec mean = fma(keep1, load(m + i, n), add1 * gradient);
    const Vec square = fma(keep2, load(v + i, n), add2 * (gradient * gradient));
    store(m + i, mean, n);
    store(v + i, square, n);
    store(p + i, load(p + i, n) * decay - rate * mean / (sqrt(square * correction) + eps), n);
  });
}

void adamw_step(const AdamWRow* rows, int32_t tensors, const Tensor* scalars) {
  int64_t pieces = 0;
  for (int32_t t = 0; t < tensors; t++) pieces += pieces_of(rows[t]);
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; piece++) {
      int64_t rest = piece;
      const AdamWRow* row = rows;
      while (rest >= pieces_of(*row)) rest -= pieces_of(*row++);
      const int64_t first = rest * piece_size, left = row->p->count - first;
      update(*row, scalars->f32() + row->offset, first, left < piece_size ? left : piece_size);
    }
  });
}

}  // namespace rs::RS_BACKEND
