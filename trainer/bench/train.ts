/**
 * `bench train`: the loop of `train.ts` in this process, without the harness around it, from the first batch to the end
 * of the last step. Steps before it warm up the allocator (and, on CUDA, let the step be captured) and are thrown away
 * with their weights. `time_over_floor` is the time over (operations that the library counted ÷ the device's measured
 * multiply-add peak: of all threads, or of bf16 products). After the timed steps, two more are timed op by op: the
 * phases, whose sum is a little above an undisturbed step's.
 * @module
 */
import { parseArgs } from "node:util";
import { openDevice, wishedDevice } from "../../cuda/device.ts";
import { check, type Library } from "../../cuda/lib.ts";
import { withoutTape } from "../autograd.ts";
import type { Config, Setup } from "../contract.ts";
import { evaluateBpb } from "../data/evaluate.ts";
import { countParameters } from "../nn.ts";
import { presetOf } from "../presets.ts";
import { settingsOf } from "../space.ts";
import { scope, Tensor } from "../tensor.ts";
import { config as literals, createModel, type Gpt, type GptConfig, train } from "../train.ts";
import { opLines, phaseLines, profile, readProfile } from "./phases.ts";
import { randomBatches, readRows, rowBatches } from "./rows.ts";
import { BenchRun } from "./run.ts";

/** Steps before the clock starts. */
const WARM_UP_STEPS = 6;
/** Steps that are timed op by op. */
const PROFILED_STEPS = 2;

/** Bad flags. */
class UsageError extends Error {
  override name = "UsageError";
}

const usage = `Trains train.ts in one process and measures it.

usage: deno task bench train [options]

  --preset NAME        sizes of the model and its steps (default cpu)
  --set NAME=VALUE     a constant of train.ts; may be given again
  --seconds N          training time (default 20)
  --steps N            so many steps instead
  --rows FILE          train on these rows (bench export-rows) instead of random tokens
  --val FILE           score these rows at the end; needs --token-bytes
  --token-bytes FILE   UTF-8 bytes of each entry of the vocabulary
  --eval-rows N        rows that are scored at most (default 2048)
  --curve FILE         write step, seconds and loss of every step, tab-separated
  --seed N             of weights and rows (default 42)
  --threads N          (default: all cores)
  --device DEVICE      auto | cpu | cuda | cuda:N (default: RESEARCHSWARM_DEVICE, else auto)
  --dtype TYPE         f32 | bf16: of activations (default: bf16 on CUDA)
  --phases             then time two steps op by op and print the phases
  --profile            the same, with the time of each op
  --help               this text`;

