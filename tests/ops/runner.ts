/**
 * Runs a case through the library and compares what came back.
 * @module
 */
import { check, handle, type Library } from "../../cuda/lib.ts";
import { enums, symbols } from "../../cuda/symbols.gen.ts";
import type { Argument, Case, Data, OpName } from "./case.ts";

/** What a call left behind. */
export interface Outcome {
  /** The written arguments in order. */
  readonly written: (Data | Uint8Array<ArrayBuffer> | Float64Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>)[];
  /** Inputs that did not keep their bits and tensors with a changed element beside them, by index of the argument. */
  readonly damage: string[];
}

/** Elements before and after a tensor that is placed oddly: a view that no vector is aligned with. */
const margin = { before: 3, after: 5, value: -1234 };

const dtypes = { f32: enums.RS_F32, i32: enums.RS_I32, bf16: enums.RS_BF16 } as const;
const dtypeOf = (data: Data): keyof typeof dtypes =>
  data instanceof Float32Array ? "f32" : data instanceof Int32Array ? "i32" : "bf16";

function blank(n: number, dtype: keyof typeof dtypes): Data {
  return dtype === "f32"
    ? new Float32Array(n).fill(NaN)
    : dtype === "i32"
    ? new Int32Array(n).fill(-1)
    : new Uint16Array(n).fill(0x7fc0);
}
const bytes = (data: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Whether two arrays have the same bits. */
export function sameBits(a: ArrayBufferView<ArrayBuffer>, b: ArrayBufferView<ArrayBuffer>): boolean {
  const [left, right] = [bytes(a), bytes(b)];
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}

/**
 * Calls an op.
 * @param odd Tensors are views into larger ones, off every alignment, and the elements beside them are watched.
 * @throws KernelError when the op fails.
 */
export function call(library: Library, op: OpName, args: readonly Argument[], odd: boolean): Outcome {
  const api = library.symbols;
  const owned: number[] = [];
  const finish: (() => void)[] = [];
  const outcome: Outcome = { written: [], damage: [] };

  function tensor(data: Data, written: boolean, label: string): number {
    const dtype = dtypeOf(data);
    const before = odd ? margin.before : 0, whole = data.length + (odd ? margin.before + margin.after : 0);
    const filled = blank(whole, dtype).fill(margin.value);
    filled.set(data, before);
    const storage = handle(api.rs_tensor_create(dtypes[dtype], whole), "tensor_create");
    owned.push(storage);
    check(api.rs_tensor_upload(storage, 0, filled, filled.byteLength), "tensor_upload");
    let view = storage;
    if (odd) owned.push(view = handle(api.rs_tensor_view(storage, before, data.length), "tensor_view"));
    finish.push(() => {
      const now = blank(whole, dtype);
      check(api.rs_tensor_download(now, now.byteLength, storage, 0), "tensor_download");
      const inside = now.slice(before, before + data.length);
      if (written) outcome.written.push(inside);
      else if (!sameBits(inside, data)) outcome.damage.push(`${label} was changed`);
      now.set(filled.subarray(before, before + data.length), before);
      if (!sameBits(now, filled)) outcome.damage.push(`elements beside ${label} were changed`);
    });
    return view;
  }

  const parameters: (number | ArrayBufferView<ArrayBuffer>)[] = [];
  /** Handles by index of the argument, for aliases. */
  const handles: number[] = [];
  function one(argument: Argument, label: string): number {
    if (argument === null) return 0;
    if (typeof argument === "number") return argument;
    if ("in" in argument) return tensor(argument.in, false, label);
    if ("out" in argument) return tensor(blank(argument.out, argument.dtype ?? "f32"), true, label);
    if ("inout" in argument) return tensor(argument.inout, true, label);
    if ("same" in argument) return handles[argument.same];
    throw new TypeError(`${label} cannot stand here`);
  }

  try {
    args.forEach((argument, index) => {
      if (argument !== null && typeof argument === "object" && "buffer" in argument) {
        const copy = argument.buffer.slice();
        parameters.push(copy, copy.byteLength);
        finish.push(() => {
          if (argument.written) outcome.written.push(copy);
          else if (!sameBits(copy, argument.buffer)) outcome.damage.push(`argument ${index} was changed`);
        });
      } else if (argument !== null && typeof argument === "object" && "rows" in argument) {
        const words = argument.rows.flatMap((row, i) => row.map((cell, j) => one(cell, `row ${i}, column ${j}`)));
        const table = Uint32Array.from(words);
        parameters.push(table, table.byteLength);
      } else {
        parameters.push(handles[index] = one(argument, `argument ${index}`));
      }
    });
    if (parameters.length !== symbols[op].parameters.length) {
      throw new TypeError(`${op} takes ${symbols[op].parameters.length} parameters, the case has ${parameters.length}`);
    }
    check((api[op] as (...values: unknown[]) => number)(...parameters), op);
    for (const step of finish) step();
    return outcome;
  } finally {
    for (const tensor of owned.reverse()) api.rs_tensor_destroy(tensor);
  }
}

/**
 * Holds results to a case.
 * @param wanted What `one.expected()` gave.
 * @returns the first element that breaks the tolerance as a sentence, or null; and the largest error met, in tolerances
 */
export function compare(
  one: Case,
  wanted: ReturnType<Case["expected"]>,
  written: Outcome["written"],
): { worst: number; complaint: string | null } {
  if (written.length !== wanted.length) {
    return { worst: Infinity, complaint: `${written.length} arguments were written, ${wanted.length} expected` };
  }
  let worst = 0;
  let complaint: string | null = null;
  wanted.forEach((expected, k) => {
    const got = written[k];
    if (expected === null) return;
    if (got instanceof BigUint64Array || got.length !== expected.length) {
      worst = Infinity;
      complaint ??= `output ${k} has ${got.length} elements, ${expected.length} expected`;
      return;
    }
    let floor = one.floor ?? 0;
    if (one.floor === undefined) {
      let squares = 0, count = 0;
      for (let i = 0; i < expected.length; i++) {
        if (Number.isFinite(expected[i])) squares += expected[i] ** 2, count++;
      }
      floor = Math.max(one.least ?? 0, Math.sqrt(squares / Math.max(1, count)));
    }
    for (let i = 0; i < expected.length; i++) {
      // Equal covers infinities and tolerance 0.
      if (Object.is(got[i], expected[i]) || got[i] === expected[i]) continue;
      const error = Math.abs(got[i] - expected[i]) / (one.tolerance * (Math.abs(expected[i]) + floor));
      if (!(error <= worst)) worst = Number.isNaN(error) ? Infinity : error;
      if (!(error <= 1)) complaint ??= `output ${k} at ${i} is ${got[i]}, expected ${expected[i]}`;
    }
  });
  return { worst, complaint };
}

/** Instruction sets by the number `rs_runtime_set_isa` takes. */
export const instructionSets = ["best", "portable", "avx2", "avx512"] as const;

/** The numbers of the instruction sets that this machine has. Leaves the best one on. */
export function availableSets(library: Library): number[] {
  const found = [1, 2, 3].filter((isa) => library.symbols.rs_runtime_set_isa(isa) === 0);
  check(library.symbols.rs_runtime_set_isa(0), "runtime_set_isa");
  return found;
}

/** Damaged guard words, and counted operations, since the start. */
export function counters(library: Library): { damagedGuards: number; operations: number } {
  const values = new Float64Array(8);
  check(library.symbols.rs_counters(values, values.byteLength), "counters");
  return { damagedGuards: values[4], operations: values[5] };
}
