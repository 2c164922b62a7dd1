/**
 * What attention, the losses, the optimizers and the scoring must compute, in float64 and in the plainest way; the rest
 * is in reference.ts.
 * @module
 */
import { make, type Numbers } from "./reference.ts";

/** Sizes and scalars of causal attention. */
export interface Attention {
  readonly b: number;
  readonly t: number;
  readonly h: number;
  readonly g: number;
  readonly d: number;
  readonly window: number;
  readonly scale: number;
}

/** Calls f(query row, key row, first key, query position, probabilities' row) for each query of each head. */
function eachQuery(
  s: Attention,
  f: (query: number, keys: (position: number) => number, first: number, last: number, row: number) => void,
): void {
  for (let batch = 0; batch < s.b; batch++) {
    for (let head = 0; head < s.h; head++) {
      const group = Math.floor(head * s.g / s.h);
      for (let t = 0; t < s.t; t++) {
        const query = ((batch * s.t + t) * s.h + head) * s.d;
        const keys = (position: number): number => ((batch * s.t + position) * s.g + group) * s.d;
        f(query, keys, Math.max(0, t - s.window), t, (batch * s.h + head) * s.t + t);
      }
    }
  }
}

function inner(a: Numbers, i: number, b: Numbers, j: number, n: number): number {
  let sum = 0;
  for (let l = 0; l < n; l++) sum += a[i + l] * b[j + l];
  return sum;
}

/** [y, lse]. */
export function attention(q: Numbers, k: Numbers, v: Numbers, s: Attention): [Float64Array, Float64Array] {
  const y = new Float64Array(q.length), lse = new Float64Array(s.b * s.h * s.t);
  eachQuery(s, (query, keys, first, last, row) => {
    const scores = make(last - first + 1, (j) => s.scale * inner(q, query, k, keys(first + j), s.d));
    const top = Math.max(...scores);
    lse[row] = top + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - top), 0));
    scores.forEach((score, j) => {
      const p = Math.exp(score - lse[row]);
      for (let l = 0; l < s.d; l++) y[query + l] += p * v[keys(first + j) + l];
    });
  });
  return [y, lse];
}

/** [dq, dk, dv] of {@linkcode attention}. */
export function attentionGradient(
  dy: Numbers,
  q: Numbers,
  k: Numbers,
  v: Numbers,
  s: Attention,
): [Float64Array, Float64Array, Float64Array] {
  const [y, lse] = attention(q, k, v, s);
  const dq = new Float64Array(q.length), dk = new Float64Array(k.length), dv = new Float64Array(v.length);
  eachQuery(s, (query, keys, first, last, row) => {
    const delta = inner(dy, query, y, query, s.d);
    for (let position = first; position <= last; position++) {
      const key = keys(position);
      const p = Math.exp(s.scale * inner(q, query, k, key, s.d) - lse[row]);
      const dscore = p * (inner(dy, query, v, key, s.d) - delta) * s.scale;
      for (let l = 0; l < s.d; l++) {
        dq[query + l] += dscore * k[key + l];
        dk[key + l] += dscore * q[query + l];
        dv[key + l] += p * dy[query + l];
      }
    }
  });
  return [dq, dk, dv];
}

const capped = (x: number, cap: number): number => cap > 0 ? cap * Math.tanh(x / cap) : x;

/** [mean and count, losses, lse] of logits[N,V]. */
export function crossEntropy(
  logits: Numbers,
  targets: Numbers,
  n: number,
  v: number,
  cap: number,
): [Float64Array, Float64Array, Float64Array] {
  const losses = new Float64Array(n), lse = new Float64Array(n);
  let total = 0, count = 0;
  for (let row = 0; row < n; row++) {
    const values = make(v, (j) => capped(logits[row * v + j], cap));
    const top = values.reduce((a, b) => Math.max(a, b), -Infinity);
    lse[row] = top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
    if (targets[row] < 0) continue;
    losses[row] = lse[row] - values[targets[row]];
    total += losses[row];
    count++;
  }
  return [Float64Array.of(count > 0 ? total / count : 0, count), losses, lse];
}

/** dlogits of dmean·mean. */
export function crossEntropyGradient(
  dmean: number,
  logits: Numbers,
  targets: Numbers,
  n: number,
  v: number,
  cap: number,
): Float64Array {
  const [[, count], , lse] = crossEntropy(logits, targets, n, v, cap);
  return make(n * v, (i) => {
    const row = Math.floor(i / v);
    if (targets[row] < 0) return 0;
    const p = Math.exp(capped(logits[i], cap) - lse[row]) - (i % v === targets[row] ? 1 : 0);
    return dmean / count * p * (cap > 0 ? 1 - Math.tanh(logits[i] / cap) ** 2 : 1);
  });
}

/** [mean and count, losses, dx, dw] of logits x[N,C]·w[V,C]ᵀ. */
export function linearCrossEntropy(
  x: Numbers,
  w: Numbers,
  targets: Numbers,
  n: number,
  c: number,
  v: number,
  cap: number,
): [Float64Array, Float64Array, Float64Array, Float64Array] {
  const logits = make(n * v, (i) => inner(x, Math.floor(i / v) * c, w, i % v * c, c));
  const [mean, losses] = crossEntropy(logits, targets, n, v, cap);
  const grad = mean[1] > 0 ? crossEntropyGradient(1, logits, targets, n, v, cap) : new Float64Array(n * v);
  const dx = new Float64Array(n * c), dw = new Float64Array(v * c);
  for (let i = 0; i < n * v; i++) {
    const row = Math.floor(i / v), entry = i % v;
    for (let l = 0; l < c; l++) {
      dx[row * c + l] += grad[i] * w[entry * c + l];
      dw[entry * c + l] += grad[i] * x[row * c + l];
    }
  }
  return [mean, losses, dx, dw];
}

