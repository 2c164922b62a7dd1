/**
 * Tensors of one benchmark, filled by the library's own generator and freed together.
 * @module
 */
import { check, handle, type Library } from "../../cuda/lib.ts";
import { enums } from "../../cuda/symbols.gen.ts";

/** The middle of the sorted numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** Owns handles. */
export class Pool implements Disposable {
  readonly #handles: number[] = [];
  #seed = 1;
  constructor(readonly library: Library) {}

  /** `count` numbers in [low, low + 2), or [low, 1.5) where low is positive; `weight` marks a parameter. */
  floats(count: number, low = -1, weight = false): number {
    const made = this.#create(enums.RS_F32, count);
    check(this.library.symbols.rs_random_uniform(made, low, low > 0 ? 1.5 : 1, this.#seed++, 0), "random_uniform");
    if (weight) check(this.library.symbols.rs_tensor_mark_parameter(made), "tensor_mark_parameter");
    return made;
  }

  /** `count` indices below `below`, scattered. */
  ids(count: number, below: number): number {
    const made = this.#create(enums.RS_I32, count);
    return this.#fill(made, Int32Array.from({ length: count }, (_, i) => (i * 7919 + (i >> 3)) % below));
  }

  /** These numbers. */
  numbers(values: readonly number[]): number {
    return this.#fill(this.#create(enums.RS_F32, values.length), Float32Array.from(values));
  }

  /** The numbers of a tensor. */
  read(tensor: number, count: number): Float32Array<ArrayBuffer> {
    const data = new Float32Array(count);
    check(this.library.symbols.rs_tensor_download(data, data.byteLength, tensor, 0), "tensor_download");
    return data;
  }

  /** Frees all of them. */
  [Symbol.dispose](): void {
    for (const made of this.#handles.splice(0)) check(this.library.symbols.rs_tensor_destroy(made), "tensor_destroy");
  }

  #create(dtype: number, count: number): number {
    const made = handle(this.library.symbols.rs_tensor_create(dtype, count), "tensor_create");
    this.#handles.push(made);
    return made;
  }

  #fill(tensor: number, data: Int32Array<ArrayBuffer> | Float32Array<ArrayBuffer>): number {
    check(this.library.symbols.rs_tensor_upload(tensor, 0, data, data.byteLength), "tensor_upload");
    return tensor;
  }
}
