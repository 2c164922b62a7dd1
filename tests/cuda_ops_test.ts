/**
 * Holds every op of the CUDA build to the float64 reference in float32, and to the CPU build with bfloat16 activations;
 * to its bits and bounds; with the kernels made for one family of GPUs and with those that run everywhere.
 */
import { check, handle, type KernelError, type Library } from "../cuda/lib.ts";
import { enums } from "../cuda/symbols.gen.ts";
import { cudaLibrary, cudaTest, emulated, fromBf16, gpuTest, toBf16 } from "./_cuda.ts";
import { testLibrary } from "./_library.ts";
import { batches } from "./ops/batches.ts";
import { type Argument, type Case, type Data, type OpName, Random } from "./ops/case.ts";
import { cases } from "./ops/cases.ts";
import { call, compare, counters, type Outcome, sameBits } from "./ops/runner.ts";

/** Arguments of each op that may be bfloat16, by their place; the other tensors stay float32. */
const activations: { readonly [K in OpName]?: readonly number[] } = {
  rs_copy_block: [0, 1],
  rs_transpose: [0, 1],
  rs_axpby: [0, 1],
  rs_scale_by: [0, 1],
  rs_binary_forward: [0, 1, 2],
  rs_binary_backward: [0, 1, 2, 3, 4],
  rs_unary_forward: [0, 1],
  rs_unary_backward: [0, 1, 2, 3],
  rs_swiglu_forward: [0, 1],
  rs_swiglu_backward: [0, 1, 2],
  rs_sum_forward: [1],
  rs_sum_backward: [0, 1],
  rs_softmax_forward: [0, 1],
  rs_softmax_backward: [0, 1, 2],
  rs_dropout: [0, 1],
  rs_matmul: [0, 1, 2, 3],
  rs_embedding_forward: [0],
  rs_embedding_backward: [1],
  rs_gated_embedding_forward: [0, 1, 4],
  rs_gated_embedding_backward: [0, 2, 5],
  rs_rms_norm_forward: [0, 2],
  rs_rms_norm_backward: [0, 2, 3, 6],
  rs_layer_norm_forward: [0, 3],
  rs_layer_norm_backward: [0, 3, 4],
  rs_mix_rms_norm_forward: [0, 1, 3, 4],
  rs_mix_rms_norm_backward: [0, 1, 4, 5, 6, 8, 9],
  rs_rope: [0, 1],
  rs_rope_rms_norm_forward: [0, 2],
  rs_rope_rms_norm_backward: [0, 1, 2],
  rs_linear_rope_rms_norm_forward: [0, 2],
  rs_attention_forward: [0, 2, 3, 4],
  rs_attention_backward: [0, 1, 2, 3, 4, 6, 7, 8],
  rs_cross_entropy_forward: [3],
  rs_cross_entropy_backward: [0, 4],
  rs_linear_cross_entropy: [2, 4],
};

/** The arguments with bfloat16 where the op takes it, and the same values in float32 for the CPU. */
function lowered(op: OpName, args: readonly Argument[]): { low: Argument[]; high: Argument[] } {
  const at = activations[op]!;
  const low: Argument[] = [], high: Argument[] = [];
  args.forEach((argument, index) => {
    const float = argument !== null && typeof argument === "object" && at.includes(index);
    const data = float && "in" in argument ? argument.in : float && "inout" in argument ? argument.inout : null;
    if (data instanceof Float32Array) {
      const bits = toBf16(data), wide = fromBf16(bits);
      low.push("in" in (argument as object) ? { in: bits } : { inout: bits });
      high.push("in" in (argument as object) ? { in: wide } : { inout: wide });
    } else {
      const written = float && "out" in argument && (argument.dtype ?? "f32") === "f32";
      low.push(written ? { out: argument.out, dtype: "bf16" } : argument);
      high.push(argument);
    }
  });
  return { low, high };
}

const widened = (written: Outcome["written"]): Outcome["written"] =>
  written.map((result) => result instanceof Uint16Array ? fromBf16(result) : result);

/** 2⁻⁸: one rounding to bfloat16 (half a unit of 2⁻⁷ of a number's power of two). */
const rounding = 2 ** -8;
/**
 * Roundings inside a bfloat16 kernel beside that of its result: of probabilities and their gradients in attention, of
 * logits up to 24 in the fused loss (which become relative errors of probabilities), of both operands where a product's
 * float32 operand is rounded first; of the unit rows in sums over rows, which only the CPU's has.
 */
