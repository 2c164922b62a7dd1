// The ABI's products, embeddings, norms and positions; see api_elements.cpp for what these files have in common.
#include <cinttypes>
#include <cmath>
#include <cstring>

#include "core.h"

using namespace rs;

namespace {

void require_eps(double eps) {
  if (!(eps >= 0 && eps < INFINITY)) fail(RS_INVALID, "eps must be finite and at least 0, is %g", eps);
}

void require_index(int32_t index, int64_t layers) {
  if (index < 0 || index >= layers) fail(RS_INVALID, "index must be in 0…%" PRId64 ", is %d", layers - 1, index);
}

void require_positions(int32_t b, int32_t t, int32_t h, int32_t d) {
  require_size(b, "b");
  require_size(t, "t");
  require_size(h, "h");
  require_size(d, "d", 2);
  if (d % 2 != 0) fail(RS_INVALID, "d must be even, is %d", d);
}

}  // namespace

// ---- products ----

RS_API rs_status rs_matmul(rs_tensor c, rs_tensor a, rs_tensor b, rs_tensor aux, int32_t batch, int32_t m, int32_t n,
                           int32_t k, int32_t trans_a, int32_t trans_b, int32_t batch_b, int32_t epilogue) {
  RS_RUN("matmul", [&] {
    require_size(batch, "batch");
    require_size(m, "m");
    require_size(n, "n");
    require_size(k, "k");
    require_flag(trans_a, "trans_a");
    require_flag(trans_b, "trans_b");
    require_flag(batch_b, "batch_b");
    require_choice(epilogue, "epilogue", 4);
    const bool needs_aux = epilogue == RS_EPILOGUE_RELU2_BACKWARD || epilogue == RS_EPILOGUE_ADD_AUX;
    if (!needs_aux && aux != 0) fail(RS_INVALID, "this epilogue takes no aux");
    const int64_t count = product({batch, m, n});
    Arguments args;
    Tensor* to = args.out(c, "c", count, kFloat);
    const Tensor* left = args.in(a, "a", product({batch, m, k}), kFloat);
    const Tensor* right = args.in(b, "b", product({batch_b == 1 ? batch : 1, k, n}), kFloat);
    const Tensor* extra = needs_aux ? args.in(aux, "aux", count, kFloat) : nullptr;
    if (extra != nullptr && extra->dtype != to->dtype) {
      fail(RS_INVALID, "aux must be %s like c, is %s", dtype_name(to->dtype), dtype_name(extra->dtype));
    }
    if (epilogue == RS_EPILOGUE_ADD_AUX) args.may_be("c", "aux");
    apply(args, count == 0 || (k == 0 && epilogue != RS_EPILOGUE_ADD_AUX), [&](const Ops& ops) {
      if (k > 0) ops.matmul(to, left, right, extra, batch, m, n, k, trans_a == 1, trans_b == 1, batch_b == 1, epilogue);
      else if (to->data != extra->data) ops.copy(to, extra);  // an empty sum plus aux
    });
  });
}

RS_API rs_status rs_matmul_sum(rs_tensor c, const void* table, double table_bytes, int32_t terms, int32_t m, int32_t n,
                               int32_t accumulate) {
  RS_RUN("matmul_sum", [&] {
    if (terms < 1 || terms > 3) fail(RS_INVALID, "terms must be in 1…3, is %d", terms);
    require_size(m, "m");
    require_size(n, "n");
    require_flag(accumulate, "accumulate");
    require_buffer(table, table_bytes, terms * int64_t{3 * sizeof(uint32_t)}, "table");
    uint32_t words[9];
    std::memcpy(words, table, size_t(table_bytes));
    const int64_t count = product({m, n});
    Arguments args;
    Tensor* to = accumulate == 1 ? args.update(c, "c", count, kFloat) : args.out(c, "c", count, kFloat);
    ProductTerm parts[3];
    for (int32_t i = 0; i < terms; i++) {
      const uint32_t k = words[3 * i + 2];
      if (k < 1 || k > INT32_MAX) fail(RS_INVALID, "k of row %d must be at least 1, is %u", i, k);
      parts[i].k = int32_t(k);
      parts[i].a = args.in(words[3 * i], "a", product({m, k}), i == 0 ? kFloat : parts[0].a->dtype);
      parts[i].b = args.in(words[3 * i + 1], "b", product({k, n}), i == 0 ? kFloat : parts[0].b->dtype);
    }
    apply(args, count == 0, [&](const Ops& ops) { ops.matmul_sum(to, parts, terms, m, n, accumulate == 1); });
  });
}

// ---- embedding ----

