/** Causal softmax attention with a window and grouped key/value heads. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { needAxes, needFloat, needNumber, needShape, outputLike } from "./_shapes.ts";

/** Window and scale of `attention`. */
export interface AttentionOptions {
  /** Position t sees max(0, t − window) … t; all before it by default. */
  window?: number;
  /** Factor of the scores; 1/√D by default. */
  scale?: number;
}

/**
 * y = softmax(scale·q·kᵀ)·v, causal; query head h reads key/value head ⌊h·G/H⌋ (arXiv:2305.13245).
 * @param q [B, T, H, D]
 * @param k [B, T, G, D]
 * @param v [B, T, G, D]
 * @returns [B, T, H, D]
 * @throws ShapeError when shapes do not fit
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  needFloat("attention", "q", q);
  needAxes("attention", "q", q, 4);
  needAxes("attention", "k", k, 4);
  const [b, t, h, d] = q.shape;
  const g = k.shape[2];
  needShape("attention", "k", k, [b, t, g, d]);
  needShape("attention", "v", v, [b, t, g, d]);
  const { window = t, scale = 1 / Math.sqrt(d) } = options;
  needNumber("attention", "window", Number.isInteger(window) && window >= 0, "a whole number from 0 up", window);
  const y = outputLike(q);
  using lse = Tensor.zeros([b, h, t]);
  check(
    library().symbols.rs_attention_forward(
      y.handle,
      lse.handle,
      q.handle,
      k.handle,
      v.handle,
      b,
      t,
      h,
      g,
      d,
      window,
      scale,
    ),
    "attention",
  );
  record("attention", [q, k, v], [y], { q, k, v, y, lse, window, scale }, [q, k, v, y, lse]);
  return y;
}

/** Probabilities are computed again from q, k and lse. */
export const attentionGradient: Rule<"attention"> = ({ q, k, v, y, lse, window, scale }, dy) => {
  const [b, t, h, d] = q.shape;
  const [dq, dk, dv] = [newGrad(q), newGrad(k), newGrad(v)];
  check(
    library().symbols.rs_attention_backward(
      dq.handle,
      dk.handle,
      dv.handle,
      dy.handle,
      y.handle,
      lse.handle,
      q.handle,
      k.handle,
      v.handle,
      0,
      0,
      0,
      0,
      b,
      t,
      h,
      k.shape[2],
      d,
      window,
      scale,
    ),
    "attention",
  );
  for (const [input, grad] of [[q, dq], [k, dk], [v, dv]]) {
    if (input.requiresGrad) addGrad(input, grad);
    else grad.dispose();
  }
};
