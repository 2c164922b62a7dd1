/** Multiplication by a number of the host. */
import { check, library } from "../../cuda/lib.ts";
import { inPlaceGrad, record, type Rule } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { needFloat, outputLike } from "./_shapes.ts";

/** factor·x */
export function scale(x: Tensor, factor: number): Tensor {
  needFloat("scale", "x", x);
  const y = outputLike(x);
  check(library().symbols.rs_axpby(y.handle, x.handle, factor, 0), "scale");
  record("scale", [x], [y], { x, factor }, []);
  return y;
}

/** dx = factor·dy. */
export const scaleGradient: Rule<"scale"> = ({ x, factor }, dy) => {
  const { symbols } = library();
  inPlaceGrad(x, dy, (dx) => symbols.rs_axpby(dx, dy.handle, factor, 0), "scale");
};
