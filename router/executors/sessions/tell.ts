/**
 * The parts that a report and a postmortem share, in Markdown: what a session was, how it went, what was kept, what
 * failed and why by its record. Says nothing that the record does not hold.
 * @module
 */
import { inlineCode, markdownTable, oneLine } from "../safe_text.ts";
import { baselineOf, bestOf, type FailureKind, type Night, type Trial } from "./night.ts";
import { showDuration, showTime, showZone } from "./when.ts";

/** Plural by a count: `1 experiment`, `3 experiments`. */
export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** A score, four digits after the point as far as they matter. */
export const score = (value: number | null): string => value === null ? "—" : value.toFixed(6);

/** A difference with its sign. */
export const signed = (value: number | null, digits = 4): string =>
  value === null ? "—" : `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(digits)}`;

/** Per cent of a whole. */
export const percent = (part: number, whole: number, digits = 0): string =>
  whole > 0 ? `${(100 * part / whole).toFixed(digits)} %` : "—";

/** Names of experiments, the first few. */
export function names(trials: readonly Trial[], most = 6): string {
  const shown = trials.slice(0, most).map(({ name }) => name).join(", ");
  return trials.length > most ? `${shown} and ${trials.length - most} more` : shown;
}

/** The middle of some numbers; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** What each way of failing means. */
const meanings: Readonly<Record<FailureKind, string>> = {
  crashed: "the code threw or its process ended",
  "no number": "the loss was no number",
  exploded: "the loss went far beyond guessing",
  "timed out": "it took too long and was ended",
  lost: "its session was ended under it again and again",
  voided: "it ran, but broke a rule of the harness",
  "refused in the run": "it was refused or stopped by the harness",
  "refused before the run": "it was never run",
};

/** Failed experiments of one kind and reason. */
export interface FailureGroup {
  /** How they failed. */
  readonly kind: FailureKind;
  /** What that means. */
  readonly meaning: string;
  /** The reason of the first one, as recorded; empty where none is. */
  readonly reason: string;
  /** All of them. */
  readonly trials: readonly Trial[];
}

/** The failed experiments, those of one kind and like reason together, the largest group first. */
export function failuresOf({ trials }: Night): FailureGroup[] {
  const groups = new Map<string, Trial[]>();
  for (const trial of trials) {
    if (trial.failure === null) continue;
    const shape = oneLine(trial.reason, 300).replace(/exp_\d+|\d+(?:\.\d+)?/g, "‹n›").slice(0, 120);
    const key = `${trial.failure}\n${shape}`;
    groups.set(key, [...(groups.get(key) ?? []), trial]);
  }
  return [...groups.values()].map((group) => ({
    kind: group[0].failure!,
    meaning: meanings[group[0].failure!],
    reason: group[0].reason,
    trials: group,
  })).sort((a, b) => b.trials.length - a.trials.length || a.trials[0].id - b.trials[0].id);
}

/** How many ended in each way. */
export interface Tally {
  /** All of them. */
  readonly all: number;
  /** Kept, the baseline among them. */
  readonly kept: number;
  /** Scored, not kept. */
  readonly discarded: number;
  /** Crashed in any way. */
  readonly crashed: number;
  /** Ran, but broke a rule. */
  readonly voided: number;
  /** Refused, before or in the run. */
  readonly refused: number;
  /** Undecided. */
  readonly open: number;
  /** Runs begun that came to nothing through no fault of the experiment. */
  readonly lostRuns: number;
}

/** Counts the ends. */
export function tally({ trials }: Night): Tally {
  const count = (test: (trial: Trial) => boolean) => trials.filter(test).length;
  return {
    all: trials.length,
    kept: count(({ state }) => state === "kept"),
    discarded: count(({ state }) => state === "discarded"),
    crashed: count(({ state }) => state === "crashed"),
    voided: count(({ failure }) => failure === "voided"),
    refused: count(({ state, failure }) => state === "refused" && failure !== "voided"),
    open: count(({ state }) => state === "open"),
    lostRuns: trials.reduce((sum, trial) => sum + trial.lostRuns.length, 0),
  };
}

/** "7 experiments: 3 kept, 2 discarded, 1 crashed, 1 voided" */
export function tallyLine(night: Night): string {
  const { all, kept, discarded, crashed, voided, refused, open } = tally(night);
  const parts = [
    [kept, "kept"],
    [discarded, "discarded"],
    [crashed, "crashed"],
    [voided, "voided"],
    [refused, "refused"],
    [open, "undecided"],
  ].filter(([count]) => count as number > 0).map(([count, word]) => `${count} ${word}`);
  return `${plural(all, "experiment")}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}`;
}

