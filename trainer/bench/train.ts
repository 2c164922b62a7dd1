/**
 * `bench train`: the loop of `train.ts` in this process, without the harness around it. Each step is timed with its loss
 * read back; three steps before it warm up the allocator and are thrown away with their weights. `time_over_floor` is
 * the time over (operations that the library counted ÷ the machine's measured multiply-add peak).
 * @module
 */
import { parseArgs } from "node:util";
import { ensureLibrary } from "../../cuda/build.ts";
import { resolveHome } from "../../cuda/home.ts";
import { check, type Library, openLibrary } from "../../cuda/lib.ts";
import { withoutTape } from "../autograd.ts";
import type { Run, Setup } from "../contract.ts";
import { evaluateBpb } from "../data/evaluate.ts";
import { countParameters } from "../nn.ts";
import { presetOf } from "../presets.ts";
import { scope, Tensor } from "../tensor.ts";
import { config as literals, createModel, type Gpt, type GptConfig, train } from "../train.ts";
import { type BatchSource, randomBatches, readRows, rowBatches } from "./rows.ts";

/** Steps before the clock starts. */
const WARM_UP_STEPS = 3;

/** Bad flags. */
class UsageError extends Error {
  override name = "UsageError";
}

const usage = `Trains train.ts in one process and measures it.

usage: deno task bench train [options]

  --preset NAME        sizes of the model and its steps (default cpu)
  --seconds N          training time (default 20)
  --steps N            so many steps instead
  --rows FILE          train on these rows (bench export-rows) instead of random tokens
  --val FILE           score these rows at the end; needs --token-bytes
  --token-bytes FILE   UTF-8 bytes of each entry of the vocabulary
  --eval-rows N        rows that are scored at most (default 2048)
  --curve FILE         write step, seconds and loss of every step, tab-separated
  --seed N             of weights and rows (default 42)
  --threads N          (default: all cores)
  --profile            print the time of each op
  --help               this text`;

interface Options {
  readonly preset: string;
  readonly seconds: number;
  readonly steps: number | null;
  readonly rows?: string;
  readonly val?: string;
  readonly tokenBytes?: string;
  readonly evalRows: number;
  readonly curve?: string;
  readonly seed: number;
  readonly threads: number;
  readonly profile: boolean;
}

