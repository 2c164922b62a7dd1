/** Linear layers: products with a weight matrix, with an optional bias and residual. */
import { check, library } from "../../cuda/lib.ts";
import { passGrad, record, type Rule } from "../tape.ts";
import { product, Tensor } from "../tensor.ts";
import { ADD_AUX, addProductGrad, addRowSum, multiplyInto, NONE } from "./_product.ts";
import { last, needAxes, needFloat, needNumber, needShape } from "./_shapes.ts";

/** What `linear` may add to its product. */
export interface LinearOptions {
  /** [O], added to every row. */
  bias?: Tensor | null;
  /** [..., O], added to the product in the same pass: the residual stream. */
  residual?: Tensor | null;
  /** H: the output's last axis is split into [H, O/H]. */
  heads?: number;
  /** Element type of the result; x's by default. `"f32"` keeps what the sums had. */
  dtype?: "f32" | "bf16";
}

/**
 * y = x·weightᵀ + bias + residual.
 * @param x [..., I]
 * @param weight [O, I]
 * @returns [..., O], or [..., H, O/H] with `heads`
 * @throws ShapeError when shapes do not fit
 */
export function linear(x: Tensor, weight: Tensor, options: LinearOptions = {}): Tensor {
  const { bias = null, residual = null, heads, dtype = x.dtype } = options;
  needFloat("linear", "x", x);
  needAxes("linear", "x", x, 1, true);
  const inputs = last(x.shape);
  needAxes("linear", "weight", weight, 2);
  const [outputs] = weight.shape;
  needShape("linear", "weight", weight, [outputs, inputs]);
  if (bias) needShape("linear", "bias", bias, [outputs]);
  const leading = x.shape.slice(0, -1);
  if (heads !== undefined) needNumber("linear", "heads", outputs % heads === 0, `a divisor of ${outputs}`, heads);
  const shape = heads === undefined ? [...leading, outputs] : [...leading, heads, outputs / heads];
  if (residual) needShape("linear", "residual", residual, shape);
  const n = product(leading);
  const y = Tensor.zeros(shape, dtype);
  multiplyInto(y, x, weight, residual, [n, outputs, inputs], false, true, residual ? ADD_AUX : NONE);
  if (bias) check(library().symbols.rs_binary_forward(y.handle, y.handle, bias.handle, 0, 1, n, outputs), "linear");
  record("linear", [x, weight, bias, residual], [y], { x, weight, bias, residual }, [x, weight]);
  return y;
}

/** dx += dy·W, dW += dyᵀ·x, dbias += Σ dy, dresidual += dy. */
export const linearGradient: Rule<"linear"> = ({ x, weight, bias, residual }, dy) => {
  const [outputs, inputs] = weight.shape;
  const n = dy.size / outputs;
  addProductGrad(x, dy, weight, [n, inputs, outputs], false, false);
  addProductGrad(weight, dy, x, [outputs, inputs, n], true, false);
  if (bias?.requiresGrad) addRowSum(bias, dy, n, outputs);
  if (residual?.requiresGrad) passGrad(residual, dy);
};