const inner: { readonly [K in OpName]?: number } = {
  rs_attention_forward: 3,
  rs_attention_backward: 16,
  rs_mix_rms_norm_backward: 12,
  rs_linear_cross_entropy: 24,
  rs_matmul: 4,
};

/** What one call must keep: its inputs, the elements beside its tensors, the same bits twice and at odd places. */
function twice(library: Library, op: OpName, args: readonly Argument[], where: string): Outcome {
  const first = call(library, op, args, false), second = call(library, op, args, true);
  for (const damage of [...first.damage, ...second.damage]) throw new Error(`${where}: ${damage}`);
  first.written.forEach((result, i) => {
    if (!sameBits(result, second.written[i])) {
      throw new Error(`${where}: output ${i} has other bits when tensors are views at an odd offset`);
    }
  });
  if (counters(library).damagedGuards > 0) throw new Error(`${where}: a guard word was overwritten`);
  return first;
}

/** Runs f with the best kernels and with the portable ones. */
function inBoth(library: Library, f: (set: string) => void): void {
  try {
    for (const [isa, set] of [[0, "best"], [1, "portable"]] as const) {
      check(library.symbols.rs_runtime_set_isa(isa), "runtime_set_isa");
      f(set);
    }
  } finally {
    check(library.symbols.rs_runtime_set_isa(0), "runtime_set_isa");
  }
}

for (const op of Object.keys(cases) as OpName[]) {
  cudaTest(`${op} in float32 agrees with float64, twice the same bits, and touches nothing else`, () => {
    const library = cudaLibrary();
    for (const one of cases[op]) {
      const where = `${op}, ${one.name}`;
      // A loss is off by roundings of its logits, which are of size 1, also where it is nearly 0.
      const floor = op === "rs_score_logits" ? 1 : one.floor;
      const { complaint } = compare({ ...one, floor }, one.expected(), twice(library, op, one.args, where).written);
      if (complaint) throw new Error(`${where}: ${complaint}`);
    }
  });
  if (!activations[op]) continue;
  cudaTest(`${op} in bfloat16 agrees with the CPU`, () => {
    const cpu = testLibrary(), cuda = cudaLibrary();
    for (const one of [...cases[op], ...larger(op)]) {
      const { low, high } = lowered(op, one.args);
      const wanted = widened(call(cpu, op, high, false).written) as Data[];
      inBoth(cuda, (set) => {
        const where = `${op}, ${one.name}, bf16, ${set}`;
        const got = widened(twice(cuda, op, low, where).written);
        const tolerance = one.tolerance + (1 + (inner[op] ?? 1)) * rounding;
        // What is 0 by cancellation, such as the gradient of a query that sees one key or a loss, is off by absolute errors.
        const least = one.floor === undefined && !op.startsWith("rs_cross_entropy") ? undefined : 0.05;
        const { complaint } = compare({ ...one, tolerance, floor: undefined, least }, wanted, got);
        if (complaint) throw new Error(`${where}: ${complaint}`);
      });
    }
  });
}

