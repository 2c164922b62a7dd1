/**
 * What `cli.ts` hands in: everything that the router itself must not know of, such as training.
 * @module
 */
import type { ResearchActions } from "../executors/mod.ts";

/** What a user asks of preparing and training beside the task's own words. */
export interface ResearchOptions {
  /** Name of a preset. */
  readonly preset?: string;
  /** Text to train on. */
  readonly source?: string;
  /** Training time of a run. */
  readonly seconds?: string;
  /** Hours of a session. */
  readonly hours?: string;
  /** Experiments of a session. */
  readonly experiments?: string;
}

/** The outside of the command line. */
export interface Wiring {
  /** Version of the package. */
  readonly version: string;
  /** Absolute path of the standard memory. */
  readonly memoryPath: string;
  /** Folder of data, libraries and sessions, where the environment may be read and names one. */
  home(): Promise<string | undefined>;
  /**
   * The real work behind `--run-prepare` and `--run-train`.
   * @throws an error of one sentence when a permission is missing
   */
  research(run: { prepare: boolean; train: boolean }, options: ResearchOptions): ResearchActions;
}
