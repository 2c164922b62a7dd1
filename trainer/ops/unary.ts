/** Functions of one tensor, element by element. */
import { check, library } from "../../cuda/lib.ts";
import { inPlaceGrad, record, type Rule } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { needFloat, needNumber, outputLike } from "./_shapes.ts";

/** Kinds of `rs_unary_forward`, in the order of kernels.h. */
const KINDS = [
  "relu",
  "relu2",
  "gelu",
  "silu",
  "sigmoid",
  "tanh",
  "softcap",
  "exp",
  "log",
  "sqrt",
  "square",
  "negate",
] as const;

function unary(name: (typeof KINDS)[number], x: Tensor, parameter = 0): Tensor {
  needFloat(name, "x", x);
  const kind = KINDS.indexOf(name);
  const y = outputLike(x);
  check(library().symbols.rs_unary_forward(y.handle, x.handle, kind, parameter), name);
  record("unary", [x], [y], { x, y, kind, parameter }, [x, y]);
  return y;
}

/** dx = dy·f'(x). */
export const unaryGradient: Rule<"unary"> = ({ x, y, kind, parameter }, dy) => {
  const { symbols } = library();
  inPlaceGrad(
    x,
    dy,
    (dx) => symbols.rs_unary_backward(dx, dy.handle, x.handle, y.handle, kind, parameter),
    KINDS[kind],
  );
};

/** max(x, 0) */
export function relu(x: Tensor): Tensor {
  return unary("relu", x);
}

/** max(x, 0)² (arXiv:2109.08668) */
export function relu2(x: Tensor): Tensor {
  return unary("relu2", x);
}

/** The tanh form of x·Φ(x) (arXiv:1606.08415) */
export function gelu(x: Tensor): Tensor {
  return unary("gelu", x);
}

/** x·sigmoid(x) */
export function silu(x: Tensor): Tensor {
  return unary("silu", x);
}

/** 1 / (1 + exp(−x)) */
export function sigmoid(x: Tensor): Tensor {
  return unary("sigmoid", x);
}

/** tanh(x) */
export function tanh(x: Tensor): Tensor {
  return unary("tanh", x);
}

/** cap·tanh(x / cap). @throws ShapeError unless cap > 0 */
export function softcap(x: Tensor, cap: number): Tensor {
  needNumber("softcap", "cap", cap > 0 && Number.isFinite(cap), "a positive number", cap);
  return unary("softcap", x, cap);
}

/** exp(x) */
export function exp(x: Tensor): Tensor {
  return unary("exp", x);
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return unary("log", x);
}

/** √x */
export function sqrt(x: Tensor): Tensor {
  return unary("sqrt", x);
}

/** x² */
export function square(x: Tensor): Tensor {
  return unary("square", x);
}

/** −x */
export function negate(x: Tensor): Tensor {
  return unary("negate", x);
}