/** Sizes that only the kernels for large, aligned tensors take. */
function larger(op: OpName): Case[] {
  /** Whether products of this size do not take too long. */
  const affordable = (...sizes: number[]) => !emulated || sizes.reduce((product, size) => product * size, 1) <= 5e7;
  const random = new Random(77);
  function plain(name: string, args: Argument[], floor?: number): Case {
    return { name, args, expected: () => [], tolerance: 1e-4, floor };
  }
  if (op === "rs_attention_forward" || op === "rs_attention_backward") {
    return [
      [1, 256, 2, 2, 128, 256],
      [2, 200, 4, 2, 64, 100],
      [1, 200, 4, 3, 128, 130],
      [1, 384, 4, 3, 128, 130],
      [3, 513, 2, 1, 64, 1000],
      [1, 1024, 2, 2, 128, 512],
      [2, 1, 2, 1, 64, 0],
      // More tiles than a GPU has multiprocessors: several rounds of each thread block.
      [40, 300, 4, 2, 64, 100],
      [40, 200, 4, 4, 128, 300],
    ].filter(([b, t, h, , d]) => affordable(b, t, t, h, d)).map(([b, t, h, g, d, window]) => {
      const [q, k, v, dy] = [h, g, g, h].map((heads) => random.normal(b * t * heads * d));
      const sizes = [b, t, h, g, d, window, 1 / Math.sqrt(d)], name = `B${b} T${t} H${h} G${g} D${d} window ${window}`;
      const forward: Argument[] = [{ out: q.length }, { out: b * h * t }, { in: q }, { in: k }, { in: v }, ...sizes];
      if (op === "rs_attention_forward") return plain(name, forward);
      const { high } = lowered("rs_attention_forward", forward);
      const [y, lse] = call(testLibrary(), "rs_attention_forward", high, false).written as Float32Array<ArrayBuffer>[];
      return plain(name, [
        { out: q.length },
        { out: k.length },
        { out: v.length },
        { in: dy },
        { in: y },
        { in: lse },
        { in: q },
        { in: k },
        { in: v },
        ...[null, null, null, null],
        ...sizes,
      ], t === 1 ? 1 : undefined);
    });
  }
  if (op === "rs_matmul") {
    return [
      [20, 2048, 512, 0, 1],
      [300, 512, 512, 0, 1],
      [1000, 2048, 512, 0, 1],
      [257, 512, 2048, 0, 0],
      [512, 256, 1030, 1, 0],
      [130, 200, 712, 0, 0],
      [640, 200, 72, 0, 1],
      // Few and odd numbers of steps, and a width of whole narrow tiles alone.
      [300, 384, 512, 0, 1],
      [300, 512, 64, 0, 1],
      [300, 512, 136, 0, 1],
      [300, 512, 328, 0, 1],
      [5000, 4, 32, 0, 1],
      [5000, 32, 4, 0, 0],
      [4, 32, 5000, 1, 0],
    ].filter(([m, n, k]) => affordable(2, m, n, k)).flatMap(([m, n, k, transA, transB]) =>
      [0, 1, 2, 3].map((epilogue) => {
        const aux = epilogue === 2 ? random.uniform(m * n, 0, 4) : random.normal(m * n);
        return plain(`${m}×${n}×${k} transposed ${transA}${transB} epilogue ${epilogue}`, [
          { out: m * n },
          { in: random.normal(m * k) },
          { in: random.normal(k * n) },
          epilogue > 1 ? { in: aux } : null,
          1,
          m,
          n,
          k,
          transA,
          transB,
          0,
          epilogue,
        ]);
      })
    );
  }
  if (op === "rs_linear_cross_entropy") {
    return [
      [300, 128, 1024, 15],
      [700, 128, 1024, 15],
      [7000, 16, 1056, 15],
      [8200, 16, 1056, 50],
      [600, 16, 1056, 60],
      [9000, 16, 16384, 15], // more logits than there is room for at once: two chunks of rows
    ].filter(([n, c, v]) => affordable(n, c, v)).map(([n, c, v, cap]) => {
      const [x, w, targets] = [random.normal(n * c), random.normal(v * c, 0.1), random.ids(n, v)];
      targets[n - 2] = -1;
      const outputs = [{ out: 2 }, { out: n }, { out: n * c }, { out: v * c }];
      return plain(`${n}×${c}, ${v} entries`, [...outputs, { in: x }, { in: w }, { in: targets }, n, c, v, cap]);
    });
  }
  return [];
}

for (const [name, batch] of Object.entries(batches)) {
  // A product with a transposed left operand is that of a weight's gradient: its rows are no rows of a batch.
  if (name.includes("a transposed")) continue;
  cudaTest(`${name}: a row has the same bits wherever it stands in the batch`, () => {
    const library = cudaLibrary(), few = [40, 3, 17];
    const whole = batch(Array.from({ length: 41 }, (_, i) => i));
    const full = call(library, whole.op, whole.args, false).written;
    for (const rows of [few, [17]]) {
      const made = batch(rows), results = call(library, made.op, made.args, false).written;
      made.widths.forEach((width, k) => {
        if (width === null) return;
        rows.forEach((row, i) => {
          const here = results[k].slice(i * width, (i + 1) * width);
          if (!sameBits(here, full[k].slice(row * width, (row + 1) * width))) {
            throw new Error(`output ${k} of row ${row} differs when it is row ${i} of ${rows.length}`);
          }
        });
      });
    }
  });
}

