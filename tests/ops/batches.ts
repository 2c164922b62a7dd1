/**
 * The ops whose output rows must not depend on where in the batch they stand: each makes a call for any list of rows,
 * the data of a row depending on its number alone.
 * @module
 */
import { angles, type Argument, f32, type OpName, Random } from "./case.ts";
import * as reference from "./reference.ts";
import { attention } from "./reference_training.ts";

/** A call for some rows; `widths` has the elements a row takes in each written argument, or null for a sum over rows. */
export interface Batch {
  readonly op: OpName;
  readonly args: Argument[];
  readonly widths: readonly (number | null)[];
}

/** n normal numbers for each row, the same wherever the row stands. */
function data(rows: readonly number[], n: number, salt: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(rows.length * n);
  rows.forEach((row, i) => result.set(new Random(row * 1000 + salt).normal(n), i * n));
  return result;
}
function ids(rows: readonly number[], v: number): Int32Array<ArrayBuffer> {
  return Int32Array.from(rows, (row) => new Random(row).ids(1, v)[0]);
}

function product(n: number, k: number, transB: boolean, transA: boolean): (rows: readonly number[]) => Batch {
  const b = new Random(3000 + n).normal(n * k);
  return (rows) => {
    const m = rows.length, a = data(rows, k, 1);
    const stored = transA ? f32(reference.make(m * k, (i) => a[i % m * k + Math.floor(i / m)])) : a;
    return {
      op: "rs_matmul",
      args: [{ out: m * n }, { in: stored }, { in: b }, null, 1, m, n, k, Number(transA), Number(transB), 0, 0],
      widths: [n],
    };
  };
}

/** A row is an item of the batch here, with a right operand of its own. */
function items(n: number, k: number): (rows: readonly number[]) => Batch {
  return (rows) => ({
    op: "rs_matmul",
    args: [
      { out: rows.length * n },
      { in: data(rows, k, 1) },
      { in: data(rows, n * k, 2) },
      null,
      ...[rows.length, 1, n, k, 0, 0, 1, 0],
    ],
    widths: [n],
  });
}

const c = 75, t = 37, h = 3, g = 1, d = 20, v = 130;
const weight = new Random(3100).normal(c),
  head = new Random(3101).normal(v * c),
  table = new Random(3102).normal(v * c);
const rotary = angles(t, d);
const shape = { t, h, g, d, window: 20, scale: 0.2 };

/** The calls, by what is promised for. */
export const batches: Record<string, (rows: readonly number[]) => Batch> = {
  "matmul, narrow": product(5, 33, false, false),
  "matmul, wide": product(203, 130, true, false),
  "matmul, long": product(40, 1500, false, false),
  "matmul, items": items(40, 256),
  "matmul, narrow items": items(4, 256),
  "matmul, a transposed": product(70, 65, false, true),
  "softmax": (rows) => ({
    op: "rs_softmax_forward",
    args: [{ out: rows.length * c }, { in: data(rows, c, 1) }, rows.length, c],
    widths: [c],
  }),
  "rms norm": (rows) => ({
    op: "rs_rms_norm_forward",
    args: [
      { out: rows.length * c },
      { out: rows.length },
      { in: data(rows, c, 1) },
      { in: weight },
      rows.length,
      c,
      1e-6,
    ],
    widths: [c, 1],
  }),
  "rms norm, gradient": (rows) => ({
    op: "rs_rms_norm_backward",
    args: [
      { out: rows.length * c },
      { out: c },
      { in: data(rows, c, 1) },
      { in: data(rows, c, 2) },
      { in: data(rows, 1, 3) },
      { in: weight },
      { in: data(rows, c, 4) },
      rows.length,
      c,
      1e-6,
    ],
    widths: [c, null],
  }),
  "layer norm": (rows) => ({
    op: "rs_layer_norm_forward",
    args: [
      { out: rows.length * c },
      { out: rows.length },
      { out: rows.length },
      { in: data(rows, c, 1) },
      { in: weight },
      { in: weight },
      rows.length,
      c,
      1e-6,
    ],
    widths: [c, 1, 1],
  }),
  "mix and norm": (rows) => ({
    op: "rs_mix_rms_norm_forward",
    args: [
      { out: rows.length * c },
      { out: rows.length * c },
      { out: rows.length },
      { in: data(rows, c, 1) },
      { in: data(rows, c, 2) },
      { in: weight },
      { in: weight },
      1,
      rows.length,
      c,
      1e-6,
    ],
    widths: [c, c, 1],
  }),
  "rope and norm": (rows) => ({
    op: "rs_rope_rms_norm_forward",
    args: [
      { out: rows.length * t * h * d },
      { out: rows.length * t * h },
      { in: data(rows, t * h * d, 1) },
      { in: rotary.cos },
      { in: rotary.sin },
      rows.length,
      t,
      h,
      d,
      1e-6,
    ],
    widths: [t * h * d, t * h],
  }),
  "gated embedding": (rows) => ({
    op: "rs_gated_embedding_forward",
    args: [
      { out: rows.length * c },
      { in: data(rows, c, 1) },
      { in: table },
      { in: ids(rows, v) },
      { in: data(rows, 3, 2) },
      rows.length,
      3,
      25,
      v,
    ],
    widths: [c],
  }),
  "attention": (rows) => ({
    op: "rs_attention_forward",
    args: [
      { out: rows.length * t * h * d },
      { out: rows.length * h * t },
      { in: data(rows, t * h * d, 1) },
      { in: data(rows, t * g * d, 2) },
      { in: data(rows, t * g * d, 3) },
      rows.length,
      ...[t, h, g, d, shape.window, shape.scale],
    ],
    widths: [t * h * d, h * t],
  }),
  "attention, gradient": (rows) => {
    const [q, k, values] = [data(rows, t * h * d, 1), data(rows, t * g * d, 2), data(rows, t * g * d, 3)];
    const [y, lse] = attention(q, k, values, { b: rows.length, ...shape });
    return {
      op: "rs_attention_backward",
      args: [
        { out: q.length },
        { out: k.length },
        { out: k.length },
        { in: data(rows, t * h * d, 4) },
        { in: f32(y) },
        { in: f32(lse) },
        { in: q },
        { in: k },
        { in: values },
        ...[null, null, null, null],
        rows.length,
        ...[t, h, g, d, shape.window, shape.scale],
      ],
      widths: [t * h * d, t * g * d, t * g * d],
    };
  },
  "cross entropy": (rows) => ({
    op: "rs_cross_entropy_forward",
    args: [
      { out: 2 },
      { out: rows.length },
      { out: rows.length },
      { in: data(rows, v, 1) },
      { in: ids(rows, v) },
      rows.length,
      v,
      15,
    ],
    widths: [null, 1, 1],
  }),
  "output layer and cross entropy": (rows) => ({
    op: "rs_linear_cross_entropy",
    args: [
      { out: 2 },
      { out: rows.length },
      null,
      null,
      { in: data(rows, c, 1) },
      { in: head },
      { in: ids(rows, v) },
      rows.length,
      c,
      v,
      15,
    ],
    widths: [null, 1],
  }),
  "scores": (rows) => ({
    op: "rs_score_logits",
    args: [
      { buffer: new Float32Array(rows.length), written: true },
      { buffer: new BigUint64Array(rows.length), written: true },
      { buffer: ids(rows, v) },
      { buffer: new Uint8Array(16) },
      { in: data(rows, v, 1) },
      rows.length,
      v,
    ],
    widths: [1, 1],
  }),
};
