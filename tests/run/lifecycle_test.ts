/**
 * How a run ends when nobody cheats: every ending has a status and a reason, nothing outlives it, and the same seed and
 * clock give the same bits.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pinTree } from "../../trainer/run/pin.ts";
import { runTraining } from "../../trainer/run/supervisor.ts";
import type { RunOptions, RunResult, RunStatus } from "../../trainer/run/types.ts";
import { openDataset } from "../../trainer/data/dataset.ts";
import { Bench, sequenceLength, tinyTrain, vocabSize } from "./_fixture.ts";
import { processesWith } from "../_processes.ts";
import { testLibraryPath } from "../_library.ts";

const bench = await Bench.create();
globalThis.addEventListener("unload", () => Deno.removeSync(bench.folder, { recursive: true }));

const children = { sanitizeOps: false, sanitizeResources: false };

function expect(result: RunResult, status: RunStatus, reason: RegExp): void {
  if (result.status !== status || !reason.test(result.reason)) {
    throw new Error(`should be ${status} with ${reason}, is ${result.status}: ${result.reason}`);
  }
  if (status !== "ok" && result.valBpb !== null) throw new Error(`has the score ${result.valBpb}`);
}

const endings: { name: string; source: string; status: RunStatus; reason: RegExp; given?: Partial<RunOptions> }[] = [
  {
    name: "exits",
    source: tinyTrain({ step: "if (step === 3) Deno.exit(5);" }),
    status: "crash",
    reason: /^the worker exited with code 5$/,
  },
  {
    name: "throws",
    source: tinyTrain({ step: 'if (step === 3) throw new RangeError("layer 7");' }),
    status: "crash",
    reason: /^train: RangeError: layer 7$/,
  },
  {
    name: "has a syntax error",
    source: "export const config = {;",
    status: "crash",
    reason: /^import: .*Expression expected|^import: .*Unexpected token/,
  },
  {
    name: "exports no train",
    source: "export const config = {}; export function createModel() {}",
    status: "crash",
    reason: /^import: TypeError: train\.ts exports no function train$/,
  },
  {
    name: "exports no config",
    source: "export function createModel() {} export function train() {}",
    status: "crash",
    reason: /exports no object config/,
  },
  {
    name: "does not exist",
    source: 'import "./no_such_file.ts"; export const config = {};',
    status: "crash",
    reason: /^import: .*(Module not found|Cannot find module).*no_such_file/,
  },
  {
    name: "turns its constants down",
    source: tinyTrain({ top: 'export const valid = () => "width 16 is too small";' }),
    status: "refused",
    reason: /^setup: InvalidConfig: width 16 is too small$/,
  },
  {
    name: "has an invalid override",
    source: tinyTrain({ top: "export const valid = (c: any) => c.width < 100 || `width ${c.width} is too much`;" }),
    given: { configOverrides: { width: 128 } },
    status: "refused",
    reason: /width 128 is too much/,
  },
  {
    name: "misuses an op",
    source: tinyTrain({ step: "linear(batch.inputs, batch.targets);" }),
    status: "crash",
    reason: /^train: ShapeError: linear: /,
  },
  {
    name: "loses its numbers",
    source: tinyTrain({ step: "if (step === 4) run.log(step, Tensor.from(new Float32Array([NaN]), []));" }),
    status: "nan",
    reason: /^the loss of step 4 is NaN$/,
  },
  {
    name: "explodes",
    source: tinyTrain().replace(
      "run.log(step, loss)",
      "run.log(step, step < 10 || step > 24 ? Tensor.from(new Float32Array([9]), []) : loss)",
    ),
    given: { steps: 60 },
    status: "exploded",
    reason: /^the loss of step 27 is 9\.00 nats; guessing has 4\.16$/,
  },
  {
    name: "asks for no batch",
    source: tinyTrain().replace("export function train(", "export function train() {}\nfunction unused("),
    status: "crash",
    reason: /returned without asking for a batch/,
  },
  {
    name: "asks for a million rows",
    source: tinyTrain({ step: "run.nextBatch(1_000_000);" }),
    status: "crash",
    reason: /1000000 rows asked for, 1 to 65536 allowed/,
  },
  {
    name: "crashes in scoring",
    source: tinyTrain({ logits: 'throw new RangeError("no such layer");' }),
    status: "crash",
    reason: /^scoring: logits: RangeError \(its message could hold/,
  },
  {
    name: "hangs in scoring",
    source: tinyTrain({ logits: "for (;;);" }),
    given: { evaluationStallSeconds: 1 },
    status: "timeout",
    reason: /^scoring: an evaluator did not answer within 1 s$/,
  },
  {
    name: "hangs in set-up",
    source: tinyTrain({ setup: "for (;;);" }),
    given: { budgetSeconds: 0.4 },
    status: "timeout",
    reason: /^set-up was not over after \d\.\d s$/,
  },
  {
    name: "hangs while it is imported",
    source: tinyTrain({ top: "for (;;);" }),
    given: { budgetSeconds: 0.4 },
    status: "timeout",
    reason: /^set-up was not over after \d\.\d s$/,
  },
  {
    name: "falls silent without a budget of time",
    source: tinyTrain({ step: "for (;;);" }),
    given: { stallSeconds: 1 },
    status: "timeout",
    reason: /^the worker was silent for 1 s$/,
  },
];

for (const { name, source, given, status, reason } of endings) {
  const run = bench.run(source, given);
  Deno.test({
    name: `a train.ts that ${name} ends as ${status}`,
    ...children,
    async fn() {
      expect(await run, status, reason);
    },
  });
}

Deno.test({
  name: "steps and seed decide the weights and the score, to the bit",
  ...children,
  async fn() {
    const [a, b, other] = await Promise.all([
      bench.run(tinyTrain(), { steps: 40 }),
      bench.run(tinyTrain(), { steps: 40, threads: 1 }),
      bench.run(tinyTrain(), { steps: 40, seed: 8 }),
    ]);
    for (const result of [a, b, other]) expect(result, "ok", /^$/);
    if (a.weightsHash !== b.weightsHash || a.valBpb !== b.valBpb) throw new Error("the same seed gave other bits");
    if (a.weightsHash === other.weightsHash) throw new Error("another seed gave the same weights");
    if (a.steps !== 40 || a.tokens !== 40 * 8 * 32 || a.parameters !== 2 * 64 * 16 || a.depth !== 1) {
      throw new Error(`counts are wrong: ${JSON.stringify({ ...a, curve: 0, clock: 0 })}`);
    }
    if (a.epochs !== 40 * 8 / 400) throw new Error(`${a.epochs} epochs of 400 rows`);
    if (a.curve.length !== 40 || !(a.curve[39].loss < 0.7 * a.curve[0].loss)) throw new Error("it did not learn");
  },
});

Deno.test({
  name: "train.ts is told how often its rows were given before the step",
  ...children,
  async fn() {
    const step = `
      run.nextBatch(4);
      if (run.epochs() !== step * 12 / 400) throw new Error(run.epochs() + " epochs before step " + step);`;
    const result = await bench.run(tinyTrain({ step }), { steps: 40 });
    expect(result, "ok", /^$/);
    if (result.epochs !== 40 * 12 / 400) throw new Error(`${result.epochs} epochs of 400 rows`);
  },
});

Deno.test({
  name: "a timed run keeps to its budget and is replayed by its clock to the bit",
  ...children,
  async fn() {
    const source = tinyTrain({ step: "const until = performance.now() + 5; while (performance.now() < until);" })
      .replace("optimizer.step();", "optimizer.step(); if (run.progress() > 0.5) optimizer.step();");
    const options = bench.options(source, { budgetSeconds: 1 });
    const timed = await runTraining(options);
    expect(timed, "ok", /^$/);
    if (!(timed.trainingSeconds >= 1 && timed.trainingSeconds < 2)) {
      throw new Error(`took ${timed.trainingSeconds} s`);
    }
    const recorded = JSON.parse(await Deno.readTextFile(join(options.runFolder, "clock.json")));
    if (JSON.stringify(recorded) !== JSON.stringify(timed.clock)) throw new Error("clock.json is not the clock");
    if (timed.steps !== timed.clock.length || timed.clock[0] > 0.5) throw new Error("not one number a step");
    const replayed = await bench.run(source, { clock: recorded });
    expect(replayed, "ok", /^$/);
    if (replayed.weightsHash !== timed.weightsHash) throw new Error("the replay gave other weights");
    if (replayed.valBpb !== timed.valBpb) throw new Error("the replay gave another score");
    if (!(replayed.trainingSeconds < timed.trainingSeconds * 2)) throw new Error("the replay took longer");
  },
});

Deno.test({
  name: "the score is that of evaluateBpb on the saved weights",
  ...children,
  async fn() {
    const options = bench.options(tinyTrain(), { evaluationRows: 50 });
    const result = await runTraining(options);
    expect(result, "ok", /^$/);
    const load = (path: string) => import(`file://${join(bench.codeRoot, path)}`);
    const { openLibrary } = await load("cuda/lib.ts");
    openLibrary(testLibraryPath);
    const { Tensor, scope, keep } = await load("trainer/tensor.ts");
    const module = await load(options.trainFile!);
    const model = module.createModel({ seed: 1, vocabSize, sequenceLength, dtype: "f32", config: module.config });
    const { loadWeights } = await load("trainer/nn.ts");
    loadWeights(model.parameters(), await Deno.readFile(join(options.runFolder, "checkpoint.safetensors")));
    using dataset = openDataset(options.dataset);
    const rows = dataset.readRows("val", Array.from({ length: 50 }, (_, row) => row));
    const { evaluateBpb } = await load("trainer/data/evaluate.ts");
    const logits = (tokens: Int32Array, count: number) =>
      scope(() => keep(model.logits(Tensor.from(tokens, [count, sequenceLength])))).handle;
    const direct = await evaluateBpb(logits, rows, { sequenceLength, tokenBytes: dataset.tokenBytes, batchRows: 7 });
    if (direct.bitsPerByte !== result.valBpb) throw new Error(`${direct.bitsPerByte} is not ${result.valBpb}`);
  },
});

const oneStep = tinyTrain().replace(
  /for \(let step = 0;; step\+\+\) \{[\s\S]*?\n {2}\}\n/,
  `run.nextBatch(8);
  run.step(() => {
    run.log(0, crossEntropy(reshape(model.clean(Tensor.zeros([8, 32], "i32")), [256, 64]), Tensor.zeros([256], "i32")));
    while (run.nextBatch(8)) continue;
  });
`,
);

Deno.test({
  name: "a train.ts with all of its work inside one step gets no batch after the deadline",
  ...children,
  async fn() {
    const result = await bench.run(oneStep, { budgetSeconds: 3 });
    expect(result, "ok", /^$/);
    if (result.steps !== 1) throw new Error(`${result.steps} steps`);
    // It would be 4 s, up to the last moment at which a training may return.
    if (result.trainingSeconds > 3.6) throw new Error(`trained for ${result.trainingSeconds} s`);
  },
});

Deno.test({
  name: "a number of steps ends also where all work is inside one of them",
  ...children,
  async fn() {
    for (const given of [{ steps: 1 }, { clock: [0] }]) {
      const result = await bench.run(oneStep, given);
      expect(result, "ok", /^$/);
      if (result.tokens !== 4096 * 8 * sequenceLength) throw new Error(`${result.tokens} tokens`);
    }
  },
});

/** Replaces every clock and timer that JavaScript has. */
const patched = `
  Date.now = () => 0;
  performance.now = () => 0;
  globalThis.setTimeout = (() => 0) as never;
  globalThis.setInterval = (() => 0) as never;
  (globalThis as any).Date = class { getTime() { return 0; } };
`;

