// The ABI's ops on rows and elements, products, embeddings, norms and positions: arguments are checked here once for all
// builds. Sizes of zero never reach an op; what it would have to write is written as zeros. kernels.h is the manual.
#include <cmath>

#include "core.h"

using namespace rs;

namespace {

int64_t count_of(rs_tensor x, const char* name) { return find_tensor(x, name)->count; }

void require_eps(double eps) {
  if (!(eps >= 0 && eps < INFINITY)) fail(RS_INVALID, "eps must be finite and at least 0, is %g", eps);
}

// Elements of the second operand of a binary op.
int64_t binary_count(int32_t shape, int32_t n, int32_t c) {
  switch (shape) {
    case RS_ROW: return c;
    case RS_COLUMN: return n;
    case RS_SCALAR: return 1;
    default: return product({n, c});
  }
}

void require_binary(int32_t kind, int32_t shape, int32_t n, int32_t c) {
  require_choice(kind, "kind", 4);
  require_choice(shape, "shape", 4);
  require_size(n, "n");
  require_size(c, "c");
}

void require_unary(int32_t kind, double parameter) {
  require_choice(kind, "kind", 12);
  if (kind == RS_SOFTCAP && !(parameter > 0 && parameter < INFINITY)) {
    fail(RS_INVALID, "the cap must be above 0, is %g", parameter);
  }
}

int64_t sum_count(int32_t axis, int32_t n, int32_t c) { return axis == 0 ? c : axis == 1 ? n : 1; }

}  // namespace

// ---- elements and rows ----

RS_API rs_status rs_binary_forward(rs_tensor y, rs_tensor a, rs_tensor b, int32_t kind, int32_t shape, int32_t n, int32_t c) {
  RS_RUN("binary_forward", [&] {
    require_binary(kind, shape, n, c);
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(y, "y", count);
    const Tensor* left = args.in(a, "a", count);
    const Tensor* right = args.in(b, "b", binary_count(shape, n, c));
    args.may_be("y", "a");
    apply(args, count == 0, [&](const Ops& ops) { ops.binary_forward(to, left, right, kind, shape, n, c); });
  });
}

RS_API rs_status rs_binary_backward(rs_tensor da, rs_tensor db, rs_tensor dy, rs_tensor a, rs_tensor b, int32_t kind,
                                    int32_t shape, int32_t n, int32_t c) {
  RS_RUN("binary_backward", [&] {
    require_binary(kind, shape, n, c);
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to_a = args.out_optional(da, "da", count);
    Tensor* to_b = args.out_optional(db, "db", binary_count(shape, n, c));
    const Tensor* from = args.in(dy, "dy", count);
    const Tensor* left = args.in(a, "a", count);
    const Tensor* right = args.in(b, "b", binary_count(shape, n, c));
    apply(args, count == 0, [&](const Ops& ops) { ops.binary_backward(to_a, to_b, from, left, right, kind, shape, n, c); });
  });
}

RS_API rs_status rs_unary_forward(rs_tensor y, rs_tensor x, int32_t kind, double parameter) {
  RS_RUN("unary_forward", [&] {
    require_unary(kind, parameter);
    const int64_t count = count_of(x, "x");
    Arguments args;
    Tensor* to = args.out(y, "y", count);
    const Tensor* from = args.in(x, "x", count);
    args.may_be("y", "x");
    apply(args, count == 0, [&](const Ops& ops) { ops.unary_forward(to, from, kind, parameter); });
  });
}

RS_API rs_status rs_unary_backward(rs_tensor dx, rs_tensor dy, rs_tensor x, rs_tensor y, int32_t kind, double parameter) {
  RS_RUN("unary_backward", [&] {
    require_unary(kind, parameter);
    const int64_t count = count_of(x, "x");
    Arguments args;
    Tensor* to = args.out(dx, "dx", count);
    const Tensor* from = args.in(dy, "dy", count);
    const Tensor* input = args.in(x, "x", count);
    const Tensor* output = args.in(y, "y", count);
    args.may_be("dx", "dy");
    apply(args, count == 0, [&](const Ops& ops) { ops.unary_backward(to, from, input, output, kind, parameter); });
  });
}

