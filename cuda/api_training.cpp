// The ABI's attention, losses and optimizers: arguments are checked here once for all builds, as in api_elements.cpp.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <vector>

#include "core.h"

using namespace rs;

namespace {

void require_attention(int32_t b, int32_t t, int32_t h, int32_t g, int32_t d, int32_t window, double scale) {
  require_size(b, "b");
  require_size(t, "t");
  require_size(h, "h", 1);
  require_size(g, "g", 1);
  require_size(d, "d", 1);
  require_size(window, "window");
  if (g > h) fail(RS_INVALID, "g must be at most h, got %d and %d", g, h);
  require_finite(scale, "scale");
}

void require_soft_cap(double soft_cap) {
  if (!(soft_cap >= 0 && soft_cap < INFINITY)) {
    fail(RS_INVALID, "soft_cap must be finite and at least 0, is %g", soft_cap);
  }
}

// The rows of handles that an optimizer step gets, each checked against the others: nothing may share memory.
class Table {
 public:
  Table(const void* table, double table_bytes, int32_t tensors, int32_t columns) : columns_(columns) {
    require_size(tensors, "tensors");
    require_buffer(table, table_bytes, product({tensors, columns, int64_t{sizeof(uint32_t)}}), "table");
    words_.resize(size_t(tensors) * size_t(columns));
    if (!words_.empty()) std::memcpy(words_.data(), table, words_.size() * sizeof(uint32_t));
  }

  uint32_t word(int32_t row, int32_t column) const { return words_[size_t(row) * size_t(columns_) + size_t(column)]; }

  Tensor* tensor(int32_t row, int32_t column, const char* name, int64_t count, bool written) {
    Tensor* found = find_tensor(word(row, column), name);
    if (found->dtype != RS_F32) {
      fail(RS_INVALID, "%s of row %d must be f32, is %s", name, row, dtype_name(found->dtype));
    }
    if (count >= 0 && found->count != count) {
      fail(RS_INVALID, "%s of row %d must have %" PRId64 " elements, has %" PRId64, name, row, count,
           found->count);
    }
    if (found->count > 0) used_.push_back({found, written});
    return found;
  }

  void also_read(const Tensor* found) { used_.push_back({const_cast<Tensor*>(found), false}); }

  void ready() {
    std::sort(used_.begin(), used_.end(), [](const Use& a, const Use& b) { return a.tensor->data < b.tensor->data; });
    for (size_t i = 1; i < used_.size(); i++) {
      const Tensor *before = used_[i - 1].tensor, *after = used_[i].tensor;
      if (static_cast<const char*>(before->data) + before->count * 4 > static_cast<const char*>(after->data)) {
        fail(RS_INVALID, "two tensors of the table share memory, or one with scalars");
      }
    }
    for (const Use& use : used_) {
      settle_zero(use.tensor->storage);
      if (!use.written) continue;
      mark_written(use.tensor->storage);
      use.tensor->version = use.tensor->storage->version;
    }
  }

 private:
  struct Use {
    Tensor* tensor;
    bool written;
  };
  int32_t columns_;
  std::vector<uint32_t> words_;
  std::vector<Use> used_;
};

}  // namespace

// ---- attention ----

RS_API rs_status rs_attention_forward(rs_tensor y, rs_tensor lse, rs_tensor q, rs_tensor k, rs_tensor v, int32_t b,
                                      int32_t t, int32_t h, int32_t g, int32_t d, int32_t window, double scale) {
  RS_RUN("attention_forward", [&] {
    require_attention(b, t, h, g, d, window, scale);
    const int64_t queries = product({b, t, h, d}), keys = product({b, t, g, d});
    Arguments args;
    Tensor* to = args.out(y, "y", queries, kActivation);
    Tensor* sums = args.out(lse, "lse", product({b, h, t}));
    const Tensor* query = args.in(q, "q", queries, kActivation);
    const Tensor* key = args.in(k, "k", keys, kActivation);
    const Tensor* value = args.in(v, "v", keys, kActivation);
    apply(args, queries == 0, [&](const Ops& ops) {
      ops.attention_forward(to, sums, query, key, value, b, t, h, g, d, window, scale);
    });
  });
}

