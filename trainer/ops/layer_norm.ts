/** Layer norm over the last axis. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule } from "../tape.ts";
import { ShapeError, Tensor } from "../tensor.ts";
import { needAxes, needFloat, needShape, outputLike, rows } from "./_shapes.ts";

/** Gain, shift and epsilon of `layerNorm`. */
export interface LayerNormOptions {
  /** [C]; given together with `bias` or not at all. */
  weight?: Tensor | null;
  /** [C] */
  bias?: Tensor | null;
  /** Added to the variance; 1e-5 by default. */
  eps?: number;
}

/**
 * y = (x − mean(x)) / sqrt(var(x) + eps) · weight + bias over the last axis (arXiv:1607.06450).
 * @param x [..., C]
 * @returns [..., C]
 * @throws ShapeError when shapes do not fit, or when one of weight and bias is given alone
 */
export function layerNorm(x: Tensor, options: LayerNormOptions = {}): Tensor {
  const { weight = null, bias = null, eps = 1e-5 } = options;
  needFloat("layerNorm", "x", x);
  needAxes("layerNorm", "x", x, 1, true);
  const [n, c] = rows(x);
  if (!weight !== !bias) throw new ShapeError("layerNorm", "needs weight and bias, or neither");
  if (weight) needShape("layerNorm", "weight", weight, [c]);
  if (bias) needShape("layerNorm", "bias", bias, [c]);
  const y = outputLike(x);
  using mean = Tensor.zeros([n]);
  using rstd = Tensor.zeros([n]);
  check(
    library().symbols.rs_layer_norm_forward(
      y.handle,
      mean.handle,
      rstd.handle,
      x.handle,
      weight?.handle ?? 0,
      bias?.handle ?? 0,
      n,
      c,
      eps,
    ),
    "layerNorm",
  );
  const needed = weight ? [x, mean, rstd, weight] : [x, mean, rstd];
  record("layerNorm", [x, weight, bias], [y], { x, weight, bias, mean, rstd }, needed);
  return y;
}

/** The gradient of the norm, of the gain and of the shift. */
export const layerNormGradient: Rule<"layerNorm"> = ({ x, weight, bias, mean, rstd }, dy) => {
  const [n, c] = rows(x);
  const dx = newGrad(x);
  const dweight = weight ? newGrad(weight) : null;
  const dbias = bias ? newGrad(bias) : null;
  check(
    library().symbols.rs_layer_norm_backward(
      dx.handle,
      dweight?.handle ?? 0,
      dbias?.handle ?? 0,
      dy.handle,
      x.handle,
      mean.handle,
      rstd.handle,
      weight?.handle ?? 0,
      n,
      c,
    ),
    "layerNorm",
  );
  for (const [input, grad] of [[x, dx], [weight, dweight], [bias, dbias]] as const) {
    if (input?.requiresGrad) addGrad(input, grad!);
    else grad?.dispose();
  }
};
