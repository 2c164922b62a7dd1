/**
 * A session as plain facts, whether they come from its database or from `results.tsv` alone: what was tried, how it
 * ended, what it gained. Knows no text for people.
 * @module
 */
import type { ExperimentRow, RunRow } from "../../../memory/session_rows.ts";
import type { SessionStore } from "../../../memory/sessions.ts";

/** How an experiment ended; `open` where it has not. */
export type TrialState = "kept" | "discarded" | "crashed" | "refused" | "open";

/** How a failed experiment failed. */
export type FailureKind =
  | "crashed"
  | "no number"
  | "exploded"
  | "timed out"
  | "lost"
  | "voided"
  | "refused in the run"
  | "refused before the run";

/** A constant of the search space. */
export type Constant = number | string | boolean;

/** One experiment. */
export interface Trial {
  /** Number in the session. */
  readonly id: number;
  /** `baseline`, or `exp_003`. */
  readonly name: string;
  /** What changed, in few words. */
  readonly change: string;
  /** What was expected; empty where it is not recorded. */
  readonly hypothesis: string;
  /** Who proposed it, and what the agent calls the source of the idea. */
  readonly origin: string;
  /** How it ended. */
  readonly state: TrialState;
  /** How it failed, if it did. */
  readonly failure: FailureKind | null;
  /** Why, in the record's words. */
  readonly reason: string;
  /** Bits per byte; null without a score. */
  readonly valBpb: number | null;
  /** Difference from the best before it; null without one. */
  readonly delta: number | null;
  /** Commit of a kept one. */
  readonly commit: string | null;
  /** When it was proposed; null where no time is recorded. */
  readonly proposedAt: Date | null;
  /** When it was decided. */
  readonly decidedAt: Date | null;
  /** Seconds that its runs took, lost ones included where they were measured. */
  readonly seconds: number;
  /** Tokens a second of its last run. */
  readonly tokensPerSecond: number | null;
  /** Most memory of its last run, bytes. */
  readonly peakBytes: number | null;
  /** Optimizer steps of its last run. */
  readonly steps: number | null;
  /** Runs that were begun and came to nothing through no fault of the experiment, with the reasons. */
  readonly lostRuns: readonly { readonly at: Date; readonly reason: string }[];
  /** All constants, where they are known. */
  readonly constants: ReadonlyMap<string, Constant>;
  /** Text of the file that was trained; empty where it is not recorded. */
  readonly source: string;
}

/** One line of the log of decisions. */
export interface NightEvent {
  /** When. */
  readonly at: Date;
  /** Such as `session stopped`. */
  readonly kind: string;
  /** Number of the experiment, if it is about one. */
  readonly experiment: number | null;
  /** Why, in the record's words; empty without. */
  readonly reason: string;
}

/** A session. */
export interface Night {
  /** Its name. */
  readonly tag: string;
  /** Where it was read. */
  readonly path: string;
  /** When it began; null for a table without times. */
  readonly begun: Date | null;
  /** Its last recorded moment. */
  readonly last: Date | null;
  /** `open`, `finished`, `stopped`; `unknown` for a table. */
  readonly status: "open" | "finished" | "stopped" | "unknown";
  /** Why it ended, in the record's words. */
  readonly reason: string;
  /** Seconds that it worked, pauses left out; null where they are not recorded. */
  readonly activeSeconds: number | null;
  /** Its options. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The machine. */
  readonly machine: Readonly<Record<string, unknown>>;
  /** Branch of kept experiments; empty for a table. */
  readonly branch: string;
  /** Experiments in order. */
  readonly trials: readonly Trial[];
  /** The log of decisions; empty for a table. */
  readonly events: readonly NightEvent[];
}

/** A moment, null where the text is none. */
const moment = (text: string | null): Date | null => {
  const date = new Date(text ?? "");
  return Number.isNaN(+date) ? null : date;
};

/** The constants of the `#space` block of a `train.ts`; none where there is no such block. */
export function constantsIn(source: string): Map<string, Constant> {
  const constants = new Map<string, Constant>();
  const begin = source.indexOf("// #space"), end = source.indexOf("// #end");
  if (begin < 0 || end < begin) return constants;
  for (const line of source.slice(begin, end).split("\n")) {
    const match = line.match(/^\s*([A-Za-z_$][\w$]{0,60})\s*:\s*("(?:[^"\\]|\\.){0,200}"|[^\s,"]{1,60})\s*,/);
    if (match) constants.set(match[1], constantOf(match[2]));
  }
  return constants;
}