Deno.test({
  name: "a train.ts that patches timers and returns late is voided by the supervisor's clock",
  ...children,
  async fn() {
    const source = tinyTrain({
      top: `const now = performance.now.bind(performance); let start = 0; ${patched}`,
      setup: "start = now();",
      after: "while (now() - start < 4100);",
    });
    const result = await bench.run(source, { budgetSeconds: 2.4 });
    expect(result, "void", /^returned [12]\.\d s late$/);
  },
});

/** Says that the training has returned, before it has. */
const returned = "Deno.stdout.writeSync(new Uint8Array([2, 0, 0, 0, 8, 123, 125]));";

Deno.test({
  name: "a train.ts that returns in time and saves its weights late is voided",
  ...children,
  async fn() {
    const wait = "const until = performance.now() + 1500; while (performance.now() < until);";
    const saved = "Deno.stdout.writeSync(new Uint8Array([0, 0, 0, 0, 9])); for (;;);";
    const result = await bench.run(tinyTrain({ after: `${returned} ${wait} ${saved}` }), { budgetSeconds: 2.4 });
    expect(result, "void", /^saved its weights 1\.\d s late$/);
    if (result.trainingSeconds > 3) throw new Error(`trained for ${result.trainingSeconds} s, saving not counted`);
  },
});