RS_API rs_status rs_embedding_forward(rs_tensor y, rs_tensor table, rs_tensor ids, int32_t n, int32_t c, int32_t v) {
  RS_RUN("embedding_forward", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    require_size(v, "v", 1);
    Arguments args;
    Tensor* to = args.out(y, "y", product({n, c}), kActivation);
    const Tensor* rows = args.in(table, "table", product({v, c}));
    const Tensor* index = args.in(ids, "ids", n, RS_I32);
    apply(args, n == 0, [&](const Ops& ops) { ops.embedding_forward(to, rows, index, n, c, v); });
  });
}

RS_API rs_status rs_embedding_backward(rs_tensor dtable, rs_tensor dy, rs_tensor ids, int32_t n, int32_t c, int32_t v) {
  RS_RUN("embedding_backward", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    require_size(v, "v", 1);
    Arguments args;
    Tensor* to = args.update(dtable, "dtable", product({v, c}));
    const Tensor* from = args.in(dy, "dy", product({n, c}), kActivation);
    const Tensor* index = args.in(ids, "ids", n, RS_I32);
    apply(args, n == 0, [&](const Ops& ops) { ops.embedding_backward(to, from, index, n, c, v); });
  });
}

RS_API rs_status rs_gated_embedding_forward(rs_tensor y, rs_tensor x, rs_tensor table, rs_tensor ids, rs_tensor gate,
                                            int32_t n, int32_t g, int32_t d, int32_t v) {
  RS_RUN("gated_embedding_forward", [&] {
    require_size(n, "n");
    require_size(g, "g", 1);
    require_size(d, "d", 1);
    require_size(v, "v", 1);
    Arguments args;
    Tensor* to = args.out(y, "y", product({n, g, d}), kActivation);
    const Tensor* from = args.in(x, "x", product({n, g, d}), kActivation);
    const Tensor* rows = args.in(table, "table", product({v, g, d}));
    const Tensor* index = args.in(ids, "ids", n, RS_I32);
    const Tensor* gates = args.in(gate, "gate", product({n, g}), kActivation);
    apply(args, n == 0, [&](const Ops& ops) { ops.gated_embedding_forward(to, from, rows, index, gates, n, g, d, v); });
  });
}

RS_API rs_status rs_gated_embedding_backward(rs_tensor dgate, rs_tensor dtable, rs_tensor dy, rs_tensor table,
                                             rs_tensor ids, rs_tensor gate, int32_t n, int32_t g, int32_t d,
                                             int32_t v) {
  RS_RUN("gated_embedding_backward", [&] {
    require_size(n, "n");
    require_size(g, "g", 1);
    require_size(d, "d", 1);
    require_size(v, "v", 1);
    Arguments args;
    Tensor* to_gate = args.out(dgate, "dgate", product({n, g}), kActivation);
    Tensor* to_table = args.update(dtable, "dtable", product({v, g, d}));
    const Tensor* from = args.in(dy, "dy", product({n, g, d}), kActivation);
    const Tensor* rows = args.in(table, "table", product({v, g, d}));
    const Tensor* index = args.in(ids, "ids", n, RS_I32);
    const Tensor* gates = args.in(gate, "gate", product({n, g}), kActivation);
    apply(args, n == 0, [&](const Ops& ops) {
      ops.gated_embedding_backward(to_gate, to_table, from, rows, index, gates, n, g, d, v);
    });
  });
}

// ---- norms and positions ----

RS_API rs_status rs_rms_norm_forward(rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor weight, int32_t n, int32_t c,
                                     double eps) {
  RS_RUN("rms_norm_forward", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    require_eps(eps);
    Arguments args;
    Tensor* to = args.out(y, "y", product({n, c}), kActivation);
    Tensor* scale = args.out(rstd, "rstd", n);
    const Tensor* from = args.in(x, "x", product({n, c}), kActivation);
    const Tensor* gain = args.in_optional(weight, "weight", c);
    apply(args, n == 0, [&](const Ops& ops) { ops.rms_norm_forward(to, scale, from, gain, n, c, eps); });
  });
}

RS_API rs_status rs_rms_norm_backward(rs_tensor dx, rs_tensor dweight, rs_tensor dy, rs_tensor x, rs_tensor rstd,
                                      rs_tensor weight, rs_tensor residual, int32_t n, int32_t c, double eps) {
  RS_RUN("rms_norm_backward", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    require_eps(eps);
    if ((weight == 0) != (dweight == 0)) fail(RS_INVALID, "weight and dweight must be given together");
    Arguments args;
    Tensor* to = args.out(dx, "dx", product({n, c}), kActivation);
    Tensor* to_gain = args.out_optional(dweight, "dweight", c);
    const Tensor* from = args.in(dy, "dy", product({n, c}), kActivation);
    const Tensor* input = args.in(x, "x", product({n, c}), kActivation);
    const Tensor* scale = args.in(rstd, "rstd", n);
    const Tensor* gain = args.in_optional(weight, "weight", c);
    const Tensor* other = args.in_optional(residual, "residual", product({n, c}), kActivation);
    args.may_be("dx", "residual");
    apply(args, n == 0, [&](const Ops& ops) {
      ops.rms_norm_backward(to, to_gain, from, input, scale, gain, other, n, c, eps);
    });
  });
}

