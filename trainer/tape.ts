/**
 * The tape: what each op keeps for its gradient, the record of a computation, and the slots that gradients go to.
 * `autograd.ts` plays it backwards with the table of rules; the ops only record. Knows no op's formula.
 *
 * Ownership of gradients: a slot (`x.grad`) owns its tensor. A rule may pass `dy` on without copying (`passGrad`); the
 * memory is then shared, and whoever writes to a slot in place goes through `writableGrad`, which copies shared memory.
 * @module
 */
import { check, library } from "../cuda/lib.ts";
import { type TapeNode, Tensor, trackNode } from "./tensor.ts";

/** What each op keeps for its gradient rule. The keys are the names of all ops that have a gradient. */
export interface Kept {
  linear: { x: Tensor; weight: Tensor; bias: Tensor | null; residual: Tensor | null };
  reluSquaredMlp: { x: Tensor; up: Tensor; down: Tensor; residual: Tensor | null; hidden: Tensor };
  matmul: {
    a: Tensor;
    b: Tensor;
    batch: number;
    m: number;
    n: number;
    k: number;
    transposeA: boolean;
    transposeB: boolean;
    batchB: boolean;
  };
  embedding: { table: Tensor; ids: Tensor };
  gatedValueEmbedding: { x: Tensor; table: Tensor; ids: Tensor; gate: Tensor };
  rmsNorm: { x: Tensor; weight: Tensor | null; rstd: Tensor; eps: number };
  layerNorm: { x: Tensor; weight: Tensor | null; bias: Tensor | null; mean: Tensor; rstd: Tensor };
  mixRmsNorm: { x: Tensor; x0: Tensor; a: Tensor; b: Tensor; y: Tensor; rstd: Tensor; index: number };
  rope: { x: Tensor; cos: Tensor; sin: Tensor };
  ropeRmsNorm: { x: Tensor; y: Tensor; rstd: Tensor; cos: Tensor; sin: Tensor };
  attention: { q: Tensor; k: Tensor; v: Tensor; y: Tensor; lse: Tensor; window: number; scale: number };
  rotaryAttention: {
    h: Tensor;
    query: Tensor;
    key: Tensor;
    v: Tensor;
    cos: Tensor;
    sin: Tensor;
    q: Tensor;
    k: Tensor;
    queryRstd: Tensor;
    keyRstd: Tensor;
    y: Tensor;
    lse: Tensor;
    window: number;
    scale: number;
  };
  unary: { x: Tensor; y: Tensor; kind: number; parameter: number };
  swiglu: { x: Tensor };
  binary: { a: Tensor; b: Tensor; kind: number; shape: number; n: number; c: number };
  scale: { x: Tensor; factor: number };
  sum: { x: Tensor; n: number; c: number; axis: number; factor: number };
  softmax: { x: Tensor; y: Tensor };
  transpose: { x: Tensor; axis: number; other: number };
  reshape: { x: Tensor };
  split: { x: Tensor; axis: number; sizes: readonly number[] };
  concat: { parts: readonly Tensor[]; axis: number };
  slice: { x: Tensor; axis: number; start: number };
  dropout: { x: Tensor; rate: number; seedLow: number; seedHigh: number };
  crossEntropy: { logits: Tensor; targets: Tensor; mean: Tensor; lse: Tensor; softCap: number };
  linearCrossEntropy: { x: Tensor; weight: Tensor; dx: Tensor; dweight: Tensor };
}

/** Names of the ops with a gradient. */
export type OpName = keyof Kept;

/**
 * A gradient rule: adds to the gradients of the op's inputs that require one.
 * @param kept what the op kept
 * @param dy gradient of the first output; owned by the caller, may be passed on with `passGrad`
 * @param dys gradients of all outputs, null where nothing reached one (never for the only output)
 */
export type Rule<K extends OpName> = (kept: Kept[K], dy: Tensor, dys: readonly (Tensor | null)[]) => void;

let nextId = 0;
let recording = true;

/** One recorded op. */
export class OpNode implements TapeNode {
  /** Order of recording. */
  readonly id: number = nextId++;
  #held: readonly Tensor[] | null;

