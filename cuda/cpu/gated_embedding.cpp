// Value embeddings added through a gate of their own per group, and the gradients of gate and table.
#include "../impl.h"
#include "ids.h"
#include "parallel.h"
#include "simd.h"

namespace rs::RS_BACKEND {

static constexpr int64_t columns_per_piece = 64;

void gated_embedding_forward(Tensor* y, const Tensor* x, const Tensor* table, const Tensor* ids, const Tensor* gate,
                             int32_t n, int32_t g, int32_t d, int32_t v) {
  const int32_t* id = ids->i32();
  check_ids(id, n, v);
  parallel_for(n, 32, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t group = 0; group < g; group++) {
        const float strength = 2.0f * sigmoid_scalar(gate->f32()[i * g + group]);
        const float* in = x->f32() + (i * g + group) * d;
        const float* row = table->f32() + (static_cast<int64_t>(id[i]) * g + group) * d;
        float* out = y->f32() + (i * g + group) * d;
        each_vec(d, [&](int64_t j, int k) RS_INLINE_LAMBDA {
          store(out + j, fma(load(row + j, k), splat(strength), load(in + j, k)), k);
        });
      }
  });
}

void gated_embedding_backward(Tensor* dgate, Tensor* dtable, const Tensor* dy, const Tensor* table, const Tensor* ids,
                              const Tensor* gate, int32_t n, int32_t g, int32_t d, int32_t v) {
  const int32_t* id = ids->i32();
  check_ids(id, n, v);
  Scratch scratch(sizeof(float) * static_cast<size_t>(static_cast<int64_t>(n) * g + 1));
  float* strengths = scratch.f32();
  parallel_for(n, 32, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t group = 0; group < g; group++) {
        const float s = sigmoid_scalar(gate->f32()[i * g + group]);
        const float* grad = dy->f32() + (i * g + group) * d;
        const float* row = table->f32() + (static_cast<int64_t>(id[i]) * g + group) * d;
        const float dot =
            sum_vec(d, [&](int64_t j, int k) RS_INLINE_LAMBDA { return load(grad + j, k) * load(row + j, k); });
        dgate->f32()[i * g + group] = 2.0f * s * (1.0f - s) * dot;
        strengths[i * g + group] = 2.0f * s;
      }
  });
  // Pieces are columns of one group, so that the strength is one number for a piece's part of a row.
  const int64_t pieces_per_group = (d + columns_per_piece - 1) / columns_per_piece;
  parallel_for(pieces_per_group * g, 1, [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t piece = begin; piece < end; piece++) {
      const int64_t group = piece / pieces_per_group, first = piece % pieces_per_group * columns_per_piece;
      const int64_t width = d - first < columns_per_piece ? d - first : columns_per_piece;
      for (int64_t i = 0; i < n; i++) {
        const float* grad = dy->f32() + (i * g + group) * d + first;
        float* row = dtable->f32() + (static_cast<int64_t>(id[i]) * g + group) * d + first;
        const float strength = strengths[i * g + group];
        each_vec(width, [&](int64_t j, int k) RS_INLINE_LAMBDA {
          store(row + j, fma(load(grad + j, k), splat(strength), load(row + j, k)), k);
        });
      }
    }
  });
}

}  // namespace rs::RS_BACKEND