RS_API rs_status rs_swiglu_forward(rs_tensor y, rs_tensor x, int32_t n, int32_t c) {
  RS_RUN("swiglu_forward", [&] {
    require_size(n, "n");
    require_size(c, "c");
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(y, "y", count);
    const Tensor* from = args.in(x, "x", product({count, 2}));
    apply(args, count == 0, [&](const Ops& ops) { ops.swiglu_forward(to, from, n, c); });
  });
}

RS_API rs_status rs_swiglu_backward(rs_tensor dx, rs_tensor dy, rs_tensor x, int32_t n, int32_t c) {
  RS_RUN("swiglu_backward", [&] {
    require_size(n, "n");
    require_size(c, "c");
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(dx, "dx", product({count, 2}));
    const Tensor* from = args.in(dy, "dy", count);
    const Tensor* input = args.in(x, "x", product({count, 2}));
    apply(args, count == 0, [&](const Ops& ops) { ops.swiglu_backward(to, from, input, n, c); });
  });
}

RS_API rs_status rs_sum_forward(rs_tensor y, rs_tensor x, int32_t n, int32_t c, int32_t axis, double scale) {
  RS_RUN("sum_forward", [&] {
    require_size(n, "n");
    require_size(c, "c");
    require_choice(axis, "axis", 3);
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(y, "y", sum_count(axis, n, c));
    const Tensor* from = args.in(x, "x", count);
    apply(args, count == 0, [&](const Ops& ops) { ops.sum_forward(to, from, n, c, axis, scale); });
  });
}

RS_API rs_status rs_sum_backward(rs_tensor dx, rs_tensor dy, int32_t n, int32_t c, int32_t axis, double scale) {
  RS_RUN("sum_backward", [&] {
    require_size(n, "n");
    require_size(c, "c");
    require_choice(axis, "axis", 3);
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(dx, "dx", count);
    const Tensor* from = args.in(dy, "dy", sum_count(axis, n, c));
    apply(args, count == 0, [&](const Ops& ops) { ops.sum_backward(to, from, n, c, axis, scale); });
  });
}

RS_API rs_status rs_softmax_forward(rs_tensor y, rs_tensor x, int32_t n, int32_t c) {
  RS_RUN("softmax_forward", [&] {
    require_size(n, "n");
    require_size(c, "c");
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(y, "y", count);
    const Tensor* from = args.in(x, "x", count);
    apply(args, count == 0, [&](const Ops& ops) { ops.softmax_forward(to, from, n, c); });
  });
}

RS_API rs_status rs_softmax_backward(rs_tensor dx, rs_tensor dy, rs_tensor y, int32_t n, int32_t c) {
  RS_RUN("softmax_backward", [&] {
    require_size(n, "n");
    require_size(c, "c");
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(dx, "dx", count);
    const Tensor* from = args.in(dy, "dy", count);
    const Tensor* output = args.in(y, "y", count);
    apply(args, count == 0, [&](const Ops& ops) { ops.softmax_backward(to, from, output, n, c); });
  });
}

RS_API rs_status rs_dropout(rs_tensor y, rs_tensor x, double rate, uint32_t seed_low, uint32_t seed_high) {
  RS_RUN("dropout", [&] {
    if (!(rate >= 0 && rate < 1)) fail(RS_INVALID, "rate must be in [0, 1), is %g", rate);
    const int64_t count = count_of(x, "x");
    Arguments args;
    Tensor* to = args.out(y, "y", count);
    const Tensor* from = args.in(x, "x", count);
    const uint64_t seed = uint64_t{seed_high} << 32 | seed_low;
    apply(args, count == 0, [&](const Ops& ops) { ops.dropout(to, from, rate, seed); });
  });
}

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
    Tensor* to = args.out(c, "c", count);
    const Tensor* left = args.in(a, "a", product({batch, m, k}));
    const Tensor* right = args.in(b, "b", product({batch_b == 1 ? batch : 1, k, n}));
    const Tensor* extra = needs_aux ? args.in(aux, "aux", count) : nullptr;
    if (epilogue == RS_EPILOGUE_ADD_AUX) args.may_be("c", "aux");
    apply(args, count == 0 || (k == 0 && epilogue != RS_EPILOGUE_ADD_AUX), [&](const Ops& ops) {
      if (k > 0) ops.matmul(to, left, right, extra, batch, m, n, k, trans_a == 1, trans_b == 1, batch_b == 1, epilogue);
      else if (to->data != extra->data) ops.copy(to, extra);  // an empty sum plus aux
    });
  });
}

