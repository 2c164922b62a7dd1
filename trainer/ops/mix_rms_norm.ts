/** The mix of two residual streams and the norm that follows it, in one pass. */
import { check, library } from "../../cuda/lib.ts";
import { addableGrad, addGrad, newGrad, record, type Rule } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { EPSILON, needAxes, needFloat, needNumber, needShape, outputLike, rows } from "./_shapes.ts";

/** Outputs of `mixRmsNorm`. */
export interface MixRmsNorm {
  /** a[index]·x + b[index]·x0, [..., C] */
  readonly mixed: Tensor;
  /** The norm of it, [..., C] */
  readonly normed: Tensor;
}

/**
 * mixed = a[index]·x + b[index]·x0; normed = mixed / sqrt(mean(mixed²) + eps).
 * @param x [..., C]
 * @param x0 [..., C]; may be x
 * @param a [L], one number a layer
 * @param b [L]
 * @param index the layer, 0 … L−1
 * @throws ShapeError when shapes do not fit
 */
export function mixRmsNorm(x: Tensor, x0: Tensor, a: Tensor, b: Tensor, index: number, eps = EPSILON): MixRmsNorm {
  const op = "mixRmsNorm";
  needFloat(op, "x", x);
  needAxes(op, "x", x, 1, true);
  needShape(op, "x0", x0, x.shape);
  needAxes(op, "a", a, 1);
  needShape(op, "b", b, a.shape);
  needNumber(op, "index", Number.isInteger(index) && index >= 0 && index < a.size, `in 0…${a.size - 1}`, index);
  const [n, c] = rows(x);
  const mixed = outputLike(x);
  const y = outputLike(x);
  using rstd = Tensor.zeros([n]);
  check(
    library().symbols.rs_mix_rms_norm_forward(
      mixed.handle,
      y.handle,
      rstd.handle,
      x.handle,
      x0.handle,
      a.handle,
      b.handle,
      index,
      n,
      c,
      eps,
    ),
    op,
  );
  record(op, [x, x0, a, b], [mixed, y], { x, x0, a, b, y, rstd, index }, [x, x0, a, b, y, rstd]);
  return { mixed, normed: y };
}

/** The kernel takes what reached `mixed` by other ways, writes dx and adds to the three others. */
export const mixRmsNormGradient: Rule<"mixRmsNorm"> = ({ x, x0, a, b, y, rstd, index }, _, [dmixed, dnormed]) => {
  const [n, c] = rows(x);
  using zeros = dnormed ? null : newGrad(y);
  // Gradients that nobody asked for go to tensors that are thrown away.
  const spare: Tensor[] = [];
  const target = (input: Tensor): Tensor => {
    if (input.requiresGrad) return addableGrad(input);
    spare.push(Tensor.untracked(input.shape, input.dtype));
    return spare[spare.length - 1];
  };
  const dx = newGrad(x);
  const dx0 = target(x0);
  const da = target(a);
  const db = target(b);
  check(
    library().symbols.rs_mix_rms_norm_backward(
      dx.handle,
      dx0.handle,
      da.handle,
      db.handle,
      (dnormed ?? zeros!).handle,
      dmixed?.handle ?? 0,
      y.handle,
      rstd.handle,
      x.handle,
      x0.handle,
      a.handle,
      b.handle,
      index,
      n,
      c,
    ),
    "mixRmsNorm",
  );
  if (x.requiresGrad) addGrad(x, dx);
  else dx.dispose();
  for (const tensor of spare) tensor.dispose();
};
