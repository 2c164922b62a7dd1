/**
 * What the ops on elements, rows and products must compute, in float64 and in the plainest way. Shapes and formulas are
 * those of cuda/kernels.h; attention, losses and optimizers are in reference_training.ts. Long, since it holds one short
 * function after another for every op of that header section, with nothing between them to split at.
 * @module
 */
import { enums } from "../../cuda/symbols.gen.ts";

/** A tensor's elements, in order. */
export type Numbers = ArrayLike<number>;

/** An array of n numbers made by f. */
export function make(n: number, f: (index: number) => number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => f(i));
}

const dot = (n: number, f: (index: number) => number): number => {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += f(i);
  return sum;
};
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

// ---- elements ----

/** f(x) of one number. */
export function unaryAt(kind: number, x: number, p: number): number {
  switch (kind) {
    case enums.RS_RELU:
      return x < 0 ? 0 : x;
    case enums.RS_RELU2:
      return x < 0 ? 0 : x * x;
    case enums.RS_GELU:
      return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case enums.RS_SILU:
      return x * sigmoid(x);
    case enums.RS_SIGMOID:
      return sigmoid(x);
    case enums.RS_TANH:
      return Math.tanh(x);
    case enums.RS_SOFTCAP:
      return p * Math.tanh(x / p);
    case enums.RS_EXP:
      return Math.exp(x);
    case enums.RS_LOG:
      return Math.log(x);
    case enums.RS_SQRT:
      return Math.sqrt(x);
    case enums.RS_SQUARE:
      return x * x;
    default:
      return -x;
  }
}

/** f'(x) of one number, by hand (the tests compare it with differences of {@linkcode unaryAt}). */
export function unarySlope(kind: number, x: number, p: number): number {
  const s = sigmoid(x);
  switch (kind) {
    case enums.RS_RELU:
      return x <= 0 ? 0 : 1;
    case enums.RS_RELU2:
      return x <= 0 ? 0 : 2 * x;
    case enums.RS_GELU: {
      const t = Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
    }
    case enums.RS_SILU:
      return s + x * s * (1 - s);
    case enums.RS_SIGMOID:
      return s * (1 - s);
    case enums.RS_TANH:
      return 1 - Math.tanh(x) ** 2;
    case enums.RS_SOFTCAP:
      return 1 - Math.tanh(x / p) ** 2;
    case enums.RS_EXP:
      return Math.exp(x);
    case enums.RS_LOG:
      return 1 / x;
    case enums.RS_SQRT:
      return 0.5 / Math.sqrt(x);
    case enums.RS_SQUARE:
      return 2 * x;
    default:
      return -1;
  }
}

const binaryAt = (kind: number, a: number, b: number): number => [a + b, a - b, a * b, a / b][kind];
/** Which element of b meets element (row, column). */
const operand = (shape: number, row: number, column: number, c: number): number =>
  [row * c + column, column, row, 0][shape];

/** y = a ∘ b. */
export function binary(a: Numbers, b: Numbers, kind: number, shape: number, n: number, c: number): Float64Array {
  return make(n * c, (i) => binaryAt(kind, a[i], b[operand(shape, Math.floor(i / c), i % c, c)]));
}

/** [da, db] of dy. */
export function binaryGradient(
  dy: Numbers,
  a: Numbers,
  b: Numbers,
  kind: number,
  shape: number,
  n: number,
  c: number,
): [Float64Array, Float64Array] {
  const da = new Float64Array(n * c), db = new Float64Array(b.length);
  for (let i = 0; i < n * c; i++) {
    const j = operand(shape, Math.floor(i / c), i % c, c);
    da[i] = dy[i] * [1, 1, b[j], 1 / b[j]][kind];
    db[j] += dy[i] * [1, -1, a[i], -a[i] / b[j] ** 2][kind];
  }
  return [da, db];
}

/** silu(a)·b for rows [a | b]. */
export function swiglu(x: Numbers, n: number, c: number): Float64Array {
  return make(n * c, (i) => {
    const at = Math.floor(i / c) * 2 * c + i % c;
    return x[at] * sigmoid(x[at]) * x[at + c];
  });
}