RS_API rs_status rs_attention_backward(rs_tensor dq, rs_tensor dk, rs_tensor dv, rs_tensor dy, rs_tensor y,
                                       rs_tensor lse, rs_tensor q, rs_tensor k, rs_tensor v, rs_tensor q_rstd,
                                       rs_tensor k_rstd, rs_tensor cos, rs_tensor sin, int32_t b, int32_t t, int32_t h,
                                       int32_t g, int32_t d, int32_t window, double scale) {
  RS_RUN("attention_backward", [&] {
    require_attention(b, t, h, g, d, window, scale);
    const int64_t queries = product({b, t, h, d}), keys = product({b, t, g, d});
    Arguments args;
    Tensor* to_query = args.out(dq, "dq", queries, kActivation);
    Tensor* to_key = args.out(dk, "dk", keys, kActivation);
    Tensor* to_value = args.out(dv, "dv", keys, kActivation);
    const Tensor* from = args.in(dy, "dy", queries, kActivation);
    const Tensor* output = args.in(y, "y", queries, kActivation);
    const Tensor* sums = args.in(lse, "lse", product({b, h, t}));
    const Tensor* query = args.in(q, "q", queries, kActivation);
    const Tensor* key = args.in(k, "k", keys, kActivation);
    const Tensor* value = args.in(v, "v", keys, kActivation);
    const int given = (q_rstd != 0) + (k_rstd != 0) + (cos != 0) + (sin != 0);
    if (given != 0 && given != 4) fail(RS_INVALID, "q_rstd, k_rstd, cos and sin must be given together");
    if (given != 0 && d % 2 != 0) fail(RS_INVALID, "d must be even, is %d", d);
    const Tensor* query_scale = args.in_optional(q_rstd, "q_rstd", product({b, t, h}));
    const Tensor* key_scale = args.in_optional(k_rstd, "k_rstd", product({b, t, g}));
    const Tensor* cosines = args.in_optional(cos, "cos", product({t, d / 2}));
    const Tensor* sines = args.in_optional(sin, "sin", product({t, d / 2}));
    apply(args, queries == 0, [&](const Ops& ops) {
      ops.attention_backward(to_query, to_key, to_value, from, output, sums, query, key, value, query_scale, key_scale,
                             cosines, sines, b, t, h, g, d, window, scale);
    });
  });
}

// ---- loss ----

RS_API rs_status rs_cross_entropy_forward(rs_tensor mean, rs_tensor losses, rs_tensor lse, rs_tensor logits,
                                          rs_tensor targets, int32_t n, int32_t v, double soft_cap) {
  RS_RUN("cross_entropy_forward", [&] {
    require_size(n, "n");
    require_size(v, "v", 1);
    require_soft_cap(soft_cap);
    Arguments args;
    Tensor* average = args.out(mean, "mean", 2);
    Tensor* each = args.out(losses, "losses", n);
    Tensor* sums = args.out(lse, "lse", n);
    const Tensor* input = args.in(logits, "logits", product({n, v}), kActivation);
    const Tensor* wanted = args.in(targets, "targets", n, RS_I32);
    apply(args, n == 0, [&](const Ops& ops) {
      ops.cross_entropy_forward(average, each, sums, input, wanted, n, v, soft_cap);
    });
  });
}

RS_API rs_status rs_cross_entropy_backward(rs_tensor dlogits, rs_tensor dmean, rs_tensor mean, rs_tensor lse,
                                           rs_tensor logits, rs_tensor targets, int32_t n, int32_t v, double soft_cap) {
  RS_RUN("cross_entropy_backward", [&] {
    require_size(n, "n");
    require_size(v, "v", 1);
    require_soft_cap(soft_cap);
    Arguments args;
    Tensor* to = args.out(dlogits, "dlogits", product({n, v}), kActivation);
    const Tensor* from = args.in(dmean, "dmean", 1);
    const Tensor* average = args.in(mean, "mean", 2);
    const Tensor* sums = args.in(lse, "lse", n);
    const Tensor* input = args.in(logits, "logits", product({n, v}), kActivation);
    const Tensor* wanted = args.in(targets, "targets", n, RS_I32);
    args.may_be("dlogits", "logits");
    apply(args, n == 0, [&](const Ops& ops) {
      ops.cross_entropy_backward(to, from, average, sums, input, wanted, n, v, soft_cap);
    });
  });
}

