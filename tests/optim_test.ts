// AdamW and Muon as the tensor layer drives them: groups, states, tables, numbers changed between steps.
import assert from "node:assert/strict";
import { backward } from "../trainer/autograd.ts";
import { add, matmul, multiply, square, sum } from "../trainer/ops/mod.ts";
import { Optimizer } from "../trainer/optim.ts";
import { parameter, scope, ShapeError, Tensor } from "../trainer/tensor.ts";
import { testLibrary } from "./_library.ts";
import { Random } from "./ops/case.ts";

const { symbols } = testLibrary();

const weight = (values: ArrayLike<number>, shape: number[]) => parameter(Tensor.from(Float32Array.from(values), shape));
const near = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number) => {
  for (let i = 0; i < b.length; i++) assert(Math.abs(a[i] - b[i]) <= tolerance, `[${i}] ${a[i]} is not ${b[i]}`);
};
const liveTensors = () => {
  const out = new Float64Array(8);
  symbols.rs_counters(out, out.byteLength);
  return out[3];
};
/** Gives a weight the gradient g by way of the tape. */
const push = (w: Tensor, g: ArrayLike<number>) =>
  scope(() => backward(sum(multiply(w, Tensor.from(Float32Array.from(g), w.shape)))));

Deno.test("AdamW moves weights by its formula, each group with its own numbers", () => {
  const before = liveTensors();
  const start = [0.5, -1, 2], g = [[0.1, -0.2, 0.3], [0.4, 0.1, -0.1]];
  using a = weight(start, [3]);
  using b = weight(start, [3]);
  using optimizer = new Optimizer([
    { kind: "adamw", parameters: [a], learningRate: 0.1, betas: [0.8, 0.95], weightDecay: 0.2 },
    { kind: "adamw", parameters: [b], learningRate: 0.3, betas: [0.9, 0.9], eps: 1e-3 },
  ]);
  const reference = (lr: number, b1: number, b2: number, eps: number, decay: number) => {
    const p = [...start], m = [0, 0, 0], v = [0, 0, 0];
    for (const [step, grad] of g.entries()) {
      for (let i = 0; i < 3; i++) {
        m[i] = b1 * m[i] + (1 - b1) * grad[i];
        v[i] = b2 * v[i] + (1 - b2) * grad[i] ** 2;
        const t = step + 1;
        p[i] -= lr * decay * p[i] + lr * (m[i] / (1 - b1 ** t)) / (Math.sqrt(v[i] / (1 - b2 ** t)) + eps);
      }
    }
    return p;
  };
  for (const grad of g) {
    push(a, grad);
    push(b, grad);
    optimizer.step();
    assert.equal(a.grad, null);
  }
  // Float32 state over two steps of size lr.
  near(a.data(), reference(0.1, 0.8, 0.95, 1e-10, 0.2), 1e-6);
  near(b.data(), reference(0.3, 0.9, 0.9, 1e-3, 0), 1e-6);
  optimizer.dispose();
  a.dispose();
  b.dispose();
  assert.equal(liveTensors(), before);
});

Deno.test("a weight without a gradient stays as it is, and so do its states", () => {
  using a = weight([1, 2], [2]);
  using b = weight([3, 4], [2]);
  using optimizer = new Optimizer([{ kind: "adamw", parameters: [a, b], learningRate: 0.1, betas: [0.9, 0.9] }]);
  push(a, [1, 1]);
  optimizer.step();
  assert.deepEqual([...b.data()], [3, 4]);
  near(a.data(), [0.9, 1.9], 1e-6);
  optimizer.step();
  near(a.data(), [0.9, 1.9], 1e-6);
});