RS_API rs_status rs_layer_norm_forward(rs_tensor y, rs_tensor mean, rs_tensor rstd, rs_tensor x, rs_tensor weight,
                                       rs_tensor bias, int32_t n, int32_t c, double eps) {
  RS_RUN("layer_norm_forward", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    require_eps(eps);
    if ((weight == 0) != (bias == 0)) fail(RS_INVALID, "weight and bias must be given together");
    Arguments args;
    Tensor* to = args.out(y, "y", product({n, c}), kActivation);
    Tensor* center = args.out(mean, "mean", n);
    Tensor* scale = args.out(rstd, "rstd", n);
    const Tensor* from = args.in(x, "x", product({n, c}), kActivation);
    const Tensor* gain = args.in_optional(weight, "weight", c);
    const Tensor* shift = args.in_optional(bias, "bias", c);
    apply(args, n == 0, [&](const Ops& ops) {
      ops.layer_norm_forward(to, center, scale, from, gain, shift, n, c, eps);
    });
  });
}

RS_API rs_status rs_layer_norm_backward(rs_tensor dx, rs_tensor dweight, rs_tensor dbias, rs_tensor dy, rs_tensor x,
                                        rs_tensor mean, rs_tensor rstd, rs_tensor weight, int32_t n, int32_t c) {
  RS_RUN("layer_norm_backward", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    if ((weight == 0) != (dweight == 0) || (weight == 0) != (dbias == 0)) {
      fail(RS_INVALID, "weight, dweight and dbias must be given together");
    }
    Arguments args;
    Tensor* to = args.out(dx, "dx", product({n, c}), kActivation);
    Tensor* to_gain = args.out_optional(dweight, "dweight", c);
    Tensor* to_shift = args.out_optional(dbias, "dbias", c);
    const Tensor* from = args.in(dy, "dy", product({n, c}), kActivation);
    const Tensor* input = args.in(x, "x", product({n, c}), kActivation);
    const Tensor* center = args.in(mean, "mean", n);
    const Tensor* scale = args.in(rstd, "rstd", n);
    const Tensor* gain = args.in_optional(weight, "weight", c);
    apply(args, n == 0, [&](const Ops& ops) {
      ops.layer_norm_backward(to, to_gain, to_shift, from, input, center, scale, gain, n, c);
    });
  });
}

RS_API rs_status rs_mix_rms_norm_forward(rs_tensor mixed, rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor x0,
                                         rs_tensor a, rs_tensor b, int32_t index, int32_t n, int32_t c, double eps) {
  RS_RUN("mix_rms_norm_forward", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    require_eps(eps);
    const int64_t layers = find_tensor(a, "a")->count;
    require_index(index, layers);
    Arguments args;
    Tensor* sum = args.out(mixed, "mixed", product({n, c}), kActivation);
    Tensor* to = args.out(y, "y", product({n, c}), kActivation);
    Tensor* scale = args.out(rstd, "rstd", n);
    const Tensor* left = args.in(x, "x", product({n, c}), kActivation);
    const Tensor* right = args.in(x0, "x0", product({n, c}), kActivation);
    const Tensor* left_factor = args.in(a, "a", layers);
    const Tensor* right_factor = args.in(b, "b", layers);
    apply(args, n == 0, [&](const Ops& ops) {
      ops.mix_rms_norm_forward(sum, to, scale, left, right, left_factor, right_factor, index, n, c, eps);
    });
  });
}

RS_API rs_status rs_mix_rms_norm_backward(rs_tensor dx, rs_tensor dx0, rs_tensor da, rs_tensor db, rs_tensor dy,
                                          rs_tensor dmixed, rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor x0,
                                          rs_tensor a, rs_tensor b, int32_t index, int32_t n, int32_t c) {
  RS_RUN("mix_rms_norm_backward", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    const int64_t layers = find_tensor(a, "a")->count;
    require_index(index, layers);
    Arguments args;
    Tensor* to = args.out(dx, "dx", product({n, c}), kActivation);
    Tensor* to_origin = args.update(dx0, "dx0", product({n, c}), kActivation);
    Tensor* to_left = args.update(da, "da", layers);
    Tensor* to_right = args.update(db, "db", layers);
    const Tensor* from = args.in(dy, "dy", product({n, c}), kActivation);
    const Tensor* from_sum = args.in_optional(dmixed, "dmixed", product({n, c}), kActivation);
    const Tensor* output = args.in(y, "y", product({n, c}), kActivation);
    const Tensor* scale = args.in(rstd, "rstd", n);
    const Tensor* left = args.in(x, "x", product({n, c}), kActivation);
    const Tensor* right = args.in(x0, "x0", product({n, c}), kActivation);
    const Tensor* left_factor = args.in(a, "a", layers);
    const Tensor* right_factor = args.in(b, "b", layers);
    apply(args, n == 0, [&](const Ops& ops) {
      ops.mix_rms_norm_backward(to, to_origin, to_left, to_right, from, from_sum, output, scale, left, right,
                                left_factor, right_factor, index, n, c);
    });
  });
}