/** dx of {@linkcode swiglu}. */
export function swigluGradient(dy: Numbers, x: Numbers, n: number, c: number): Float64Array {
  const dx = new Float64Array(2 * n * c);
  for (let i = 0; i < n * c; i++) {
    const at = Math.floor(i / c) * 2 * c + i % c;
    dx[at] = dy[i] * x[at + c] * unarySlope(enums.RS_SILU, x[at], 0);
    dx[at + c] = dy[i] * x[at] * sigmoid(x[at]);
  }
  return dx;
}

// ---- generator ----

/** Word i of the stream of a seed: Philox4x32-10 with counter ⌊i/4⌋, word i mod 4. */
export function philoxWord(i: number, seedLow: number, seedHigh: number): number {
  const mask = 0xffffffffn;
  const block = BigInt(Math.floor(i / 4));
  let [a, b, c, d] = [block & mask, block >> 32n, 0n, 0n];
  let [low, high] = [BigInt(seedLow), BigInt(seedHigh)];
  for (let round = 0; round < 10; round++) {
    const p = 0xD2511F53n * a, q = 0xCD9E8D57n * c;
    [a, b, c, d] = [(q >> 32n) ^ b ^ low, q & mask, (p >> 32n) ^ d ^ high, p & mask];
    low = (low + 0x9E3779B9n) & mask;
    high = (high + 0xBB67AE85n) & mask;
  }
  return Number([a, b, c, d][i % 4]);
}

/** Element i of rs_random_uniform(0, 1). */
export function uniformAt(i: number, seedLow: number, seedHigh: number): number {
  return Math.floor(philoxWord(i, seedLow, seedHigh) / 256) * 2 ** -24;
}

/** Element i of rs_random_normal(0, 1): Box-Muller over pairs of words. */
export function normalAt(i: number, seedLow: number, seedHigh: number): number {
  const first = philoxWord(i - i % 2, seedLow, seedHigh), second = philoxWord(i - i % 2 + 1, seedLow, seedHigh);
  const radius = Math.sqrt(-2 * Math.log((first + 0.5) * 2 ** -32)), angle = 2 * Math.PI * second * 2 ** -32;
  return radius * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
}

/** Inverted dropout; element i survives where its uniform number reaches `rate`. */
export function dropout(x: Numbers, rate: number, seedLow: number, seedHigh: number): Float64Array {
  return make(x.length, (i) => uniformAt(i, seedLow, seedHigh) >= Math.fround(rate) ? x[i] / (1 - rate) : 0);
}

// ---- rows ----

/** Scaled sums over rows (axis 0), columns (1) or everything (2). */
export function sum(x: Numbers, n: number, c: number, axis: number, scale: number): Float64Array {
  const y = new Float64Array([c, n, 1][axis]);
  for (let i = 0; i < n * c; i++) y[[i % c, Math.floor(i / c), 0][axis]] += scale * x[i];
  return y;
}

/** dx of {@linkcode sum}. */
export function sumGradient(dy: Numbers, n: number, c: number, axis: number, scale: number): Float64Array {
  return make(n * c, (i) => scale * dy[[i % c, Math.floor(i / c), 0][axis]]);
}

/** Softmax of each row. */
export function softmax(x: Numbers, n: number, c: number): Float64Array {
  const y = new Float64Array(n * c);
  for (let row = 0; row < n; row++) {
    let top = -Infinity;
    for (let j = 0; j < c; j++) top = Math.max(top, x[row * c + j]);
    const total = dot(c, (j) => Math.exp(x[row * c + j] - top));
    for (let j = 0; j < c; j++) y[row * c + j] = Math.exp(x[row * c + j] - top) / total;
  }
  return y;
}

/** dx of {@linkcode softmax} from its result. */
export function softmaxGradient(dy: Numbers, y: Numbers, n: number, c: number): Float64Array {
  const dx = new Float64Array(n * c);
  for (let at = 0; at < n * c; at += c) {
    const along = dot(c, (j) => dy[at + j] * y[at + j]);
    for (let j = 0; j < c; j++) dx[at + j] = y[at + j] * (dy[at + j] - along);
  }
  return dx;
}

/** [y, rstd]; weight may be null. */
export function rmsNorm(
  x: Numbers,
  weight: Numbers | null,
  n: number,
  c: number,
  eps: number,
): [Float64Array, Float64Array] {
  const rstd = make(n, (row) => 1 / Math.sqrt(dot(c, (j) => x[row * c + j] ** 2) / c + eps));
  return [make(n * c, (i) => x[i] * rstd[Math.floor(i / c)] * (weight ? weight[i % c] : 1)), rstd];
}

