/**
 * Random calls of every function of the ABI: whatever the handles, sizes and numbers are, a call returns a status and
 * leaves the guards whole. Arguments start at random and are then mended by what the error says ("weight must have 3
 * elements …"), so that most ops are reached behind their checks. RESEARCHSWARM_FUZZ_SEED repeats a run,
 * RESEARCHSWARM_FUZZ_ROUNDS lengthens it.
 * @module
 */
import assert from "node:assert/strict";
import { type Declaration, parseHeader } from "../cuda/bindgen.ts";
import { check } from "../cuda/lib.ts";
import { enums, symbols } from "../cuda/symbols.gen.ts";
import { testLibrary, testLibraryPath } from "./_library.ts";

const { symbols: rs } = testLibrary();

/** Not called at random: they would change or slow the process for others; library_test.ts calls them. */
const leftOut = new Set([
  "rs_runtime_init",
  "rs_runtime_set_isa",
  "rs_end_with_parent",
  "rs_runtime_inject_fault",
  "rs_measure_peaks",
  "rs_memory_set_limit",
]);
/** Has a handle of its own kind, which the generator of arguments knows nothing of; tokenizer_test.ts fuzzes these. */
const tokenizer = /^rs_(bpe_trainer|tokenizer)_/;

type Buffer = Uint8Array<ArrayBuffer>;
type Value = number | Buffer;

class Fuzzer {
  readonly tensors: number[] = [];
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Mulberry32. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  below(n: number): number {
    return Math.floor(this.random() * n);
  }
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  tensor(count: number, dtype: number): number {
    const x = rs.rs_tensor_create(dtype, count);
    if (x === 0) return 0;
    if (dtype === enums.RS_I32) {
      const data = Int32Array.from({ length: count }, () => this.below(20) === 0 ? this.below(9) - 4 : this.below(3));
      check(rs.rs_tensor_upload(x, 0, data, data.byteLength), "tensor_upload");
    } else if (dtype === enums.RS_F32) {
      const special = this.below(10) === 0 ? [NaN, Infinity, -Infinity, 3e38, 1e-40] : [0.5, -1, 2, 0];
      const data = Float32Array.from({ length: count }, () => this.pick(special));
      check(rs.rs_tensor_upload(x, 0, data, data.byteLength), "tensor_upload");
    }
    if (this.tensors.push(x) > 60) {
      check(rs.rs_tensor_destroy(this.tensors.splice(this.below(60), 1)[0]), "tensor_destroy");
    }
    return x;
  }

  handle(): number {
    const kind = this.below(40);
    if (kind === 0) return this.below(2 ** 32); // mostly never given out
    if (kind === 1) return (this.pick(this.tensors) ?? 1) - (1 << 20) >>> 0; // another generation
    if (kind < 8) return 0;
    if (kind < 12 || this.tensors.length === 0) return this.tensor(this.below(40), this.below(5));
    return this.pick(this.tensors);
  }

  size(name: string): number {
    if (/^(trans_|batch_b|accumulate|inverse|on$)/.test(name)) return this.below(12) === 0 ? 2 : this.below(2);
    const rare = this.below(60);
    if (rare === 0) return this.pick([-1, 2 ** 31 - 1, -(2 ** 31), 65536, 46341]);
    return rare < 40 ? 1 + this.below(5) : this.below(40);
  }

  number(): number {
    return this.below(12) === 0
      ? this.pick([NaN, Infinity, -Infinity, -1, 1e300, 2 ** 53, 2 ** 60, 0.1, -0])
      : this.pick([0, 1, 0.5, 2, 3, 1e-5]);
  }

  /** A buffer, for tables of the optimizers full of handles. */
  buffer(op: string, name: string): Buffer {
    const size = name === "key" && this.below(9) > 0 ? 16 : this.below(6) === 0 ? this.below(70) : 4 * this.below(30);
    const bytes = new Uint8Array(size);
    if (name === "table") {
      new Uint32Array(bytes.buffer, 0, size >> 2).forEach((_, i, words) => words[i] = this.handle());
    } else if (op === "rs_score_logits" || op === "rs_bits_per_byte_sums") bytes.fill(0);
    else for (let i = 0; i < size; i++) bytes[i] = this.below(256);
    return bytes;
  }

