/**
 * One run: the pin is compared, a worker trains, the weights are hashed, two evaluators score. Runs in the caller's
 * process, without `ffi`, and never loads `train.ts` itself.
 * @module
 */
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { hashFile, openDataset } from "../data/dataset.ts";
import { readSafetensors } from "../safetensors.ts";
import { type Budget, budgetOf } from "./clock.ts";
import { seconds } from "./ending.ts";
import { pinTree } from "./pin.ts";
import { superviseScoring } from "./scoring.ts";
import { checkpointName, checkpointOf, superviseTraining, type TrainingOutcome } from "./training.ts";
import type { RunEvents, RunOptions, RunResult, RunStatus } from "./types.ts";

/**
 * The last that the evaluators wrote to stderr, where they wrote anything. The code that wrote it had validation rows:
 * for a person who looks for a fault of the harness, never to be shown to an agent or read by `train.ts`.
 */
export const evaluatorLogName = "evaluator-stderr.log";

/** Logits of one batch of the scoring: what fits beside other programs, and keeps a GPU busy. */
const BATCH_ELEMENTS = { cpu: 2 ** 25, cuda: 2 ** 29 } as const;

/** Longest checkpoint that is scored. */
const MAX_CHECKPOINT_BYTES = 2 ** 34;

/** A result without anything in it. */
function emptyResult(): RunResult {
  return {
    status: "ok",
    reason: "",
    valBpb: null,
    trainingSeconds: 0,
    totalSeconds: 0,
    evaluationSeconds: 0,
    forwardSeconds: 0,
    overheadSeconds: 0,
    peakBytes: 0,
    steps: 0,
    tokens: 0,
    epochs: 0,
    parameters: 0,
    depth: null,
    curve: [],
    clock: [],
    weightsHash: "",
    operations: 0,
    mfu: null,
  };
}

/** The status to end with, where there is one. */
type Verdict = { status: RunStatus; reason: string } | null;

async function comparePin(options: RunOptions): Promise<Verdict> {
  const { pin, codeRoot, libraryPath } = options;
  if (pin === undefined) return null;
  const files = pin.startsWith("tracked:") ? "tracked" : "code";
  const now = await pinTree(codeRoot, { files, libraryPath, except: options.trainFile });
  return now === pin ? null : {
    status: "refused",
    reason: "the harness was changed: files other than train.ts, or the library, are not what was pinned",
  };
}

/** Takes over what the training came to. */
function report(result: RunResult, outcome: TrainingOutcome): Verdict {
  result.trainingSeconds = outcome.trainingSeconds;
  result.peakBytes = outcome.peakBytes;
  result.operations = outcome.operations;
  if (outcome.peakRate > 0 && outcome.trainingSeconds > 0) {
    result.mfu = outcome.operations / outcome.trainingSeconds / outcome.peakRate;
  }
  result.steps = outcome.clock.length;
  result.tokens = outcome.tokens;
  result.depth = outcome.depth;
  result.curve = outcome.curve;
  result.clock = outcome.clock;
  return outcome.status === "ok" ? null : outcome;
}

/** Hashes the checkpoint and counts its numbers. */
async function inspectCheckpoint(path: string, result: RunResult): Promise<Verdict> {
  const file = await Deno.lstat(path).catch(() => null);
  if (!file?.isFile) return { status: "void", reason: "the worker said that it saved weights and there are none" };
  if (file.size > MAX_CHECKPOINT_BYTES) {
    return {
      status: "void",
      reason: `the checkpoint has ${file.size} bytes, at most ${MAX_CHECKPOINT_BYTES} are scored`,
    };
  }
  try {
    const { tensors } = readSafetensors(await Deno.readFile(path));
    for (const { shape } of tensors.values()) result.parameters += shape.reduce((size, axis) => size * axis, 1);
  } catch (error) {
    return { status: "void", reason: `the checkpoint is malformed: ${(error as Error).message}` };
  }
  result.weightsHash = hashFile(path);
  return null;
}

/**
 * How long the scoring may take as a whole: what two passes over its rows would take at the speed of the training
 * (which did three times the work a token), four times over, and never less than a minute or two trainings. The code under
 * test chooses how many tokens it asks for, so one that trains on few could be given hours: no more than four budgets of
 * time, or ten minutes and four trainings where steps are the budget, and never less than two minutes.
 */
export function scoringLimit(
  result: Pick<RunResult, "trainingSeconds" | "tokens">,
  budget: Budget,
  rows: number,
  sequenceLength: number,
): number {
  const secondsPerToken = result.trainingSeconds / Math.max(1, result.tokens);
  const wanted = Math.max(60, 2 * result.trainingSeconds, 8 * rows * sequenceLength * secondsPerToken);
  const most = "seconds" in budget ? 4 * budget.seconds : 600 + 4 * result.trainingSeconds;
  return Math.min(wanted, Math.max(120, most));
}

/** Numbers of the rows that are scored: the first of the split. */
const firstRows = (count: number) => Array.from({ length: count }, (_, row) => row);