interface Options {
  readonly preset: string;
  readonly constants: Config;
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
  readonly phases: boolean;
  readonly device?: string;
  readonly dtype?: "f32" | "bf16";
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
          set: { ...text, multiple: true },
          seconds: text,
          steps: text,
          rows: text,
          val: text,
          "token-bytes": text,
          "eval-rows": text,
          curve: text,
          seed: text,
          threads: text,
          device: text,
          dtype: text,
          phases: flag,
          profile: flag,
          help: { ...flag, short: "h" },
        },
      });
    } catch (error) {
      throw new UsageError(`${(error as Error).message.split(/\.\s/)[0]}; see --help`);
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
  if (values.dtype !== undefined && values.dtype !== "f32" && values.dtype !== "bf16") {
    throw new UsageError(`--dtype must be f32 or bf16, got "${values.dtype}"`);
  }
  const options = {
    preset: values.preset ?? "cpu",
    constants: {},
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
    phases: values.phases ?? false,
    device: values.device,
    dtype: values.dtype as "f32" | "bf16" | undefined,
  };
  if (options.threads > 1024) throw new UsageError(`--threads must be at most 1024, got ${options.threads}`);
  try {
    presetOf(options.preset);
    wishedDevice(options.device);
    const trainFile = new URL("../train.ts", import.meta.url);
    if (values.set) options.constants = settingsOf(Deno.readTextFileSync(trainFile), values.set);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (options.steps === 0 || options.seconds === 0) throw new UsageError("nothing to train: 0 steps or seconds");
  return options;
}

function counters(library: Library): Float64Array {
  const out = new Float64Array(8);
  check(library.symbols.rs_counters(out, out.byteLength), "counters");
  return out;
}

/** Multiply-add peak in operations a second, and GB/s of a copy, read and written. */
function measurePeaks(library: Library): [operations: number, copyRate: number] {
  const out = new Float64Array(2);
  check(library.symbols.rs_measure_peaks(out, out.byteLength, 1), "measure_peaks");
  return [out[0] * 1e9, out[1]];
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
  const config = { ...literals, ...sizes, ...options.constants } as GptConfig;
  const rows = options.rows === undefined ? null : await readRows(options.rows, sequenceLength, vocabSize);
  const library = await openDevice(options.device, options.threads);
  console.error(`${library.description}, preset ${options.preset}`);
  const dtype = options.dtype ?? (library.device === "cuda" ? "bf16" : "f32");
  const setup: Setup<GptConfig> = { seed: options.seed, vocabSize, sequenceLength, dtype, config };

  const random = randomBatches(options.seed, vocabSize, sequenceLength);
  scope(() => {
    const model = createModel(setup);
    const warm = new BenchRun(setup, random, { steps: WARM_UP_STEPS });
    train(warm, model);
    warm.finish();
    for (const tensor of model.parameters().values()) tensor.dispose();
  });

  const model = createModel(setup);
  const source = rows ? rowBatches(options.seed, rows, sequenceLength) : random;
  const run = new BenchRun(setup, source, options.steps ? { steps: options.steps } : { seconds: options.seconds });
  const [peakBefore, copyRate] = measurePeaks(library);
  check(library.symbols.rs_memory_reset_peak(), "memory_reset_peak");
  const operationsBefore = counters(library)[5];
  train(run, model);
  const seconds = run.finish();
  const { 1: peakBytes, 5: operationsAfter } = counters(library);
  const operations = operationsAfter - operationsBefore;
  if (options.profile || options.phases) {
    profile(library, true);
    const profiled = new BenchRun(setup, random, { steps: PROFILED_STEPS });
    scope(() => {
      const other = createModel(setup);
      profile(library, true); // forgets the making of the model
      train(profiled, other);
      profiled.finish();
      for (const tensor of other.parameters().values()) tensor.dispose();
    });
    const ops = readProfile(library);
    profile(library, false);
    if (options.profile) console.log(opLines(ops, PROFILED_STEPS).join("\n"));
    console.log(phaseLines(ops, PROFILED_STEPS, peakBefore).join("\n"));
  }
  // The better of two: neighbours on the machine only ever lower it.
  const peak = Math.max(peakBefore, measurePeaks(library)[0]);
  if (options.curve !== undefined) {
    const lines = run.curve.map(({ seconds, loss }, step) => `${step}\t${seconds.toFixed(3)}\t${loss.toFixed(5)}`);
    await Deno.writeTextFile(options.curve, ["step\tseconds\tloss", ...lines, ""].join("\n"));
  }
  const steps = run.curve.length;
  console.log(`num_params_M: ${(countParameters(model.parameters()) / 1e6).toFixed(2)}`);
  console.log(`num_steps: ${steps}`);
  if (rows !== null) console.log(`epochs: ${(run.tokens / sequenceLength / source.rowCount).toFixed(2)}`);
  console.log(`train_loss: ${run.curve[steps - 1].loss.toFixed(4)}`);
  console.log(`tokens_per_second: ${(run.tokens / seconds).toFixed(0)}`);
  console.log(`step_ms: ${(1000 * seconds / steps).toFixed(2)}`);
  console.log(`floor_ms: ${(1000 * operations / peak / steps).toFixed(2)}`);
  console.log(`achieved_gflops: ${(operations / seconds / 1e9).toFixed(1)}`);
  console.log(`peak_gflops: ${(peak / 1e9).toFixed(1)}`);
  console.log(`copy_gb_per_second: ${copyRate.toFixed(0)}`);
  console.log(`time_over_floor: ${(seconds * peak / operations).toFixed(2)}`);
  console.log(`peak_memory_mb: ${(peakBytes / 2 ** 20).toFixed(1)}`);
  if (options.val !== undefined) console.log(`val_bpb: ${(await score(model, options, setup)).toFixed(6)}`);
}
