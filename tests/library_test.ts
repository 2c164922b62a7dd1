/**
 * The library's core: bindings, handles, memory, errors, threads. What the ops compute is in ops_test.ts and
 * ops/, random calls in fuzz_test.ts. Long because one library per process is shared by all of it.
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { generate, parseHeader } from "../cuda/bindgen.ts";
import { check, handle, KernelError, library, openLibrary } from "../cuda/lib.ts";
import { abiHash, enums, symbols } from "../cuda/symbols.gen.ts";
import { testLibrary, testLibraryPath } from "./_library.ts";
import { exportedSymbols } from "./_elf.ts";

const { symbols: rs } = testLibrary();
const { RS_F32, RS_BF16, RS_I32, RS_U16, RS_U8, RS_INVALID, RS_STALE, RS_OUT_OF_MEMORY } = enums;

function create(count: number, dtype: number = RS_F32): number {
  return handle(rs.rs_tensor_create(dtype, count), "tensor_create");
}
function from(values: number[]): number {
  const x = create(values.length);
  const data = new Float32Array(values);
  check(rs.rs_tensor_upload(x, 0, data, data.byteLength), "tensor_upload");
  return x;
}
function read(x: number, count: number, offset = 0): number[] {
  const data = new Float32Array(count);
  check(rs.rs_tensor_download(data, data.byteLength, x, offset), "tensor_download");
  return [...data];
}
function destroy(...handles: number[]): void {
  for (const x of handles) check(rs.rs_tensor_destroy(x), "tensor_destroy");
}
function counters() {
  const values = new Float64Array(8);
  check(rs.rs_counters(values, values.byteLength), "counters");
  const [liveBytes, peakBytes, heldBytes, liveTensors, damagedGuards, operations] = values;
  return { liveBytes, peakBytes, heldBytes, liveTensors, damagedGuards, operations };
}
function refused(status: number, code: number, text: string | RegExp): void {
  assert.throws(() => check(status, "op"), (error: unknown) => {
    assert(error instanceof KernelError);
    assert.equal(error.code, code, error.message);
    if (typeof text === "string") assert.equal(error.message, text);
    else assert.match(error.message, text);
    return true;
  });
}

Deno.test("symbols.gen.ts is what kernels.h generates", async () => {
  const header = await Deno.readTextFile(new URL("../cuda/kernels.h", import.meta.url));
  const table = await Deno.readTextFile(new URL("../cuda/symbols.gen.ts", import.meta.url));
  assert.equal(generate(parseHeader(header)), table);
});

Deno.test("the bindings generator refuses types outside the ABI and declarations it can't read", () => {
  assert.throws(() => parseHeader("RS_API int64_t rs_x(void);"), /rs_x: "int64_t" is no type of the ABI/);
  assert.throws(() => parseHeader("RS_API rs_status rs_x(const char* name);"), /no type of the ABI/);
  assert.throws(() => parseHeader("rs_status rs_x(int32_t n);"), /names 1 functions, but only 0/);
  assert.throws(() => parseHeader("enum { RS_A = 0, RS_B };"), /needs the form NAME = number/);
});

Deno.test("comments and white space leave the ABI hash alone, a declaration does not", () => {
  const hash = (source: string) => parseHeader("typedef int32_t rs_status;\n" + source).abiHash;
  assert.equal(hash("RS_API rs_status rs_x(int32_t n);"), hash("// what x does\nRS_API  rs_status\nrs_x(int32_t n);"));
  assert.notEqual(hash("RS_API rs_status rs_x(int32_t n);"), hash("RS_API rs_status rs_x(double n);"));
});

Deno.test(
  "the library exports what symbols.gen.ts names and nothing else",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    const exported = exportedSymbols(await Deno.readFile(testLibraryPath));
    assert.deepEqual(exported.sort(), Object.keys(symbols).sort());
  },
);

Deno.test("a library of another kernels.h is refused with what to do about it", async () => {
  // The hash is the immediate operand of rs_abi_hash's one instruction: change it in a copy.
  const bytes = await Deno.readFile(testLibraryPath);
  const needle = new Uint8Array(4);
  new DataView(needle.buffer).setUint32(0, abiHash, true);
  const at = bytes.findIndex((_, i) => needle.every((value, j) => bytes[i + j] === value));
  assert(at >= 0);
  bytes[at] ^= 1;
  const path = await Deno.makeTempFile({ suffix: ".so" });
  try {
    await Deno.writeFile(path, bytes);
    assert.throws(() => openLibrary(path), /was built from another kernels\.h .*: run `deno task build`/);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a missing file and a file that is no library are refused in one sentence", async () => {
  assert.throws(() => openLibrary("/nowhere/libresearchswarm_cpu.so"), /can't be opened .*: run `deno task build`/);
  const path = await Deno.makeTempFile({ suffix: ".so" });
  try {
    for (const text of ["no library\n", ""]) {
      await Deno.writeTextFile(path, text);
      assert.throws(() => openLibrary(path), /can't be opened .*: remove it and run `deno task build`/);
    }
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("opening is idempotent, and a second start of the runtime is an error", () => {
  assert.equal(openLibrary(testLibraryPath), openLibrary(testLibraryPath));
  assert.equal(library().path, testLibraryPath);
  assert.match(library().description, /^cpu (portable|avx2|avx512) \d+ threads?$/);
  refused(rs.rs_runtime_init(0, 0), RS_INVALID, "runtime_init: the runtime is open already");
});

Deno.test("a path-scoped --allow-ffi is enough", async () => {
  const child = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      `--allow-ffi=${testLibraryPath}`,
      fileURLToPath(new URL("_library_child.ts", import.meta.url)),
      testLibraryPath,
    ],
  }).output();
  assert.equal(new TextDecoder().decode(child.stderr), "");
  assert.equal(new TextDecoder().decode(child.stdout), "3 1,2,3 cpu 1 thread\n");
});

Deno.test("without --allow-ffi the error names the flag", async () => {
  const child = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      fileURLToPath(new URL("_library_child.ts", import.meta.url)),
      testLibraryPath,
    ],
  }).output();
  assert.equal(child.code, 1);
  assert.match(new TextDecoder().decode(child.stderr), /needs the permission --allow-ffi=.*libresearchswarm_cpu/);
});

Deno.test("a new tensor reads as zeros, also in memory that was used before", () => {
  for (const count of [1, 7, 1000, 300_000]) {
    const first = create(count);
    check(rs.rs_tensor_fill(first, 7), "tensor_fill");
    destroy(first);
    const whole = create(count), viewed = create(count), partly = create(count), target = create(count);
    const view = handle(rs.rs_tensor_view(viewed, 0, count), "tensor_view");
    check(rs.rs_tensor_upload(partly, 0, new Float32Array([5]), 4), "tensor_upload");
    check(rs.rs_tensor_copy(target, handle(rs.rs_tensor_view(whole, 0, count), "tensor_view")), "tensor_copy");
    assert(read(whole, count).every((value) => value === 0));
    assert(read(view, count).every((value) => value === 0));
    assert(read(target, count).every((value) => value === 0));
    assert(read(partly, count).every((value, i) => value === (i === 0 ? 5 : 0)));
    destroy(whole, viewed, view, partly, target);
  }
});

Deno.test("what an op left unwritten because it failed reads as zeros", () => {
  const table = from([1, 2, 3, 4]), ids = create(2, RS_I32);
  const before = create(4);
  check(rs.rs_tensor_fill(before, 9), "tensor_fill");
  destroy(before);
  const y = create(4);
  check(rs.rs_tensor_upload(ids, 0, new Int32Array([0, 5]), 8), "tensor_upload");
  refused(rs.rs_embedding_forward(y, table, ids, 2, 2, 2), RS_INVALID, /^embedding_forward: /);
  assert.deepEqual(read(y, 4), [0, 0, 0, 0]);
  destroy(table, ids, y);
});

Deno.test("a destroyed tensor's handle is stale, however often its slot is used again", () => {
  const old = create(3);
  destroy(old);
  for (let i = 0; i < 5000; i++) {
    const next = create(3);
    assert.notEqual(next, old);
    refused(rs.rs_tensor_fill(old, 1), RS_STALE, /^tensor_fill: x is no live tensor \(handle \d+ was destroyed/);
    destroy(next);
  }
  refused(rs.rs_tensor_destroy(old), RS_STALE, /^tensor_destroy: x is no live tensor/);
  refused(rs.rs_tensor_fill(0, 1), RS_INVALID, "tensor_fill: x is missing");
  refused(rs.rs_tensor_fill(0xffffffff, 1), RS_STALE, /no live tensor/);
});

Deno.test("wrong dtype, count, size and choice are named with what was received", () => {
  const start = counters().liveTensors;
  const x = create(6), rstd = create(2), y = create(6), weight = create(4), ids = create(6, RS_I32);
  const norm = (y: number, x: number, weight: number, n: number, c: number, eps: number) =>
    rs.rs_rms_norm_forward(y, rstd, x, weight, n, c, eps);
  refused(norm(y, x, weight, 2, 3, 0), RS_INVALID, "rms_norm_forward: weight must have 3 elements, has 4");
  refused(norm(y, ids, 0, 2, 3, 0), RS_INVALID, "rms_norm_forward: x must be f32, is i32");
  refused(norm(y, x, 0, -2, 3, 0), RS_INVALID, "rms_norm_forward: n must be at least 0, is -2");
  refused(norm(y, x, 0, 2, 0, 0), RS_INVALID, "rms_norm_forward: c must be at least 1, is 0");
  refused(norm(y, x, 0, 2, 3, NaN), RS_INVALID, "rms_norm_forward: eps must be finite and at least 0, is nan");
  refused(norm(y, y, 0, 2, 3, 0), RS_INVALID, "rms_norm_forward: y and x share memory");
  refused(norm(0, x, 0, 2, 3, 0), RS_INVALID, "rms_norm_forward: y is missing");
  const large = 2 ** 31 - 1;
  refused(
    rs.rs_transpose(y, x, large, large, 1, 1),
    RS_INVALID,
    /^transpose: the product of the sizes is beyond 2\^53/,
  );
  refused(rs.rs_transpose(y, x, large, 1, large, 4), RS_INVALID, /beyond 2\^53/);
  refused(rs.rs_unary_forward(y, x, 12, 0), RS_INVALID, "unary_forward: kind must be in 0…11, is 12");
  refused(rs.rs_copy_block(y, x, 2, 3, 3, 1, 3, 0, 0), RS_INVALID, /y_offset \+ width is beyond y_stride/);
  refused(rs.rs_copy_block(y, x, 2, large, 3, large, 3, 0, 0), RS_INVALID, /beyond y_stride/);
  for (const count of [-1, 0.5, NaN, Infinity, 2 ** 60]) {
    assert.equal(rs.rs_tensor_create(RS_F32, count), 0);
    refused(rs.rs_last_status(), RS_INVALID, /^tensor_create: count must be a whole number in 0…2\^53, is /);
  }
  assert.equal(rs.rs_tensor_create(9, 1), 0);
  refused(rs.rs_last_status(), RS_INVALID, "tensor_create: dtype must be in 0…4, is 9");
  for (const value of [-1, 1.5, 256, NaN]) {
    refused(rs.rs_tensor_fill(create(0, RS_U8), value), RS_INVALID, / is no u8$/);
  }
  destroy(x, rstd, y, weight, ids);
  assert.equal(counters().liveTensors, start + 4);
});

Deno.test("upload and download take whole elements inside the tensor", () => {
  const x = create(4), data = new Float32Array(5);
  refused(rs.rs_tensor_upload(x, 0, data, 20), RS_INVALID, "tensor_upload: elements [0, 5) are outside x, which has 4");
  refused(rs.rs_tensor_upload(x, 4, data, 4), RS_INVALID, "tensor_upload: elements [4, 5) are outside x, which has 4");
  refused(rs.rs_tensor_upload(x, 0, data, 6), RS_INVALID, "tensor_upload: 6 bytes are no whole elements of f32");
  refused(rs.rs_tensor_download(data, 16, x, 1), RS_INVALID, /^tensor_download: elements \[1, 5\) are outside/);
  refused(rs.rs_tensor_download(data, 16, x, -1), RS_INVALID, /offset must be a whole number/);
  refused(rs.rs_tensor_upload(x, 2 ** 53, data, 4), RS_INVALID, /outside x/);
  check(rs.rs_tensor_upload(x, 4, data, 0), "tensor_upload");
  check(rs.rs_tensor_upload(x, 1, new Float32Array([1, 2]), 8), "tensor_upload");
  assert.deepEqual(read(x, 4), [0, 1, 2, 0]);
  assert.deepEqual(read(x, 2, 1), [1, 2]);
  destroy(x);
});

Deno.test("a view shares its tensor's memory and keeps it alive", () => {
  const start = counters();
  const x = from([0, 1, 2, 3, 4, 5]);
  const view = handle(rs.rs_tensor_view(x, 2, 3), "tensor_view");
  const inner = handle(rs.rs_tensor_view(view, 1, 2), "tensor_view");
  check(rs.rs_tensor_fill(inner, 9), "tensor_fill");
  assert.deepEqual(read(x, 6), [0, 1, 2, 9, 9, 5]);
  destroy(x, view);
  assert.equal(counters().liveBytes, start.liveBytes + 24);
  assert.deepEqual(read(inner, 2), [9, 9]);
  assert.equal(rs.rs_tensor_view(inner, 1, 2), 0);
  refused(rs.rs_last_status(), RS_INVALID, "tensor_view: elements [1, 3) are outside x, which has 2");
  destroy(inner);
  assert.deepEqual([counters().liveBytes, counters().liveTensors], [start.liveBytes, start.liveTensors]);
});

Deno.test("overlapping views are refused where the op allows the same tensor only", () => {
  const x = from([1, 2, 3, 4, 5]);
  const [left, right, same] = [[0, 4], [1, 4], [0, 4]].map(([offset, count]) => rs.rs_tensor_view(x, offset, count));
  refused(rs.rs_axpby(left, right, 1, 1), RS_INVALID, "axpby: y and x share memory");
  check(rs.rs_axpby(left, same, 1, 1), "axpby");
  assert.deepEqual(read(x, 5), [2, 4, 6, 8, 5]);
  destroy(left, right, same, x);
});

Deno.test("an allocation beyond the limit fails cleanly and says what was wanted and what is free", () => {
  const start = counters();
  try {
    check(rs.rs_memory_set_limit(start.liveBytes + 1000), "memory_set_limit");
    const x = create(200);
    assert.equal(rs.rs_tensor_create(RS_F32, 100), 0);
    const limit = start.liveBytes + 1000;
    refused(
      rs.rs_last_status(),
      RS_OUT_OF_MEMORY,
      `tensor_create: out of memory: wanted 400 bytes, 200 bytes are free below the limit of ${limit}`,
    );
    destroy(x);
    destroy(create(250));
  } finally {
    check(rs.rs_memory_set_limit(0), "memory_set_limit");
  }
  assert.equal(rs.rs_tensor_create(RS_U8, 2 ** 50), 0);
  refused(rs.rs_last_status(), RS_OUT_OF_MEMORY, /wanted 1125899906842624 bytes, \d+ bytes are free/);
  assert.deepEqual([counters().liveBytes, counters().liveTensors], [start.liveBytes, start.liveTensors]);
});

Deno.test("peak, held and live bytes tell what is used, what was and what could be given back", () => {
  check(rs.rs_memory_trim(), "memory_trim");
  check(rs.rs_memory_reset_peak(), "memory_reset_peak");
  const start = counters();
  assert.equal(start.peakBytes, start.liveBytes);
  const x = create(1 << 20), y = create(1 << 20);
  destroy(x, y);
  const after = counters();
  assert.equal(after.liveBytes, start.liveBytes);
  assert.equal(after.peakBytes, start.liveBytes + 8 * 2 ** 20);
  assert(after.heldBytes - start.heldBytes >= 8 * 2 ** 20);
  check(rs.rs_memory_trim(), "memory_trim");
  assert.equal(counters().heldBytes, start.heldBytes);
});

Deno.test("every size class gives back what it took", () => {
  check(rs.rs_memory_trim(), "memory_trim");
  const start = counters();
  for (let bytes = 1; bytes < 2 ** 22; bytes = Math.ceil(bytes * 1.07)) {
    const x = create(bytes, RS_U8);
    destroy(x, create(bytes, RS_U8));
  }
  check(rs.rs_memory_trim(), "memory_trim");
  assert.deepEqual(
    [counters().heldBytes, counters().liveBytes, counters().damagedGuards],
    [start.heldBytes, start.liveBytes, 0],
  );
});

Deno.test("a byte written behind a tensor's end is found", { ignore: Deno.build.os !== "linux" }, async () => {
  // Its own process: it looks for a tensor in its own memory and writes one byte too many, as a wrong op would.
  const child = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--allow-ffi",
      fileURLToPath(new URL("_guard_child.ts", import.meta.url)),
      testLibraryPath,
    ],
  }).output();
  assert.equal(new TextDecoder().decode(child.stderr), "");
  assert.equal(new TextDecoder().decode(child.stdout), "0 1 0 1 1\n");
});

Deno.test("errors belong to the thread they happened on, and calls of several threads do not disturb each other", async () => {
  const start = counters().liveTensors;
  const workers = [1, 2].map((value) => {
    const worker = new Worker(new URL("_library_worker.ts", import.meta.url), { type: "module" });
    const answer = new Promise<string>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => (event.preventDefault(), reject(new Error(event.message)));
    });
    worker.postMessage({ path: testLibraryPath, value });
    return { worker, answer };
  });
  for (let i = 0; i < 2000; i++) {
    const x = create(100_000 + i), y = create(100_000 + i);
    check(rs.rs_tensor_fill(x, i), "tensor_fill");
    check(rs.rs_axpby(y, x, 2, 0), "axpby");
    assert.equal(read(y, 1, 99_999)[0], 2 * i);
    refused(rs.rs_tensor_fill(0, 1), RS_INVALID, "tensor_fill: x is missing");
    destroy(x, y);
    if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  assert.deepEqual(await Promise.all(workers.map(({ answer }) => answer)), ["1 ok", "2 ok"]);
  for (const { worker } of workers) worker.terminate();
  assert.deepEqual([counters().liveTensors, counters().damagedGuards], [start, 0]);
});

Deno.test("the instruction set can be chosen, and one that the machine lacks is refused", () => {
  try {
    check(rs.rs_runtime_set_isa(1), "runtime_set_isa");
    const text = new Uint8Array(100);
    const length = rs.rs_runtime_describe(text, 100);
    assert.match(new TextDecoder().decode(text.subarray(0, length)), /^cpu portable \d+ threads?$/);
    refused(rs.rs_runtime_set_isa(4), RS_INVALID, "runtime_set_isa: isa must be in 0…3, is 4");
    assert.equal(rs.rs_runtime_describe(text, 3), 3);
  } finally {
    check(rs.rs_runtime_set_isa(0), "runtime_set_isa");
  }
});

Deno.test("the profile counts calls and time by op, and nothing when off", () => {
  const report = () => {
    const text = new Uint8Array(1 << 16);
    return new TextDecoder().decode(text.subarray(0, rs.rs_profile_report(text, text.byteLength)));
  };
  check(rs.rs_profile_enable(1), "profile_enable");
  const x = create(10);
  for (let i = 0; i < 5; i++) check(rs.rs_tensor_fill(x, i), "tensor_fill");
  check(rs.rs_profile_enable(0), "profile_enable");
  check(rs.rs_tensor_fill(x, 0), "tensor_fill");
  const line = report().split("\n").find((line) => line.startsWith("tensor_fill "))!;
  assert.match(line, /^tensor_fill 5 \d+\.\d{9} 0$/);
  check(rs.rs_profile_enable(1), "profile_enable");
  assert.doesNotMatch(report(), /tensor_fill/);
  check(rs.rs_profile_enable(0), "profile_enable");
  destroy(x);
});

Deno.test("the measured peaks are positive and finite", () => {
  const peaks = new Float64Array(2);
  check(rs.rs_measure_peaks(peaks, peaks.byteLength, 0.1), "measure_peaks");
  assert(peaks.every((value) => value > 0.1 && value < 1e6), String(peaks));
  refused(rs.rs_measure_peaks(peaks, 8, 0.1), RS_INVALID, "measure_peaks: out must have 16 bytes, has 8");
  refused(rs.rs_measure_peaks(peaks, 16, -1), RS_INVALID, /seconds must be in \(0, 60\]/);
});

Deno.test("the other dtypes hold, fill and copy what they can", () => {
  for (
    const [dtype, value, data] of [
      [RS_I32, -7, new Int32Array(3)],
      [RS_U16, 65535, new Uint16Array(3)],
      [RS_U8, 255, new Uint8Array(3)],
    ] as const
  ) {
    const x = create(3, dtype), y = create(3, dtype);
    check(rs.rs_tensor_fill(x, value), "tensor_fill");
    check(rs.rs_tensor_copy(y, x), "tensor_copy");
    check(rs.rs_tensor_download(data, data.byteLength, y, 0), "tensor_download");
    assert.deepEqual([...data], [value, value, value]);
    destroy(x, y);
  }
  // bfloat16: round to nearest, ties to even; infinities and NaN stay what they are.
  const x = from([1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -Infinity, NaN, 3e38]),
    narrow = create(6, RS_BF16),
    back = create(6);
  check(rs.rs_tensor_copy(narrow, x), "tensor_copy");
  check(rs.rs_tensor_copy(back, narrow), "tensor_copy");
  assert.deepEqual(read(back, 5), [1, 1, 1 + 2 ** -6, -Infinity, NaN]);
  const whole = create(6, RS_I32);
  refused(rs.rs_tensor_copy(whole, x), RS_INVALID, "tensor_copy: x is f32 and can't become i32");
  destroy(x, narrow, back, whole);
});

Deno.test("random numbers are Philox4x32-10 as published, the same for any count and instruction set", () => {
  // Random123's known answer for counter 0 and key 0; a uniform number is the upper 24 bits of a word.
  const x = create(5);
  check(rs.rs_random_uniform(x, 0, 1, 0, 0), "random_uniform");
  const words = [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8];
  assert.deepEqual(read(x, 4), words.map((word) => (word >>> 8) * 2 ** -24));
  const long = create(100_003), sets: number[][] = [];
  try {
    for (const isa of [1, 2, 3]) {
      if (rs.rs_runtime_set_isa(isa) !== 0) continue;
      check(rs.rs_random_normal(long, 3, 2, 1, 2), "random_normal");
      sets.push(read(long, 100_003));
    }
  } finally {
    check(rs.rs_runtime_set_isa(0), "runtime_set_isa");
  }
  for (const set of sets) assert.deepEqual(set, sets[0]);
  check(rs.rs_random_normal(x, 3, 2, 1, 2), "random_normal");
  assert.deepEqual(read(x, 5), sets[0].slice(0, 5));
  // Mean, standard deviation and fourth moment within five of their own standard deviations.
  const n = sets[0].length, z = sets[0].map((value) => (value - 3) / 2);
  const moment = (power: number) => z.reduce((sum, value) => sum + value ** power, 0) / n;
  assert(Math.abs(moment(1)) < 5 / Math.sqrt(n) && Math.abs(moment(2) - 1) < 5 * Math.sqrt(2 / n), "mean or variance");
  assert(Math.abs(moment(4) - 3) < 5 * Math.sqrt(96 / n), "fourth moment");
  destroy(x, long);
});

Deno.test("a length that a buffer does not have never reaches the library", () => {
  const x = create(64);
  const few = new Uint8Array(16);
  const pretender = Object.defineProperty(new Uint8Array(16), "byteLength", { value: 256 });
  const view = new Uint8Array(new ArrayBuffer(256), 240);
  const shared = new Uint8Array(new SharedArrayBuffer(256));
  for (const buffer of [few, pretender, view]) {
    assert.throws(
      () => rs.rs_tensor_upload(x, 0, buffer, 256),
      /tensor_upload: a buffer of 16 bytes was passed as one of 256/,
    );
    assert.throws(() => rs.rs_tensor_download(buffer, 256, x, 0), RangeError);
  }
  assert.throws(() => rs.rs_tensor_download(few, NaN, x, 0), RangeError);
  assert.throws(() => rs.rs_tensor_download(few, { valueOf: () => 256 } as never, x, 0), RangeError);
  for (const buffer of [null, new ArrayBuffer(256), shared, { byteLength: 256 }]) {
    assert.throws(() => rs.rs_tensor_upload(x, 0, buffer as never, 256), /must be a typed array/);
  }
  assert.throws(() => Object.assign(rs, { rs_tensor_upload: 0 }), TypeError);
  assert.equal(rs.rs_tensor_download(few, 16, x, 0), 0);
  destroy(x);
});
