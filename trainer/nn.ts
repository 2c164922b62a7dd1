/**
 * Building blocks of models: seeded random numbers, the register of weights, position tables, and weights to and from
 * safetensors. No framework: a model is whatever `createModel` returns.
 * @module
 */
import { check, library } from "../cuda/lib.ts";
import { readSafetensors, type SafeTensor, writeSafetensors } from "./safetensors.ts";
import { parameter, sameShape, ShapeError, showShape, Tensor } from "./tensor.ts";

/** Random tensors from one seed: the n-th draw depends on the seed and n alone, on every device. */
export class Random {
  readonly #seed: number;
  #draws = 0;

  /** @param seed unsigned, 32 bits */
  /**
   * Creates one.
   * @param seed unsigned 32-bit number
   */
  constructor(seed: number) {
    this.#seed = seed >>> 0;
  }

  /** The next draw's two words, for ops that take a seed (`dropout`). */
  next(): [number, number] {
    return [this.#draws++ >>> 0, this.#seed];
  }

  /** Uniform in [low, high). */
  uniform(shape: readonly number[], low: number, high: number): Tensor {
    const x = Tensor.zeros(shape);
    check(library().symbols.rs_random_uniform(x.handle, low, high, ...this.next()), "uniform");
    return x;
  }

  /** Normal with this mean and standard deviation. */
  normal(shape: readonly number[], mean: number, std: number): Tensor {
    const x = Tensor.zeros(shape);
    check(library().symbols.rs_random_normal(x.handle, mean, std, ...this.next()), "normal");
    return x;
  }

  /** A matrix [O, I], uniform in ±scale·√(3/I): rows of variance scale²/I. */
  matrix(outputs: number, inputs: number, scale = 1): Tensor {
    const bound = scale * Math.sqrt(3 / inputs);
    return this.uniform([outputs, inputs], -bound, bound);
  }
}

/** The weights of a model by name, in the order of their making. */
export class Parameters {
  readonly #tensors = new Map<string, Tensor>();

  /** Marks a tensor as a weight and files it. @throws Error when the name is taken */
  add(name: string, tensor: Tensor): Tensor {
    if (this.#tensors.has(name)) throw new Error(`there are two weights named ${name}`);
    this.#tensors.set(name, parameter(tensor));
    return tensor;
  }

  /** A copy of the register. */
  map(): Map<string, Tensor> {
    return new Map(this.#tensors);
  }
}

/** Number of weights, each counted once. */
export function countParameters(parameters: ReadonlyMap<string, Tensor>): number {
  return [...new Set(parameters.values())].reduce((sum, tensor) => sum + tensor.size, 0);
}

/**
 * Cosines and sines of rotary positions: angle t·base^(−2j/D), each [T, D/2].
 * @param t positions
 * @param d head dimension, even
 */
export function ropeTables(t: number, d: number, base = 10000): { cos: Tensor; sin: Tensor } {
  const half = d / 2;
  const cos = new Float32Array(t * half);
  const sin = new Float32Array(t * half);
  for (let position = 0; position < t; position++) {
    for (let j = 0; j < half; j++) {
      const angle = position * base ** (-2 * j / d);
      cos[position * half + j] = Math.cos(angle);
      sin[position * half + j] = Math.sin(angle);
    }
  }
  return { cos: Tensor.from(cos, [t, half]), sin: Tensor.from(sin, [t, half]) };
}

/** Writes weights as safetensors (float32; bf16 weights are widened). */
export function saveWeights(
  parameters: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const tensors = new Map<string, SafeTensor>();
  for (const [name, tensor] of parameters) {
    const { buffer, byteOffset, byteLength } = tensor.data();
    const dtype = tensor.dtype === "i32" ? "I32" : tensor.dtype === "u16" ? "U16" : "F32";
    tensors.set(name, { dtype, shape: tensor.shape, bytes: new Uint8Array(buffer, byteOffset, byteLength) });
  }
  return writeSafetensors(tensors, metadata);
}

/**
 * Loads weights by name into those of a model.
 * @throws Error when the bytes are no safetensors, when a weight is missing or left over, or has another shape or type
 */
export function loadWeights(parameters: ReadonlyMap<string, Tensor>, bytes: Uint8Array): void {
  const { tensors } = readSafetensors(bytes);
  for (const name of tensors.keys()) {
    if (!parameters.has(name)) throw new Error(`weights: ${name} is not part of the model`);
  }
  for (const [name, tensor] of parameters) {
    const stored = tensors.get(name);
    if (!stored) throw new Error(`weights: ${name} is missing`);
    if (stored.dtype !== "F32" || !sameShape(stored.shape, tensor.shape)) {
      throw new ShapeError(
        "weights",
        `${name} must be F32 ${showShape(tensor.shape)}, got ${stored.dtype} ${showShape(stored.shape)}`,
      );
    }
    tensor.upload(floatsOf(stored));
  }
}

/** The elements of an F32 entry. @throws Error when it is of another type */
export function floatsOf({ dtype, bytes }: SafeTensor): Float32Array {
  if (dtype !== "F32") throw new Error(`expected F32, got ${dtype}`);
  return new Float32Array(bytes.slice().buffer);
}