Deno.test("Muon's update of a matrix is nearly orthogonal and keeps to its learning rate", () => {
  const random = new Random(5);
  for (const [rows, columns] of [[12, 12], [8, 20], [20, 8], [1, 32]]) {
    using w = weight(new Array(rows * columns).fill(0), [rows, columns]);
    using optimizer = new Optimizer([{ kind: "muon", parameters: [w], learningRate: 0.5, beta2: 0, momentum: 0.9 }]);
    push(w, random.normal(rows * columns));
    optimizer.step();
    const u = w.data();
    // Rows (or columns, where fewer) of the update have length lr·√max(1, rows/columns), roughly orthogonal to each
    // other: Polar Express brings singular values near 1, to a fifth or so in five iterations.
    const norm = Math.sqrt([...u].reduce((total, value) => total + value ** 2, 0));
    const wanted = 0.5 * Math.sqrt(Math.max(1, rows / columns) * Math.min(rows, columns));
    assert(Math.abs(norm / wanted - 1) < 0.25, `[${rows}, ${columns}]: ${norm} is far from ${wanted}`);
  }
});

Deno.test("numbers of a group may change between steps, and a learning rate of 0 stops it", () => {
  using w = weight([1, 2, 3, 4, 5, 6], [2, 3]);
  const group = { kind: "muon" as const, parameters: [w], learningRate: 0, weightDecay: 0.5 };
  using optimizer = new Optimizer([group]);
  push(w, [1, -1, 1, 1, 2, 1]);
  optimizer.step();
  assert.deepEqual([...w.data()], [1, 2, 3, 4, 5, 6]);
  group.learningRate = 0.1;
  push(w, [1, -1, 1, 1, 2, 1]);
  optimizer.step();
  assert.notDeepEqual([...w.data()], [1, 2, 3, 4, 5, 6]);
});

Deno.test("matrices of one shape step together as they do alone", () => {
  const random = new Random(9);
  const values = [0, 1, 2].map(() => random.normal(24)), grads = [0, 1, 2].map(() => random.normal(24));
  const run = (batches: number[][]) => {
    const weights = values.map((value) => weight(value, [4, 6]));
    const optimizers = batches.map((batch) =>
      new Optimizer([{ kind: "muon", parameters: batch.map((i) => weights[i]), learningRate: 0.1, weightDecay: 0.1 }])
    );
    for (let step = 0; step < 2; step++) {
      for (const [i, w] of weights.entries()) push(w, grads[i]);
      for (const optimizer of optimizers) optimizer.step();
    }
    for (const optimizer of optimizers) optimizer.dispose();
    return weights.map((w) => {
      const data = [...w.data()];
      w.dispose();
      return data;
    });
  };
  assert.deepEqual(run([[0, 1, 2]]), run([[0], [1], [2]]));
});

Deno.test("a model of two matrices learns a product with Muon and AdamW", () => {
  const random = new Random(3);
  using a = weight(random.normal(16, 0.3), [4, 4]);
  using bias = weight([0, 0, 0, 0], [4]);
  using optimizer = new Optimizer([
    { kind: "muon", parameters: [a], learningRate: 0.05 },
    { kind: "adamw", parameters: [bias], learningRate: 0.05, betas: [0.8, 0.95] },
  ]);
  const x = random.normal(32), target = random.normal(32);
  const loss = () =>
    scope(() => {
      const y = add(matmul(Tensor.from(x, [8, 4]), a), bias);
      const error = sum(square(add(y, Tensor.from(target.map((value) => -value), [8, 4]))));
      backward(error);
      return error.item();
    });
  const first = loss();
  optimizer.step();
  for (let step = 0; step < 60; step++) {
    loss();
    optimizer.step();
  }
  const last = loss();
  assert(last < 0.7 * first, `${first} → ${last}`);
});

Deno.test("a weight in two groups, or one for Muon that is no matrix, is refused", () => {
  using w = weight([1, 2], [2]);
  const group = { kind: "adamw" as const, parameters: [w], learningRate: 0.1, betas: [0.9, 0.9] as const };
  assert.throws(() => new Optimizer([group, { ...group }]), /^ShapeError: Optimizer: a weight \[2\] is in two groups$/);
  assert.throws(() => new Optimizer([{ kind: "muon", parameters: [w], learningRate: 0.1 }]), ShapeError);
});
