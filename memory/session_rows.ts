/**
 * What the tables of `session.db` hold, as types, and how rows become them. Knows no database.
 * @module
 */

/** Where an experiment is on its way. */
export type ExperimentState =
  | "proposed"
  | "checked"
  | "running"
  | "evaluated"
  | "kept"
  | "discarded"
  | "crashed"
  | "refused";

/** The steps an experiment may take; the last four states are final. */
export const transitions: Readonly<Record<ExperimentState, readonly ExperimentState[]>> = {
  proposed: ["checked", "refused"],
  checked: ["running", "refused"],
  running: ["evaluated", "crashed", "refused"],
  evaluated: ["kept", "discarded"],
  kept: [],
  discarded: [],
  crashed: [],
  refused: [],
};

/** Whether an experiment in this state has had its decision. */
export function isDecided(state: ExperimentState): boolean {
  return transitions[state].length === 0;
}

/** A session: fixed at its start but for status, reason, settings and the seconds spent. */
export interface SessionRow {
  /** Name of the session and of its folder. */
  tag: string;
  /** ISO 8601. */
  createdAt: string;
  /** Folder of the user's repository. */
  checkout: string;
  /** Commit of the user's HEAD that the session stands on. */
  baseCommit: string;
  /** Branch of kept experiments. */
  branch: string;
  /** Options of the session, as its owner wrote them. */
  settings: Record<string, unknown>;
  /** Hashes of everything that must not change. */
  pin: unknown;
  /** Device, system, versions. */
  machine: Record<string, unknown>;
  /** `open` while there is work left, `stopped` after a failure that needs a person. */
  status: "open" | "finished" | "stopped";
  /** Why it ended. */
  reason: string;
  /** Wall-clock seconds spent so far, pauses left out. */
  activeSeconds: number;
}

/** One edit and its decision. */
export interface ExperimentRow {
  /** 0, 1, 2 … in order of proposal. */
  id: number;
  /** Experiment whose `train.ts` was edited; null for the baseline. */
  parent: number | null;
  /** Where it is on its way. */
  state: ExperimentState;
  /** Who proposed it. */
  agent: string;
  /** The agent's own name for where the idea came from. */
  origin: string;
  /** What was expected. */
  hypothesis: string;
  /** The edit, in the agent's terms. */
  edit: Record<string, unknown>;
  /** Unified diff against the parent. */
  diff: string;
  /** `train.ts` after the edit. */
  source: string;
  /** How the run ended, in the runner's words. */
  status: string;
  /** Why it was kept, discarded, refused or crashed. */
  reason: string;
  /** Bits per byte; null without a valid score. */
  valBpb: number | null;
  /** Commit on the session's branch, if kept. */
  commit: string | null;
  /** ISO 8601. */
  proposedAt: string;
  /** ISO 8601; null before the decision. */
  decidedAt: string | null;
}

/** What is measured in one run; null where the run did not get that far. */
export interface RunMeasures {
  /** `ok`, or how it failed. */
  status: string;
  /** One sentence for a failure. */
  reason: string;
  /** Bits per byte. */
  valBpb: number | null;
  /** Seconds from the first batch to the return. */
  trainingSeconds: number | null;
  /** Seconds of the scoring process. */
  evaluationSeconds: number | null;
  /** Seconds of its forward passes alone. */
  forwardSeconds: number | null;
  /** Seconds beyond training. */
  overheadSeconds: number | null;
  /** All of it. */
  totalSeconds: number | null;
  /** Optimizer steps. */
  steps: number | null;
  /** Tokens trained on. */
  tokens: number | null;
  /** Weights. */
  parameters: number | null;
  /** Layers. */
  depth: number | null;
  /** High-water mark of device memory. */
  peakBytes: number | null;
  /** Share of the measured peak rate, 0 … 1. */
  mfu: number | null;
  /** One number of progress a step: replays the run. */
  clock: readonly number[] | null;
  /** Loss by step. */
  curve: unknown;
  /** Hash of the trained weights. */
  weightsHash: string | null;
  /** Hashes of what went in. */
  hashes: Record<string, unknown> | null;
  /** Device, clocks, driver. */
  machine: Record<string, unknown> | null;
  /** Money; 0 for local work. */
  cost: number;
}