RS_API rs_status rs_rope(rs_tensor y, rs_tensor x, rs_tensor cos, rs_tensor sin, int32_t b, int32_t t, int32_t h,
                         int32_t d, int32_t inverse) {
  RS_RUN("rope", [&] {
    require_positions(b, t, h, d);
    require_flag(inverse, "inverse");
    const int64_t count = product({b, t, h, d});
    Arguments args;
    Tensor* to = args.out(y, "y", count, kActivation);
    const Tensor* from = args.in(x, "x", count, kActivation);
    const Tensor* cosines = args.in(cos, "cos", product({t, d / 2}));
    const Tensor* sines = args.in(sin, "sin", product({t, d / 2}));
    apply(args, count == 0, [&](const Ops& ops) { ops.rope(to, from, cosines, sines, b, t, h, d, inverse == 1); });
  });
}

RS_API rs_status rs_rope_rms_norm_forward(rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor cos, rs_tensor sin,
                                          int32_t b, int32_t t, int32_t h, int32_t d, double eps) {
  RS_RUN("rope_rms_norm_forward", [&] {
    require_positions(b, t, h, d);
    require_eps(eps);
    const int64_t count = product({b, t, h, d});
    Arguments args;
    Tensor* to = args.out(y, "y", count, kActivation);
    Tensor* scale = args.out(rstd, "rstd", product({b, t, h}));
    const Tensor* from = args.in(x, "x", count, kActivation);
    const Tensor* cosines = args.in(cos, "cos", product({t, d / 2}));
    const Tensor* sines = args.in(sin, "sin", product({t, d / 2}));
    apply(args, count == 0, [&](const Ops& ops) {
      ops.rope_rms_norm_forward(to, scale, from, cosines, sines, b, t, h, d, eps);
    });
  });
}

RS_API rs_status rs_rope_rms_norm_backward(rs_tensor dx, rs_tensor dy, rs_tensor y, rs_tensor rstd, rs_tensor cos,
                                           rs_tensor sin, int32_t b, int32_t t, int32_t h, int32_t d) {
  RS_RUN("rope_rms_norm_backward", [&] {
    require_positions(b, t, h, d);
    const int64_t count = product({b, t, h, d});
    Arguments args;
    Tensor* to = args.out(dx, "dx", count, kActivation);
    const Tensor* from = args.in(dy, "dy", count, kActivation);
    const Tensor* output = args.in(y, "y", count, kActivation);
    const Tensor* scale = args.in(rstd, "rstd", product({b, t, h}));
    const Tensor* cosines = args.in(cos, "cos", product({t, d / 2}));
    const Tensor* sines = args.in(sin, "sin", product({t, d / 2}));
    apply(args, count == 0, [&](const Ops& ops) {
      ops.rope_rms_norm_backward(to, from, output, scale, cosines, sines, b, t, h, d);
    });
  });
}

RS_API rs_status rs_linear_rope_rms_norm_forward(rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor w, rs_tensor cos,
                                                 rs_tensor sin, int32_t b, int32_t t, int32_t h, int32_t d, int32_t c,
                                                 double eps) {
  RS_RUN("linear_rope_rms_norm_forward", [&] {
    require_positions(b, t, h, d);
    require_size(c, "c", 1);
    require_eps(eps);
    if (int64_t{h} * d > INT32_MAX) fail(RS_INVALID, "h·d must be below 2^31, is %" PRId64, int64_t{h} * d);
    const int64_t count = product({b, t, h, d});
    Arguments args;
    Tensor* to = args.out(y, "y", count, kActivation);
    Tensor* scale = args.out(rstd, "rstd", product({b, t, h}));
    const Tensor* from = args.in(x, "x", product({b, t, c}), kActivation);
    const Tensor* weight = args.in(w, "w", product({h, d, c}));
    const Tensor* cosines = args.in(cos, "cos", product({t, d / 2}));
    const Tensor* sines = args.in(sin, "sin", product({t, d / 2}));
    apply(args, count == 0, [&](const Ops& ops) {
      ops.linear_rope_rms_norm_forward(to, scale, from, weight, cosines, sines, b, t, h, d, c, eps);
    });
  });
}
