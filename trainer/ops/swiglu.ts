/** The gate of a SwiGLU layer. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { needAxes, needFloat, needNumber, outputLike, rows } from "./_shapes.ts";

/**
 * y = silu(a)·b for x = [a | b] (arXiv:2002.05202).
 * @param x [..., 2C]
 * @returns [..., C]
 * @throws ShapeError when the last axis is odd
 */
export function swiglu(x: Tensor): Tensor {
  needFloat("swiglu", "x", x);
  needAxes("swiglu", "x", x, 1, true);
  const [n, c2] = rows(x);
  needNumber("swiglu", "the last axis", c2 % 2 === 0, "even", c2);
  const y = outputLike(x, [...x.shape.slice(0, -1), c2 / 2]);
  check(library().symbols.rs_swiglu_forward(y.handle, x.handle, n, c2 / 2), "swiglu");
  record("swiglu", [x], [y], { x }, [x]);
  return y;
}

/** Computed again from x. */
export const swigluGradient: Rule<"swiglu"> = ({ x }, dy) => {
  const [n, c2] = rows(x);
  const dx = newGrad(x);
  check(library().symbols.rs_swiglu_backward(dx.handle, dy.handle, x.handle, n, c2 / 2), "swiglu");
  addGrad(x, dx);
};
