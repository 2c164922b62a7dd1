/**
 * How a test case of an op is written down, and the tools to write one: random data and tolerances.
 * @module
 */
import type { symbols } from "../../cuda/symbols.gen.ts";
import type { Numbers } from "./reference.ts";

/** Functions of the ABI that are no ops: they have tests of their own. */
type RuntimeName =
  | "rs_abi_hash"
  | "rs_last_error"
  | "rs_last_status"
  | "rs_sync"
  | "rs_counters"
  | "rs_measure_peaks"
  | "rs_end_with_parent"
  | `rs_${"runtime" | "step" | "plans" | "memory" | "profile" | "bpe_trainer" | "tokenizer"}_${string}`
  | `rs_tensor_${"create" | "destroy" | "view" | "mark_parameter" | "upload" | "download"}`;

/** Every op of the ABI: what is not runtime is an op, so that a new function without a case does not compile. */
export type OpName = Exclude<keyof typeof symbols, RuntimeName>;

/** Host memory of a tensor: f32, i32 or bf16 (as its bits). */
export type Data = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** An argument of the ABI in its order. Buffers and tables stand for two parameters, themselves and their bytes. */
export type Argument =
  /** A size, a scalar or an entry of an enumeration. */
  | number
  /** No tensor. */
  | null
  /** A tensor that is read and must keep its bits. */
  | { in: Data }
  /** A tensor that is written; it holds NaN (−1 where integers) before. */
  | { out: number; dtype?: "f32" | "i32" | "bf16" }
  /** A tensor that is read and written. */
  | { inout: Data }
  /** The tensor of another argument, by its index: an alias the header allows. */
  | { same: number }
  /** Memory of the caller. */
  | {
    buffer: Data | Uint8Array<ArrayBuffer> | Float64Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>;
    written?: boolean;
  }
  /** An optimizer's table: rows of handles and offsets. */
  | { rows: Argument[][] };

/** One call and what it must write. */
export interface Case {
  readonly name: string;
  readonly args: readonly Argument[];
  /** Computes what each written argument holds afterwards, in order; null where there is no reference (hashes). */
  expected(): readonly (Numbers | null)[];
  /** |result − expected| ≤ tolerance·(|expected| + floor). */
  readonly tolerance: number;
  /** Size below which errors count as absolute; the RMS of each expected array when absent (see {@linkcode summed}). */
  readonly floor?: number;
  /** The RMS counts as this at least; 0 by default. */
  readonly least?: number;
}

const roundoff = 2 ** -24;

/** Tolerance of an element that `n` float32 operations lead to, each off by at most one half unit in the last place. */
export function steps(n: number): number {
  return n * roundoff;
}

/**
 * Tolerance of sums of n terms, relative to the RMS of the results: partial sums have about that size, and n roundings
 * of random sign add up to √n (twice that for the largest of many, and eight for the terms themselves).
 */
export function summed(n: number): number {
  return (8 + 2 * Math.sqrt(n)) * roundoff;
}

/** A seeded source of test data. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next number in [0, 1) (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6D2B79F5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** n numbers in [low, high). */
  uniform(n: number, low: number, high: number): Float32Array<ArrayBuffer> {
    return Float32Array.from({ length: n }, () => low + (high - low) * this.next());
  }

  /** n numbers of mean 0 and standard deviation `scale`, bell-shaped (the sum of four uniform ones). */
  normal(n: number, scale = 1): Float32Array<ArrayBuffer> {
    const unit = scale * Math.sqrt(3);
    return Float32Array.from(
      { length: n },
      () => unit * (this.next() + this.next() + this.next() + this.next() - 2),
    );
  }

  /** n numbers in 0 … v−1. */
  ids(n: number, v: number): Int32Array<ArrayBuffer> {
    return Int32Array.from({ length: n }, () => Math.floor(this.next() * v));
  }
}

/** Numbers rounded to float32, as a tensor's data. */
export function f32(values: Numbers): Float32Array<ArrayBuffer> {
  return Float32Array.from(values);
}

/** Cosines and sines [T, D/2] of rotary positions, base 10000. */
export function angles(t: number, d: number): { cos: Float32Array<ArrayBuffer>; sin: Float32Array<ArrayBuffer> } {
  const angle = (i: number): number => Math.floor(i / (d / 2)) * 10000 ** (-2 * (i % (d / 2)) / d);
  return {
    cos: Float32Array.from({ length: t * d / 2 }, (_, i) => Math.cos(angle(i))),
    sin: Float32Array.from({ length: t * d / 2 }, (_, i) => Math.sin(angle(i))),
  };
}
