// Rows of a table by id, and the table's gradient: threads own columns, so each row is summed in the order of the ids.
#include "../impl.h"
#include "ids.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

static constexpr int64_t columns_per_piece = 64;

void embedding_forward(Tensor* y, const Tensor* table, const Tensor* ids, int32_t n, int32_t c, int32_t v) {
  const int32_t* id = ids->i32();
  check_ids(id, n, v);
  parallel_for(n, 64, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++)
      memcpy(y->f32() + i * c, table->f32() + static_cast<int64_t>(id[i]) * c, sizeof(float) * static_cast<size_t>(c));
  });
}

void embedding_backward(Tensor* dtable, const Tensor* dy, const Tensor* ids, int32_t n, int32_t c, int32_t v) {
  const int32_t* id = ids->i32();
  check_ids(id, n, v);
  parallel_for(c, columns_per_piece, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = 0; i < n; i++) {
      const float* grad = dy->f32() + i * c + begin;
      float* row = dtable->f32() + static_cast<int64_t>(id[i]) * c + begin;
      each_vec(end - begin, [&](int64_t j, int k) RS_INLINE_LAMBDA { store(row + j, load(row + j, k) + load(grad + j, k), k); });
    }
  });
}

}  // namespace rs::RS_BACKEND
