/** Self-attention from its input on: projections of queries and keys, rotary positions, their norm, attention. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule, writableGrad } from "../tape.ts";
import { product, ShapeError, showShape, Tensor } from "../tensor.ts";
import { addProductGrad } from "./_product.ts";
import { EPSILON, last, needAxes, needFloat, needNumber, needShape, outputLike } from "./_shapes.ts";
import type { AttentionOptions } from "./attention.ts";

/** Options of `rotaryAttention`. */
export interface RotaryAttentionOptions extends AttentionOptions {
  /** Added to the mean square in the norm of queries and keys; float32 machine epsilon by default. */
  eps?: number;
}

/** norm(rope(h·weightᵀ)) as [B, T, heads, D], and 1/RMS. */
function project(
  h: Tensor,
  weight: Tensor,
  cos: Tensor,
  sin: Tensor,
  d: number,
  eps: number,
): { y: Tensor; rstd: Tensor } {
  const [b, t, c] = h.shape;
  const heads = weight.shape[0] / d;
  const y = outputLike(h, [b, t, heads, d]);
  const rstd = Tensor.zeros([b, t, heads]);
  check(
    library().symbols.rs_linear_rope_rms_norm_forward(
      y.handle,
      rstd.handle,
      h.handle,
      weight.handle,
      cos.handle,
      sin.handle,
      b,
      t,
      heads,
      d,
      c,
      eps,
    ),
    "rotaryAttention",
  );
  return { y, rstd };
}

/**
 * attention(norm(rope(h·queryᵀ)), norm(rope(h·keyᵀ)), v): what `linear`, `ropeRmsNorm` and `attention` give one after the
 * other, in fewer passes over memory.
 * @param h [B, T, C]
 * @param query weight [H·D, C]
 * @param key weight [G·D, C]
 * @param v values [B, T, G, D]
 * @param cos [T, D/2], see `ropeTables`
 * @param sin [T, D/2]
 * @returns [B, T, H, D]
 * @throws ShapeError when shapes do not fit
 */
export function rotaryAttention(
  h: Tensor,
  query: Tensor,
  key: Tensor,
  v: Tensor,
  cos: Tensor,
  sin: Tensor,
  options: RotaryAttentionOptions = {},
): Tensor {
  const op = "rotaryAttention";
  needFloat(op, "h", h);
  needAxes(op, "h", h, 3);
  needAxes(op, "v", v, 4);
  needAxes(op, "query", query, 2);
  const [b, t, c] = h.shape;
  const [groups, d] = v.shape.slice(2);
  needShape(op, "v", v, [b, t, groups, d]);
  needShape(op, "key", key, [groups * d, c]);
  if (query.shape[1] !== c || query.shape[0] % d !== 0) {
    throw new ShapeError(op, `query must have shape [H·${d}, ${c}], got ${showShape(query.shape)}`);
  }
  for (const [name, table] of [["cos", cos], ["sin", sin]] as const) needShape(op, name, table, [t, d / 2]);
  const { window = t, scale = 1 / Math.sqrt(d), eps = EPSILON } = options;
  needNumber(op, "window", Number.isInteger(window) && window >= 0, "a whole number from 0 up", window);
  const heads = query.shape[0] / d;
  const { y: q, rstd: queryRstd } = project(h, query, cos, sin, d, eps);
  const { y: k, rstd: keyRstd } = project(h, key, cos, sin, d, eps);
  const y = outputLike(q);
  using lse = Tensor.zeros([b, heads, t]);
  check(
    library().symbols.rs_attention_forward(
      y.handle,
      lse.handle,
      q.handle,
      k.handle,
      v.handle,
      b,
      t,
      heads,
      groups,
      d,
      window,
      scale,
    ),
    op,
  );
  const kept = { h, query, key, v, cos, sin, q, k, queryRstd, keyRstd, y, lse, window, scale };
  record(op, [h, query, key, v], [y], kept, [h, query, key, v, cos, sin, q, k, queryRstd, keyRstd, y, lse]);
  // The tape, if it recorded, holds the memory.
  for (const tensor of [q, k, queryRstd, keyRstd]) tensor.dispose();
  return y;
}

/** The gradients of queries and keys go back through norm and rotation where they are made. */
export const rotaryAttentionGradient: Rule<"rotaryAttention"> = (kept, dy) => {
  const { h, query, key, v, cos, sin, q, k, queryRstd, keyRstd, y, lse, window, scale } = kept;
  const [b, t, heads, d] = q.shape;
  const { symbols } = library();
  using dq = newGrad(q), dk = newGrad(k);
  const dv = newGrad(v);
  check(
    symbols.rs_attention_backward(
      dq.handle,
      dk.handle,
      dv.handle,
      dy.handle,
      y.handle,
      lse.handle,
      q.handle,
      k.handle,
      v.handle,
      queryRstd.handle,
      keyRstd.handle,
      cos.handle,
      sin.handle,
      b,
      t,
      heads,
      k.shape[2],
      d,
      window,
      scale,
    ),
    "rotaryAttention",
  );
  const n = product(h.shape, 0, 2);
  const c = last(h.shape);
  addProductGrad(query, dq, h, [query.shape[0], c, n], true, false);
  addProductGrad(key, dk, h, [key.shape[0], c, n], true, false);
  if (h.requiresGrad) {
    const before = writableGrad(h);
    const dh = before ?? (h.grad = newGrad(h));
    const table = Uint32Array.of(dq.handle, query.handle, query.shape[0], dk.handle, key.handle, key.shape[0]);
    check(
      symbols.rs_matmul_sum(dh.handle, table, table.byteLength, 2, n, c, Number(before !== null)),
      "rotaryAttention",
    );
  }
  if (v.requiresGrad) addGrad(v, dv);
  else dv.dispose();
};
