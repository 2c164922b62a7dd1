/** Rotary positions. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { needAxes, needFloat, needNumber, needShape, outputLike } from "./_shapes.ts";

/** Throws unless x is [B, T, H, D] with D even and the tables are [T, D/2]. */
export function checkRope(op: string, x: Tensor, cos: Tensor, sin: Tensor): void {
  needFloat(op, "x", x);
  needAxes(op, "x", x, 4);
  const [, t, , d] = x.shape;
  needNumber(op, "the head dimension", d % 2 === 0, "even", d);
  needShape(op, "cos", cos, [t, d / 2]);
  needShape(op, "sin", sin, [t, d / 2]);
}

/**
 * Rotates halves by position (arXiv:2104.09864): (p, q) → (p·cos + q·sin, q·cos − p·sin).
 * @param x [B, T, H, D]
 * @param cos [T, D/2], see `ropeTables`
 * @param sin [T, D/2]
 * @returns [B, T, H, D]
 * @throws ShapeError when shapes do not fit
 */
export function rope(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  checkRope("rope", x, cos, sin);
  const [b, t, h, d] = x.shape;
  const y = outputLike(x);
  check(library().symbols.rs_rope(y.handle, x.handle, cos.handle, sin.handle, b, t, h, d, 0), "rope");
  record("rope", [x], [y], { x, cos, sin }, [cos, sin]);
  return y;
}

/** The rotation back. */
export const ropeGradient: Rule<"rope"> = ({ x, cos, sin }, dy) => {
  const [b, t, h, d] = x.shape;
  const dx = newGrad(x);
  check(library().symbols.rs_rope(dx.handle, dy.handle, cos.handle, sin.handle, b, t, h, d, 1), "rope");
  addGrad(x, dx);
};
