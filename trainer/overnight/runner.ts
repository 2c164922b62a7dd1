/**
 * How a session gets an experiment trained and scored. One interface, so that other machines can take the place of
 * local processes; this one calls the supervisor of single runs.
 * @module
 */
import { runTraining } from "../run/supervisor.ts";
import type { RunEvents, RunOptions, RunResult } from "../run/types.ts";

/** One training that a session asks for. `train.ts` lies in the session's clone. */
export interface RunRequest {
  /** Folder for what the run leaves; its own for every attempt. */
  readonly folder: string;
  /** Seed of weights and data order. */
  readonly seed: number;
  /** Ends the run early, with status `aborted`. */
  readonly signal?: AbortSignal;
  /** Progress. */
  readonly events?: RunEvents;
}

/** Trains and scores. Whatever the code does ends in a status; only what no experiment can help throws. */
export interface Runner {
  /** Trains the `train.ts` of the clone once. @throws what ends the session: no data set, no disk space */
  run(request: RunRequest): Promise<RunResult>;
}

/** What is the same for all runs of a session. */
export type FixedOptions = Omit<RunOptions, "runFolder" | "seed" | "signal" | "trainFile" | "configOverrides">;

/** Runs in processes of this machine. */
export class LocalRunner implements Runner {
  readonly #fixed: FixedOptions;

  /** @param fixed what is the same for all runs of the session */
  constructor(fixed: FixedOptions) {
    this.#fixed = fixed;
  }

  /** Trains once. */
  run(request: RunRequest): Promise<RunResult> {
    const { folder, seed, signal, events } = request;
    return runTraining({ ...this.#fixed, runFolder: folder, seed, signal }, events);
  }
}
