/**
 * Tensors: a handle of the kernel library with a shape and an element type, and their lifetimes. Knows nothing of ops
 * or gradients beyond the fields that a tape fills in.
 *
 * Device memory is freed at known moments, never by the garbage collector: `dispose()` (or `using`), the end of the
 * `scope()` that a tensor was made in, and the backward pass, which frees activations as it goes.
 * @module
 */
import { check, handle as checkHandle, KernelError, library } from "../cuda/lib.ts";

/** Element types: 32-bit float, bfloat16, 32-bit and 16-bit integers (the latter unsigned). */
export type Dtype = "f32" | "bf16" | "i32" | "u16";

/** Arrays that carry elements across: bf16 travels as the raw 16 bits. */
export type Elements = Float32Array | Int32Array | Uint16Array;

/** Element types as kernels.h numbers them. */
export const DTYPE_CODES: { readonly [D in Dtype]: number } = { f32: 0, bf16: 1, i32: 2, u16: 3 };
/** `RS_INVALID` and `RS_STALE` of kernels.h. */
const INVALID = 1;
const STALE = 2;

/** A shape or element type that an op cannot take; the message names op, rule and what was received. */
export class ShapeError extends KernelError {
  /** Name of the class, as errors print it. */
  override name = "ShapeError";
  /**
   * @param op name of the op
   * @param rule what it needs and what it got, for instance `weight must have shape [768], got [1024]`
   */
  /**
   * Creates one.
   * @param op name of the op
   * @param rule what must hold and what was received
   */
  constructor(op: string, rule: string) {
    super(`${op}: ${rule}`, INVALID, op);
  }
}

/** Use of a tensor after its memory was given back. */
export class DisposedError extends KernelError {
  /** Name of the class, as errors print it. */
  override name = "DisposedError";
  /** @param shape shape of the tensor that was used */
  /**
   * Creates one.
   * @param shape shape of the tensor that is gone
   */
  constructor(shape: readonly number[]) {
    const freed = "by dispose(), by the end of its scope(), or by backward(), which frees activations";
    super(
      `a tensor of shape ${showShape(shape)} was used after it was freed (${freed}): keep() those that must live on`,
      STALE,
      "tensor",
    );
  }
}

/** `[2, 3]` */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** Whether two shapes are equal. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Product of the sizes from axis `from` up to (not with) axis `to`. */
export function product(shape: readonly number[], from = 0, to = shape.length): number {
  let result = 1;
  for (let axis = from; axis < to; axis++) result *= shape[axis];
  return result;
}

/** Memory behind one or more tensors. */
class Storage {
  #owners = 1;
  constructor(readonly handle: number) {}
  get shared(): boolean {
    return this.#owners > 1;
  }
  share(): Storage {
    this.#owners++;
    return this;
  }
  release(): void {
    if (--this.#owners === 0) check(library().symbols.rs_tensor_destroy(this.handle), "dispose");
  }
}

/** What a tape hangs on the tensors that it recorded. */
export interface TapeNode {
  /** Gives up what the node keeps for its gradient. */
  release(): void;
}

interface Scope {
  readonly parent: Scope | null;
  readonly tensors: Set<Tensor>;
  readonly nodes: TapeNode[];
}

let currentScope: Scope | null = null;
/** True while a gradient rule runs: it may read activations that the caller disposed of but the tape still holds. */
let readingHeld = false;

/** A run of elements on the device with a shape. */
export class Tensor implements Disposable {
  /** Sizes by axis; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** Element type. */
  readonly dtype: Dtype;
  /** Number of elements. */
  readonly size: number;
  /** Whether gradients flow to this tensor: set by `parameter()` and by every recorded op. */
  requiresGrad = false;
  /** Gradient after `backward()`, of the same shape; only weights keep theirs. Freed by the optimizer's step. */
  grad: Tensor | null = null;
  /** The tape's record of the op that made this tensor; outlives `dispose()`, since gradients still pass through. */
  node: TapeNode | null = null;
  #storage: Storage | null;
  #holds = 1;
  #disposed = false;

  /** Takes over one ownership of `storage`. Use `Tensor.from`, `Tensor.zeros` or an op. */
  private constructor(storage: Storage, shape: readonly number[], dtype: Dtype, tracked: boolean) {
    this.#storage = storage;
    this.shape = shape;
    this.dtype = dtype;
    this.size = product(shape);
    if (tracked) currentScope?.tensors.add(this);
  }

