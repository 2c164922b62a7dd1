/**
 * The kernel of the model's arithmetic, `product.wat`, with a memory of its own. Numbers are 32-bit floats; an address is a
 * multiple of 4 bytes in that memory. Compiled where it is first opened: no permission, no file, no waiting.
 * @module
 */
import { productBytes } from "./product.gen.ts";

/** What `product.wat` exports. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  product(y: number, x: number, w: number, rows: number, outputs: number, inputs: number, step: number): void;
  add(y: number, yStep: number, x: number, xStep: number, rows: number, n: number): void;
  normalize(y: number, x: number, rows: number, n: number): void;
  gate(y: number, x: number, rows: number, n: number): void;
  dequantize(y: number, q: number, scales: number, rows: number, columns: number): void;
}

const pageBytes = 65_536;

let compiled: WebAssembly.Module | undefined;

/** A memory with the functions that work in it. Addresses are not checked: they come from `take` alone. */
export class Kernel {
  /** `y[r, o] += Σ x[r, i]·w[o, i]`; rows of `w` are `step` numbers apart. */
  readonly product: Exports["product"];
  /** `y[r, i] += x[r, i]` for `n` numbers a row; rows are `yStep` and `xStep` numbers apart, 0 for the same row. */
  readonly add: Exports["add"];
  /** `y[r] = x[r] / RMS(x[r])`, rows of `n` numbers; `y` may be `x`. */
  readonly normalize: Exports["normalize"];
  /** `y[r, i] += silu(x[r, i])·x[r, n + i]`. */
  readonly gate: Exports["gate"];
  /** `y[r, i] = (q[r, i] − 128)·scales[r]`, `q` bytes. */
  readonly dequantize: Exports["dequantize"];
  readonly #memory: WebAssembly.Memory;
  #free = 0;

  /** Instantiates the kernel; compiles it at the first call. */
  constructor() {
    compiled ??= new WebAssembly.Module(Uint8Array.fromBase64(productBytes));
    const exports = new WebAssembly.Instance(compiled).exports as unknown as Exports;
    this.#memory = exports.memory;
    this.product = exports.product;
    this.add = exports.add;
    this.normalize = exports.normalize;
    this.gate = exports.gate;
    this.dequantize = exports.dequantize;
  }

  /** The end of what is taken; handed to `release` to give back what was taken since. */
  get mark(): number {
    return this.#free;
  }

  /** Takes room for `count` numbers, not cleared. @returns its address; views of the memory from before may be detached */
  take(count: number): number {
    const at = this.#free;
    this.#free = at + Math.ceil(count / 4) * 16;
    const missing = this.#free - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / pageBytes));
    return at;
  }

  /** Gives back everything that was taken since `mark`. */
  release(mark: number): void {
    this.#free = mark;
  }

  /** `count` numbers at an address, to read and to write; valid until the next `take`. */
  floats(at: number, count: number): Float32Array {
    return new Float32Array(this.#memory.buffer, at, count);
  }

  /** `count` bytes at an address, to read and to write; valid until the next `take`. */
  bytes(at: number, count: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at, count);
  }
}