  arguments({ name: op, parameters, parameterNames }: Declaration): Value[] {
    const values: Value[] = [];
    for (let i = 0; i < parameters.length; i++) {
      const name = parameterNames[i];
      if (parameters[i] === "buffer") {
        const buffer = this.buffer(op, name);
        // Never more bytes than there are: the caller's promise that no library can check.
        const bytes = this.below(15) === 0
          ? this.pick([-1, NaN, 0.5, 0, Math.floor(buffer.length / 2)])
          : buffer.length;
        values.push(buffer, bytes);
        i++;
      } else if (parameters[i] === "i32") values.push(this.size(name));
      else if (parameters[i] === "f64") values.push(this.number());
      else values.push(/^seed/.test(name) ? this.below(2 ** 32) : this.handle());
    }
    return values;
  }

  /** Changes the argument that the error names; false when it says nothing that helps. */
  mend(declaration: Declaration, values: Value[], text: string): boolean {
    const at = (name: string) => declaration.parameterNames.indexOf(name);
    const message = text.slice(text.indexOf(": ") + 2);
    let match = message.match(/^(\w+) must have (\d+) elements/);
    if (match && at(match[1]) >= 0) {
      const count = Number(match[2]);
      if (count > 2e4) return false; // attention over more than that takes minutes
      const integers = /^(ids|targets)$/.test(match[1]);
      values[at(match[1])] = this.tensor(count, integers ? enums.RS_I32 : enums.RS_F32);
      return true;
    }
    match = message.match(/^(\w+) must be (f32|i32)/);
    if (match && at(match[1]) >= 0) {
      const [name, type] = [match[1], match[2] === "i32" ? enums.RS_I32 : enums.RS_F32];
      values[at(name)] = name === "dtype" ? type : this.tensor(this.below(40), type);
      return true;
    }
    match = message.match(/^(\w+) (?:is missing|is no live)/) ?? message.match(/^(\w+) and \w+ share memory/);
    if (match && at(match[1]) >= 0) {
      values[at(match[1])] = this.tensor(this.below(40), enums.RS_F32);
      return true;
    }
    match = message.match(/^(\w+) must have (\d+) bytes/);
    if (match && at(match[1]) >= 0 && Number(match[2]) < 1e6) {
      const bytes = new Uint8Array(Number(match[2]));
      if (match[1] === "table") this.#fillTable(declaration.name, bytes, values);
      values[at(match[1])] = bytes;
      values[at(match[1]) + 1] = bytes.length;
      return true;
    }
    match = message.match(/^(\w+) must be (?:in (\d+)…(\d+)|at least (\d+)|(0) or (1))/);
    if (match && at(match[1]) >= 0) {
      const low = Number(match[2] ?? match[4] ?? match[5]), high = Number(match[3] ?? match[6] ?? low + 5);
      if (high > 1000 || !(high >= low)) return false;
      values[at(match[1])] = low + this.below(high - low + 1);
      return true;
    }
    if (/must be given together/.test(message)) {
      const names = ["weight", "dweight", "bias", "dbias", "dx", "dw", "q_rstd", "k_rstd"];
      for (const name of /cos/.test(message) ? [...names, "cos", "sin"] : names) {
        if (at(name) >= 0) values[at(name)] = 0;
      }
      return true;
    }
    match = message.match(/^(\w+) must be even/);
    if (match) {
      values[at(match[1])] = 2 * (1 + this.below(20));
      return true;
    }
    if (/is beyond [xy]_stride/.test(message)) {
      values[at("width")] = this.below(
        Math.max(1, Math.min(Number(values[at("x_stride")]), Number(values[at("y_stride")]))),
      );
      values[at("x_offset")] = values[at("y_offset")] = 0;
      return true;
    }
    if (/takes no aux/.test(message)) {
      values[at("aux")] = 0;
      return true;
    }
    if (/must be (finite|above 0)/.test(message)) {
      for (const name of ["eps", "scale", "soft_cap", "parameter", "low", "high", "mean", "std"]) {
        if (at(name) >= 0 && declaration.parameters[at(name)] === "f64") values[at(name)] = 1;
      }
      return true;
    }
    if (/but scalars has/.test(message)) {
      values[at("scalars")] = this.tensor(30, enums.RS_F32);
      if (at("offset") >= 0) values[at("offset")] = this.below(20);
      return true;
    }
    return false;
  }