  /** A tensor with the elements of `data` (Float32Array: f32, Int32Array: i32, Uint16Array: u16). */
  static from(data: Elements, shape: readonly number[] = [data.length]): Tensor {
    if (product(shape) !== data.length) {
      throw new ShapeError("Tensor.from", `shape ${showShape(shape)} does not hold ${data.length} elements`);
    }
    const dtype = data instanceof Float32Array ? "f32" : data instanceof Int32Array ? "i32" : "u16";
    const tensor = Tensor.zeros(shape, dtype);
    try {
      tensor.upload(data);
    } catch (error) {
      tensor.dispose();
      throw error;
    }
    return tensor;
  }

  /** A tensor of zeros. An op that writes all of it saves the library writing the zeros: outputs are made so, too. */
  static zeros(shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    return Tensor.#create(shape, dtype, true);
  }

  /** Zeros outside of every scope: gradients and optimizer states are freed by their owners. */
  static untracked(shape: readonly number[], dtype: Dtype = "f32"): Tensor {
    return Tensor.#create(shape, dtype, false);
  }

  static #create(shape: readonly number[], dtype: Dtype, tracked: boolean): Tensor {
    for (const size of shape) {
      if (!Number.isInteger(size) || size < 0) throw new ShapeError("tensor", `there is no shape ${showShape(shape)}`);
    }
    const handle = checkHandle(library().symbols.rs_tensor_create(DTYPE_CODES[dtype], product(shape)), "tensor");
    return new Tensor(new Storage(handle), Object.freeze([...shape]), dtype, tracked);
  }