/** A literal as a value. */
export function constantOf(text: string): Constant {
  if (text === "true" || text === "false") return text === "true";
  const number = Number(text.replaceAll("_", ""));
  if (text !== "" && Number.isFinite(number)) return number;
  return text.startsWith('"') ? text.slice(1, -1) : text;
}

function failureOf({ state, status }: ExperimentRow): FailureKind | null {
  if (state === "crashed") {
    const kinds: Record<string, FailureKind> = {
      nan: "no number",
      exploded: "exploded",
      timeout: "timed out",
      lost: "lost",
    };
    return kinds[status] ?? "crashed";
  }
  if (state !== "refused") return null;
  return status === "void" ? "voided" : status === "" ? "refused before the run" : "refused in the run";
}

const nameOf = (id: number, baseline: boolean): string => baseline ? "baseline" : `exp_${String(id).padStart(3, "0")}`;

/** The facts of an open store. @param path where it was opened, for the account */
export function nightOf(store: SessionStore, path: string): Night {
  const session = store.session();
  const runs = Map.groupBy(store.runs(), (run: RunRow) => run.experiment);
  let best: number | null = null;
  const trials = store.experiments().map((row): Trial => {
    const own = runs.get(row.id) ?? [];
    const deciding = own.findLast(({ endedAt, status }) => endedAt !== null && status !== "lost");
    const state = ["kept", "discarded", "crashed", "refused"].includes(row.state) ? row.state as TrialState : "open";
    const scored = (state === "kept" || state === "discarded") && row.valBpb !== null;
    const delta: number | null = scored && best !== null ? row.valBpb! - best : null;
    if (state === "kept" && scored && (best === null || row.valBpb! < best)) best = row.valBpb;
    const { change } = row.edit;
    return {
      id: row.id,
      name: nameOf(row.id, row.parent === null),
      change: typeof change === "string" && change !== "" ? change : row.hypothesis,
      hypothesis: row.hypothesis,
      origin: row.origin === row.agent ? row.agent : `${row.agent} (${row.origin})`,
      state,
      failure: failureOf(row),
      reason: row.reason,
      valBpb: scored ? row.valBpb : null,
      delta,
      commit: row.commit,
      proposedAt: moment(row.proposedAt),
      decidedAt: moment(row.decidedAt),
      seconds: own.reduce((sum, run) => {
        const taken = run.totalSeconds ??
          (run.endedAt === null ? 0 : (Date.parse(run.endedAt) - Date.parse(run.startedAt)) / 1000);
        return sum + (Number.isFinite(taken) ? taken : 0);
      }, 0),
      // A run that ended early may have a part of a step to its name, which is no speed.
      tokensPerSecond: deciding?.status === "ok" && deciding.tokens && deciding.trainingSeconds
        ? deciding.tokens / deciding.trainingSeconds
        : null,
      peakBytes: deciding?.peakBytes ?? null,
      steps: deciding?.steps ?? null,
      lostRuns: own.filter(({ status }) => status === "lost")
        .map(({ startedAt, endedAt, reason }) => ({ at: moment(endedAt ?? startedAt) ?? new Date(0), reason })),
      constants: constantsIn(row.source),
      source: row.source,
    };
  });
  const events = store.events().map(({ at, kind, experiment, detail }): NightEvent => ({
    at: moment(at) ?? new Date(0),
    kind,
    experiment,
    reason: typeof detail.reason === "string" ? detail.reason : "",
  }));
  return {
    tag: session.tag,
    path,
    begun: moment(session.createdAt),
    last: events.at(-1)?.at ?? moment(session.createdAt),
    status: session.status,
    reason: session.reason,
    activeSeconds: session.activeSeconds,
    settings: session.settings,
    machine: session.machine,
    branch: session.branch,
    trials,
    events,
  };
}

/** The experiment with the lowest score among the kept ones, the earliest among equals. */
export function bestOf({ trials }: Night): Trial | null {
  return trials.filter(({ state, valBpb }) => state === "kept" && valBpb !== null)
    .reduce<Trial | null>((best, trial) => best === null || trial.valBpb! < best.valBpb! ? trial : best, null);
}

/** The first kept experiment: what all others are compared with. */
export function baselineOf({ trials }: Night): Trial | null {
  return trials.find(({ name, valBpb }) => name === "baseline" && valBpb !== null) ??
    trials.find(({ state, valBpb }) => state === "kept" && valBpb !== null) ?? null;
}