/** One line a fact: when, what, on what. */
export function facts(night: Night): string {
  const { begun, last, status, reason, activeSeconds, settings, machine, branch } = night;
  const text = (value: unknown) =>
    typeof value === "string" || typeof value === "number" ? oneLine(String(value), 80) : null;
  const options = ["preset", "agent", "decide", "seed", "budgetSeconds", "hours", "experiments", "source"]
    .filter((name) => text(settings[name]) !== null).map((name) => `${name} ${text(settings[name])}`);
  const device = ["device", "processor", "processors", "threads", "system", "driver"]
    .filter((name) => text(machine[name]) !== null).map((name) => `${name} ${text(machine[name])}`);
  const lines = [
    begun === null
      ? null
      : `- Began ${showTime(begun)}, last entry ${last === null ? "—" : showTime(last)} (local time, ${
        showZone(begun)
      })`,
    activeSeconds === null || activeSeconds === 0
      ? null
      : `- Worked for ${showDuration(activeSeconds)}, pauses left out`,
    status === "unknown" ? null : `- Status: ${status}${reason === "" ? "" : ` (${inlineCode(reason)})`}`,
    options.length > 0 ? `- Settings: ${options.join(", ")}` : null,
    device.length > 0 ? `- Machine: ${device.join(", ")}` : null,
    branch !== "" ? `- Branch of kept experiments: ${inlineCode(branch)}` : null,
    `- Record: ${inlineCode(night.path, 300)}`,
  ];
  return lines.filter((line) => line !== null).join("\n");
}

/** What came out of a session, in sentences. */
export function outcome(night: Night): string {
  const baseline = baselineOf(night), best = bestOf(night);
  if (best === null || baseline === null) return "No experiment has a score, so nothing was kept.";
  const gains = night.trials.filter(({ state, name }) => state === "kept" && name !== baseline.name).length;
  if (gains === 0) {
    return `The baseline scored val_bpb ${
      score(baseline.valBpb)
    }; no experiment scored lower, so it is still the best.`;
  }
  const gain = baseline.valBpb! - best.valBpb!;
  return `val_bpb went from ${score(baseline.valBpb)} (baseline) to ${score(best.valBpb)} (${best.name}), ` +
    `${signed(-gain)} or ${percent(gain, baseline.valBpb!, 1)} lower, in ${plural(gains, "kept step")}.`;
}

/** A table of the kept experiments. */
export function keptTable({ trials }: Night): string {
  const kept = trials.filter(({ state }) => state === "kept");
  if (kept.length === 0) return "Nothing was kept.";
  return markdownTable(
    ["experiment", "change", "val_bpb", "Δ from the best before", "commit"],
    kept.map((
      { name, change, valBpb, delta, commit },
    ) => [name, change, score(valBpb), signed(delta), commit?.slice(0, 7) ?? "—"]),
    [2, 3],
  );
}

/** A table of failures by kind and reason; one sentence where there is none. */
export function failureTable(night: Night): string {
  const groups = failuresOf(night);
  if (groups.length === 0) return "No experiment crashed, was voided or was refused.";
  return markdownTable(
    ["how", "count", "experiments", "reason in the record"],
    groups.map((
      { kind, trials, reason },
    ) => [kind, String(trials.length), names(trials, 4), reason === "" ? "none given" : reason]),
    [1],
  );
}

/** How fast the first and the last third of the scored runs were; null where there is no telling drop. */
export function slowdown({ trials }: Night): { early: number; late: number; sentence: string } | null {
  const speeds = trials.filter(({ tokensPerSecond, valBpb }) => tokensPerSecond !== null && valBpb !== null)
    .map(({ tokensPerSecond }) => tokensPerSecond!);
  if (speeds.length < 6) return null;
  const third = Math.floor(speeds.length / 3);
  const early = median(speeds.slice(0, third)), late = median(speeds.slice(-third));
  if (Math.abs(late / early - 1) < 0.25) return null;
  return {
    early,
    late,
    sentence:
      `The median speed of the last ${third} scored runs was ${
        Math.round(late)
      } tokens/s, that of the first ${third} ` +
      `${Math.round(early)} (${
        signed(100 * (late / early - 1), 0)
      } %). With a fixed training time, scores of faster and slower ` +
      "runs do not compare alike; the record does not say whether the machine or the changes were the reason.",
  };
}

/** Long stretches without an entry in the log of decisions. */
export function silencesOf({ events, trials, settings }: Night): { from: Date; to: Date; seconds: number }[] {
  const longestRun = trials.reduce((most, { seconds }) => Math.max(most, seconds), 0);
  const budget = typeof settings.budgetSeconds === "number" ? settings.budgetSeconds : 0;
  const limit = Math.max(300, 3 * Math.max(longestRun, budget));
  return events.slice(1).map((event, index) => ({
    from: events[index].at,
    to: event.at,
    seconds: (+event.at - +events[index].at) / 1000,
  })).filter(({ seconds }) => seconds > limit).sort((a, b) => b.seconds - a.seconds).slice(0, 5);
}