/** [dx, dweight] of {@linkcode rmsNorm}; residual may be null. */
export function rmsNormGradient(
  dy: Numbers,
  x: Numbers,
  weight: Numbers | null,
  residual: Numbers | null,
  n: number,
  c: number,
  eps: number,
): [Float64Array, Float64Array] {
  const [, rstd] = rmsNorm(x, null, n, c, eps);
  const dx = new Float64Array(n * c), dweight = new Float64Array(c);
  for (let row = 0; row < n; row++) {
    const unit = (j: number): number => x[row * c + j] * rstd[row];
    const grad = (j: number): number => dy[row * c + j] * (weight ? weight[j] : 1);
    const along = dot(c, (j) => grad(j) * unit(j)) / c;
    for (let j = 0; j < c; j++) {
      dx[row * c + j] = (residual ? residual[row * c + j] : 0) + rstd[row] * (grad(j) - unit(j) * along);
      dweight[j] += dy[row * c + j] * unit(j);
    }
  }
  return [dx, dweight];
}

/** [y, mean, rstd]; weight and bias may be null. */
export function layerNorm(
  x: Numbers,
  weight: Numbers | null,
  bias: Numbers | null,
  n: number,
  c: number,
  eps: number,
): [Float64Array, Float64Array, Float64Array] {
  const mean = make(n, (row) => dot(c, (j) => x[row * c + j]) / c);
  const rstd = make(n, (row) => 1 / Math.sqrt(dot(c, (j) => (x[row * c + j] - mean[row]) ** 2) / c + eps));
  const y = make(n * c, (i) => {
    const row = Math.floor(i / c), unit = (x[i] - mean[row]) * rstd[row];
    return unit * (weight ? weight[i % c] : 1) + (bias ? bias[i % c] : 0);
  });
  return [y, mean, rstd];
}

/** [dx, dweight, dbias] of {@linkcode layerNorm}. */
export function layerNormGradient(
  dy: Numbers,
  x: Numbers,
  weight: Numbers | null,
  n: number,
  c: number,
  eps: number,
): [Float64Array, Float64Array, Float64Array] {
  const [, mean, rstd] = layerNorm(x, null, null, n, c, eps);
  const dx = new Float64Array(n * c), dweight = new Float64Array(c), dbias = new Float64Array(c);
  for (let row = 0; row < n; row++) {
    const unit = (j: number): number => (x[row * c + j] - mean[row]) * rstd[row];
    const grad = (j: number): number => dy[row * c + j] * (weight ? weight[j] : 1);
    const level = dot(c, grad) / c, along = dot(c, (j) => grad(j) * unit(j)) / c;
    for (let j = 0; j < c; j++) {
      dx[row * c + j] = rstd[row] * (grad(j) - level - unit(j) * along);
      dweight[j] += dy[row * c + j] * unit(j);
      dbias[j] += dy[row * c + j];
    }
  }
  return [dx, dweight, dbias];
}

/** [mixed, y, rstd] of a·x + b·x0 and its norm. */
export function mixRmsNorm(
  x: Numbers,
  x0: Numbers,
  a: number,
  b: number,
  n: number,
  c: number,
  eps: number,
): [Float64Array, Float64Array, Float64Array] {
  const mixed = make(n * c, (i) => a * x[i] + b * x0[i]);
  return [mixed, ...rmsNorm(mixed, null, n, c, eps)];
}

/** [dx, dx0, da, db] of {@linkcode mixRmsNorm}, each without what it is added to. */
export function mixRmsNormGradient(
  dy: Numbers,
  dmixed: Numbers | null,
  x: Numbers,
  x0: Numbers,
  a: number,
  b: number,
  n: number,
  c: number,
  eps: number,
): [Float64Array, Float64Array, number, number] {
  const [mixed] = mixRmsNorm(x, x0, a, b, n, c, eps);
  const [grad] = rmsNormGradient(dy, mixed, null, dmixed, n, c, eps);
  return [
    grad.map((g) => a * g),
    grad.map((g) => b * g),
    dot(n * c, (i) => grad[i] * x[i]),
    dot(n * c, (i) => grad[i] * x0[i]),
  ];
}