/** A link could lead the children elsewhere. */
async function checkTrainFile(path: string): Promise<Verdict> {
  const file = await Deno.lstat(path).catch(() => null);
  return file?.isFile ? null : { status: "refused", reason: `${basename(path)} is no plain file` };
}

async function execute(options: RunOptions, budget: Budget, events: RunEvents, result: RunResult): Promise<Verdict> {
  const refused = await comparePin(options);
  if (refused) return refused;

  const codeRoot = await Deno.realPath(options.codeRoot);
  const trainFile = resolve(codeRoot, options.trainFile ?? "trainer/train.ts");
  const unusable = await checkTrainFile(trainFile);
  if (unusable) return unusable;
  await Deno.mkdir(options.runFolder, { recursive: true });
  const runFolder = await Deno.realPath(options.runFolder);
  const checkpoint = checkpointOf(runFolder);
  for (const name of [checkpointName, `${checkpointName}.tmp`, "clock.json", "stderr.log", evaluatorLogName]) {
    await Deno.remove(join(runFolder, name)).catch(() => {});
  }
  const script = (name: string) => join(codeRoot, "trainer", "run", name);
  using dataset = openDataset(options.dataset);
  const threads = options.threads ?? navigator.hardwareConcurrency;
  const setup = {
    libraryPath: await Deno.realPath(options.libraryPath),
    threads,
    trainUrl: pathToFileURL(trainFile).href,
    codeFolders: [join(codeRoot, "cuda"), join(codeRoot, "trainer")],
    checkpoint,
    seed: options.seed >>> 0,
    vocabSize: dataset.vocabSize,
    sequenceLength: dataset.sequenceLength,
    dtype: options.dtype ?? (options.device === "cuda" ? "bf16" as const : "f32" as const),
    device: options.deviceIndex ?? 0,
    plans: options.plans ?? "",
    overrides: options.configOverrides ?? {},
  };

  const trained = await superviseTraining({
    script: script("worker.ts"),
    runFolder,
    setup: { ...setup, trainingRows: dataset.rowCount("train"), measurePeak: options.measurePeak ?? false },
    budget,
    rows: dataset,
    stallSeconds: options.stallSeconds ?? 600,
    signal: options.signal,
  }, events);
  await Deno.remove(`${checkpoint}.tmp`).catch(() => {});
  await Deno.writeTextFile(join(runFolder, "stderr.log"), trained.stderr);
  await Deno.writeTextFile(join(runFolder, "clock.json"), JSON.stringify(trained.clock));
  result.epochs = trained.tokens / (dataset.rowCount("train") * dataset.sequenceLength);
  const verdict = report(result, trained) ?? await inspectCheckpoint(checkpoint, result);
  if (verdict) return verdict;

  const rows = Math.min(options.evaluationRows, dataset.rowCount("val"));
  events.phase?.("scoring");
  const start = seconds();
  const scored = await superviseScoring({
    script: script("evaluator.ts"),
    setup: { ...setup, threads: Math.max(1, Math.floor(threads / 2)) },
    tokens: dataset.readRows("val", firstRows(rows)),
    tokenBytes: dataset.tokenBytes,
    stallSeconds: options.evaluationStallSeconds ?? 60,
    batchElements: BATCH_ELEMENTS[options.device],
    limitSeconds: scoringLimit(result, budget, rows, dataset.sequenceLength),
    signal: options.signal,
    progress: events.scored,
  });
  result.evaluationSeconds = seconds() - start;
  result.forwardSeconds = scored.forwardSeconds;
  if (scored.stderr !== "") await Deno.writeTextFile(join(runFolder, evaluatorLogName), scored.stderr);
  result.valBpb = scored.valBpb;
  return scored.status === "ok" ? null : scored;
}

/** Removes the folder of a run that nothing was written to. */
async function removeEmpty(folder: string): Promise<void> {
  if ((await Deno.lstat(folder).catch(() => null))?.isDirectory) await Deno.remove(folder).catch(() => {});
}

/**
 * Runs `train.ts` once and scores what it leaves. Whatever the code under test does ends in a status with a reason; an
 * error is thrown only for what the caller got wrong (a missing library, data set or permission).
 *
 * Leaves `checkpoint.safetensors`, `clock.json` and `stderr.log` in the run folder, and `evaluator-stderr.log` where an evaluator
 * wrote something, which is not for agents. No process outlives the call.
 * @throws Error for options that cannot be used
 */
export async function runTraining(options: RunOptions, events: RunEvents = {}): Promise<RunResult> {
  const start = seconds();
  const budget = budgetOf(options);
  if (!(Number.isSafeInteger(options.evaluationRows) && options.evaluationRows >= 1)) {
    throw new Error(`evaluationRows must be a whole number from 1 on, got ${options.evaluationRows}`);
  }
  const result = emptyResult();
  const verdict = await execute(options, budget, events, result).catch(async (error) => {
    await removeEmpty(options.runFolder);
    throw error;
  });
  if (verdict) [result.status, result.reason, result.valBpb] = [verdict.status, verdict.reason, null];
  result.totalSeconds = seconds() - start;
  result.overheadSeconds = result.totalSeconds - result.trainingSeconds - result.forwardSeconds;
  return result;
}