Deno.test({
  name: "a train.ts that returns and never saves its weights is killed at twice the budget",
  ...children,
  async fn() {
    const result = await bench.run(tinyTrain({ after: `${returned} for (;;);` }), { budgetSeconds: 0.8 });
    expect(result, "timeout", /^the weights were not saved \d\.\d s after the return$/);
  },
});

Deno.test({
  name: "a train.ts that patches timers and ignores the deadline is killed at twice the budget",
  ...children,
  async fn() {
    const source = tinyTrain({ top: patched }).replace("if (!batch) break;", "if (!batch) { step--; continue; }");
    const result = await bench.run(source, { budgetSeconds: 0.8 });
    expect(result, "timeout", /^training was not over \d\.\d s after its first batch$/);
    if (result.trainingSeconds < 1.6 || result.trainingSeconds > 4) throw new Error(`${result.trainingSeconds} s`);
  },
});

Deno.test({
  name: "set-up beyond its share is training time",
  ...children,
  async fn() {
    const wait = "const until = performance.now() + 600; while (performance.now() < until);";
    const result = await bench.run(
      tinyTrain({ top: 'const scoring = "postMessage" in globalThis;', setup: `if (!scoring) { ${wait} }` }),
      {
        budgetSeconds: 0.8,
      },
    );
    expect(result, "ok", /^$/);
    if (!(result.clock[0] > 0.4)) throw new Error(`the first step began at ${result.clock[0]} of the budget`);
  },
});

