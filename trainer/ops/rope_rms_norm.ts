/** What queries and keys go through: rotary positions, then a norm over each head. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { EPSILON, outputLike } from "./_shapes.ts";
import { checkRope } from "./rope.ts";

/**
 * y = norm(rope(x)) over the head dimension (arXiv:2010.04245).
 * @param x [B, T, H, D]
 * @param cos [T, D/2], see `ropeTables`
 * @param sin [T, D/2]
 * @returns [B, T, H, D]
 * @throws ShapeError when shapes do not fit
 */
export function ropeRmsNorm(x: Tensor, cos: Tensor, sin: Tensor, eps = EPSILON): Tensor {
  checkRope("ropeRmsNorm", x, cos, sin);
  const [b, t, h, d] = x.shape;
  const y = outputLike(x);
  using rstd = Tensor.zeros([b, t, h]);
  check(
    library().symbols.rs_rope_rms_norm_forward(
      y.handle,
      rstd.handle,
      x.handle,
      cos.handle,
      sin.handle,
      b,
      t,
      h,
      d,
      eps,
    ),
    "ropeRmsNorm",
  );
  record("ropeRmsNorm", [x], [y], { x, y, rstd, cos, sin }, [y, rstd, cos, sin]);
  return y;
}

/** From the normalised output alone: x itself is not kept. */
export const ropeRmsNormGradient: Rule<"ropeRmsNorm"> = ({ x, y, rstd, cos, sin }, dy) => {
  const [b, t, h, d] = x.shape;
  const dx = newGrad(x);
  check(
    library().symbols.rs_rope_rms_norm_backward(
      dx.handle,
      dy.handle,
      y.handle,
      rstd.handle,
      cos.handle,
      sin.handle,
      b,
      t,
      h,
      d,
    ),
    "ropeRmsNorm",
  );
  addGrad(x, dx);
};
