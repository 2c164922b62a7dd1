/**
 * Faults of a GPU and their sentences, steps that are replayed, memory that ends, and a session's runs on CUDA. What
 * needs no GPU runs wherever `deno task build` made the CUDA library: its symbols, and a driver that is too old.
 */
import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { check, findLibrary, handle, type Library, loadPlans } from "../cuda/lib.ts";
import { resolveHome } from "../cuda/home.ts";
import { plansPath, writePlans } from "../cuda/plans.ts";
import { exportedSymbols } from "./_elf.ts";
import { symbols as table } from "../cuda/symbols.gen.ts";
import { cudaLibrary, cudaLibraryPath, cudaTest, emulated, gpuTest } from "./_cuda.ts";
import { Bench, tinyTrain } from "./run/_fixture.ts";
import { config as literals, createModel, type GptConfig, train } from "../trainer/train.ts";
import { randomBatches } from "../trainer/bench/rows.ts";
import { BenchRun } from "../trainer/bench/run.ts";
import { presets } from "../trainer/presets.ts";
import { rotaryAttention } from "../trainer/ops/mod.ts";
import { repeatable, scope, Tensor } from "../trainer/tensor.ts";

const built = await findLibrary(resolveHome(), "cuda");
const ignore = built === null;
if (ignore) console.log("the CUDA build was not compiled: its tests are skipped");

async function child(path: string, what: string, env: Record<string, string> = {}): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      `--allow-ffi=${path}`,
      "--allow-read",
      new URL("_cuda_child.ts", import.meta.url).href,
      path,
      what,
    ],
    env: { NO_COLOR: "1", ...env },
  }).output();
  return new TextDecoder().decode(stdout).trim() + new TextDecoder().decode(stderr).trim();
}

/** A folder with a driver library that answers as one of CUDA 11.4 does. */
async function oldDriver(): Promise<string> {
  const folder = await Deno.makeTempDir();
  const source = `
    #include <cstring>
    extern "C" {
    int cuInit(unsigned) { return 0; }
    int cuDriverGetVersion(int* version) { *version = 11040; return 0; }
    int notFound() { return 500; }
    int cuGetProcAddress(const char* name, void** found, int, unsigned long long) {
      *found = !strcmp(name, "cuInit") ? (void*)cuInit
             : !strcmp(name, "cuDriverGetVersion") ? (void*)cuDriverGetVersion
             : !strcmp(name, "cuGetProcAddress") ? (void*)cuGetProcAddress : (void*)notFound;
      return 0;
    }
    int cuGetProcAddress_v2(const char* name, void** found, int version, unsigned long long flags, int*) {
      return cuGetProcAddress(name, found, version, flags);
    }
    }`;
  await Deno.writeTextFile(join(folder, "driver.cpp"), source);
  const { success } = await new Deno.Command("g++", {
    args: ["-shared", "-fPIC", "-o", join(folder, "libcuda.so.1"), join(folder, "driver.cpp")],
  }).output();
  assert(success);
  return folder;
}

Deno.test({
  name: "CUDA: the library exports what symbols.gen.ts names and nothing else",
  ignore,
  fn: async () => {
    const names = exportedSymbols(await Deno.readFile(built!)).filter((name) => !name.startsWith("_"));
    assert.deepEqual(names.sort(), Object.keys(table).sort());
  },
});