// ---- embedding ----

RS_API rs_status rs_embedding_forward(rs_tensor y, rs_tensor table, rs_tensor ids, int32_t n, int32_t c, int32_t v) {
  RS_RUN("embedding_forward", [&] {
    require_size(n, "n");
    require_size(c, "c", 1);
    require_size(v, "v", 1);
    Arguments args;
    Tensor* to = args.out(y, "y", product({n, c}));
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
    const Tensor* from = args.in(dy, "dy", product({n, c}));
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
    Tensor* to = args.out(y, "y", product({n, g, d}));
    const Tensor* from = args.in(x, "x", product({n, g, d}));
    const Tensor* rows = args.in(table, "table", product({v, g, d}));
    const Tensor* index = args.in(ids, "ids", n, RS_I32);
    const Tensor* gates = args.in(gate, "gate", product({n, g}));
    apply(args, n == 0, [&](const Ops& ops) { ops.gated_embedding_forward(to, from, rows, index, gates, n, g, d, v); });
  });
}

RS_API rs_status rs_gated_embedding_backward(rs_tensor dgate, rs_tensor dtable, rs_tensor dy, rs_tensor table,
                                             rs_tensor ids, rs_tensor gate, int32_t n, int32_t g, int32_t d, int32_t v) {
  RS_RUN("gated_embedding_backward", [&] {
    require_size(n, "n");
    require_size(g, "g", 1);
    require_size(d, "d", 1);
    require_size(v, "v", 1);
    Arguments args;
    Tensor* to_gate = args.out(dgate, "dgate", product({n, g}));
    Tensor* to_table = args.update(dtable, "dtable", product({v, g, d}));
    const Tensor* from = args.in(dy, "dy", product({n, g, d}));
    const Tensor* rows = args.in(table, "table", product({v, g, d}));
    const Tensor* index = args.in(ids, "ids", n, RS_I32);
    const Tensor* gates = args.in(gate, "gate", product({n, g}));
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
    Tensor* to = args.out(y, "y", product({n, c}));
    Tensor* scale = args.out(rstd, "rstd", n);
    const Tensor* from = args.in(x, "x", product({n, c}));
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
    Tensor* to = args.out(dx, "dx", product({n, c}));
    Tensor* to_gain = args.out_optional(dweight, "dweight", c);
    const Tensor* from = args.in(dy, "dy", product({n, c}));
    const Tensor* input = args.in(x, "x", product({n, c}));
    const Tensor* scale = args.in(rstd, "rstd", n);
    const Tensor* gain = args.in_optional(weight, "weight", c);
    const Tensor* other = args.in_optional(residual, "residual", product({n, c}));
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
    Tensor* to = args.out(y, "y", product({n, c}));
    Tensor* center = args.out(mean, "mean", n);
    Tensor* scale = args.out(rstd, "rstd", n);
    const Tensor* from = args.in(x, "x", product({n, c}));
    const Tensor* gain = args.in_optional(weight, "weight", c);
    const Tensor* shift = args.in_optional(bias, "bias", c);
    apply(args, n == 0, [&](const Ops& ops) { ops.layer_norm_forward(to, center, scale, from, gain, shift, n, c, eps); });
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
    Tensor* to = args.out(dx, "dx", product({n, c}));
    Tensor* to_gain = args.out_optional(dweight, "dweight", c);
    Tensor* to_shift = args.out_optional(dbias, "dbias", c);
    const Tensor* from = args.in(dy, "dy", product({n, c}));
    const Tensor* input = args.in(x, "x", product({n, c}));
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
    const int64_t layers = count_of(a, "a");
    if (index < 0 || index >= layers) fail(RS_INVALID, "index must be in 0…%lld, is %d", static_cast<long long>(layers - 1), index);
    Arguments args;
    Tensor* sum = args.out(mixed, "mixed", product({n, c}));
    Tensor* to = args.out(y, "y", product({n, c}));
    Tensor* scale = args.out(rstd, "rstd", n);
    const Tensor* left = args.in(x, "x", product({n, c}));
    const Tensor* right = args.in(x0, "x0", product({n, c}));
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
    const int64_t layers = count_of(a, "a");
    if (index < 0 || index >= layers) fail(RS_INVALID, "index must be in 0…%lld, is %d", static_cast<long long>(layers - 1), index);
    Arguments args;
    Tensor* to = args.out(dx, "dx", product({n, c}));
    Tensor* to_origin = args.update(dx0, "dx0", product({n, c}));
    Tensor* to_left = args.update(da, "da", layers);
    Tensor* to_right = args.update(db, "db", layers);
    const Tensor* from = args.in(dy, "dy", product({n, c}));
    const Tensor* from_sum = args.in_optional(dmixed, "dmixed", product({n, c}));
    const Tensor* output = args.in(y, "y", product({n, c}));
    const Tensor* scale = args.in(rstd, "rstd", n);
    const Tensor* left = args.in(x, "x", product({n, c}));
    const Tensor* right = args.in(x0, "x0", product({n, c}));
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
    require_size(b, "b");
    require_size(t, "t");
    require_size(h, "h");
    require_size(d, "d", 2);
    if (d % 2 != 0) fail(RS_INVALID, "d must be even, is %d", d);
    require_flag(inverse, "inverse");
    const int64_t count = product({b, t, h, d});
    Arguments args;
    Tensor* to = args.out(y, "y", count);
    const Tensor* from = args.in(x, "x", count);
    const Tensor* cosines = args.in(cos, "cos", product({t, d / 2}));
    const Tensor* sines = args.in(sin, "sin", product({t, d / 2}));
    apply(args, count == 0, [&](const Ops& ops) { ops.rope(to, from, cosines, sines, b, t, h, d, inverse == 1); });
  });
}

