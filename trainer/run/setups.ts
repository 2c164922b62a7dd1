/**
 * What the supervisor tells its children first: everything that they need and nothing more. Types only.
 * @module
 */
import type { Config } from "../contract.ts";

/** What worker and evaluators are told alike. */
export interface ChildSetup {
  /** The kernel library. */
  libraryPath: string;
  /** Threads of its pool. */
  threads: number;
  /** Index of the GPU. */
  device: number;
  /** Plans of products (`cuda/plans.ts`), "" for none: by value, so that no child can change them. */
  plans: string;
  /** URL of the file under test. */
  trainUrl: string;
  /** Folders whose reading is given up after the import. */
  codeFolders: string[];
  /** Where the weights are saved and read. */
  checkpoint: string;
  /** `Setup.seed`. */
  seed: number;
  /** `Setup.vocabSize`. */
  vocabSize: number;
  /** `Setup.sequenceLength`. */
  sequenceLength: number;
  /** `Setup.dtype`. */
  dtype: "f32" | "bf16";
  /** Constants that take the place of those in `train.ts`. */
  overrides: Config;
}

/** What the worker is told before it imports `train.ts`. */
export interface WorkerSetup extends ChildSetup {
  /** Rows of the training split. */
  trainingRows: number;
  /** Whether to measure how fast the machine multiplies. */
  measurePeak: boolean;
}

/** The first frame that an evaluator gets. */
export interface EvaluatorFirstFrame {
  /** What the code under test may know. */
  setup: ChildSetup;
  /** What answers must begin with. */
  secret: number[];
  /** What questions begin with. */
  mark: number[];
  /** Key of the hashes of logits, the same for both evaluators of a scoring. */
  hashKey: number[];
}
