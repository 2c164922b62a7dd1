/** Sums and means. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule } from "../tape.ts";
import { product, Tensor } from "../tensor.ts";
import { axisOf, needFloat } from "./_shapes.ts";
import { reshape } from "./reshape.ts";
import { transpose } from "./transpose.ts";

function reduce(op: string, x: Tensor, axis: number | undefined, average: boolean): Tensor {
  needFloat(op, "x", x);
  const at = axis === undefined ? null : axisOf(op, x, axis);
  const shape = x.shape.filter((_, i) => at !== null && i !== at);
  const factor = average ? 1 / (at === null ? x.size : x.shape[at]) : 1;
  if (at !== null && at > 0 && at < x.shape.length - 1) {
    // A middle axis: bring it to the end of what stands around it.
    const inner = product(x.shape, at + 1);
    const flat = reshape(x, [product(x.shape, 0, at), x.shape[at], inner]);
    return reshape(reduce(op, transpose(flat, 1, 2), 2, average), shape);
  }
  const [n, c, kind] = at === null
    ? [1, x.size, 2]
    : at === x.shape.length - 1
    ? [product(shape), x.shape[at], 1]
    : [x.shape[0], product(shape), 0];
  const y = Tensor.zeros(shape); // f32 whatever x is: a sum has more digits than its terms
  check(library().symbols.rs_sum_forward(y.handle, x.handle, n, c, kind, factor), op);
  record("sum", [x], [y], { x, n, c, axis: kind, factor }, []);
  return y;
}

/** The gradient, spread over what was summed. */
export const sumGradient: Rule<"sum"> = ({ x, n, c, axis, factor }, dy) => {
  const dx = newGrad(x);
  check(library().symbols.rs_sum_backward(dx.handle, dy.handle, n, c, axis, factor), "sum");
  addGrad(x, dx);
};

/**
 * Sum over one axis (negative: from the back), or over all elements.
 * @returns x's shape without the axis; `[]` for all
 * @throws ShapeError when there is no such axis
 */
export function sum(x: Tensor, axis?: number): Tensor {
  return reduce("sum", x, axis, false);
}

/** Mean over one axis, or over all elements; see `sum`. */
export function mean(x: Tensor, axis?: number): Tensor {
  return reduce("mean", x, axis, true);
}