Deno.test({
  name: "CUDA: a driver that is too old is named with both versions",
  ignore,
  fn: async () => {
    const folder = await oldDriver();
    try {
      const said = await child(built!, "describe", { LD_LIBRARY_PATH: folder });
      assert.match(said, /the NVIDIA driver is too old: it knows CUDA 11\.4, and 1[23]\.\d is needed/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

gpuTest("a fault names the op it happened in, and the process can end", async () => {
  const said = await child(cudaLibraryPath, "fault");
  assert.match(said, /the GPU failed in runtime_inject_fault: .* \(cuda\w+\)$/);
});

gpuTest("a GPU that is not there is named", async () => {
  const said = await child(cudaLibraryPath, "describe", { CUDA_VISIBLE_DEVICES: "" });
  assert.match(said, /there is no GPU/);
});

gpuTest("memory that ends is an error with the bytes wanted, and what follows works", () => {
  const { symbols } = cudaLibrary(), held: number[] = [];
  let message = "";
  try {
    for (;;) held.push(handle(symbols.rs_tensor_create(0, 2 ** 31), "tensor_create"));
  } catch (error) {
    message = (error as Error).message;
  }
  assert.match(message, /^tensor_create: out of memory: wanted 8589934592 bytes, \d+ bytes are free/);
  for (const tensor of held) check(symbols.rs_tensor_destroy(tensor), "destroy");
  check(symbols.rs_memory_trim(), "trim");
  using x = Tensor.from(Float32Array.of(1, 2, 3));
  assert.deepEqual([...x.data()], [1, 2, 3]);
});

/** Trains a small model and returns all weights and losses. */
function trained(dtype: "f32" | "bf16", steps: number, replay: boolean): { weights: Float32Array[]; losses: number[] } {
  const tiny = presets["cpu-tiny"], vocabSize = emulated ? 64 : tiny.vocabSize;
  const sequenceLength = emulated ? 16 : tiny.sequenceLength;
  const sizes = { ...tiny.config, ...(emulated ? { depth: 1, microBatchRows: 2 } : {}) };
  const config = { ...literals, ...sizes, batchTokens: 2 * sizes.microBatchRows * sequenceLength } as GptConfig;
  const setup = { seed: 3, vocabSize, sequenceLength, dtype, config };
  return scope(() => {
    const model = createModel(setup);
    const run = new BenchRun(setup, randomBatches(3, vocabSize, sequenceLength), { steps });
    // Without its borders a step is never replayed.
    if (!replay) run.step = (fn) => (scope(fn), run.ended());
    train(run, model);
    run.finish();
    const weights = [...model.parameters().values()].map((tensor) => tensor.data() as Float32Array);
    for (const tensor of model.parameters().values()) tensor.dispose();
    return { weights, losses: run.curve.map(({ loss }) => loss) };
  });
}

/** Training steps that were replayed so far. */
function replayedSteps({ symbols }: Library): number {
  const counters = new Float64Array(8);
  check(symbols.rs_counters(counters, counters.byteLength), "counters");
  return counters[6];
}

cudaTest("steps that are replayed leave the bits of steps that are not, twice", () => {
  const library = cudaLibrary();
  check(library.symbols.rs_memory_set_guards(0), "memory_set_guards");
  const steps = emulated ? 8 : 12;
  for (const dtype of emulated ? ["bf16"] as const : ["f32", "bf16"] as const) {
    const plain = trained(dtype, steps, false), before = replayedSteps(library);
    const replayed = trained(dtype, steps, true), after = replayedSteps(library), again = trained(dtype, steps, true);
    assert(after - before >= steps - 6, `${after - before} of ${steps} steps were replayed`);
    assert.deepEqual(replayed.losses, plain.losses, dtype);
    assert.deepEqual(replayed.weights, plain.weights, dtype);
    assert.deepEqual(again, replayed, dtype);
  }
});

cudaTest("a step that changes after it was captured does what it says", () => {
  cudaLibrary();
  using x = Tensor.from(new Float32Array(8).fill(1)), y = Tensor.from(new Float32Array(8).fill(2));
  const seen: number[] = [];
  const add = (library: Library, factor: number) =>
    check(library.symbols.rs_axpby(x.handle, y.handle, factor, 1), "axpby");
  const library = cudaLibrary();
  for (let step = 0; step < 20; step++) {
    repeatable(() => {
      add(library, 1);
      x.upload(Float32Array.of(step), 7); // a number that differs from step to step
      if (step === 11) add(library, 10); // one more than ever before
      if (step === 14) seen.push((x.data() as Float32Array)[0]); // a wait in the middle
      if (step !== 16) add(library, 1); // one less
    });
    if (step % 5 === 4) seen.push((x.data() as Float32Array)[0]);
  }
  const data = x.data() as Float32Array;
  // 1 + 2·(two a step, ten more in step 11, one less in step 16)
  assert.deepEqual([data[0], data[7], ...seen], [1 + 2 * 49, 19 + 2, 21, 41, 79, 81, 99]);
});

cudaTest("sums, biases and norms with weights are replayed, and a step that waits is not", () => {
  const library = cudaLibrary(), { symbols: rs } = library, [n, c] = [64, 48];
  check(rs.rs_memory_set_guards(0), "memory_set_guards");
  scope(() => {
    const wave = (count: number, phase: number) =>
      Tensor.from(Float32Array.from({ length: count }, (_, i) => Math.sin(i + phase)));
    const [x, dy, dx] = [1, 2, 3].map((phase) => wave(n * c, phase)), total = wave(1, 0);
    const [weight, bias, dweight, dbias] = [4, 5, 6, 7].map((phase) => wave(c, phase));
    const [mean, rstd, sums] = [8, 9, 10].map((phase) => wave(n, phase));
    const results = () => [total, sums, bias, dx, dweight, dbias].map((tensor) => tensor.data());
    const [X, DY, DX, W, DW, DB, M, R] = [x, dy, dx, weight, dweight, dbias, mean, rstd].map(({ handle }) => handle);
    const replayed = (wait: boolean) => {
      const before = replayedSteps(library);
      for (let i = 0; i < 10; i++) {
        repeatable(() => {
          check(rs.rs_sum_forward(total.handle, X, n, c, 2, 1), "sum_forward");
          check(rs.rs_sum_forward(sums.handle, X, n, c, 1, 1), "sum_forward");
          if (wait) total.data();
          check(rs.rs_binary_backward(0, bias.handle, DY, X, W, 2, 1, n, c), "binary_backward");
          check(rs.rs_layer_norm_backward(DX, DW, DB, DY, X, M, R, W, n, c), "layer_norm_backward");
        });
      }
      return replayedSteps(library) - before;
    };
    assert.equal(replayed(true), 0);
    const wanted = results(), count = replayed(false);
    assert(count >= 6, `${count} of 10 steps were replayed`);
    assert.deepEqual(results(), wanted);
  });
});

cudaTest("what nothing wrote reads as zeros inside a step, replayed or not", () => {
  const library = cudaLibrary(), { symbols } = library;
  check(symbols.rs_memory_set_guards(0), "memory_set_guards");
  using filled = Tensor.from(new Float32Array(64).fill(1)), y = Tensor.from(new Float32Array(64));
  for (let step = 0; step < 12; step++) {
    // Gives a block with other contents back, which the next tensor of its size gets.
    scope(() => Tensor.zeros([64]).fill(7));
    using blank = Tensor.untracked([64]);
    repeatable(() => {
      check(symbols.rs_axpby(y.handle, filled.handle, 1, 1), "axpby");
      if (step >= 8) assert(blank.data().every((value) => value === 0), `step ${step}`);
      else check(symbols.rs_axpby(y.handle, blank.handle, 1, 1), "axpby");
    });
    assert(blank.data().every((value) => value === 0), `after step ${step}`);
  }
  assert.equal(y.data()[5], 12);
});

cudaTest("tables of positions that are views of others are told apart", () => {
  cudaLibrary();
  const [b, t, d, c] = [1, 128, 64, 64];
  const random = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.37 + seed));
  using cos = Tensor.from(random(t * d / 2, 1), [t, d / 2]), sin = Tensor.from(random(t * d / 2, 2), [t, d / 2]);
  using weight = Tensor.from(random(d * c, 3), [d, c]);
  const attend = (length: number, cosines: Tensor, sines: Tensor) =>
    scope(() => {
      using wide = Tensor.from(random(b * length * c, 4), [b, length, c]);
      const h = Tensor.zeros([b, length, c], "bf16"), v = Tensor.zeros([b, length, 1, d], "bf16");
      h.upload(wide.data());
      v.upload(wide.data());
      return rotaryAttention(h, weight, weight, v, cosines, sines).data();
    });
  scope(() => {
    const half = t / 2, short = [cos, sin].map((table) => table.view(0, [half, d / 2]));
    const first = attend(half, short[0], short[1]), whole = attend(t, cos, sin);
    const own = [cos, sin].map((table) => Tensor.from(table.data(), [t, d / 2]));
    assert.deepEqual(whole, attend(t, own[0], own[1]));
    assert.deepEqual(first, attend(half, short[0], short[1]));
  });
});

gpuTest("plans that tune printed are taken, others refused, and a run gets them", async () => {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "tune", "--once", "--preset", "gpu-small"],
    stderr: "null",
  }).output();
  assert(success);
  const plans = new TextDecoder().decode(stdout);
  assert.match(plans, /^researchswarm-plans 1 .*\nproduct /);
  const library = cudaLibrary();
  loadPlans(library, plans);
  assert.throws(() => loadPlans(library, plans.replace("sm_", "sm_1")), /made for another library or GPU/);
  assert.throws(() => loadPlans(library, `${plans}nonsense\n`), /line \d+ of the plans is malformed/);
  await using bench = await Bench.create();
  const { status, reason } = await bench.run(tinyTrain(), { libraryPath: cudaLibraryPath, device: "cuda", plans });
  assert.deepEqual([status, reason], ["ok", ""]);
});

