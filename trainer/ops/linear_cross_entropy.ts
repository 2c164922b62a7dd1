/** Output layer, soft cap and cross entropy in one op: a model's logits never exist as a whole. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, isUnit, record, records, type Rule } from "../tape.ts";
import { product, Tensor } from "../tensor.ts";
import { checkSoftCap, type CrossEntropyOptions } from "./cross_entropy.ts";
import { last, needAxes, needFloat, needIds, needShape } from "./_shapes.ts";

/**
 * Mean over the targets that count of −log softmax(softcap(x·weightᵀ))[target], in nats. The gradients are computed in
 * the same pass over blocks of rows.
 * @param x [..., C]
 * @param weight [V, C]
 * @param targets i32 [...]; −1 is ignored
 * @returns a scalar
 * @throws ShapeError when shapes do not fit
 */
export function linearCrossEntropy(
  x: Tensor,
  weight: Tensor,
  targets: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  const { softCap = 0 } = options;
  const op = "linearCrossEntropy";
  needFloat(op, "x", x);
  needAxes(op, "x", x, 1, true);
  needAxes(op, "weight", weight, 2);
  const c = last(x.shape);
  const [v] = weight.shape;
  needShape(op, "weight", weight, [v, c]);
  needIds(op, "targets", targets);
  needShape(op, "targets", targets, x.shape.slice(0, -1));
  checkSoftCap(op, softCap);
  const n = product(targets.shape);
  const recorded = records([x, weight]);
  using mean = Tensor.zeros([2]);
  using losses = Tensor.zeros([n]);
  using dx = recorded ? Tensor.zeros(x.shape, x.dtype) : null;
  using dweight = recorded ? Tensor.zeros(weight.shape) : null;
  check(
    library().symbols.rs_linear_cross_entropy(
      mean.handle,
      losses.handle,
      dx?.handle ?? 0,
      dweight?.handle ?? 0,
      x.handle,
      weight.handle,
      targets.handle,
      n,
      c,
      v,
      softCap,
    ),
    op,
  );
  const loss = mean.view(0, []);
  if (dx && dweight) record(op, [x, weight], [loss], { x, weight, dx, dweight }, [dx, dweight]);
  return loss;
}

/** Both gradients wait, of the mean itself; only a loss that was scaled needs a pass over them. */
export const linearCrossEntropyGradient: Rule<"linearCrossEntropy"> = ({ x, weight, dx, dweight }, dloss) => {
  for (const [input, gradient] of [[x, dx], [weight, dweight]]) {
    if (!input.requiresGrad) continue;
    if (!isUnit(dloss)) {
      check(library().symbols.rs_scale_by(gradient.handle, gradient.handle, dloss.handle), "linearCrossEntropy");
    }
    addGrad(input, gradient.alias(input.shape, false));
  }
};