Deno.test({
  name: "a tree that is not the pinned one is refused before anything runs",
  ...children,
  async fn() {
    const options = bench.options(tinyTrain());
    const except = options.trainFile;
    const pin = await pinTree(options.codeRoot, { files: "code", libraryPath: testLibraryPath, except });
    const extra = join(options.codeRoot, "trainer/data/more.ts");
    await Deno.writeTextFile(extra, "export {};");
    expect(await runTraining({ ...options, pin }), "refused", /the harness was changed/);
    await Deno.remove(extra);
    await Deno.writeTextFile(join(options.codeRoot, except!), tinyTrain({ top: "// changed" }));
    expect(await runTraining({ ...options, pin }), "ok", /^$/);
  },
});

Deno.test("a train.ts that is a link is refused", async () => {
  const options = bench.options(tinyTrain());
  const file = join(options.codeRoot, options.trainFile!);
  await Deno.rename(file, `${file}.target`);
  await Deno.symlink(`${file}.target`, file);
  expect(await runTraining(options), "refused", /is no plain file/);
});

Deno.test({
  name: "a caller's signal ends a run",
  ...children,
  async fn() {
    const controller = new AbortController();
    const options = bench.options(tinyTrain(), { budgetSeconds: 30, signal: controller.signal });
    const run = runTraining(options, { step: () => controller.abort() });
    expect(await run, "aborted", /stopped/);
  },
});

async function until(what: string, seconds: number, condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 1000 * seconds; !condition();) {
    if (performance.now() > end) throw new Error(`${what} did not happen within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

for (
  const [what, script, source] of [
    ["a worker that trains", "worker.ts", tinyTrain()],
    ["a worker that hangs", "worker.ts", tinyTrain({ step: "for (;;);" })],
    ["an evaluator that hangs", "evaluator.ts", tinyTrain({ logits: "for (;;);" })],
  ]
) {
  Deno.test({
    name: `a supervisor that is killed takes ${what} with it`,
    ...children,
    async fn() {
      const options = bench.options(source, script === "worker.ts" ? { budgetSeconds: 60 } : {});
      const module = fileURLToPath(new URL("../../trainer/run/supervisor.ts", import.meta.url));
      const supervisor = new Deno.Command(Deno.execPath(), {
        args: [
          "eval",
          "--no-check",
          `import { runTraining } from ${JSON.stringify(`file://${module}`)};
           await runTraining(${JSON.stringify(options)}, { phase: console.log, step: () => console.log("step") });`,
        ],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const wanted = script === "worker.ts" ? "training" : "scoring";
      const reader = supervisor.stdout.pipeThrough(new TextDecoderStream()).getReader();
      for (let told = ""; !told.includes(wanted);) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`the supervisor ended after saying ${told}`);
        told += value;
      }
      const mark = join(bench.codeRoot, "trainer/run", script);
      const ours = () => processesWith(mark);
      await until("the child", 10, () => ours().length > 0);
      await new Promise((resolve) => setTimeout(resolve, 500));
      if (ours().length === 0) throw new Error("the child ended by itself");
      supervisor.kill("SIGKILL");
      await supervisor.status;
      await reader.cancel();
      await until("the end of its children", 10, () => ours().length === 0);
    },
  });
}
