/** Softmax over the last axis. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { needAxes, needFloat, outputLike, rows } from "./_shapes.ts";

/** exp(x) / Σ exp(x) over the last axis. */
export function softmax(x: Tensor): Tensor {
  needFloat("softmax", "x", x);
  needAxes("softmax", "x", x, 1, true);
  const [n, c] = rows(x);
  const y = outputLike(x);
  check(library().symbols.rs_softmax_forward(y.handle, x.handle, n, c), "softmax");
  record("softmax", [x], [y], { x, y }, [y]);
  return y;
}

/** dx = y·(dy − Σ dy·y). */
export const softmaxGradient: Rule<"softmax"> = ({ x, y }, dy) => {
  const [n, c] = rows(x);
  const dx = newGrad(x);
  check(library().symbols.rs_softmax_backward(dx.handle, dy.handle, y.handle, n, c), "softmax");
  addGrad(x, dx);
};
