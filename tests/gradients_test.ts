/**
 * Every op's gradient against differences of its values, and every fused op against a composition of plain ones.
 *
 * The derivative of ⟨c, f⟩ in a direction v is taken by the 4-point formula (f(x−2hv) − 8f(x−hv) + 8f(x+hv) − f(x+2hv))
 * / 12h, whose error falls with h⁴; sums on the host are float64. One direction an input, so that no gradient hides
 * behind another. Seeds are fixed. Long because it is two tables, exhaustive over the ops.
 */
import assert from "node:assert/strict";
import { backward } from "../trainer/autograd.ts";
import { ropeTables } from "../trainer/nn.ts";
import * as ops from "../trainer/ops/mod.ts";
import type { OpName } from "../trainer/tape.ts";
import { product, scope, Tensor } from "../trainer/tensor.ts";
import { testLibrary } from "./_library.ts";
import { Random } from "./ops/case.ts";

testLibrary();

/** Values of an input: bell-shaped around 0 with standard deviation 1 unless the case says otherwise. */
interface Input {
  readonly shape: readonly number[];
  /** All values in ±[low, high]: away from a kink at 0. */
  readonly away?: readonly [low: number, high: number];
  /** All values in [low, high]. */
  readonly within?: readonly [low: number, high: number];
}

interface Case {
  readonly inputs: readonly Input[];
  readonly f: (...x: Tensor[]) => Tensor | readonly Tensor[];
  /** Step of the differences; smaller where a second derivative jumps (relu²), whose error falls with h² alone. */
  readonly h?: number;
}

const ids = (values: number[], shape: number[]) => Tensor.from(Int32Array.from(values), shape);
const tables = (t: number, d: number) => ropeTables(t, d, 100);
const size = (...shape: number[]): Input => ({ shape });