  #fillTerms(words: Uint32Array, m: number, n: number): void {
    if (!(m > 0 && n > 0 && m * n < 1e4)) return;
    for (let i = 0; i + 2 < words.length; i += 3) {
      const k = 1 + this.below(5);
      words.set([this.tensor(m * k, enums.RS_F32), this.tensor(k * n, enums.RS_F32), k], i);
    }
  }

  #fillTable(op: string, bytes: Buffer, values: Value[]): void {
    if (op === "rs_matmul_sum") {
      return this.#fillTerms(new Uint32Array(bytes.buffer), Number(values[4]), Number(values[5]));
    }
    const words = new Uint32Array(bytes.buffer), columns = op === "rs_muon_step" ? 4 : 5;
    const count = op === "rs_muon_step" ? Number(values[3]) * Number(values[4]) : 1 + this.below(40);
    if (!(count > 0 && count < 1e4)) return;
    for (let i = 0; i < words.length; i++) {
      const column = i % columns;
      if (column === 4) words[i] = this.below(20);
      else {
        const size = columns === 4 && column === 3 ? Math.max(Number(values[3]), Number(values[4])) : count;
        words[i] = this.tensor(size, enums.RS_F32);
      }
    }
  }
}

function lastError(): string {
  const text = new Uint8Array(1024);
  return new TextDecoder().decode(text.subarray(0, rs.rs_last_error(text, text.length)));
}

Deno.test("random calls with random handles and sizes return a status and damage nothing", async () => {
  const seed = Number(Deno.env.get("RESEARCHSWARM_FUZZ_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const rounds = Number(Deno.env.get("RESEARCHSWARM_FUZZ_ROUNDS") ?? 40);
  console.log(`seed ${seed}`); // all that is left when a call ends the process
  const header = parseHeader(await Deno.readTextFile(new URL("../cuda/kernels.h", import.meta.url)));
  const declarations = header.declarations.filter(({ name }) => !leftOut.has(name) && !tokenizer.test(name));
  const fuzzer = new Fuzzer(seed), successes = new Map(declarations.map(({ name }) => [name, 0]));
  // Without lib.ts's own check of lengths: it is the library that is tried here.
  const functions = Deno.dlopen(testLibraryPath, symbols).symbols as unknown as Record<
    string,
    (...values: Value[]) => number
  >;
  const counters = new Float64Array(8), text = new Uint8Array(100);
  check(rs.rs_counters(counters, 64), "counters");
  const liveBefore = counters[3];
  check(rs.rs_memory_set_limit(counters[0] + 2 ** 26), "memory_set_limit");
  try {
    for (const isa of [1, 2, 3]) {
      if (rs.rs_runtime_set_isa(isa) !== 0) continue;
      for (let i = 0; i < rounds * declarations.length; i++) {
        const declaration = declarations[i % declarations.length], { name, result } = declaration;
        const values = fuzzer.arguments(declaration);
        for (let attempt = 0; attempt < 30; attempt++) {
          const answer = functions[name](...values);
          if (result === "u32" && answer !== 0 && name.startsWith("rs_tensor_")) fuzzer.tensors.push(answer);
          const failed = result === "u32" ? answer === 0 : answer !== 0 && !/describe|report|last_/.test(name);
          if (name === "rs_tensor_destroy" && !failed) {
            fuzzer.tensors.splice(fuzzer.tensors.indexOf(values[0] as number), 1);
          }
          if (!failed) {
            successes.set(name, successes.get(name)! + 1);
            break;
          }
          assert(lastError().startsWith(`${name.slice(3)}: `), `${name}: ${lastError()}`);
          if (!fuzzer.mend(declaration, values, lastError())) break;
        }
      }
    }
    check(rs.rs_counters(counters, 64), "counters");
    assert.equal(counters[4], 0, "damaged guards");
    assert(rs.rs_runtime_describe(text, 100) > 0);
    const never = [...successes].filter(([, count]) => count === 0).map(([name]) => name);
    assert.deepEqual(never, [], "functions that no random call got through");
  } finally {
    check(rs.rs_memory_set_limit(0), "memory_set_limit");
    check(rs.rs_runtime_set_isa(0), "runtime_set_isa");
    check(rs.rs_profile_enable(0), "profile_enable");
    for (const x of fuzzer.tensors) check(rs.rs_tensor_destroy(x), "tensor_destroy");
  }
  check(rs.rs_counters(counters, 64), "counters");
  assert.equal(counters[3], liveBefore);
});