/** Reads the flags; null for --help. */
function readOptions(args: string[]): Options | null {
  const text = { type: "string" } as const, flag = { type: "boolean" } as const;
  const { values } = (() => {
    try {
      return parseArgs({
        args,
        options: {
          preset: text,
          seconds: text,
          steps: text,
          rows: text,
          val: text,
          "token-bytes": text,
          "eval-rows": text,
          curve: text,
          seed: text,
          threads: text,
          profile: flag,
          help: { ...flag, short: "h" },
        },
      });
    } catch (error) {
      throw new UsageError(`${(error as Error).message.split(". ")[0]}; see --help`);
    }
  })();
  if (values.help) return null;
  const number = (name: "seconds" | "steps" | "eval-rows" | "seed" | "threads", fallback: number, whole = true) => {
    const value = values[name] === undefined ? fallback : Number(values[name]);
    if (!Number.isFinite(value) || value < 0 || (whole && !Number.isSafeInteger(value)) || values[name] === "") {
      throw new UsageError(`--${name} must be a ${whole ? "whole " : ""}number from 0 up, got "${values[name]}"`);
    }
    return value;
  };
  if (values.val !== undefined && values["token-bytes"] === undefined) {
    throw new UsageError("--val needs --token-bytes");
  }
  const options = {
    preset: values.preset ?? "cpu",
    seconds: number("seconds", 20, false),
    steps: values.steps === undefined ? null : number("steps", 0),
    rows: values.rows,
    val: values.val,
    tokenBytes: values["token-bytes"],
    evalRows: number("eval-rows", 2048),
    curve: values.curve,
    seed: number("seed", 42),
    threads: number("threads", 0),
    profile: values.profile ?? false,
  };
  try {
    presetOf(options.preset);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (options.steps === 0 || options.seconds === 0) throw new UsageError("nothing to train: 0 steps or seconds");
  return options;
}

/** One step's loss and when it was read. */
interface Point {
  readonly seconds: number;
  readonly loss: number;
}

/** The harness's side of the loop: batches until the time or the steps are used up. */
class BenchRun implements Run<GptConfig> {
  readonly seed: number;
  readonly vocabSize: number;
  readonly sequenceLength: number;
  readonly dtype: "f32" | "bf16";
  readonly config: GptConfig;
  readonly curve: Point[] = [];
  /** Time inside of steps, as the peer counts it. */
  seconds = 0;
  tokens = 0;
  #start = 0;
  #inStep = false;

  constructor(
    setup: Setup<GptConfig>,
    readonly source: BatchSource,
    readonly limit: { readonly steps: number } | { readonly seconds: number },
  ) {
    ({ seed: this.seed, vocabSize: this.vocabSize, sequenceLength: this.sequenceLength } = setup);
    ({ dtype: this.dtype, config: this.config } = setup);
  }

  nextBatch(rows: number) {
    if (!this.#inStep) {
      if (this.progress() >= 1) return null;
      this.#start = performance.now();
    }
    this.tokens += rows * this.sequenceLength;
    return this.source.next(rows);
  }

  progress(): number {
    return "steps" in this.limit ? this.curve.length / this.limit.steps : this.seconds / this.limit.seconds;
  }

  step(fn: () => void): void {
    this.#inStep = true;
    try {
      scope(fn);
    } finally {
      this.#inStep = false;
      this.source.release();
    }
  }

  log(step: number, loss: Tensor): void {
    const value = loss.item();
    if (!Number.isFinite(value)) throw new Error(`the loss of step ${step} is not a number`);
    this.seconds += (performance.now() - this.#start) / 1000;
    this.curve.push({ seconds: this.seconds, loss: value });
  }
}

function counters(library: Library): Float64Array {
  const out = new Float64Array(8);
  check(library.symbols.rs_counters(out, out.byteLength), "counters");
  return out;
}

/** Multiply-add peak of all threads in operations a second. */
function measurePeak(library: Library): number {
  const out = new Float64Array(2);
  check(library.symbols.rs_measure_peaks(out, out.byteLength, 1), "measure_peaks");
  return out[0] * 1e9;
}

/** Lines of the profile, the longest time first. */
function profileTable(library: Library): string {
  const buffer = new Uint8Array(1 << 16);
  const length = library.symbols.rs_profile_report(buffer, buffer.length);
  const rows = new TextDecoder().decode(buffer.subarray(0, length)).trim().split("\n").map((line) => line.split(" "));
  const total = rows.reduce((sum, [, , seconds]) => sum + Number(seconds), 0);
  return rows.sort((a, b) => Number(b[2]) - Number(a[2])).map(([name, calls, seconds]) =>
    `${name.padEnd(28)} ${calls.padStart(8)} ${Number(seconds).toFixed(3).padStart(9)} s ${
      (100 * Number(seconds) / total).toFixed(1).padStart(6)
    } %`
  ).join("\n");
}

async function score(model: Gpt, options: Options, setup: Setup<GptConfig>): Promise<number> {
  const { sequenceLength, vocabSize } = setup;
  const rows = await readRows(options.val!, sequenceLength, vocabSize);
  const bytes = await Deno.readFile(options.tokenBytes!);
  if (bytes.length !== 2 * vocabSize) {
    throw new Error(`${options.tokenBytes} must have ${vocabSize} entries of 2 bytes`);
  }
  let logits: Tensor | null = null;
  const result = await evaluateBpb(
    (tokens, count) => {
      logits?.dispose();
      logits = scope(() => withoutTape(() => model.logits(Tensor.from(tokens, [count, sequenceLength]))));
      return logits.handle;
    },
    rows.subarray(0, options.evalRows * (sequenceLength + 1)),
    { sequenceLength, tokenBytes: new Uint16Array(bytes.buffer), batchRows: setup.config.microBatchRows },
  );
  return result.bitsPerByte;
}

/**
 * The command line of `bench train`.
 * @throws Error with one sentence; UsageError for bad flags
 */
export async function benchTrainCommand(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (options === null) return console.log(usage);
  const { vocabSize, sequenceLength, config: sizes } = presetOf(options.preset);
  const config = { ...literals, ...sizes } as GptConfig;
  const setup: Setup<GptConfig> = { seed: options.seed, vocabSize, sequenceLength, dtype: "f32", config };
  const rows = options.rows === undefined ? null : await readRows(options.rows, sequenceLength, vocabSize);
  const library = openLibrary(await ensureLibrary(resolveHome()), { threads: options.threads });
  console.error(`${library.description}, preset ${options.preset}`);

  const random = randomBatches(options.seed, vocabSize, sequenceLength);
  scope(() => {
    const model = createModel(setup);
    train(new BenchRun(setup, random, { steps: WARM_UP_STEPS }), model);
    for (const tensor of model.parameters().values()) tensor.dispose();
  });

  const model = createModel(setup);
  const source = rows ? rowBatches(options.seed, rows, sequenceLength) : random;
  const run = new BenchRun(setup, source, options.steps ? { steps: options.steps } : { seconds: options.seconds });
  const peakBefore = measurePeak(library);
  const operationsBefore = counters(library)[5];
  check(library.symbols.rs_memory_reset_peak(), "memory_reset_peak");
  if (options.profile) check(library.symbols.rs_profile_enable(1), "profile_enable");
  train(run, model);
  const { 1: peakBytes, 5: operationsAfter } = counters(library);
  if (options.profile) {
    console.log(profileTable(library));
    check(library.symbols.rs_profile_enable(0), "profile_enable");
  }
  // The better of two: neighbours on the machine only ever lower it.
  const peak = Math.max(peakBefore, measurePeak(library));
  const operations = operationsAfter - operationsBefore;
  if (options.curve !== undefined) {
    const lines = run.curve.map(({ seconds, loss }, step) => `${step}\t${seconds.toFixed(3)}\t${loss.toFixed(5)}`);
    await Deno.writeTextFile(options.curve, ["step\tseconds\tloss", ...lines, ""].join("\n"));
  }
  console.log(`num_params_M: ${(countParameters(model.parameters()) / 1e6).toFixed(2)}`);
  console.log(`num_steps: ${run.curve.length}`);
  console.log(`train_loss: ${run.curve[run.curve.length - 1].loss.toFixed(4)}`);
  console.log(`tokens_per_second: ${(run.tokens / run.seconds).toFixed(0)}`);
  console.log(`achieved_gflops: ${(operations / run.seconds / 1e9).toFixed(1)}`);
  console.log(`peak_gflops: ${(peak / 1e9).toFixed(1)}`);
  console.log(`time_over_floor: ${(run.seconds * peak / operations).toFixed(2)}`);
  console.log(`peak_memory_mb: ${(peakBytes / 2 ** 20).toFixed(1)}`);
  if (options.val !== undefined) console.log(`val_bpb: ${(await score(model, options, setup)).toFixed(6)}`);
}