/** [p, m, v] after one AdamW step; scalars are (lr, beta1, beta2, eps, weight decay, step). */
export function adamw(
  p: Numbers,
  g: Numbers,
  m: Numbers,
  v: Numbers,
  [lr, beta1, beta2, eps, decay, step]: readonly number[],
): [Float64Array, Float64Array, Float64Array] {
  const m1 = make(p.length, (i) => beta1 * m[i] + (1 - beta1) * g[i]);
  const v1 = make(p.length, (i) => beta2 * v[i] + (1 - beta2) * g[i] ** 2);
  const p1 = make(p.length, (i) => {
    const mHat = m1[i] / (1 - beta1 ** step), vHat = v1[i] / (1 - beta2 ** step);
    return p[i] - lr * decay * p[i] - lr * mHat / (Math.sqrt(vHat) + eps);
  });
  return [p1, m1, v1];
}

/** Coefficients of Polar Express (arXiv:2505.16932), the five iterations of the golden file's recipe. */
const polarExpress = [
  [8.156554524902461, -22.48329292557795, 15.878769915207462],
  [4.042929935166739, -2.808917465908714, 0.5000178451051316],
  [3.8916678022926607, -2.772484153217685, 0.5060648178503393],
  [3.285753657755655, -2.3681294933425376, 0.46449024233003106],
  [2.3465413258596377, -1.7097828382687081, 0.42323551169305323],
];

/** a[m,k]·b[k,n]. */
function times(a: Numbers, b: Numbers, m: number, k: number, n: number): Float64Array {
  return make(m * n, (i) => {
    let sum = 0;
    for (let l = 0; l < k; l++) sum += a[Math.floor(i / n) * k + l] * b[l * n + i % n];
    return sum;
  });
}
const transposed = (a: Numbers, rows: number, cols: number): Float64Array =>
  make(rows * cols, (i) => a[i % rows * cols + Math.floor(i / rows)]);

/** [p, momentum, second] after one Muon step; scalars are (lr, momentum, beta2, weight decay). */
export function muon(
  p: Numbers,
  g: Numbers,
  momentum: Numbers,
  second: Numbers,
  rows: number,
  cols: number,
  iterations: number,
  [lr, mu, beta2, decay]: readonly number[],
): [Float64Array, Float64Array, Float64Array] {
  const m1 = make(p.length, (i) => mu * momentum[i] + (1 - mu) * g[i]);
  let x = make(p.length, (i) => (1 - mu) * g[i] + mu * m1[i]);
  const norm = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  x = x.map((value) => value / (1.02 * norm + 1e-6));
  for (const [a, b, c] of polarExpress.slice(0, iterations)) {
    // On the side with the smaller square: X·Xᵀ for wide matrices, Xᵀ·X for tall ones (both give the same X).
    const flip = transposed(x, rows, cols);
    if (rows > cols) {
      const s = times(flip, x, cols, rows, cols), s2 = times(s, s, cols, cols, cols);
      const right = times(x, s.map((value, i) => b * value + c * s2[i]), rows, cols, cols);
      x = x.map((value, i) => a * value + right[i]);
    } else {
      const s = times(x, flip, rows, cols, rows), s2 = times(s, s, rows, rows, rows);
      const left = times(s.map((value, i) => b * value + c * s2[i]), x, rows, rows, cols);
      x = x.map((value, i) => a * value + left[i]);
    }
  }
  let second1 = Float64Array.from(second);
  if (beta2 > 0) {
    const line = (i: number): number => rows >= cols ? Math.floor(i / cols) : i % cols;
    const squares = new Float64Array(second.length);
    x.forEach((value, i) => squares[line(i)] += value * value);
    second1 = second1.map((value, i) => beta2 * value + (1 - beta2) * squares[i] / (p.length / second.length));
    const frobenius = (values: Float64Array): number =>
      Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    const before = frobenius(x);
    const scaled = x.map((value, i) => value / Math.sqrt(Math.max(second1[line(i)], 1e-10)));
    const after = frobenius(scaled);
    x = scaled.map((value) => value * before / Math.max(after, 1e-10));
  }
  return [make(p.length, (i) => p[i] - lr * x[i] - (x[i] * p[i] >= 0 ? lr * decay * p[i] : 0)), m1, second1];
}

/** Cross entropy in nats of every row; 0 where the target is −1. */
export function scoreLogits(logits: Numbers, targets: Numbers, n: number, v: number): Float64Array {
  return crossEntropy(logits, targets, n, v, 0)[1];
}

/** [Σ nats, Σ bytes] over targets whose token has bytes. */
export function bitsPerByteSums(nats: Numbers, targets: Numbers, tokenBytes: Numbers): Float64Array {
  const sums = new Float64Array(2);
  for (let i = 0; i < targets.length; i++) {
    const bytes = targets[i] < 0 ? 0 : tokenBytes[targets[i]];
    if (bytes === 0) continue;
    sums[0] += nats[i];
    sums[1] += bytes;
  }
  return sums;
}
