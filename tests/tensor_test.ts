// Tensors, scopes and the tape: lifetimes, errors, and gradients that share memory without mixing up.
import assert from "node:assert/strict";
import { KernelError } from "../cuda/lib.ts";
import { backward, withoutTape } from "../trainer/autograd.ts";
import * as ops from "../trainer/ops/mod.ts";
import { DisposedError, keep, parameter, scope, ShapeError, Tensor } from "../trainer/tensor.ts";
import { testLibrary } from "./_library.ts";

const { symbols } = testLibrary();

function counters(): { liveBytes: number; peakBytes: number; liveTensors: number; damaged: number } {
  const out = new Float64Array(8);
  assert.equal(symbols.rs_counters(out, out.byteLength), 0);
  return { liveBytes: out[0], peakBytes: out[1], liveTensors: out[3], damaged: out[4] };
}

const floats = (values: number[], shape = [values.length]) => Tensor.from(Float32Array.from(values), shape);
const weight = (values: number[], shape = [values.length]) => parameter(floats(values, shape));
const read = (tensor: Tensor | null) => Array.from(tensor!.data());

/** Runs a test and asserts that every tensor it made is gone. */
function balanced(name: string, fn: () => void): void {
  Deno.test(name, () => {
    const before = counters();
    fn();
    const after = counters();
    assert.deepEqual([after.liveTensors, after.liveBytes], [before.liveTensors, before.liveBytes]);
    assert.equal(after.damaged, 0);
  });
}

balanced("elements go to the device and come back", () => {
  using a = floats([1, -2.5, 3, 4], [2, 2]);
  assert.deepEqual([a.shape, a.dtype, a.size, read(a)], [[2, 2], "f32", 4, [1, -2.5, 3, 4]]);
  using b = Tensor.from(Int32Array.of(-7, 9));
  assert.deepEqual([b.dtype, read(b)], ["i32", [-7, 9]]);
  using c = Tensor.from(Uint16Array.of(65535));
  assert.equal(c.item(), 65535);
  a.upload(Float32Array.of(8), 3);
  assert.deepEqual(read(a), [1, -2.5, 3, 8]);
  using d = Tensor.zeros([2, 0, 3]);
  assert.deepEqual([d.size, d.data().length], [0, 0]);
});

balanced("a bf16 tensor takes and gives float32", () => {
  using a = Tensor.zeros([3], "bf16");
  a.upload(Float32Array.of(1, -0.5, 3.140625));
  assert.deepEqual(read(a), [1, -0.5, 3.140625]);
});

balanced("wrong arrays and wrong shapes are one sentence", () => {
  using a = floats([1, 2, 3, 4], [2, 2]);
  assert.throws(() => a.upload(Int32Array.of(1)), /^ShapeError: upload: a f32 tensor does not take a Int32Array$/);
  assert.throws(() => Tensor.from(Float32Array.of(1), [2]), /^ShapeError: Tensor.from: shape \[2\] does not hold 1 el/);
  assert.throws(() => Tensor.zeros([-1]), ShapeError);
  assert.throws(() => a.item(), /^ShapeError: item: needs a tensor of one element, got \[2, 2\]$/);
  using gain = floats([1, 2, 3]);
  assert.throws(
    () => ops.rmsNorm(a, { weight: gain }),
    (error) =>
      error instanceof ShapeError && error instanceof KernelError && error.op === "rmsNorm" && error.code === 1 &&
      error.message === "rmsNorm: weight must have shape [2], got [3]",
  );
  using ids = Tensor.from(Int32Array.of(0, 2));
  assert.throws(() => ops.linear(ids, a), /^ShapeError: linear: x must hold floats, got i32$/);
  assert.throws(() => ops.embedding(a, a), /^ShapeError: embedding: ids must be i32, got f32$/);
  assert.throws(() => scope(() => ops.embedding(a, ids)), KernelError);
  assert.throws(() => ops.matmul(a, gain), ShapeError);
  assert.throws(() => ops.add(a, gain), /^ShapeError: add: \[3\] cannot be broadcast over \[2, 2\]$/);
  assert.throws(() => ops.reshape(a, [3]), ShapeError);
  assert.throws(() => ops.slice(a, 0, 1, 3), ShapeError);
  assert.throws(() => ops.split(a, [1, 2], 0), ShapeError);
});

balanced("a tensor cannot be used after dispose(), scope() or using", () => {
  const a = floats([1]);
  a.dispose();
  a.dispose();
  assert.throws(() => a.data(), DisposedError);
  let b!: Tensor;
  scope(() => {
    b = floats([1]);
  });
  assert.throws(() => b.handle, /was used after it was freed/);
  let c: Tensor;
  {
    using inner = floats([2]);
    c = inner;
  }
  assert.throws(() => ops.relu(c), DisposedError);
});

balanced("scope() hands what it returns and what is kept to the outside", () => {
  let inner!: Tensor, kept!: Tensor;
  scope(() => {
    const [first, second] = scope(() => {
      inner = floats([1]);
      kept = keep(floats([4]));
      return [floats([2]), floats([3])];
    });
    assert(inner.disposed && !first.disposed && !second.disposed);
    assert.deepEqual([...read(first), ...read(second)], [2, 3]);
  });
  assert(!kept.disposed);
  kept.dispose();
  assert.throws(() =>
    scope(() => {
      inner = floats([1]);
      throw new Error("stop");
    }), /stop/);
  assert(inner.disposed);
});