/** Rotary positions on x[B,T,H,D] by halves. */
export function rope(
  x: Numbers,
  cos: Numbers,
  sin: Numbers,
  [b, t, h, d]: readonly number[],
  inverse: boolean,
): Float64Array {
  const half = d / 2, sign = inverse ? -1 : 1;
  return make(b * t * h * d, (i) => {
    const j = i % d, angle = Math.floor(i / (h * d)) % t * half + j % half;
    return j < half
      ? x[i] * cos[angle] + x[i + half] * sin[angle] * sign
      : x[i] * cos[angle] - x[i - half] * sin[angle] * sign;
  });
}

/** [y, rstd] of RoPE followed by the norm over D. */
export function ropeRmsNorm(
  x: Numbers,
  cos: Numbers,
  sin: Numbers,
  shape: readonly number[],
  eps: number,
): [Float64Array, Float64Array] {
  const [b, t, h, d] = shape;
  return rmsNorm(rope(x, cos, sin, shape, false), null, b * t * h, d, eps);
}

/** dx of {@linkcode ropeRmsNorm}. */
export function ropeRmsNormGradient(
  dy: Numbers,
  x: Numbers,
  cos: Numbers,
  sin: Numbers,
  shape: readonly number[],
  eps: number,
): Float64Array {
  const [b, t, h, d] = shape;
  const [rotated] = rmsNormGradient(dy, rope(x, cos, sin, shape, false), null, null, b * t * h, d, eps);
  return rope(rotated, cos, sin, shape, true);
}

// ---- products and tables ----

/** The sizes and layout of a product. */
export interface Product {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly batchB?: boolean;
  readonly epilogue?: number;
}

/** c = epilogue(op(a)·op(b)); aux may be null. */
export function matmul(a: Numbers, b: Numbers, aux: Numbers | null, p: Product): Float64Array {
  const { m, n, k } = p;
  return make(p.batch * m * n, (index) => {
    const batch = Math.floor(index / (m * n)), i = Math.floor(index / n) % m, j = index % n;
    const atA = batch * m * k, atB = p.batchB ? batch * k * n : 0;
    const value = dot(
      k,
      (l) => a[atA + (p.transA ? l * m + i : i * k + l)] * b[atB + (p.transB ? j * k + l : l * n + j)],
    );
    switch (p.epilogue) {
      case enums.RS_EPILOGUE_RELU2:
        return Math.max(value, 0) ** 2;
      case enums.RS_EPILOGUE_RELU2_BACKWARD:
        return value * 2 * Math.sqrt(aux![index]);
      case enums.RS_EPILOGUE_ADD_AUX:
        return value + aux![index];
      default:
        return value;
    }
  });
}

/** Rows of a table. */
export function embedding(table: Numbers, ids: Numbers, c: number): Float64Array {
  return make(ids.length * c, (i) => table[ids[Math.floor(i / c)] * c + i % c]);
}

/** dtable before plus the rows of dy. */
export function embeddingGradient(before: Numbers, dy: Numbers, ids: Numbers, c: number): Float64Array {
  const dtable = Float64Array.from(before);
  for (let i = 0; i < ids.length * c; i++) dtable[ids[Math.floor(i / c)] * c + i % c] += dy[i];
  return dtable;
}

/** x + 2·sigmoid(gate)·table[id] for x[N,G,D]. */
export function gatedEmbedding(
  x: Numbers,
  table: Numbers,
  ids: Numbers,
  gate: Numbers,
  g: number,
  d: number,
): Float64Array {
  return make(x.length, (i) => {
    const row = Math.floor(i / (g * d));
    return x[i] + 2 * sigmoid(gate[Math.floor(i / d)]) * table[ids[row] * g * d + i % (g * d)];
  });
}

/** [dgate, dtable before plus its gradient]. */
export function gatedEmbeddingGradient(
  before: Numbers,
  dy: Numbers,
  table: Numbers,
  ids: Numbers,
  gate: Numbers,
  g: number,
  d: number,
): [Float64Array, Float64Array] {
  const dgate = new Float64Array(gate.length), dtable = Float64Array.from(before);
  for (let i = 0; i < dy.length; i++) {
    const at = Math.floor(i / d), entry = ids[Math.floor(i / (g * d))] * g * d + i % (g * d);
    const s = sigmoid(gate[at]);
    dgate[at] += dy[i] * table[entry] * 2 * s * (1 - s);
    dtable[entry] += dy[i] * 2 * s;
  }
  return [dgate, dtable];
}
