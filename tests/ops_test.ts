/**
 * Holds every op of the library to its float64 reference, in every instruction set of this machine, and to what
 * kernels.h promises beside the numbers: bits, aliases, bounds.
 */
import { check, handle, KernelError } from "../cuda/lib.ts";
import { testLibrary, testLibraryPath } from "./_library.ts";
import { batches } from "./ops/batches.ts";
import { type Argument, type OpName, Random } from "./ops/case.ts";
import { cases } from "./ops/cases.ts";
import { availableSets, call, compare, counters, instructionSets, sameBits } from "./ops/runner.ts";

const library = testLibrary();
const sets = availableSets(library);
const missing = [1, 2, 3].filter((isa) => !sets.includes(isa)).map((isa) => instructionSets[isa]);
if (missing.length > 0) console.log(`ops_test: this machine lacks ${missing.join(", ")}: not tested`);

/** Runs f with each instruction set on; `set` names it. */
function inEachSet(f: (set: string) => void): void {
  try {
    for (const isa of sets) {
      check(library.symbols.rs_runtime_set_isa(isa), "runtime_set_isa");
      f(instructionSets[isa]);
    }
  } finally {
    check(library.symbols.rs_runtime_set_isa(0), "runtime_set_isa");
  }
}

for (const op of Object.keys(cases) as OpName[]) {
  Deno.test(`${op} agrees with float64, twice the same bits, and touches nothing else`, () => {
    const wanted = cases[op].map((one) => one.expected());
    inEachSet((set) => {
      for (const [index, one] of cases[op].entries()) {
        const where = `${op}, ${one.name}, ${set}`;
        const first = call(library, op, one.args, false), second = call(library, op, one.args, true);
        const { complaint } = compare(one, wanted[index], first.written);
        if (complaint) throw new Error(`${where}: ${complaint}`);
        for (const damage of [...first.damage, ...second.damage]) throw new Error(`${where}: ${damage}`);
        first.written.forEach((result, i) => {
          if (!sameBits(result, second.written[i])) {
            throw new Error(`${where}: output ${i} has other bits when tensors are views at an odd offset`);
          }
        });
        if (counters(library).damagedGuards > 0) throw new Error(`${where}: a guard word was overwritten`);
      }
    });
  });
}

for (const [name, batch] of Object.entries(batches)) {
  Deno.test(`${name}: a row has the same bits wherever it stands in the batch`, () => {
    const many = Array.from({ length: 41 }, (_, i) => i), few = [40, 3, 17];
    inEachSet((set) => {
      const whole = batch(many), part = batch(few);
      const full = call(library, whole.op, whole.args, false).written;
      for (const rows of [few, [17]]) {
        const made = batch(rows), results = call(library, made.op, made.args, false).written;
        part.widths.forEach((width, k) => {
          if (width === null) return;
          rows.forEach((row, i) => {
            const here = results[k].slice(i * width, (i + 1) * width);
            if (!sameBits(here, full[k].slice(row * width, (row + 1) * width))) {
              throw new Error(`${set}: output ${k} of row ${row} differs when it is row ${i} of ${rows.length}`);
            }
          });
        });
      }
    });
  });
}

Deno.test("results have the same bits on one thread and on five", async () => {
  const children = await Promise.all([1, 5].map((threads) =>
    new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        "--allow-ffi",
        "--allow-read",
        new URL("ops/hashes.ts", import.meta.url).href,
        testLibraryPath,
        String(threads),
      ],
    }).output()
  ));
  const [one, five] = children.map(({ success, stdout, stderr }) => {
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout)) as { description: string; hashes: Record<string, string> };
  });
  if (!one.description.includes(" 1 ") || !five.description.includes(" 5 ")) {
    throw new Error(`the pools have other sizes: ${one.description}; ${five.description}`);
  }
  const different = Object.keys(one.hashes).filter((key) => one.hashes[key] !== five.hashes[key]);
  if (different.length > 0) throw new Error(`different bits: ${different.join(", ")}`);
  if (Object.keys(one.hashes).length !== sets.length * Object.keys(cases).length) throw new Error("ops are missing");
});