balanced("a view keeps memory alive and shares it", () => {
  const a = floats([1, 2, 3, 4]);
  using part = a.view(1, [2]);
  using flat = ops.reshape(a, [2, 2]);
  part.fill(7);
  a.dispose();
  assert.deepEqual([read(part), read(flat)], [[7, 7], [1, 7, 7, 4]]);
});

balanced("backward() adds up the gradients of all uses, and of several calls", () => {
  using w = weight([1, 2]);
  scope(() => backward(ops.sum(ops.add(ops.multiply(w, w), ops.scale(w, 3)))));
  assert.deepEqual(read(w.grad), [5, 7]);
  scope(() => backward(ops.sum(w)));
  assert.deepEqual(read(w.grad), [6, 8]);
});

balanced("a gradient that two inputs share is not changed through one of them", () => {
  // add() passes one gradient to a and b without a copy; rmsNorm's rule then writes a's in place.
  using a = weight([1, 2, 3]);
  using b = weight([1, 1, 1]);
  scope(() => {
    const x = ops.scale(a, 1);
    backward(ops.sum(ops.add(ops.add(x, b), ops.rmsNorm(x))));
  });
  assert.deepEqual(read(b.grad), [1, 1, 1]);
  assert.notDeepEqual(read(a.grad), [1, 1, 1]);
  using c = weight([2]);
  using d = weight([3]);
  scope(() => {
    const y = ops.add(c, d);
    backward(ops.add(ops.exp(y), ops.negate(y)));
  });
  assert.deepEqual(read(c.grad), read(d.grad));
  scope(() => backward(ops.scale(c, 5)));
  assert.equal(read(c.grad)[0], read(d.grad)[0] + 5);
});

balanced("micro-batches give the gradient of the whole batch", () => {
  const x = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i));
  const grads = [1, 2, 4].map((parts) => {
    using w = weight([0.3, -0.2, 0.5, 0.1, 0.7, -0.4], [2, 3]);
    const rows = 8 / parts;
    for (let part = 0; part < parts; part++) {
      scope(() => {
        const input = Tensor.from(x.slice(part * rows * 3, (part + 1) * rows * 3), [rows, 3]);
        backward(ops.scale(ops.mean(ops.square(ops.linear(input, w))), 1 / parts));
      });
    }
    return read(w.grad);
  });
  for (const grad of grads) {
    for (const [i, value] of grad.entries()) assert(Math.abs(value - grads[0][i]) < 1e-6);
  }
});

balanced("backward() frees activations as it goes, but not the loss nor what is kept", () => {
  using w = weight([1, 2]);
  scope(() => {
    const hidden = ops.square(w);
    const watched = keep(ops.exp(hidden));
    const loss = ops.sum(watched);
    backward(loss);
    assert(hidden.disposed && !loss.disposed && !watched.disposed);
    assert.throws(() => backward(loss), /freed by an earlier backward/);
    watched.dispose();
  });
});

balanced("the peak of a deep chain's backward pass does not hold two gradients a layer", () => {
  using w = weight(new Array(4096).fill(0.1));
  scope(() => {
    let x: Tensor = w;
    for (let i = 0; i < 16; i++) x = ops.tanh(x);
    const loss = ops.sum(x);
    const forward = counters().liveBytes;
    symbols.rs_memory_reset_peak();
    backward(loss);
    assert(counters().peakBytes - forward <= 3 * 4096 * 4, "activations are not freed on the way back");
  });
});

balanced("a tensor that its owner disposed of still serves the gradient", () => {
  using w = weight([1, 2, 3]);
  scope(() => {
    const x = ops.scale(w, 2);
    const y = ops.square(x);
    x.dispose();
    assert.throws(() => x.data(), DisposedError);
    backward(ops.sum(y));
  });
  assert.deepEqual(read(w.grad), [8, 16, 24]);
});

balanced("two losses over one trunk are added, not played back twice", () => {
  using w = weight([1, 2]);
  scope(() => {
    const trunk = ops.square(w);
    backward(ops.sum(trunk));
    assert.throws(() => ops.sum(ops.exp(trunk)), DisposedError);
  });
  scope(() => {
    const trunk = keep(ops.square(w));
    const [first, second] = [ops.sum(trunk), ops.sum(ops.exp(trunk))];
    backward(first);
    assert.throws(() => backward(second), /freed by an earlier backward/);
    backward(ops.sum(ops.multiply(ops.detach(trunk), w)));
    trunk.dispose();
  });
  assert.deepEqual(read(w.grad), [2 + 2 + 1, 4 + 4 + 4]);
});

balanced("nothing is recorded without a tape or without a weight", () => {
  using w = weight([1, 2]);
  scope(() => {
    const loss = withoutTape(() => ops.sum(ops.square(w)));
    assert(!loss.requiresGrad);
    assert.throws(() => backward(loss), /depends on no weight, or was not recorded/);
    assert.throws(() => backward(ops.sum(floats([1, 2]))), /depends on no weight/);
    assert.throws(() => backward(ops.square(w)), ShapeError);
  });
  assert.equal(w.grad, null);
});

balanced("an op that fails inside backward leaves no gradient behind", () => {
  using w = weight([1, 2, 3, 4], [2, 2]);
  scope(() => {
    const x = ops.linear(w, w);
    const y = ops.square(x);
    const loss = ops.sum(y);
    symbols.rs_memory_set_limit(counters().liveBytes + 4);
    try {
      assert.throws(() => backward(loss), KernelError);
    } finally {
      symbols.rs_memory_set_limit(0);
    }
  });
});
