/**
 * A tiny data set, a tiny `train.ts` and a copy of the code folders to run it in, for the tests of one run.
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createHash } from "node:crypto";
import { testLibraryPath } from "../_library.ts";
import { runTraining } from "../../trainer/run/supervisor.ts";
import type { RunOptions, RunResult } from "../../trainer/run/types.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

export const vocabSize = 64;
export const sequenceLength = 32;
export const validationRows = 1024;
const trainRows = 400;

/** Rows of a noisy chain over the vocabulary: the next token is mostly a function of the last. */
function rows(count: number, seed: number): Uint16Array {
  let state = seed;
  const random = () => (state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0) >>> 1;
  const tokens = new Uint16Array(count * (sequenceLength + 1));
  for (let row = 0; row < count; row++) {
    tokens[row * (sequenceLength + 1)] = 0;
    for (let at = 1; at <= sequenceLength; at++) {
      const last = tokens[row * (sequenceLength + 1) + at - 1];
      const noise = random() % 4 === 0;
      tokens[row * (sequenceLength + 1) + at] = noise
        ? 1 + random() % (vocabSize - 1)
        : 1 + (last * 5 + 7) % (vocabSize - 1);
    }
  }
  return tokens;
}

async function writeDataset(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const tokenBytes = new Uint16Array(vocabSize).fill(1);
  tokenBytes[0] = 0;
  const files: Record<string, { bytes: number; sha256: string }> = {};
  const split = (count: number) => ({ documents: count, bytes: count, tokens: count, rows: count });
  const contents = {
    "train.bin": rows(trainRows, 1),
    "val.bin": rows(validationRows, 2),
    "sealed.bin": rows(4, 3),
    "token_bytes.bin": tokenBytes,
  };
  for (const [name, content] of Object.entries(contents)) {
    const bytes = new Uint8Array(content.buffer);
    await Deno.writeFile(join(folder, name), bytes);
    files[name] = { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  }
  const manifest = {
    format: 1,
    source: "test",
    validation: null,
    key: "test",
    tokenizer: "bytes",
    vocabSize,
    bosId: 0,
    sequenceLength,
    duplicates: 0,
    splits: { train: split(trainRows), val: split(validationRows), sealed: split(4) },
    files,
  };
  await Deno.writeTextFile(join(folder, "manifest.json"), JSON.stringify(manifest));
}

async function copySources(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    if (entry.isDirectory) await copySources(join(from, entry.name), join(to, entry.name));
    else if (entry.name.endsWith(".ts")) await Deno.copyFile(join(from, entry.name), join(to, entry.name));
  }
}

/** A `train.ts`, or what makes one for a run folder. */
type Source = string | ((runFolder: string) => string);

/** A folder with the code, the data and the runs; one a test file. */
export class Bench implements AsyncDisposable {
  #runs = 0;
  #busy = new Set<Promise<void>>();
  private constructor(readonly folder: string) {}

  static async create(): Promise<Bench> {
    const bench = new Bench(await Deno.realPath(await Deno.makeTempDir({ prefix: "researchswarm_run_" })));
    await copySources(join(root, "cuda"), join(bench.codeRoot, "cuda"));
    await copySources(join(root, "trainer"), join(bench.codeRoot, "trainer"));
    await writeDataset(bench.dataset);
    return bench;
  }

  get codeRoot(): string {
    return join(this.folder, "code");
  }
  get dataset(): string {
    return join(this.folder, "data");
  }

  /** Options of a run of `source` in a folder of its own. */
  options(source: Source, given: Partial<RunOptions> = {}): RunOptions {
    const name = `case_${this.#runs++}`;
    const trainFile = `trainer/${name}.ts`;
    const runFolder = join(this.folder, "runs", name);
    Deno.writeTextFileSync(join(this.codeRoot, trainFile), typeof source === "string" ? source : source(runFolder));
    return {
      codeRoot: this.codeRoot,
      trainFile,
      runFolder,
      libraryPath: testLibraryPath,
      device: "cpu",
      dataset: this.dataset,
      seed: 7,
      evaluationRows: 64,
      evaluationStallSeconds: 20,
      threads: 2,
      ...(given.budgetSeconds === undefined && given.clock === undefined ? { steps: 20 } : {}),
      ...given,
    };
  }

  /** Runs `source` to its end; at most three runs at a time. */
  async run(source: Source, given: Partial<RunOptions> = {}): Promise<RunResult> {
    const options = this.options(source, given);
    while (this.#busy.size >= 3) await Promise.race(this.#busy);
    const run = runTraining(options);
    const done: Promise<void> = run.then(() => {}, () => {}).finally(() => this.#busy.delete(done));
    this.#busy.add(done);
    return await run;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** What `tinyTrain` puts in place of its own parts. */
export interface Parts {
  /** At the top of the file. */
  top?: string;
  /** First in `createModel`. */
  setup?: string;
  /** Body of `logits(tokens)`, which is used for scoring alone, with `clean(tokens)` and `V`, `T` at hand. */
  logits?: string;
  /** First in each step. */
  step?: string;
  /** Last in `train`. */
  after?: string;
  /** Body of `parameters()`. */
  parameters?: string;
}

/** A `train.ts` of a bigram model with AdamW, with parts replaced. */
export function tinyTrain(parts: Parts = {}): string {
  return `
import type { Model, Run, Setup } from "./contract.ts";
import { backward } from "./autograd.ts";
import { Random, Parameters } from "./nn.ts";
import { crossEntropy, embedding, linear, reshape } from "./ops/mod.ts";
import { Optimizer } from "./optim.ts";
import { Tensor } from "./tensor.ts";
${parts.top ?? ""}
export const config = { depth: 1, width: 16, learningRate: 0.05 };

export function createModel(setup: Setup<any>): Model & { weights: Map<string, Tensor>; clean(tokens: Tensor): Tensor } {
  ${parts.setup ?? ""}
  const { vocabSize: V, sequenceLength: T, config: c } = setup;
  const random = new Random(setup.seed);
  const parameters = new Parameters();
  const table = parameters.add("table", random.normal([V, c.width], 0, 1));
  const head = parameters.add("head", random.normal([V, c.width], 0, 0.02));
  const clean = (tokens: Tensor) => linear(embedding(table, tokens), head);
  const weights = parameters.map();
  return {
    weights,
    clean,
    parameters() { ${parts.parameters ?? "return weights;"} },
    logits(tokens: Tensor): Tensor { ${parts.logits ?? "return clean(tokens);"} },
  };
}

export ${
    parts.after?.includes("await") || parts.step?.includes("await") ? "async " : ""
  }function train(run: Run<any>, model: any) {
  const optimizer = new Optimizer([{
    kind: "adamw", parameters: [...model.weights.values()], learningRate: run.config.learningRate, betas: [0.9, 0.95],
  }]);
  for (let step = 0;; step++) {
    const batch = run.nextBatch(8);
    if (!batch) break;
    run.step(() => {
      ${parts.step ?? ""}
      const logits = model.clean(batch.inputs);
      const loss = crossEntropy(reshape(logits, [8 * run.sequenceLength, run.vocabSize]), reshape(batch.targets, [8 * run.sequenceLength]));
      backward(loss);
      optimizer.step();
      run.log(step, loss);
    });
  }
  ${parts.after ?? ""}
}
`;
}
