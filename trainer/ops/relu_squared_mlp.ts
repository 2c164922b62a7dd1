/** The baseline's MLP as one op: relu² is the epilogue of the first product, its gradient that of another. */
import { newGrad, passGrad, record, type Rule } from "../tape.ts";
import { product, type Tensor } from "../tensor.ts";
import { last, needAxes, needFloat, needShape, outputLike } from "./_shapes.ts";
import { ADD_AUX, addProductGrad, multiplyInto, NONE, RELU2, RELU2_BACKWARD } from "./_product.ts";

/**
 * y = residual + max(x·upᵀ, 0)²·downᵀ (arXiv:2109.08668); keeps one tensor of the hidden width.
 * @param x [..., C]
 * @param up [M, C]
 * @param down [C, M]
 * @param residual [..., C], optional
 * @returns [..., C]
 * @throws ShapeError when shapes do not fit
 */
export function reluSquaredMlp(x: Tensor, up: Tensor, down: Tensor, residual: Tensor | null = null): Tensor {
  const op = "reluSquaredMlp";
  needFloat(op, "x", x);
  needAxes(op, "x", x, 1, true);
  const c = last(x.shape);
  needAxes(op, "up", up, 2);
  const [width] = up.shape;
  needShape(op, "up", up, [width, c]);
  needAxes(op, "down", down, 2);
  const [outputs] = down.shape;
  needShape(op, "down", down, [outputs, width]);
  const shape = [...x.shape.slice(0, -1), outputs];
  if (residual) needShape(op, "residual", residual, shape);
  const n = product(x.shape, 0, x.shape.length - 1);
  const hidden = outputLike(x, [n, width]);
  multiplyInto(hidden, x, up, null, [n, width, c], false, true, RELU2);
  const y = outputLike(x, shape);
  multiplyInto(y, hidden, down, residual, [n, outputs, width], false, true, residual ? ADD_AUX : NONE);
  record(op, [x, up, down, residual], [y], { x, up, down, residual, hidden }, [x, up, down, hidden]);
  // The tape, if it recorded, holds the memory.
  hidden.dispose();
  return y;
}

/** Three products and the gradient of relu² between them, without a pass of its own. */
export const reluSquaredMlpGradient: Rule<"reluSquaredMlp"> = ({ x, up, down, residual, hidden }, dy) => {
  const [outputs, width] = down.shape;
  const c = up.shape[1];
  const n = dy.size / outputs;
  addProductGrad(down, dy, hidden, [outputs, width, n], true, false);
  if (x.requiresGrad || up.requiresGrad) {
    using dhidden = newGrad(hidden);
    multiplyInto(dhidden, dy, down, hidden, [n, width, outputs], false, false, RELU2_BACKWARD);
    addProductGrad(up, dhidden, x, [width, c, n], true, false);
    addProductGrad(x, dhidden, up, [n, c, width], false, false);
  }
  if (residual?.requiresGrad) passGrad(residual, dy);
};