/** One training with one seed. */
export interface RunRow extends RunMeasures {
  /** Key. */
  id: number;
  /** Experiment that it belongs to. */
  experiment: number;
  /** 1, or more after a kill in mid-run. */
  attempt: number;
  /** Seed of weights and data order. */
  seed: number;
  /** ISO 8601. */
  startedAt: string;
  /** ISO 8601; null in mid-run. */
  endedAt: string | null;
}

/** One line of the log of decisions. */
export interface EventRow {
  /** Order. */
  id: number;
  /** ISO 8601. */
  at: string;
  /** Experiment that it is about, if any. */
  experiment: number | null;
  /** Kind: `session started`, `proposed`, `kept`, … */
  kind: string;
  /** Anything that goes into JSON. */
  detail: Record<string, unknown>;
}

/** A proposal as it enters the record. */
export type NewExperiment =
  & Pick<ExperimentRow, "parent" | "agent" | "origin" | "hypothesis" | "edit">
  & Partial<Pick<ExperimentRow, "diff" | "source">>;

/** A row as SQLite gives it. */
export type Row = Record<string, unknown>;
/** JSON of a column, null for NULL. */
export const parse = (value: unknown): unknown => (typeof value === "string" ? JSON.parse(value) : null);
/** A value as JSON for a column, NULL for null. */
export const json = (
  value: unknown,
): string | null => (value === null || value === undefined ? null : JSON.stringify(value));

/** Column of a field of `RunMeasures`, and whether it is JSON. */
export const runColumns: { [K in keyof RunMeasures]: [column: string, json?: "json"] } = {
  status: ["status"],
  reason: ["reason"],
  valBpb: ["val_bpb"],
  trainingSeconds: ["training_seconds"],
  evaluationSeconds: ["evaluation_seconds"],
  forwardSeconds: ["forward_seconds"],
  overheadSeconds: ["overhead_seconds"],
  totalSeconds: ["total_seconds"],
  steps: ["steps"],
  tokens: ["tokens"],
  parameters: ["parameters"],
  depth: ["depth"],
  peakBytes: ["peak_bytes"],
  mfu: ["mfu"],
  clock: ["clock", "json"],
  curve: ["curve", "json"],
  weightsHash: ["weights_hash"],
  hashes: ["hashes", "json"],
  machine: ["machine", "json"],
  cost: ["cost"],
};

/** An experiment from its row. */
export function experimentOf(row: Row): ExperimentRow {
  return {
    id: row.id as number,
    parent: row.parent as number | null,
    state: row.state as ExperimentState,
    agent: row.agent as string,
    origin: row.origin as string,
    hypothesis: row.hypothesis as string,
    edit: parse(row.edit) as Record<string, unknown>,
    diff: row.diff as string,
    source: row.source as string,
    status: row.status as string,
    reason: row.reason as string,
    valBpb: row.val_bpb as number | null,
    commit: row.commit_hash as string | null,
    proposedAt: row.proposed_at as string,
    decidedAt: row.decided_at as string | null,
  };
}

/** A run from its row. */
export function runOf(row: Row): RunRow {
  const measures = Object.fromEntries(
    Object.entries(runColumns).map(([field, [column, kind]]) => [field, kind ? parse(row[column]) : row[column]]),
  ) as unknown as RunMeasures;
  return {
    ...measures,
    id: row.id as number,
    experiment: row.experiment as number,
    attempt: row.attempt as number,
    seed: row.seed as number,
    startedAt: row.started_at as string,
    endedAt: row.ended_at as string | null,
  };
}
