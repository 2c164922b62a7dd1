/**
 * What a run is asked for and what it comes to. Types only.
 * @module
 */
import type { Config } from "../contract.ts";

/** How a run can end. Every status but `ok` comes with a reason, and without a score. */
export type RunStatus =
  /** Trained and scored. */
  | "ok"
  /** The code threw or its process ended. */
  | "crash"
  /** The code broke a rule of the harness: late, non-causal, stateful, leaking, misshapen, a broken protocol. */
  | "void"
  /** Not run, or stopped because it asked for what it may not have: changed harness, invalid constants, a missing permission. */
  | "refused"
  /** A loss that is no number. */
  | "nan"
  /** A loss far beyond that of guessing. */
  | "exploded"
  /** Killed because it took too long. */
  | "timeout"
  /** Stopped by the caller. */
  | "aborted";

/** A pinned tree: a hash of the code around `train.ts`, as `pinTree` makes it. */
export type Pin = string;

/** What a run needs to know. */
export interface RunOptions {
  /** Folder with `trainer/` and `cuda/`: the code that the children load. */
  codeRoot: string;
  /** The file under test, relative to `codeRoot`; inside `trainer/`. Default `trainer/train.ts`. */
  trainFile?: string;
  /** Folder of this run; made when absent. Checkpoint, clock and stderr are left here. */
  runFolder: string;
  /** The built kernel library. */
  libraryPath: string;
  /** Which build of the library computes. */
  device: "cpu" | "cuda";
  /** Index of the GPU; 0 by default. */
  deviceIndex?: number;
  /** Plans of products (`cuda/plans.ts`); none by default. */
  plans?: string;
  /** Element type of activations; bf16 on CUDA and f32 on the CPU by default. */
  dtype?: "f32" | "bf16";
  /** Folder of the prepared data set. */
  dataset: string;
  /** What ends the training, one of three: seconds, … */
  budgetSeconds?: number;
  /** … a number of steps, … */
  steps?: number;
  /** … or the progress of each step of an earlier run, which is replayed. */
  clock?: readonly number[];
  /** Unsigned 32-bit number. */
  seed: number;
  /** Constants that take the place of those in `train.ts`. */
  configOverrides?: Config;
  /** Rows of the validation split that are scored, at most. */
  evaluationRows: number;
  /** Threads of the machine that may be used. Default: all. */
  threads?: number;
  /** The tree must hash to this; see `pinTree`. */
  pin?: Pin;
  /** Also measures how fast the machine multiplies, for `mfu`: half a second more. */
  measurePeak?: boolean;
  /** Ends the run early. */
  signal?: AbortSignal;
  /** Seconds without a word from a child after which it is taken for stuck, where no budget says so earlier. Default 600. */
  stallSeconds?: number;
  /** Seconds an evaluator may take to answer one batch of rows. Default 60. */
  evaluationStallSeconds?: number;
}

/** One point of the loss curve. */
export interface CurvePoint {
  /** Step, from 0. */
  step: number;
  /** Mean loss in nats. */
  loss: number;
  /** Training time when it arrived. */
  seconds: number;
}

/** What a display may show while a run goes on. */
export interface RunEvents {
  /** `setup`, `training`, `scoring`. */
  phase?(name: "setup" | "training" | "scoring"): void;
  /** A loss was logged. */
  step?(point: CurvePoint & { tokens: number; share: number }): void;
  /** Share of the scoring that is done, 0 … 1. */
  scored?(share: number): void;
}

/** What a run came to. */
export interface RunResult {
  /** How the run ended. */
  status: RunStatus;
  /** Empty for `ok`. */
  reason: string;
  /** Bits per byte of the validation rows, null without status `ok`. */
  valBpb: number | null;
  /** From the first batch to the return of `train()`. */
  trainingSeconds: number;
  /** The whole run. */
  totalSeconds: number;
  /** Both passes of the scoring, its processes included. */
  evaluationSeconds: number;
  /** The part of `evaluationSeconds` in which rows went through the model. */
  forwardSeconds: number;
  /** `totalSeconds` without training and forward passes. */
  overheadSeconds: number;
  /** Most bytes of tensors that the worker held at once, by its own account. */
  peakBytes: number;
  /** Optimizer steps. */
  steps: number;
  /** Tokens trained on. */
  tokens: number;
  /** How often each training row was given, in the mean; above about 4, more training helps little (arXiv:2305.16264). */
  epochs: number;
  /** Numbers in the checkpoint. */
  parameters: number;
  /** `config.depth`, where there is such a constant. */
  depth: number | null;
  /** The losses that were logged. */
  curve: CurvePoint[];
  /** Progress of each step; a run with this clock and the same seed gives the same weights. */
  clock: number[];
  /** SHA-256 of the checkpoint, empty without one. */
  weightsHash: string;
  /** Operations that the worker counted during training, by its own account. */
  operations: number;
  /** `operations` a second of training over what the machine could do, 0 … 1; null unless it was measured. */
  mfu: number | null;
}