/** At least one case for every op on the tape; an op without one does not compile. */
const cases: { readonly [K in OpName]: { readonly [name: string]: Case } } = {
  linear: {
    "x and weight": { inputs: [size(2, 3, 5), size(4, 5)], f: (x, w) => ops.linear(x, w) },
    "bias and residual": {
      inputs: [size(3, 5), size(4, 5), size(4), size(3, 4)],
      f: (x, w, bias, residual) => ops.linear(x, w, { bias, residual }),
    },
    "split into heads": { inputs: [size(2, 3, 5), size(6, 5)], f: (x, w) => ops.linear(x, w, { heads: 2 }) },
    "one x for two": { inputs: [size(3, 5), size(5, 5)], f: (x, w) => ops.linear(x, w, { residual: x }) },
  },
  reluSquaredMlp: {
    "with residual": {
      inputs: [size(2, 3, 5), size(7, 5), size(5, 7), size(2, 3, 5)],
      f: (x, up, down, residual) => ops.reluSquaredMlp(x, up, down, residual),
      h: 0.005,
    },
    "without": { inputs: [size(3, 5), size(7, 5), size(4, 7)], f: (x, u, d) => ops.reluSquaredMlp(x, u, d), h: 0.005 },
  },
  matmul: {
    "plain": { inputs: [size(3, 4), size(4, 5)], f: (a, b) => ops.matmul(a, b) },
    "batched": { inputs: [size(2, 3, 4), size(2, 4, 5)], f: (a, b) => ops.matmul(a, b) },
    "shared b": { inputs: [size(2, 3, 4), size(4, 5)], f: (a, b) => ops.matmul(a, b) },
    "transposed a": { inputs: [size(2, 4, 3), size(2, 4, 5)], f: (a, b) => ops.matmul(a, b, { transposeA: true }) },
    "transposed b": { inputs: [size(2, 3, 4), size(2, 5, 4)], f: (a, b) => ops.matmul(a, b, { transposeB: true }) },
    "transposed both": {
      inputs: [size(2, 4, 3), size(2, 5, 4)],
      f: (a, b) => ops.matmul(a, b, { transposeA: true, transposeB: true }),
    },
    "with itself": { inputs: [size(2, 3, 3)], f: (a) => ops.matmul(a, a, { transposeB: true }) },
  },
  embedding: {
    "rows used twice, once and never": {
      inputs: [size(4, 3)],
      f: (table) => ops.embedding(table, ids([2, 0, 2], [3])),
    },
  },
  gatedValueEmbedding: {
    "x, table and gate": {
      inputs: [size(2, 2, 2, 3), size(5, 6), size(2, 2, 2)],
      f: (x, table, gate) => ops.gatedValueEmbedding(x, table, ids([1, 4, 1, 0], [2, 2]), gate),
    },
  },
  rmsNorm: {
    "plain": { inputs: [size(3, 7)], f: (x) => ops.rmsNorm(x) },
    "with gain": { inputs: [size(2, 2, 7), size(7)], f: (x, weight) => ops.rmsNorm(x, { weight, eps: 0.1 }) },
    "in a residual stream": { inputs: [size(3, 7)], f: (x) => ops.add(x, ops.rmsNorm(x)) },
  },
  layerNorm: {
    "plain": { inputs: [size(3, 7)], f: (x) => ops.layerNorm(x) },
    "with gain and shift": {
      inputs: [size(2, 2, 7), size(7), size(7)],
      f: (x, weight, bias) => ops.layerNorm(x, { weight, bias }),
    },
  },
  mixRmsNorm: {
    "both outputs": {
      inputs: [size(2, 3, 5), size(2, 3, 5), size(3), size(3)],
      f: (x, x0, a, b) => Object.values(ops.mixRmsNorm(x, x0, a, b, 1)),
    },
    "mixed alone": {
      inputs: [size(3, 5), size(3, 5), size(2), size(2)],
      f: (x, x0, a, b) => ops.mixRmsNorm(x, x0, a, b, 0).mixed,
    },
    "normed alone": {
      // Factors near 0 would make the norm's curvature large beside the step.
      inputs: [size(3, 5), size(3, 5), { shape: [2], within: [0.5, 1] }, { shape: [2], within: [0.5, 1] }],
      f: (x, x0, a, b) => ops.mixRmsNorm(x, x0, a, b, 1).normed,
    },
    "x with itself": {
      inputs: [size(3, 5), { shape: [1], within: [0.5, 1] }, { shape: [1], within: [0.5, 1] }],
      f: (x, a, b) => Object.values(ops.mixRmsNorm(x, x, a, b, 0)),
    },
  },
  rope: {
    "x": { inputs: [size(2, 3, 2, 6)], f: (x) => ops.rope(x, tables(3, 6).cos, tables(3, 6).sin) },
  },
  ropeRmsNorm: {
    "x": { inputs: [size(2, 3, 2, 6)], f: (x) => ops.ropeRmsNorm(x, tables(3, 6).cos, tables(3, 6).sin) },
  },
  attention: {
    "every head its own": { inputs: Array(3).fill(size(2, 5, 2, 4)), f: (q, k, v) => ops.attention(q, k, v) },
    "grouped heads and a window": {
      inputs: [size(1, 7, 4, 8), size(1, 7, 2, 8), size(1, 7, 2, 8)],
      f: (q, k, v) => ops.attention(q, k, v, { window: 2, scale: 0.5 }),
    },
    "one tensor for all three": { inputs: [size(1, 4, 2, 4)], f: (x) => ops.attention(x, x, x) },
  },
  rotaryAttention: {
    "all inputs": {
      inputs: [size(2, 5, 6), size(8, 6), size(4, 6), size(2, 5, 1, 4)],
      f: (h, query, key, v) => ops.rotaryAttention(h, query, key, v, tables(5, 4).cos, tables(5, 4).sin, { window: 3 }),
    },
    "an input that has a gradient already": {
      inputs: [size(1, 4, 6), size(6, 6), size(6, 6)],
      f: (h, query, key) =>
        ops.rotaryAttention(h, query, key, ops.reshape(h, [1, 4, 1, 6]), tables(4, 6).cos, tables(4, 6).sin),
    },
  },
  unary: {
    relu: { inputs: [{ shape: [3, 5], away: [0.2, 2] }], f: ops.relu },
    relu2: { inputs: [{ shape: [3, 5], away: [0.2, 2] }], f: ops.relu2 },
    gelu: { inputs: [size(3, 5)], f: ops.gelu },
    silu: { inputs: [size(3, 5)], f: ops.silu },
    sigmoid: { inputs: [size(3, 5)], f: ops.sigmoid },
    tanh: { inputs: [size(3, 5)], f: ops.tanh },
    softcap: { inputs: [size(3, 5)], f: (x) => ops.softcap(x, 1.5) },
    exp: { inputs: [size(3, 5)], f: ops.exp },
    log: { inputs: [{ shape: [3, 5], within: [1, 3] }], f: ops.log },
    sqrt: { inputs: [{ shape: [3, 5], within: [1, 3] }], f: ops.sqrt },
    square: { inputs: [size(3, 5)], f: ops.square },
    negate: { inputs: [size(3, 5)], f: ops.negate },
  },
  swiglu: { "x": { inputs: [size(2, 3, 8)], f: ops.swiglu } },
  binary: Object.fromEntries(
    (["add", "subtract", "multiply", "divide"] as const).flatMap((name) =>
      ([["full", [2, 3, 4]], ["row", [4]], ["rows", [3, 4]], ["column", [2, 3, 1]], ["scalar", [1]]] as const)
        .map(([shape, b]): [string, Case] => [
          `${name}, ${shape}`,
          { inputs: [size(2, 3, 4), { shape: b, away: [1, 2] }], f: (x, y) => ops[name](x, y) },
        ])
    ).concat([
      ["add, the smaller first", { inputs: [size(4), size(3, 4)], f: (a, b) => ops.add(a, b) }],
      ["add to itself", { inputs: [size(3, 4)], f: (a) => ops.add(a, a) }],
      ["multiply with itself", { inputs: [size(3, 4)], f: (a) => ops.multiply(a, a) }],
    ]),
  ),
  scale: { "x": { inputs: [size(3, 4)], f: (x) => ops.scale(x, -2.5) } },
  sum: {
    "all": { inputs: [size(2, 3, 4)], f: (x) => ops.sum(x) },
    "first axis": { inputs: [size(2, 3, 4)], f: (x) => ops.sum(x, 0) },
    "middle axis": { inputs: [size(2, 3, 4)], f: (x) => ops.sum(x, 1) },
    "last axis": { inputs: [size(2, 3, 4)], f: (x) => ops.sum(x, -1) },
    "mean of all": { inputs: [size(2, 3, 4)], f: (x) => ops.mean(x) },
    "mean of the middle axis": { inputs: [size(2, 3, 4, 2)], f: (x) => ops.mean(x, 1) },
  },
  softmax: { "x": { inputs: [size(3, 5)], f: ops.softmax } },
  transpose: {
    "neighbours": { inputs: [size(2, 3, 4, 2)], f: (x) => ops.transpose(x, 1, 2) },
    "far apart": { inputs: [size(2, 3, 4, 2)], f: (x) => ops.transpose(x, 0, -1) },
    "an axis with itself": { inputs: [size(2, 3)], f: (x) => ops.transpose(x, 1, 1) },
  },
  reshape: { "x": { inputs: [size(2, 3, 4)], f: (x) => ops.reshape(x, [6, -1]) } },
  split: {
    "all parts": { inputs: [size(2, 6, 3)], f: (x) => ops.split(x, [1, 3, 2], 1) },
    "one part unused": { inputs: [size(2, 6)], f: (x) => ops.split(x, [1, 3, 2], 1)[1] },
    "beside another use": { inputs: [size(2, 6)], f: (x) => [ops.square(x), ...ops.split(x, [4, 2], 1)] },
  },
  concat: {
    "parts": { inputs: [size(2, 1, 3), size(2, 4, 3)], f: (a, b) => ops.concat([a, b], 1) },
    "one part twice": { inputs: [size(2, 3)], f: (a) => ops.concat([a, a], 0) },
  },
  slice: {
    "x": { inputs: [size(2, 5, 3)], f: (x) => ops.slice(x, 1, 1, 4) },
    "overlapping": { inputs: [size(5, 3)], f: (x) => [ops.slice(x, 0, 0, 3), ops.slice(x, 0, 2, 5)] },
  },
  dropout: { "x": { inputs: [size(4, 5)], f: (x) => ops.dropout(x, 0.3, [7, 11]) } },
  crossEntropy: {
    "plain": { inputs: [size(4, 6)], f: (x) => ops.crossEntropy(x, ids([5, -1, 0, 2], [4])) },
    "soft cap": {
      inputs: [size(2, 2, 6)],
      f: (x) => ops.crossEntropy(x, ids([5, -1, 0, 2], [2, 2]), { softCap: 2 }),
    },
    "scaled": { inputs: [size(3, 6)], f: (x) => ops.scale(ops.crossEntropy(x, ids([5, 0, 2], [3])), -3) },
  },
  linearCrossEntropy: {
    "plain": {
      inputs: [size(4, 3), size(6, 3)],
      f: (x, w) => ops.linearCrossEntropy(x, w, ids([5, -1, 0, 2], [4])),
    },
    "soft cap and scale": {
      inputs: [size(2, 2, 3), size(6, 3)],
      f: (x, w) => ops.scale(ops.linearCrossEntropy(x, w, ids([5, 1, 0, 2], [2, 2]), { softCap: 2 }), 0.5),
    },
    "a tied table": {
      inputs: [size(6, 3)],
      f: (w) => ops.linearCrossEntropy(ops.rmsNorm(ops.embedding(w, ids([3, 1], [2]))), w, ids([5, 1], [2])),
    },
  },
};