RS_API rs_status rs_linear_cross_entropy(rs_tensor mean, rs_tensor losses, rs_tensor dx, rs_tensor dw, rs_tensor x,
                                         rs_tensor w, rs_tensor targets, int32_t n, int32_t c, int32_t v,
                                         double soft_cap) {
  RS_RUN("linear_cross_entropy", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    require_size(v, "v", 1);
    require_soft_cap(soft_cap);
    if ((dx == 0) != (dw == 0)) fail(RS_INVALID, "dx and dw must be given together");
    Arguments args;
    Tensor* average = args.out(mean, "mean", 2);
    Tensor* each = args.out(losses, "losses", n);
    Tensor* to_input = args.out_optional(dx, "dx", product({n, c}), kActivation);
    Tensor* to_weight = args.out_optional(dw, "dw", product({v, c}));
    const Tensor* input = args.in(x, "x", product({n, c}), kActivation);
    const Tensor* weight = args.in(w, "w", product({v, c}));
    const Tensor* wanted = args.in(targets, "targets", n, RS_I32);
    apply(args, n == 0, [&](const Ops& ops) {
      ops.linear_cross_entropy(average, each, to_input, to_weight, input, weight, wanted, n, c, v, soft_cap);
    });
  });
}

// ---- optimizers ----

RS_API rs_status rs_adamw_step(const void* table, double table_bytes, int32_t tensors, rs_tensor scalars) {
  RS_RUN("adamw_step", [&] {
    Table handles(table, table_bytes, tensors, 5);
    std::vector<AdamWRow> rows;
    const int64_t numbers = find_tensor(scalars, "scalars")->count;
    Arguments args;
    const Tensor* values = args.in(scalars, "scalars", numbers);
    for (int32_t i = 0; i < tensors; i++) {
      Tensor* p = handles.tensor(i, 0, "p", -1, true);
      Tensor* g = handles.tensor(i, 1, "g", p->count, false);
      Tensor* m = handles.tensor(i, 2, "m", p->count, true);
      Tensor* v = handles.tensor(i, 3, "v", p->count, true);
      const int64_t offset = handles.word(i, 4);
      if (offset + 6 > std::min<int64_t>(numbers, INT32_MAX)) {
        fail(RS_INVALID, "offset of row %d is %" PRId64 ", but scalars has %" PRId64 " elements", i, offset,
             numbers);
      }
      if (p->count > 0) rows.push_back({p, g, m, v, int32_t(offset)});
    }
    handles.also_read(values);
    handles.ready();
    apply(args, rows.empty(), [&](const Ops& ops) { ops.adamw_step(rows.data(), int32_t(rows.size()), values); });
  });
}

RS_API rs_status rs_muon_step(const void* table, double table_bytes, int32_t tensors, int32_t rows, int32_t cols,
                              int32_t iterations, int32_t dtype, rs_tensor scalars, int32_t offset) {
  RS_RUN("muon_step", [&] {
    require_size(rows, "rows", 1);
    require_size(cols, "cols", 1);
    require_size(offset, "offset");
    if (iterations < 1 || iterations > 5) fail(RS_INVALID, "iterations must be in 1…5, is %d", iterations);
    if (dtype != RS_F32 && !(dtype == RS_BF16 && device_has_bf16())) {
      fail(RS_INVALID, "dtype must be f32%s, is %s", device_has_bf16() ? " or bf16" : "", dtype_name(dtype));
    }
    Table handles(table, table_bytes, tensors, 4);
    std::vector<MuonRow> matrices;
    const int64_t numbers = find_tensor(scalars, "scalars")->count, count = product({rows, cols});
    Arguments args;
    const Tensor* values = args.in(scalars, "scalars", numbers);
    if (int64_t{offset} + 4 > numbers) {
      fail(RS_INVALID, "offset is %d, but scalars has %" PRId64 " elements", offset, numbers);
    }
    for (int32_t i = 0; i < tensors; i++) {
      Tensor* p = handles.tensor(i, 0, "p", count, true);
      Tensor* g = handles.tensor(i, 1, "g", count, false);
      Tensor* momentum = handles.tensor(i, 2, "momentum", count, true);
      Tensor* second = handles.tensor(i, 3, "second", rows >= cols ? rows : cols, true);
      matrices.push_back({p, g, momentum, second});
    }
    handles.also_read(values);
    handles.ready();
    apply(args, tensors == 0, [&](const Ops& ops) {
      ops.muon_step(matrices.data(), tensors, rows, cols, iterations, dtype, values, offset);
    });
  });
}