gpuTest("a benchmark whose plans are damaged names their file and what to do", async () => {
  const library = cudaLibrary(), home = await Deno.makeTempDir();
  try {
    const copy = join(home, "lib", basename(dirname(library.path)), basename(library.path));
    await Deno.mkdir(dirname(copy), { recursive: true });
    await Deno.copyFile(library.path, copy);
    const path = plansPath(home, library);
    await writePlans(path, "nonsense\n");
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "bench", "train", "--steps", "1"],
      env: { RESEARCHSWARM_HOME: home, RESEARCHSWARM_DEVICE: "cuda", NO_COLOR: "1" },
    }).output();
    const said = new TextDecoder().decode(stderr).trim().split("\n").at(-1)!;
    assert.equal(code, 1);
    assert(said.startsWith(`bench train: ${path}: `) && said.endsWith(": run `deno task tune`"), said);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

gpuTest("a run out of memory, one that loses the GPU, and one that is well after them", async () => {
  await using bench = await Bench.create();
  const cuda = { libraryPath: cudaLibraryPath, device: "cuda" as const };
  const full = await bench.run(
    tinyTrain({
      top: `import { Tensor as Many } from "./tensor.ts";`,
      step: "for (;;) Many.untracked([2 ** 16, 2 ** 15]);",
    }),
    cuda,
  );
  assert.equal(full.status, "crash");
  assert.match(full.reason, /out of memory: wanted 8589934592 bytes/);
  const lost = await bench.run(
    tinyTrain({
      top: `import { library } from "../cuda/lib.ts";`,
      step: "library().symbols.rs_runtime_inject_fault();",
    }),
    cuda,
  );
  assert.equal(lost.status, "crash");
  assert.match(lost.reason, /the GPU failed in runtime_inject_fault/);
  const well = await bench.run(tinyTrain(), cuda);
  assert.deepEqual([well.status, well.reason], ["ok", ""]);
  assert(well.valBpb! > 0);
});