Deno.test("a product with a marked weight sees every later write to it, with the bits of an unmarked one", () => {
  const { symbols } = library, random = new Random(7), [m, n, k] = [30, 70, 45];
  const a = random.normal(m * k);
  inEachSet((set) => {
    const [left, weight, result] = [m * k, n * k, m * n].map((count) =>
      handle(symbols.rs_tensor_create(0, count), "tensor_create")
    );
    const b = random.normal(n * k), got = new Float32Array(m * n);
    check(symbols.rs_tensor_mark_parameter(weight), "tensor_mark_parameter");
    check(symbols.rs_tensor_upload(left, 0, a, a.byteLength), "tensor_upload");
    check(symbols.rs_tensor_upload(weight, 0, b, b.byteLength), "tensor_upload");
    for (let round = 0; round < 4; round++) {
      if (round > 0) {
        // Part of the weight changes, through itself or through a view.
        b[round * 50] += 1;
        const one = b.slice(round * 50, round * 50 + 1);
        const view = handle(symbols.rs_tensor_view(weight, round * 50, 1), "tensor_view");
        if (round === 1) check(symbols.rs_tensor_upload(view, 0, one, 4), "tensor_upload");
        else check(symbols.rs_tensor_upload(weight, round * 50, one, 4), "tensor_upload");
        check(symbols.rs_tensor_destroy(view), "tensor_destroy");
      }
      for (const transB of [1, 0]) {
        check(symbols.rs_matmul(result, left, weight, 0, 1, m, n, k, 0, transB, 0, 0), "matmul");
        check(symbols.rs_tensor_download(got, got.byteLength, result, 0), "tensor_download");
        const args: Argument[] = [{ out: m * n }, { in: a }, { in: b }, null, 1, m, n, k, 0, transB, 0, 0];
        const [plain] = call(library, "rs_matmul", args, false).written;
        if (!sameBits(got, plain)) throw new Error(`${set}: another result in round ${round}, trans_b ${transB}`);
      }
    }
    for (const tensor of [left, weight, result]) check(symbols.rs_tensor_destroy(tensor), "tensor_destroy");
  });
});

Deno.test("attention counts the pairs that are not masked, and products 2mnk", () => {
  const counted = (op: OpName, args: Argument[]): number => {
    const before = counters(library).operations;
    call(library, op, args, false);
    return counters(library).operations - before;
  };
  const expect = (what: string, got: number, wanted: number) => {
    if (got !== wanted) throw new Error(`${what}: ${got} operations were counted, not ${wanted}`);
  };
  const zeros = (n: number) => ({ in: new Float32Array(n) });
  const [b, t, h, g, d, window] = [2, 9, 4, 2, 8, 3], pairs = 1 + 2 + 3 + 6 * 4;
  const sizes = [b, t, h, g, d, window, 1];
  const [q, k, y] = [zeros(b * t * h * d), zeros(b * t * g * d), { out: b * t * h * d }];
  const forward: Argument[] = [y, { out: b * h * t }, q, k, k, ...sizes];
  expect("forward", counted("rs_attention_forward", forward), 4 * d * b * h * pairs);
  const kv = { out: b * t * g * d };
  const backward: Argument[] = [y, kv, kv, q, q, zeros(b * h * t), q, k, k, null, null, null, null, ...sizes];
  expect("backward", counted("rs_attention_backward", backward), 10 * d * b * h * pairs);
  const product: Argument[] = [{ out: 15 }, zeros(21), zeros(35), null, 1, 3, 5, 7, 0, 0, 0, 0];
  expect("matmul", counted("rs_matmul", product), 2 * 3 * 5 * 7);
});

Deno.test("an id outside the table is refused with its place, before anything is written", () => {
  const n = 40, v = 8192, ids = new Int32Array(n);
  ids[17] = 9000;
  const floats = (count: number): Argument => ({ in: new Float32Array(count) });
  const calls: [OpName, Argument[]][] = [
    ["rs_embedding_forward", [floats(n), floats(v), { in: ids }, n, 1, v]],
    ["rs_embedding_backward", [floats(v), floats(n), { in: ids }, n, 1, v]],
    ["rs_gated_embedding_forward", [floats(n), floats(n), floats(v), { in: ids }, floats(n), n, 1, 1, v]],
    ["rs_gated_embedding_backward", [floats(n), floats(v), floats(n), floats(v), { in: ids }, floats(n), n, 1, 1, v]],
  ];
  for (const [op, args] of calls) {
    // An output given as `in` must keep its bits; `call` can look at them only when the op succeeds.
    for (const id of [9000, -1, v]) {
      ids[17] = id;
      let message = "";
      try {
        call(library, op, args, false);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        message = error.message;
      }
      if (!message.includes(`id ${id} at 17 is outside 0…${v - 1}`)) throw new Error(`${op} said: "${message}"`);
    }
    ids[17] = 0;
  }
});