function values(input: Input, random: Random): Float32Array<ArrayBuffer> {
  const n = product(input.shape);
  if (input.within) return random.uniform(n, ...input.within);
  if (input.away) return random.uniform(n, ...input.away).map((x) => random.next() < 0.5 ? -x : x);
  return random.normal(n);
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};
const list = (y: Tensor | readonly Tensor[]): readonly Tensor[] => y instanceof Tensor ? [y] : y;
const leaf = (data: Float32Array, shape: readonly number[]) => {
  const x = Tensor.from(data, shape);
  x.requiresGrad = true;
  return x;
};

/** Values of f's outputs and the gradients of ⟨c, f⟩ for cotangents c, one an output. */
function gradientsOf(
  f: Case["f"],
  inputs: readonly Input[],
  data: readonly Float32Array[],
  random: Random,
): { outputs: ArrayLike<number>[]; cotangents: Float32Array[]; grads: (ArrayLike<number> | null)[] } {
  return scope(() => {
    const x = inputs.map(({ shape }, i) => leaf(data[i], shape));
    const y = list(f(...x));
    const outputs = y.map((tensor) => tensor.data());
    const cotangents = y.map((tensor) => random.normal(tensor.size));
    const terms = y.map((tensor, i) => ops.sum(ops.multiply(tensor, Tensor.from(cotangents[i], tensor.shape))));
    backward(terms.reduce((a, b) => ops.add(a, b)));
    return { outputs, cotangents, grads: x.map((tensor) => tensor.grad?.data() ?? null) };
  });
}

