/**
 * The float64 references judge the kernels, so their gradients are held to differences of their own forward functions:
 * a formula that is wrong in both a kernel and its reference would otherwise pass.
 */
import { enums } from "../cuda/symbols.gen.ts";
import { angles, Random } from "./ops/case.ts";
import * as reference from "./ops/reference.ts";
import * as training from "./ops/reference_training.ts";

type Arrays = Float64Array[];

/** A differentiable function of several arrays and the gradient its reference gives. */
interface Pair {
  readonly inputs: Arrays;
  forward(inputs: Arrays): Float64Array;
  gradient(dy: Float64Array, inputs: Arrays): Arrays;
}

const random = new Random(4000);
const numbers = (n: number): Float64Array => Float64Array.from(random.normal(n));
const ids = Int32Array.of(2, 0, 2, 1);
const rotary = angles(4, 6);
const shape = { b: 2, t: 4, h: 3, g: 2, d: 3, window: 2, scale: 0.6 };
const eps = 1e-3;
const scaled = (x: Float64Array, factor: number): Float64Array => x.map((value) => value * factor);

const pairs: Record<string, Pair> = {
  swiglu: {
    inputs: [numbers(30)],
    forward: ([x]) => reference.swiglu(x, 3, 5),
    gradient: (dy, [x]) => [reference.swigluGradient(dy, x, 3, 5)],
  },
  softmax: {
    inputs: [numbers(12)],
    forward: ([x]) => reference.softmax(x, 3, 4),
    gradient: (dy, [x]) => [reference.softmaxGradient(dy, reference.softmax(x, 3, 4), 3, 4)],
  },
  "rms norm": {
    inputs: [numbers(12), numbers(4)],
    forward: ([x, weight]) => reference.rmsNorm(x, weight, 3, 4, eps)[0],
    gradient: (dy, [x, weight]) => reference.rmsNormGradient(dy, x, weight, null, 3, 4, eps),
  },
  "layer norm": {
    inputs: [numbers(12), numbers(4), numbers(4)],
    forward: ([x, weight, bias]) => reference.layerNorm(x, weight, bias, 3, 4, eps)[0],
    gradient: (dy, [x, weight]) => reference.layerNormGradient(dy, x, weight, 3, 4, eps),
  },
  "mix and norm": {
    inputs: [numbers(12), numbers(12), numbers(1), numbers(1)],
    forward: ([x, x0, a, b]) => {
      const [mixed, y] = reference.mixRmsNorm(x, x0, a[0], b[0], 3, 4, eps);
      return Float64Array.of(...y, ...mixed);
    },
    gradient: (dy, [x, x0, a, b]) => {
      const [dx, dx0, da, db] = reference.mixRmsNormGradient(dy, dy.subarray(12), x, x0, a[0], b[0], 3, 4, eps);
      return [dx, dx0, Float64Array.of(da), Float64Array.of(db)];
    },
  },
  rope: {
    inputs: [numbers(2 * 4 * 2 * 6)],
    forward: ([x]) => reference.rope(x, rotary.cos, rotary.sin, [2, 4, 2, 6], false),
    gradient: (dy) => [reference.rope(dy, rotary.cos, rotary.sin, [2, 4, 2, 6], true)],
  },
  "rope and norm": {
    inputs: [numbers(2 * 4 * 2 * 6)],
    forward: ([x]) => reference.ropeRmsNorm(x, rotary.cos, rotary.sin, [2, 4, 2, 6], eps)[0],
    gradient: (dy, [x]) => [reference.ropeRmsNormGradient(dy, x, rotary.cos, rotary.sin, [2, 4, 2, 6], eps)],
  },
  embedding: {
    inputs: [numbers(9)],
    forward: ([table]) => reference.embedding(table, ids, 3),
    gradient: (dy) => [reference.embeddingGradient(new Float64Array(9), dy, ids, 3)],
  },
  "gated embedding": {
    inputs: [numbers(8), numbers(3 * 6)],
    forward: ([gate, table]) => reference.gatedEmbedding(new Float64Array(4 * 6), table, ids, gate, 2, 3),
    gradient: (dy, [gate, table]) => reference.gatedEmbeddingGradient(new Float64Array(18), dy, table, ids, gate, 2, 3),
  },
  "attention": {
    inputs: [numbers(72), numbers(48), numbers(48)],
    forward: ([q, k, v]) => training.attention(q, k, v, shape)[0],
    gradient: (dy, [q, k, v]) => training.attentionGradient(dy, q, k, v, shape),
  },
  "cross entropy": {
    inputs: [numbers(20)],
    forward: ([logits]) => training.crossEntropy(scaled(logits, 3), [1, -1, 4, 0], 4, 5, 2)[0].subarray(0, 1),
    gradient: (dy, [logits]) => [
      scaled(training.crossEntropyGradient(dy[0], scaled(logits, 3), [1, -1, 4, 0], 4, 5, 2), 3),
    ],
  },
  "output layer and cross entropy": {
    inputs: [numbers(12), numbers(15)],
    forward: ([x, w]) => training.linearCrossEntropy(x, w, [1, -1, 4, 0], 4, 3, 5, 2)[0].subarray(0, 1),
    gradient: (dy, [x, w]) => {
      const [, , dx, dw] = training.linearCrossEntropy(x, w, [1, -1, 4, 0], 4, 3, 5, 2);
      return [scaled(dx, dy[0]), scaled(dw, dy[0])];
    },
  },
};
for (const kind of ["RS_ADD", "RS_SUBTRACT", "RS_MULTIPLY", "RS_DIVIDE"] as const) {
  for (const shapeName of ["RS_FULL", "RS_ROW", "RS_COLUMN", "RS_SCALAR"] as const) {
    const [op, broadcast] = [enums[kind], enums[shapeName]];
    pairs[`${kind} ${shapeName}`] = {
      inputs: [numbers(12), numbers([12, 4, 3, 1][broadcast]).map((value) => value + Math.sign(value))],
      forward: ([a, b]) => reference.binary(a, b, op, broadcast, 3, 4),
      gradient: (dy, [a, b]) => reference.binaryGradient(dy, a, b, op, broadcast, 3, 4),
    };
  }
}
for (const axis of [0, 1, 2]) {
  pairs[`sum over axis ${axis}`] = {
    inputs: [numbers(12)],
    forward: ([x]) => reference.sum(x, 3, 4, axis, 0.7),
    gradient: (dy) => [reference.sumGradient(dy, 3, 4, axis, 0.7)],
  };
}
for (let kind: number = enums.RS_RELU; kind <= enums.RS_NEGATE; kind++) {
  const positive = kind === enums.RS_LOG || kind === enums.RS_SQRT;
  pairs[`unary ${kind}`] = {
    inputs: [numbers(12).map((x) => positive ? 0.5 + x * x : x)],
    forward: ([x]) => x.map((value) => reference.unaryAt(kind, value, 2)),
    gradient: (dy, [x]) => [x.map((value, i) => dy[i] * reference.unarySlope(kind, value, 2))],
  };
}

/** ⟨a, b⟩. */
const inner = (a: Float64Array, b: Float64Array): number => a.reduce((sum, value, i) => sum + value * b[i], 0);

for (const [name, { inputs, forward, gradient }] of Object.entries(pairs)) {
  Deno.test(`reference of ${name}: the gradient is the slope of the forward function`, () => {
    // A central difference is off by h² times the third derivative, and by 1e-16/h from rounding.
    const h = 1e-5, tolerance = 1e-8;
    const dy = numbers(forward(inputs).length), slopes = gradient(dy, inputs);
    inputs.forEach((input, index) => {
      const direction = numbers(input.length);
      const moved = (step: number): Float64Array =>
        forward(inputs.map((x, i) => i === index ? x.map((value, j) => value + step * direction[j]) : x));
      const difference = (inner(dy, moved(h)) - inner(dy, moved(-h))) / (2 * h);
      const expected = inner(slopes[index], direction);
      if (!(Math.abs(difference - expected) <= tolerance * (1 + Math.abs(expected)))) {
        throw new Error(`input ${index}: slope ${difference}, gradient ${expected}`);
      }
    });
  });
}