cudaTest("a bfloat16 product gives a row the same bits among 1, 130 and many rows", () => {
  const library = cudaLibrary(), random = new Random(5), most = emulated ? 300 : 4096;
  const shapes = [[512, 512, 1], [200, 72, 1], [4, 32, 1], [2048, 512, 1], [512, 2048, 0], [8192, 512, 1]];
  for (const [n, k, transB] of emulated ? shapes.slice(0, 3) : shapes) {
    const a = toBf16(random.normal(most * k)), b = random.normal(n * k);
    const product = (m: number): Uint16Array =>
      call(library, "rs_matmul", [
        { out: m * n, dtype: "bf16" },
        { in: a.slice(0, m * k) },
        { in: b },
        null,
        1,
        m,
        n,
        k,
        0,
        transB,
        0,
        0,
      ], false).written[0] as Uint16Array;
    const full = product(most);
    for (const m of [1, 130]) {
      if (!sameBits(product(m) as Uint16Array<ArrayBuffer>, full.slice(0, m * n) as Uint16Array<ArrayBuffer>)) {
        throw new Error(`${m} rows of ${n}×${k}, transposed ${transB}, have other bits than the same of ${most}`);
      }
    }
  }
});

cudaTest("the fused loss gives a bfloat16 row the same bits among 1, 130 and many rows", () => {
  const library = cudaLibrary(), random = new Random(6), most = emulated ? 300 : 8200, c = 64, v = 1056;
  const x = toBf16(random.normal(most * c)), w = random.normal(v * c, 0.3), targets = random.ids(most, v);
  const losses = (n: number) =>
    call(library, "rs_linear_cross_entropy", [
      { out: 2 },
      { out: n },
      { out: n * c, dtype: "bf16" },
      { out: v * c },
      { in: x.slice(0, n * c) },
      { in: w },
      { in: targets.slice(0, n) },
      n,
      c,
      v,
      15,
    ], false).written[1] as Float32Array<ArrayBuffer>;
  const full = losses(most);
  for (const n of [1, 130]) {
    if (!sameBits(losses(n), full.slice(0, n))) throw new Error(`${n} rows have other losses than the same of ${most}`);
  }
});

cudaTest("muon in bfloat16 stays near the CPU's float32", () => {
  const cpu = testLibrary(), cuda = cudaLibrary();
  for (const one of cases.rs_muon_step) {
    const low = one.args.map((argument, index) => index === 5 ? enums.RS_BF16 : argument);
    const wanted = call(cpu, "rs_muon_step", one.args, false).written as Data[];
    const got = call(cuda, "rs_muon_step", low, false).written as Data[];
    // Orthogonalised matrices have elements of one size: an error of a few roundings of the largest one.
    for (const [i, result] of got.entries()) {
      let difference = 0, norm = 0;
      result.forEach((value, j) => {
        difference += (value - wanted[i][j]) ** 2;
        norm += wanted[i][j] ** 2;
      });
      const error = Math.sqrt(difference / Math.max(norm, 1e-30));
      if (!(error < 0.15)) throw new Error(`${one.name}: output ${i} is off by ${error}`);
    }
  }
});

cudaTest("an id outside the table is reported with its op and place by the next call that waits", () => {
  const library = cudaLibrary(), n = 40, v = 8192, ids = new Int32Array(n);
  ids[17] = 9000;
  let message = "";
  try {
    call(library, "rs_embedding_forward", [{ out: n }, { in: new Float32Array(v) }, { in: ids }, n, 1, v], false);
  } catch (error) {
    message = (error as KernelError).message;
  }
  if (!message.includes("embedding_forward: id 9000 at 17 is outside 0…8191")) throw new Error(`it said: "${message}"`);
});

