/** The same elements under another shape; no copy. */
import { passGrad, record, type Rule } from "../tape.ts";
import { product, ShapeError, showShape, type Tensor } from "../tensor.ts";

/**
 * `x` with another shape of the same size; one size may be −1. Shares memory with x.
 * @throws ShapeError when the sizes do not fit
 */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  const free = shape.indexOf(-1);
  const known = product(shape.filter((_, axis) => axis !== free));
  const filled = free < 0 ? shape : shape.map((size, axis) => axis === free ? x.size / known : size);
  if (!filled.every((size) => Number.isInteger(size) && size >= 0) || product(filled) !== x.size) {
    throw new ShapeError("reshape", `${showShape(x.shape)} cannot become ${showShape(shape)}`);
  }
  const y = x.alias(filled);
  record("reshape", [x], [y], { x }, []);
  return y;
}

/** The elements of `x`, which gradients do not flow back to. Shares memory with x. */
export function detach(x: Tensor): Tensor {
  return x.alias(x.shape);
}

/** dy under x's shape. */
export const reshapeGradient: Rule<"reshape"> = ({ x }, dy) => passGrad(x, dy);