for (const [op, rows] of Object.entries(cases)) {
  for (const [name, { inputs, f, h = 0.03 }] of Object.entries(rows)) {
    Deno.test(`the gradient of ${op} (${name}) is that of its values`, () => {
      const random = new Random(17);
      const data = inputs.map((input) => values(input, random));
      const { cotangents, grads } = gradientsOf(f, inputs, data, random);
      const at = (input: number, direction: Float32Array, step: number) =>
        scope(() => {
          const x = inputs.map(({ shape }, i) =>
            Tensor.from(i === input ? data[i].map((value, j) => value + step * direction[j]) : data[i], shape)
          );
          return list(f(...x)).reduce((sum, y, i) => sum + dot(y.data(), cotangents[i]), 0);
        });
      for (const [i, { shape }] of inputs.entries()) {
        const grad = grads[i];
        assert(grad, `input ${i} has no gradient`);
        for (let repeat = 0; repeat < 3; repeat++) {
          const v = random.uniform(product(shape), -1, 1).map(Math.sign);
          const difference = (at(i, v, -2 * h) - 8 * at(i, v, -h) + 8 * at(i, v, h) - at(i, v, 2 * h)) / (12 * h);
          // Rounding of the values costs about 2⁻²⁴·√terms/h, the formula h⁴ times a fifth derivative: both stay below
          // 1e-3 of the gradient's norm, which is the size of ⟨grad, v⟩ for signs v.
          const tolerance = 2e-3 * Math.sqrt(dot(grad, grad)) + 1e-5;
          const error = Math.abs(difference - dot(grad, v));
          assert(error <= tolerance, `input ${i}: ⟨grad, v⟩ ${dot(grad, v)}, differences give ${difference}`);
        }
      }
    });
  }
}

