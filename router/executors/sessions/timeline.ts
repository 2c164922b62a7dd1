/**
 * A session as it went, line by line: beginnings, ends, failures, gains, silences. Of a long night the telling lines:
 * failures of one kind become one line, the largest gains stay, what was discarded goes first.
 * @module
 */
import { inlineCode, oneLine } from "../safe_text.ts";
import type { Night, Trial } from "./night.ts";
import { failuresOf, signed, silencesOf } from "./tell.ts";
import { showDay, showDuration, showTime } from "./when.ts";

/** Lines of a timeline at most. */
const MOST_ROWS = 40;

interface Row {
  readonly at: Date;
  readonly text: string;
  readonly kind: "session" | "gain" | "failure" | "discarded";
  readonly trial?: Trial;
}

const quoted = (reason: string): string => reason === "" ? "" : `: ${inlineCode(reason, 140)}`;

/** Everything that has a time. */
function rowsOf(night: Night): Row[] {
  const rows: Row[] = [];
  const byId = new Map(night.trials.map((trial) => [trial.id, trial]));
  for (const { at, kind, experiment, reason } of night.events) {
    if (kind.startsWith("session ") || kind === "settings changed") {
      rows.push({ at, text: kind + quoted(reason), kind: "session" });
      continue;
    }
    const trial = experiment === null ? undefined : byId.get(experiment);
    if (trial === undefined) continue;
    const change = oneLine(trial.change, 80);
    const delta = trial.delta === null ? "" : ` (${signed(trial.delta)})`;
    if (kind === "kept") rows.push({ at, text: `${trial.name} kept: ${change}${delta}`, kind: "gain", trial });
    if (kind === "discarded") {
      rows.push({ at, text: `${trial.name} discarded: ${change}${delta}`, kind: "discarded", trial });
    }
    if (kind === "crashed" || kind === "refused") {
      rows.push({ at, text: `${trial.name} ${trial.failure ?? kind}${quoted(reason)}`, kind: "failure", trial });
    }
  }
  // Runs that were found dead have no event of their own, so lost runs are told from their rows alone.
  for (const { name, lostRuns } of night.trials) {
    for (const { at, reason } of lostRuns) {
      rows.push({ at, text: `a run of ${name} was lost${quoted(reason)}`, kind: "failure" });
    }
  }
  for (const { from, to, seconds } of silencesOf(night)) {
    const text = `no entry for ${showDuration(seconds)}, until ${showTime(to)}`;
    rows.push({ at: new Date(+from + 1), text, kind: "session" });
  }
  return rows.sort((a, b) => +a.at - +b.at);
}

/** The telling rows of many. */
function condense(night: Night, rows: readonly Row[]): Row[] {
  let shown = [...rows];
  const keep = (test: (row: Row) => boolean) => {
    if (shown.length > MOST_ROWS) shown = shown.filter(test);
  };
  keep(({ kind }) => kind !== "discarded");
  if (shown.length > MOST_ROWS) {
    // One line for all failures of a kind, at the time of the first.
    const notes = new Map<number, string>();
    const others = new Set<number>();
    for (const { trials } of failuresOf(night)) {
      if (trials.length < 3) continue;
      const last = rows.findLast(({ trial }) => trial === trials[trials.length - 1]);
      notes.set(
        trials[0].id,
        ` (and ${trials.length - 1} more of this kind${
          last === undefined ? "" : `, the last at ${showTime(last.at)}`
        })`,
      );
      for (const { id } of trials.slice(1)) others.add(id);
    }
    shown = shown.filter(({ kind, trial }) => kind !== "failure" || trial === undefined || !others.has(trial.id))
      .map((row) =>
        row.kind === "failure" && notes.has(row.trial?.id ?? -1)
          ? { ...row, text: row.text + notes.get(row.trial!.id) }
          : row
      );
  }
  const room = Math.max(8, MOST_ROWS - shown.filter(({ kind }) => kind !== "gain").length);
  const largest = new Set(
    shown.filter(({ kind }) => kind === "gain")
      // The baseline has no difference and comes first.
      .sort((a, b) => (a.trial!.delta ?? -Infinity) - (b.trial!.delta ?? -Infinity)).slice(0, room),
  );
  keep((row) => row.kind !== "gain" || largest.has(row));
  // What is left are failures of ever new kinds: the beginning and the end of them.
  const half = MOST_ROWS / 2;
  return shown.length > MOST_ROWS ? [...shown.slice(0, half), ...shown.slice(-half)] : shown;
}

/** The timeline as a list; a sentence where there are no times. */
export function timeline(night: Night): string {
  const rows = rowsOf(night);
  if (rows.length === 0) return "The table holds no times, so there is no timeline.";
  const shown = condense(night, rows);
  const days = new Set(shown.map(({ at }) => showDay(at))).size > 1;
  const short = +rows[rows.length - 1].at - +rows[0].at < 2 * 3_600_000;
  const time = (at: Date) =>
    (days ? showTime(at) : showTime(at).slice(11)) + (short ? `:${String(at.getSeconds()).padStart(2, "0")}` : "");
  const hidden = rows.length - shown.length;
  return shown.map(({ at, text }) => `- ${time(at)} ${text}`).join("\n") +
    (hidden > 0 ? `\n- (${hidden} further entries are left out)` : "");
}
