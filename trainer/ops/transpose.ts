/** Two axes swapped. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, record, type Rule } from "../tape.ts";
import { product, Tensor } from "../tensor.ts";
import { axisOf } from "./_shapes.ts";

/** A tensor with axes i < j of x swapped, made by `create`. */
function swapped(x: Tensor, i: number, j: number, create: (shape: readonly number[]) => Tensor): Tensor {
  const { symbols } = library();
  const batch = product(x.shape, 0, i);
  const middle = product(x.shape, i + 1, j);
  const inner = product(x.shape, j + 1);
  const [first, second] = [x.shape[i], x.shape[j]];
  const y = create(x.shape.map((size, axis) => axis === i ? second : axis === j ? first : size));
  if (middle === 1) {
    check(symbols.rs_transpose(y.handle, x.handle, batch, first, second, inner), "transpose");
    return y;
  }
  // [first, middle, second] → [second, first, middle] → [second, middle, first]
  using half = Tensor.untracked(y.shape, x.dtype);
  check(symbols.rs_transpose(half.handle, x.handle, batch, first * middle, second, inner), "transpose");
  check(symbols.rs_transpose(y.handle, half.handle, batch * second, first, middle, inner), "transpose");
  return y;
}

/**
 * `x` with two axes swapped (negative: from the back); a copy.
 * @throws ShapeError when there is no such axis
 */
export function transpose(x: Tensor, axis: number, other: number): Tensor {
  const i = axisOf("transpose", x, axis);
  const j = axisOf("transpose", x, other);
  if (i === j) {
    const same = x.alias(x.shape);
    record("reshape", [x], [same], { x }, []);
    return same;
  }
  const [low, high] = i < j ? [i, j] : [j, i];
  const y = swapped(x, low, high, (shape) => Tensor.zeros(shape, x.dtype));
  record("transpose", [x], [y], { x, axis: low, other: high }, []);
  return y;
}

/** Swapped back. */
export const transposeGradient: Rule<"transpose"> = ({ x, axis, other }, dy) => {
  addGrad(x, swapped(dy, axis, other, (shape) => Tensor.untracked(shape, x.dtype)));
};