  constructor(
    readonly op: OpName,
    readonly inputs: readonly Tensor[],
    readonly outputs: readonly Tensor[],
    readonly kept: Kept[OpName],
    needed: readonly Tensor[],
  ) {
    this.#held = needed.map((tensor) => tensor.hold());
  }

  /** Whether `release()` was called: its gradient cannot be computed any more. */
  get released(): boolean {
    return this.#held === null;
  }

  release(): void {
    const held = this.#held;
    this.#held = null;
    for (const tensor of held ?? []) tensor.release();
  }
}

/** Whether ops on these inputs are recorded. */
export function records(inputs: readonly (Tensor | null | undefined)[]): boolean {
  return recording && inputs.some((input) => input?.requiresGrad);
}

/**
 * Records an op, unless no input requires a gradient or the tape is off.
 * @param op its name
 * @param inputs tensors that gradients may flow to, null where absent
 * @param outputs its outputs
 * @param kept what its rule gets
 * @param needed tensors whose elements the rule reads: their memory is held until the rule ran
 */
export function record<K extends OpName>(
  op: K,
  inputs: readonly (Tensor | null | undefined)[],
  outputs: readonly Tensor[],
  kept: Kept[K],
  needed: readonly Tensor[],
): void {
  if (!records(inputs)) return;
  const node = new OpNode(op, inputs.filter((input) => input?.requiresGrad) as Tensor[], outputs, kept, needed);
  for (const output of outputs) {
    output.requiresGrad = true;
    output.node = node;
  }
  trackNode(node);
}

/** Runs `fn` without recording: inference, and updates of weights. */
export function withoutTape<T>(fn: () => T): T {
  const before = recording;
  recording = false;
  try {
    return fn();
  } finally {
    recording = before;
  }
}

/** The gradient of `x` for writing in place, null where there is none yet. Copies it where its memory is shared. */
export function writableGrad(x: Tensor): Tensor | null {
  const grad = x.grad;
  if (grad === null || !grad.shared) return grad;
  const own = Tensor.untracked(x.shape, x.dtype);
  check(library().symbols.rs_tensor_copy(own.handle, grad.handle), "backward");
  grad.dispose();
  x.grad = own;
  return own;
}

/** Zeros of `x`'s shape for a gradient. */
export function newGrad(x: Tensor): Tensor {
  return Tensor.untracked(x.shape, x.dtype);
}

/** The gradient of `x` for a kernel that adds to it: zeros where there is none yet. */
export function addableGrad(x: Tensor): Tensor {
  return writableGrad(x) ?? (x.grad = newGrad(x));
}

/** Adds `gradient` (which the caller gives away) to the gradient of `x`. */
export function addGrad(x: Tensor, gradient: Tensor): void {
  const grad = writableGrad(x);
  if (grad === null) {
    x.grad = gradient;
    return;
  }
  check(library().symbols.rs_axpby(grad.handle, gradient.handle, 1, 1), "backward");
  gradient.dispose();
}

/** Adds `dy` (which stays the caller's) to the gradient of `x`, sharing its memory where it is the first to arrive. */
export function passGrad(x: Tensor, dy: Tensor): void {
  const grad = writableGrad(x);
  if (grad === null) x.grad = dy.alias(x.shape, false);
  else check(library().symbols.rs_axpby(grad.handle, dy.handle, 1, 1), "backward");
}

const unit = new WeakSet<Tensor>();

/** Marks a gradient that is the number 1, so that a rule may leave a product out. */
export function setUnit(gradient: Tensor): Tensor {
  unit.add(gradient);
  return gradient;
}

/** Whether a gradient is known to be the number 1. */
export function isUnit(gradient: Tensor): boolean {
  return unit.has(gradient);
}

/**
 * Runs a kernel that writes an elementwise gradient and may do so in place of `dy`.
 * @param kernel gets the handle to write to
 */
export function inPlaceGrad(x: Tensor, dy: Tensor, kernel: (dx: number) => number, op: string): void {
  if (x.grad === null && !dy.shared) {
    check(kernel(dy.handle), op);
    x.grad = dy.alias(x.shape, false);
    return;
  }
  const dx = newGrad(x);
  check(kernel(dx.handle), op);
  addGrad(x, dx);
}