gpuTest("tensors of 2³¹ elements: the last rows have the bits of a small call", () => {
  const library = cudaLibrary(), { symbols } = library;
  check(symbols.rs_memory_set_guards(0), "memory_set_guards");
  const [n, c, tail] = [2 ** 18, 2 ** 13, 3];
  const create = (dtype: number, count: number) => handle(symbols.rs_tensor_create(dtype, count), "tensor_create");
  const view = (x: number, offset: number, count: number) => handle(symbols.rs_tensor_view(x, offset, count), "view");
  const read = (x: number, count: number, dtype: number) => {
    const wide = create(enums.RS_F32, count), data = new Float32Array(count);
    if (dtype === enums.RS_F32) check(symbols.rs_tensor_download(data, data.byteLength, x, 0), "download");
    else {
      check(symbols.rs_tensor_copy(wide, x), "copy");
      check(symbols.rs_tensor_download(data, data.byteLength, wide, 0), "download");
    }
    check(symbols.rs_tensor_destroy(wide), "destroy");
    return data;
  };
  const random = create(enums.RS_F32, n * c);
  check(symbols.rs_random_normal(random, 0, 5, 1, 2), "normal");
  for (const dtype of [enums.RS_BF16, enums.RS_F32]) {
    const x = dtype === enums.RS_F32 ? random : create(dtype, n * c), y = create(dtype, n * c);
    if (x !== random) check(symbols.rs_tensor_copy(x, random), "copy");
    const targets = create(enums.RS_I32, n), [losses, lse, mean] = [n, n, 2].map((size) => create(enums.RS_F32, size));
    const dmean = create(enums.RS_F32, 1);
    check(symbols.rs_tensor_fill(targets, c - 1), "fill");
    check(symbols.rs_tensor_fill(dmean, n), "fill"); // undoes the mean's 1/n, so that rows compare with a small call
    const rstd = create(enums.RS_F32, n);
    type Op = (to: number, from: number, rows: number, part: (tensor: number, width: number) => number) => number;
    const ops: Record<string, Op> = {
      unary: (to, from) => symbols.rs_unary_forward(to, from, enums.RS_SILU, 0),
      axpby: (to, from) => symbols.rs_axpby(to, from, 2, 0),
      softmax: (to, from, rows) => symbols.rs_softmax_forward(to, from, rows, c),
      "rms norm": (to, from, rows, part) => symbols.rs_rms_norm_forward(to, part(rstd, 1), from, 0, rows, c, 1e-6),
      transpose: (to, from, rows) => symbols.rs_transpose(to, from, rows, 64, c / 64, 1),
      "copy block": (to, from, rows) => symbols.rs_copy_block(to, from, rows, c, c, 0, c, 0, 0),
    };
    for (const [name, op] of Object.entries(ops)) {
      check(op(y, x, n, (tensor) => tensor), name);
      const last = view(y, (n - tail) * c, tail * c), got = read(last, tail * c, dtype);
      const small = create(dtype, tail * c), from = view(x, (n - tail) * c, tail * c);
      const parts: number[] = [];
      const part = (tensor: number, width: number) => parts[parts.push(view(tensor, 0, tail * width)) - 1];
      check(op(small, from, tail, part), name);
      if (!sameBits(got, read(small, tail * c, dtype))) {
        throw new Error(`${name}, dtype ${dtype}: the last rows differ`);
      }
      for (const tensor of [last, small, from, ...parts]) check(symbols.rs_tensor_destroy(tensor), "destroy");
    }
    check(symbols.rs_cross_entropy_forward(mean, losses, lse, x, targets, n, c, 15), "cross entropy");
    check(symbols.rs_cross_entropy_backward(y, dmean, mean, lse, x, targets, n, c, 15), "cross entropy");
    const offset = (n - tail) * c;
    const [from, goal, to] = [view(x, offset, tail * c), view(targets, n - tail, tail), view(y, offset, tail * c)];
    const [small, each, sums, average] = [[dtype, tail * c], [0, tail], [0, tail], [0, 2]].map(([type, size]) =>
      create(type, size)
    );
    check(symbols.rs_tensor_fill(dmean, tail), "fill");
    check(symbols.rs_cross_entropy_forward(average, each, sums, from, goal, tail, c, 15), "cross entropy");
    check(symbols.rs_cross_entropy_backward(small, dmean, average, sums, from, goal, tail, c, 15), "cross entropy");
    if (!sameBits(read(to, tail * c, dtype), read(small, tail * c, dtype))) {
      throw new Error(`cross entropy, dtype ${dtype}: the last rows differ`);
    }
    const all = [y, targets, losses, lse, mean, dmean, rstd, from, goal, to, small, each, sums, average];
    for (const tensor of x === random ? all : [x, ...all]) check(symbols.rs_tensor_destroy(tensor), "destroy");
  }
  check(symbols.rs_tensor_destroy(random), "destroy");
  check(symbols.rs_memory_trim(), "trim");
});
