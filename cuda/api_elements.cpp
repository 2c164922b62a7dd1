// The ABI's ops on elements and rows: moves, binary and unary ops, sums, softmax, dropout. As in every api_*.cpp,
// arguments are checked here once for all builds, sizes of zero never reach an op, and what it would have to write
// becomes zeros.
#include <cmath>

#include "core.h"

using namespace rs;

namespace {

int64_t count_of(rs_tensor x, const char* name) { return find_tensor(x, name)->count; }

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

// For tensors that are moved and may be integers as well.
void require_float(int32_t dtype, bool or_integer) {
  if (dtype == RS_F32 || (dtype == RS_BF16 && device_has_bf16())) return;
  fail(RS_INVALID, "x must be f32%s%s, is %s", device_has_bf16() ? ", bf16" : "", or_integer ? " or i32" : "",
       dtype_name(dtype));
}

int64_t sum_count(int32_t axis, int32_t n, int32_t c) { return axis == 0 ? c : axis == 1 ? n : 1; }

}  // namespace

// ---- moving and combining ----

RS_API rs_status rs_copy_block(rs_tensor y, rs_tensor x, int32_t n, int32_t width, int32_t y_stride, int32_t y_offset,
                               int32_t x_stride, int32_t x_offset, int32_t accumulate) {
  RS_RUN("copy_block", [&] {
    require_size(n, "n");
    require_size(width, "width");
    require_size(y_offset, "y_offset");
    require_size(x_offset, "x_offset");
    require_flag(accumulate, "accumulate");
    if (int64_t{y_offset} + width > y_stride) fail(RS_INVALID, "y_offset + width is beyond y_stride");
    if (int64_t{x_offset} + width > x_stride) fail(RS_INVALID, "x_offset + width is beyond x_stride");
    const int32_t dtype = find_tensor(x, "x")->dtype;
    if (dtype != RS_I32 || accumulate == 1) require_float(dtype, accumulate == 0);
    Arguments args;
    const Tensor* from = args.in(x, "x", product({n, x_stride}), dtype);
    Tensor* to = width == y_stride && accumulate == 0 ? args.out(y, "y", product({n, y_stride}), dtype)
                                                      : args.update(y, "y", product({n, y_stride}), dtype);
    args.ready();
    if (n > 0 && width > 0) {
      device_ops().copy_block(to, from, n, width, y_stride, y_offset, x_stride, x_offset, accumulate == 1);
    }
    args.done();
  });
}

RS_API rs_status rs_transpose(rs_tensor y, rs_tensor x, int32_t batch, int32_t rows, int32_t cols, int32_t inner) {
  RS_RUN("transpose", [&] {
    require_size(batch, "batch");
    require_size(rows, "rows");
    require_size(cols, "cols");
    require_size(inner, "inner");
    const int64_t count = product({batch, rows, cols, inner});
    const int32_t dtype = find_tensor(x, "x")->dtype;
    if (dtype != RS_I32) require_float(dtype, true);
    Arguments args;
    Tensor* to = args.out(y, "y", count, dtype);
    const Tensor* from = args.in(x, "x", count, dtype);
    args.ready();
    if (count > 0) device_ops().transpose(to, from, batch, rows, cols, inner);
    args.done();
  });
}

RS_API rs_status rs_axpby(rs_tensor y, rs_tensor x, double alpha, double beta) {
  RS_RUN("axpby", [&] {
    const int64_t count = find_tensor(x, "x")->count;
    Arguments args;
    const Tensor* from = args.in(x, "x", count, kFloat);
    Tensor* to = beta == 0 ? args.out(y, "y", count, kFloat) : args.update(y, "y", count, kFloat);
    args.may_be("y", "x");
    args.ready();
    device_ops().axpby(to, from, alpha, beta);
    args.done();
  });
}

RS_API rs_status rs_scale_by(rs_tensor y, rs_tensor x, rs_tensor scale) {
  RS_RUN("scale_by", [&] {
    const int64_t count = find_tensor(x, "x")->count;
    Arguments args;
    const Tensor* from = args.in(x, "x", count, kActivation);
    const Tensor* factor = args.in(scale, "scale", 1);
    Tensor* to = args.out(y, "y", count, kActivation);
    args.may_be("y", "x");
    args.ready();
    device_ops().scale_by(to, from, factor);
    args.done();
  });
}

// ---- elements and rows ----