  /** The library's handle. @throws DisposedError after the memory was given back */
  get handle(): number {
    if (this.#storage === null || (this.#disposed && !readingHeld)) throw new DisposedError(this.shape);
    return this.#storage.handle;
  }

  /** Whether `dispose()` was called on it. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** Whether other tensors look at the same memory, so that writing to it in place would change them. */
  get shared(): boolean {
    return this.#storage?.shared ?? false;
  }

  /** The same memory under another shape of equal size. */
  alias(shape: readonly number[], tracked = true): Tensor {
    if (product(shape) !== this.size) {
      throw new ShapeError("reshape", `${showShape(this.shape)} cannot become ${showShape(shape)}`);
    }
    void this.handle;
    return new Tensor(this.#storage!.share(), Object.freeze([...shape]), this.dtype, tracked);
  }

  /** `shape` from element `offset` on, sharing memory. */
  view(offset: number, shape: readonly number[]): Tensor {
    const view = checkHandle(library().symbols.rs_tensor_view(this.handle, offset, product(shape)), "view");
    return new Tensor(new Storage(view), Object.freeze([...shape]), this.dtype, true);
  }

  /** Copies all elements to the host; bf16 is widened to float32. Waits for the device. */
  data(): Elements {
    const { symbols } = library();
    if (this.dtype === "bf16") {
      using wide = Tensor.untracked(this.shape);
      check(symbols.rs_tensor_copy(wide.handle, this.handle), "data");
      return wide.data();
    }
    const target = this.dtype === "f32"
      ? new Float32Array(this.size)
      : this.dtype === "i32"
      ? new Int32Array(this.size)
      : new Uint16Array(this.size);
    check(symbols.rs_tensor_download(target, target.byteLength, this.handle, 0), "data");
    return target;
  }

  /** Overwrites elements from `offset` on. A bf16 tensor takes Float32Array and rounds it. */
  upload(data: Elements, offset = 0): void {
    const { symbols } = library();
    if (this.dtype === "bf16" && data instanceof Float32Array) {
      if (offset !== 0 || data.length !== this.size) {
        throw new ShapeError("upload", `bf16 takes all ${this.size} elements at once, got ${data.length} at ${offset}`);
      }
      using wide = Tensor.untracked(this.shape);
      wide.upload(data);
      check(symbols.rs_tensor_copy(this.handle, wide.handle), "upload");
      return;
    }
    const fits = this.dtype === "f32"
      ? data instanceof Float32Array
      : this.dtype === "i32"
      ? data instanceof Int32Array
      : data instanceof Uint16Array;
    if (!fits) throw new ShapeError("upload", `a ${this.dtype} tensor does not take a ${data.constructor.name}`);
    check(symbols.rs_tensor_upload(this.handle, offset, data, data.byteLength), "upload");
  }

  /** Sets every element. */
  fill(value: number): this {
    check(library().symbols.rs_tensor_fill(this.handle, value), "fill");
    return this;
  }

  /** The one element of a tensor of size 1. Waits for the device. */
  item(): number {
    if (this.size !== 1) throw new ShapeError("item", `needs a tensor of one element, got ${showShape(this.shape)}`);
    return this.data()[0];
  }

  /** Keeps the memory alive for a tape after `dispose()`; undone by `release()`. */
  hold(): this {
    void this.handle;
    this.#holds++;
    return this;
  }

  /** Undoes one `hold()`. */
  release(): void {
    if (--this.#holds > 0) return;
    this.#storage?.release();
    this.#storage = null;
  }

  /** Gives the memory back, and the gradient's. Calling it again does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    currentScope?.tensors.delete(this);
    this.grad?.dispose();
    this.grad = null;
    this.release();
  }

  /** For `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Runs a gradient rule, which may read what the tape holds. */
export function readHeld<T>(fn: () => T): T {
  readingHeld = true;
  try {
    return fn();
  } finally {
    readingHeld = false;
  }
}

/** Hands a tape's record to the running scope, which releases it at its end. */
export function trackNode(node: TapeNode): void {
  currentScope?.nodes.push(node);
}

/** Takes a tensor out of every scope and out of the reach of `backward()`'s clean-up: it lives until `dispose()`. */
export function keep<T extends Tensor>(tensor: T): T {
  void tensor.handle;
  for (let scope = currentScope; scope !== null; scope = scope.parent) scope.tensors.delete(tensor);
  kept.add(tensor);
  return tensor;
}

const kept = new WeakSet<Tensor>();

/** Whether `keep()` was called on it. */
export function isKept(tensor: Tensor): boolean {
  return kept.has(tensor);
}

/** Marks a weight: it is kept, gradients flow to it, and the library may hold a packed copy for products. */
export function parameter<T extends Tensor>(tensor: T): T {
  check(library().symbols.rs_tensor_mark_parameter(tensor.handle), "parameter");
  tensor.requiresGrad = true;
  return keep(tensor);
}

/** Whether a step runs. */
let repeating = false;

/**
 * Runs one step of a loop. On CUDA, steps that turn out to enqueue the same work are captured as a graph and replayed,
 * which saves the time of launching it piece by piece (`rs_step_begin` of kernels.h); results are the same. Inside of
 * another step it only runs `fn`.
 */
export function repeatable<T>(fn: () => T): T {
  if (repeating) return fn();
  const { symbols } = library();
  check(symbols.rs_step_begin(), "step");
  repeating = true;
  let result: T;
  try {
    result = fn();
  } catch (error) {
    symbols.rs_step_end(); // the error that counts is that of fn
    throw error;
  } finally {
    repeating = false;
  }
  check(symbols.rs_step_end(), "step");
  return result;
}

/**
 * Runs `fn` and frees every tensor made inside, but those given to `keep()` or returned (a tensor or an array of
 * tensors), which belong to the scope around. Tapes recorded inside are given up. `fn` must not be asynchronous.
 * @example
 * ```ts
 * import { scope, type Tensor } from "./tensor.ts";
 * const norm = (x: Tensor, square: (x: Tensor) => Tensor, sum: (x: Tensor) => Tensor): number =>
 *   scope(() => Math.sqrt(sum(square(x)).item()));
 * if (typeof norm !== "function") throw new Error("unexpected");
 * ```
 */
export function scope<T>(fn: () => T): T {
  const own: Scope = { parent: currentScope, tensors: new Set(), nodes: [] };
  currentScope = own;
  try {
    const result = fn();
    for (const value of Array.isArray(result) ? result : [result]) {
      if (value instanceof Tensor && own.tensors.delete(value)) own.parent?.tensors.add(value);
    }
    return result;
  } finally {
    currentScope = own.parent;
    for (const node of own.nodes) node.release();
    for (const tensor of own.tensors) tensor.dispose();
  }
}
