/** Cross entropy of logits that exist. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { needAxes, needFloat, needIds, needNumber, needShape, rows } from "./_shapes.ts";

/** Soft cap of the losses. */
export interface CrossEntropyOptions {
  /** Logits go through cap·tanh(x/cap) first; 0, the default, leaves them. */
  softCap?: number;
}

/** Throws unless the cap is 0 or positive. */
export function checkSoftCap(op: string, softCap: number): void {
  needNumber(op, "softCap", softCap >= 0 && Number.isFinite(softCap), "0 or positive", softCap);
}

/**
 * Mean over the targets that count of −log softmax(softcap(logits))[target], in nats.
 * @param logits [..., V]
 * @param targets i32 [...]; −1 is ignored
 * @returns a scalar
 * @throws ShapeError when shapes do not fit
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { softCap = 0 } = options;
  const op = "crossEntropy";
  needFloat(op, "logits", logits);
  needAxes(op, "logits", logits, 1, true);
  needIds(op, "targets", targets);
  needShape(op, "targets", targets, logits.shape.slice(0, -1));
  checkSoftCap(op, softCap);
  const [n, v] = rows(logits);
  using mean = Tensor.zeros([2]);
  using losses = Tensor.zeros([n]);
  using lse = Tensor.zeros([n]);
  check(
    library().symbols.rs_cross_entropy_forward(
      mean.handle,
      losses.handle,
      lse.handle,
      logits.handle,
      targets.handle,
      n,
      v,
      softCap,
    ),
    op,
  );
  const loss = mean.view(0, []);
  record(op, [logits], [loss], { logits, targets, mean, lse, softCap }, [logits, targets, mean, lse]);
  return loss;
}

/** dlogits = dloss·(softmax − one-hot)/count, through the soft cap. */
export const crossEntropyGradient: Rule<"crossEntropy"> = ({ logits, targets, mean, lse, softCap }, dloss) => {
  const [n, v] = rows(logits);
  const dlogits = newGrad(logits);
  check(
    library().symbols.rs_cross_entropy_backward(
      dlogits.handle,
      dloss.handle,
      mean.handle,
      lse.handle,
      logits.handle,
      targets.handle,
      n,
      v,
      softCap,
    ),
    "crossEntropy",
  );
  addGrad(logits, dlogits);
};