RS_API rs_status rs_binary_forward(rs_tensor y, rs_tensor a, rs_tensor b, int32_t kind, int32_t shape, int32_t n,
                                   int32_t c) {
  RS_RUN("binary_forward", [&] {
    require_binary(kind, shape, n, c);
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(y, "y", count, kActivation);
    const Tensor* left = args.in(a, "a", count, kActivation);
    const Tensor* right = args.in(b, "b", binary_count(shape, n, c), kFloat);
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
    Tensor* to_a = args.out_optional(da, "da", count, kActivation);
    Tensor* to_b = args.out_optional(db, "db", binary_count(shape, n, c), kFloat);
    const Tensor* from = args.in(dy, "dy", count, kActivation);
    const Tensor* left = args.in(a, "a", count, kActivation);
    const Tensor* right = args.in(b, "b", binary_count(shape, n, c), kFloat);
    apply(args, count == 0, [&](const Ops& ops) {
      ops.binary_backward(to_a, to_b, from, left, right, kind, shape, n, c);
    });
  });
}

RS_API rs_status rs_unary_forward(rs_tensor y, rs_tensor x, int32_t kind, double parameter) {
  RS_RUN("unary_forward", [&] {
    require_unary(kind, parameter);
    const int64_t count = count_of(x, "x");
    Arguments args;
    Tensor* to = args.out(y, "y", count, kActivation);
    const Tensor* from = args.in(x, "x", count, kActivation);
    args.may_be("y", "x");
    apply(args, count == 0, [&](const Ops& ops) { ops.unary_forward(to, from, kind, parameter); });
  });
}

RS_API rs_status rs_unary_backward(rs_tensor dx, rs_tensor dy, rs_tensor x, rs_tensor y, int32_t kind,
                                   double parameter) {
  RS_RUN("unary_backward", [&] {
    require_unary(kind, parameter);
    const int64_t count = count_of(x, "x");
    Arguments args;
    Tensor* to = args.out(dx, "dx", count, kActivation);
    const Tensor* from = args.in(dy, "dy", count, kActivation);
    const Tensor* input = args.in(x, "x", count, kActivation);
    const Tensor* output = args.in(y, "y", count, kActivation);
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
    Tensor* to = args.out(y, "y", count, kActivation);
    const Tensor* from = args.in(x, "x", product({count, 2}), kActivation);
    apply(args, count == 0, [&](const Ops& ops) { ops.swiglu_forward(to, from, n, c); });
  });
}

RS_API rs_status rs_swiglu_backward(rs_tensor dx, rs_tensor dy, rs_tensor x, int32_t n, int32_t c) {
  RS_RUN("swiglu_backward", [&] {
    require_size(n, "n");
    require_size(c, "c");
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(dx, "dx", product({count, 2}), kActivation);
    const Tensor* from = args.in(dy, "dy", count, kActivation);
    const Tensor* input = args.in(x, "x", product({count, 2}), kActivation);
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
    Tensor* to = args.out(y, "y", sum_count(axis, n, c), kFloat);
    const Tensor* from = args.in(x, "x", count, kFloat);
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
    Tensor* to = args.out(dx, "dx", count, kFloat);
    const Tensor* from = args.in(dy, "dy", sum_count(axis, n, c), kFloat);
    apply(args, count == 0, [&](const Ops& ops) { ops.sum_backward(to, from, n, c, axis, scale); });
  });
}

RS_API rs_status rs_softmax_forward(rs_tensor y, rs_tensor x, int32_t n, int32_t c) {
  RS_RUN("softmax_forward", [&] {
    require_size(n, "n");
    require_size(c, "c");
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(y, "y", count, kActivation);
    const Tensor* from = args.in(x, "x", count, kActivation);
    apply(args, count == 0, [&](const Ops& ops) { ops.softmax_forward(to, from, n, c); });
  });
}

RS_API rs_status rs_softmax_backward(rs_tensor dx, rs_tensor dy, rs_tensor y, int32_t n, int32_t c) {
  RS_RUN("softmax_backward", [&] {
    require_size(n, "n");
    require_size(c, "c");
    const int64_t count = product({n, c});
    Arguments args;
    Tensor* to = args.out(dx, "dx", count, kActivation);
    const Tensor* from = args.in(dy, "dy", count, kActivation);
    const Tensor* output = args.in(y, "y", count, kActivation);
    apply(args, count == 0, [&](const Ops& ops) { ops.softmax_backward(to, from, output, n, c); });
  });
}

RS_API rs_status rs_dropout(rs_tensor y, rs_tensor x, double rate, uint32_t seed_low, uint32_t seed_high) {
  RS_RUN("dropout", [&] {
    if (!(rate >= 0 && rate < 1)) fail(RS_INVALID, "rate must be in [0, 1), is %g", rate);
    const int64_t count = count_of(x, "x");
    Arguments args;
    Tensor* to = args.out(y, "y", count, kActivation);
    const Tensor* from = args.in(x, "x", count, kActivation);
    const uint64_t seed = uint64_t{seed_high} << 32 | seed_low;
    apply(args, count == 0, [&](const Ops& ops) { ops.dropout(to, from, rate, seed); });
  });
}
