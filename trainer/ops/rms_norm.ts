/** Root-mean-square norm over the last axis. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule, writableGrad } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { EPSILON, needAxes, needFloat, needShape, outputLike, rows } from "./_shapes.ts";

/** Gain and epsilon of `rmsNorm`. */
export interface RmsNormOptions {
  /** [C]; none: no gain. */
  weight?: Tensor | null;
  /** Added to the mean square; float32 machine epsilon by default. */
  eps?: number;
}

/**
 * y = x / sqrt(mean(x²) + eps) · weight over the last axis (arXiv:1910.07467).
 * @param x [..., C]
 * @returns [..., C]
 * @throws ShapeError when shapes do not fit
 */
export function rmsNorm(x: Tensor, options: RmsNormOptions = {}): Tensor {
  const { weight = null, eps = EPSILON } = options;
  needFloat("rmsNorm", "x", x);
  needAxes("rmsNorm", "x", x, 1, true);
  const [n, c] = rows(x);
  if (weight) needShape("rmsNorm", "weight", weight, [c]);
  const y = outputLike(x);
  using rstd = Tensor.zeros([n]);
  check(
    library().symbols.rs_rms_norm_forward(y.handle, rstd.handle, x.handle, weight?.handle ?? 0, n, c, eps),
    "rmsNorm",
  );
  record("rmsNorm", [x, weight], [y], { x, weight, rstd, eps }, weight ? [x, rstd, weight] : [x, rstd]);
  return y;
}

/** The kernel adds what has reached x by other ways: the residual stream costs no pass of its own. */
export const rmsNormGradient: Rule<"rmsNorm"> = ({ x, weight, rstd, eps }, dy) => {
  const [n, c] = rows(x);
  const before = x.requiresGrad ? writableGrad(x) : null;
  const dx = before ?? newGrad(x);
  const dweight = weight ? newGrad(weight) : null;
  check(
    library().symbols.rs_rms_norm_backward(
      dx.handle,
      dweight?.handle ?? 0,
      dy.handle,
      x.handle,
      rstd.handle,
      weight?.handle ?? 0,
      before?.handle ?? 0,
      n,
      c,
      eps,
    ),
    "rmsNorm",
  );
  if (!x.requiresGrad) dx.dispose();
  else x.grad = dx;
  if (weight?.requiresGrad) addGrad(weight, dweight!);
  else dweight?.dispose();
};