RS_API rs_status rs_rope_rms_norm_forward(rs_tensor y, rs_tensor rstd, rs_tensor x, rs_tensor cos, rs_tensor sin,
                                          int32_t b, int32_t t, int32_t h, int32_t d, double eps) {
  RS_RUN("rope_rms_norm_forward", [&] {
    require_size(b, "b");
    require_size(t, "t");
    require_size(h, "h");
    require_size(d, "d", 2);
    if (d % 2 != 0) fail(RS_INVALID, "d must be even, is %d", d);
    require_eps(eps);
    const int64_t count = product({b, t, h, d});
    Arguments args;
    Tensor* to = args.out(y, "y", count);
    Tensor* scale = args.out(rstd, "rstd", product({b, t, h}));
    const Tensor* from = args.in(x, "x", count);
    const Tensor* cosines = args.in(cos, "cos", product({t, d / 2}));
    const Tensor* sines = args.in(sin, "sin", product({t, d / 2}));
    apply(args, count == 0, [&](const Ops& ops) { ops.rope_rms_norm_forward(to, scale, from, cosines, sines, b, t, h, d, eps); });
  });
}

RS_API rs_status rs_rope_rms_norm_backward(rs_tensor dx, rs_tensor dy, rs_tensor y, rs_tensor rstd, rs_tensor cos,
                                           rs_tensor sin, int32_t b, int32_t t, int32_t h, int32_t d) {
  RS_RUN("rope_rms_norm_backward", [&] {
    require_size(b, "b");
    require_size(t, "t");
    require_size(h, "h");
    require_size(d, "d", 2);
    if (d % 2 != 0) fail(RS_INVALID, "d must be even, is %d", d);
    const int64_t count = product({b, t, h, d});
    Arguments args;
    Tensor* to = args.out(dx, "dx", count);
    const Tensor* from = args.in(dy, "dy", count);
    const Tensor* output = args.in(y, "y", count);
    const Tensor* scale = args.in(rstd, "rstd", product({b, t, h}));
    const Tensor* cosines = args.in(cos, "cos", product({t, d / 2}));
    const Tensor* sines = args.in(sin, "sin", product({t, d / 2}));
    apply(args, count == 0, [&](const Ops& ops) { ops.rope_rms_norm_backward(to, from, output, scale, cosines, sines, b, t, h, d); });
  });
}