/** Fused ops and what they stand for. Inputs are the same, outputs and gradients must agree. */
const compositions: Record<string, { inputs: readonly Input[]; fused: Case["f"]; composed: Case["f"] }> = {
  reluSquaredMlp: {
    inputs: [size(6, 8), size(20, 8), size(8, 20), size(6, 8)],
    fused: (x, up, down, residual) => ops.reluSquaredMlp(x, up, down, residual),
    composed: (x, up, down, residual) => ops.add(residual, ops.linear(ops.square(ops.relu(ops.linear(x, up))), down)),
  },
  "linear with bias and residual": {
    inputs: [size(6, 8), size(5, 8), size(5), size(6, 5)],
    fused: (x, w, bias, residual) => ops.linear(x, w, { bias, residual }),
    composed: (x, w, bias, residual) => ops.add(ops.add(ops.matmul(x, ops.transpose(w, 0, 1)), bias), residual),
  },
  gatedValueEmbedding: {
    inputs: [size(2, 3, 2, 4), size(5, 8), size(2, 3, 2)],
    fused: (x, table, gate) => ops.gatedValueEmbedding(x, table, ids([0, 1, 4, 4, 2, 0], [2, 3]), gate),
    composed: (x, table, gate) => {
      const rows = ops.reshape(ops.embedding(table, ids([0, 1, 4, 4, 2, 0], [2, 3])), [2, 3, 2, 4]);
      return ops.add(x, ops.multiply(rows, ops.reshape(ops.scale(ops.sigmoid(gate), 2), [2, 3, 2, 1])));
    },
  },
  rmsNorm: {
    inputs: [size(5, 9), size(9)],
    fused: (x, weight) => ops.rmsNorm(x, { weight, eps: 0.01 }),
    composed: (x, weight) => {
      const meanSquare = ops.add(ops.mean(ops.square(x), 1), Tensor.zeros([1]).fill(0.01));
      return ops.multiply(ops.divide(x, ops.reshape(ops.sqrt(meanSquare), [5, 1])), weight);
    },
  },
  layerNorm: {
    inputs: [size(5, 9), size(9), size(9)],
    fused: (x, weight, bias) => ops.layerNorm(x, { weight, bias }),
    composed: (x, weight, bias) => {
      const centred = ops.subtract(x, ops.reshape(ops.mean(x, 1), [5, 1]));
      const variance = ops.add(ops.mean(ops.square(centred), 1), Tensor.zeros([1]).fill(1e-5));
      const normed = ops.divide(centred, ops.reshape(ops.sqrt(variance), [5, 1]));
      return ops.add(ops.multiply(normed, weight), bias);
    },
  },
  mixRmsNorm: {
    inputs: [size(4, 6), size(4, 6), size(3), size(3)],
    fused: (x, x0, a, b) => Object.values(ops.mixRmsNorm(x, x0, a, b, 2)),
    composed: (x, x0, a, b) => {
      const mixed = ops.add(ops.multiply(x, ops.slice(a, 0, 2, 3)), ops.multiply(x0, ops.slice(b, 0, 2, 3)));
      return [mixed, ops.rmsNorm(mixed)];
    },
  },
  rope: {
    inputs: [size(2, 3, 2, 6)],
    fused: (x) => ops.rope(x, tables(3, 6).cos, tables(3, 6).sin),
    composed: (x) => {
      const [p, q] = ops.split(ops.transpose(x, 1, 2), [3, 3], 3);
      const { cos, sin } = tables(3, 6);
      const first = ops.add(ops.multiply(p, cos), ops.multiply(q, sin));
      const second = ops.subtract(ops.multiply(q, cos), ops.multiply(p, sin));
      return ops.transpose(ops.concat([first, second], 3), 1, 2);
    },
  },
  ropeRmsNorm: {
    inputs: [size(2, 3, 2, 6)],
    fused: (x) => ops.ropeRmsNorm(x, tables(3, 6).cos, tables(3, 6).sin),
    composed: (x) => ops.rmsNorm(ops.rope(x, tables(3, 6).cos, tables(3, 6).sin)),
  },
  rotaryAttention: {
    inputs: [size(2, 5, 6), size(8, 6), size(4, 6), size(2, 5, 1, 4)],
    fused: (h, query, key, v) =>
      ops.rotaryAttention(h, query, key, v, tables(5, 4).cos, tables(5, 4).sin, { window: 3, scale: 0.4 }),
    composed: (h, query, key, v) => {
      const { cos, sin } = tables(5, 4);
      const q = ops.ropeRmsNorm(ops.linear(h, query, { heads: 2 }), cos, sin);
      const k = ops.ropeRmsNorm(ops.linear(h, key, { heads: 1 }), cos, sin);
      return ops.attention(q, k, v, { window: 3, scale: 0.4 });
    },
  },
  attention: {
    inputs: [size(2, 5, 4, 6), size(2, 5, 2, 6), size(2, 5, 2, 6)],
    fused: (q, k, v) => ops.attention(q, k, v, { window: 3 }),
    composed: (q, k, v) => {
      // [B, T, G, D] → [B, H, T, D], each key/value head twice
      const spread = (x: Tensor) => {
        const heads = ops.split(ops.transpose(x, 1, 2), [1, 1], 1);
        return ops.concat([heads[0], heads[0], heads[1], heads[1]], 1);
      };
      const scores = ops.matmul(ops.transpose(q, 1, 2), spread(k), { transposeB: true });
      const mask = Float32Array.from({ length: 25 }, (_, i) => {
        const back = Math.floor(i / 5) - i % 5;
        return back >= 0 && back <= 3 ? 0 : -1e9;
      });
      const masked = ops.add(ops.scale(scores, 1 / Math.sqrt(6)), Tensor.from(mask, [5, 5]));
      return ops.transpose(ops.matmul(ops.softmax(masked), spread(v)), 1, 2);
    },
  },
  swiglu: {
    inputs: [size(3, 8)],
    fused: ops.swiglu,
    composed: (x) => {
      const [a, b] = ops.split(x, [4, 4], 1);
      return ops.multiply(ops.multiply(a, ops.sigmoid(a)), b);
    },
  },
  softcap: {
    inputs: [size(3, 8)],
    fused: (x) => ops.softcap(x, 3),
    composed: (x) => ops.scale(ops.tanh(ops.scale(x, 1 / 3)), 3),
  },
  crossEntropy: {
    inputs: [size(3, 5)],
    fused: (x) => ops.crossEntropy(x, ids([4, -1, 1], [3]), { softCap: 4 }),
    composed: (x) => {
      const hot = Tensor.from(Float32Array.from([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]), [3, 5]);
      return ops.scale(ops.sum(ops.multiply(ops.log(ops.softmax(ops.softcap(x, 4))), hot)), -0.5);
    },
  },
  linearCrossEntropy: {
    inputs: [size(3, 6), size(5, 6)],
    fused: (x, w) => ops.linearCrossEntropy(x, w, ids([4, -1, 1], [3]), { softCap: 4 }),
    composed: (x, w) => ops.crossEntropy(ops.softcap(ops.linear(x, w), 4), ids([4, -1, 1], [3])),
  },
};

for (const [name, { inputs, fused, composed }] of Object.entries(compositions)) {
  Deno.test(`${name} is what its parts compose to, gradients too`, () => {
    const random = new Random(23);
    const data = inputs.map((input) => values(input, random));
    const a = gradientsOf(fused, inputs, data, new Random(29));
    const b = gradientsOf(composed, inputs, data, new Random(29));
    const pairs = [...a.outputs.map((y, i) => [y, b.outputs[i]]), ...a.grads.map((g, i) => [g!, b.grads[i]!])];
    for (const [i, [left, right]] of pairs.entries()) {
      const difference = Array.from(left, (value, j) => value - right[j]);
      // Some ten roundings in sums of some twenty terms, in another order.
      const tolerance = 1e-5 * Math.sqrt(dot(right, right)) + 1e-6;
      assert(Math.sqrt(dot(difference, difference)) <= tolerance, `tensor ${i} differs`);
    }
  });
}
