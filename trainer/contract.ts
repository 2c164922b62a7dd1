/**
 * What `train.ts` and the harness promise each other. `train.ts` exports `config`, `createModel` and `train`; the
 * worker calls both functions, the evaluator calls `createModel` and `Model.logits`. Holds types only.
 * @module
 */
import type { Tensor } from "./tensor.ts";

/** The literals of the `#space` block of `train.ts`: numbers, strings and booleans by name. */
export type Config = Record<string, number | string | boolean>;

/** What a run is given: everything that is decided outside `train.ts`. */
export interface Setup<C = Config> {
  /** Seed of the initialization and of whatever else the file draws at random; an unsigned 32-bit number. */
  readonly seed: number;
  /** Entries of the tokenizer, special tokens included. */
  readonly vocabSize: number;
  /** T: tokens a row holds as inputs. */
  readonly sequenceLength: number;
  /** Element type of activations; `"f32"` in the CPU build. */
  readonly dtype: "f32" | "bf16";
  /** `config` of `train.ts`, with the overrides of the caller (a preset) applied. Read this one, not the export. */
  readonly config: C;
}

/** A language model: its weights by name, and logits of tokens. */
export interface Model {
  /** Every weight by a stable name; these are saved, and loaded again by name for scoring. */
  parameters(): Map<string, Tensor>;
  /** Logits `[B, T, V]` (f32) of tokens `i32 [B, T]`; position t may depend on tokens 0 … t alone. */
  logits(tokens: Tensor): Tensor;
}

/** One batch of packed rows. */
export interface Batch {
  /** i32 `[B, T]`. */
  readonly inputs: Tensor;
  /** i32 `[B, T]`: `inputs` moved by one; −1 is ignored by the losses. */
  readonly targets: Tensor;
}

/** The harness's side of a training: data, clock, step, log. */
export interface Run<C = Config> extends Setup<C> {
  /** The next `rows` rows in the seed's order, or null at the deadline. The batch lives until the step ends. */
  nextBatch(rows: number): Batch | null;
  /** Share of the budget that is used up, 0 … 1; fixed by the first batch of a step. */
  progress(): number;
  /** How often each training row was given before this step, in the mean; at most 1 in the first pass over the rows. */
  epochs(): number;
  /** Runs one optimizer step; tensors made inside that were not kept are freed at its end. */
  step(fn: () => void): void;
  /** Records the loss of a step (a scalar tensor; read one step late so that the device never waits). */
  log(step: number, loss: Tensor): void;
}

/** What the module `train.ts` exports. */
export interface TrainModule {
  /** Default literals; the caller may override some, `Setup.config` has the result. */
  readonly config: Config;
  /** Whether the literals are a combination that `createModel` accepts; a text says what is wrong. */
  valid?(config: Config): true | string;
  /** Builds the model with its initial weights. */
  createModel(setup: Setup): Model;
  /** Trains until `run.nextBatch` gives null. */
  train(run: Run, model: Model): void | Promise<void>;
}
