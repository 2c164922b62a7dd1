/**
 * What a session shows to people: `results.tsv`, the table at the end, and the entries of the general memory. All of it
 * is written from the database and can be written again at any time.
 * @module
 */
import { dirname, join } from "node:path";
import { type ExperimentRow, openMemory, rememberDecisions, type RunRow, type SessionStore } from "../../memory/mod.ts";

const HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription";

/** One cell of a tab-separated line. */
const cell = (text: string): string => text.replaceAll(/[\t\r\n]+/g, " ").trim();

/** The run that an experiment was decided by. */
export function decidingRun(runs: readonly RunRow[], experiment: number): RunRow | null {
  return runs.findLast((run) => run.experiment === experiment && run.endedAt !== null && run.status !== "lost") ?? null;
}

/** What changed, in few words. */
export function describe(experiment: ExperimentRow): string {
  const change = experiment.edit.change;
  return cell(typeof change === "string" && change !== "" ? change : experiment.hypothesis);
}

/** Characters of a change in the table and in the title of a commit. */
const SHORT = 60;

/** `describe`, cut after whole changes: `depth 3 → 4, width 128 → 192 and 5 more`. */
export function describeShortly(experiment: ExperimentRow): string {
  const text = describe(experiment);
  const parts = text.split(", ");
  if (text.length <= SHORT) return text;
  let shown = 1;
  while (parts.slice(0, shown + 1).join(", ").length <= SHORT - 12) shown++;
  return parts.length > 1
    ? `${parts.slice(0, shown).join(", ")} and ${parts.length - shown} more`
    : text.slice(0, SHORT - 1) + "…";
}

/** Text of `results.tsv`: one line a decision, in order. */
export function resultsText(store: SessionStore): string {
  const runs = store.runs();
  const lines = [HEADER];
  for (const experiment of store.experiments()) {
    const { state, valBpb, commit } = experiment;
    if (state !== "kept" && state !== "discarded" && state !== "crashed" && state !== "refused") continue;
    const status = state === "kept" ? "keep" : state === "discarded" ? "discard" : "crash";
    const scored = status !== "crash" && valBpb !== null;
    const gigabytes = scored ? (decidingRun(runs, experiment.id)?.peakBytes ?? 0) / 2 ** 30 : 0;
    const note = status === "crash" ? ` (${state}: ${cell(experiment.reason)})` : "";
    lines.push([
      commit?.slice(0, 7) ?? "-",
      (scored ? valBpb : 0).toFixed(6),
      gigabytes.toFixed(3),
      status,
      describe(experiment) + note,
    ].join("\t"));
  }
  return lines.join("\n") + "\n";
}

/** Writes `results.tsv` under a temporary name and renames it. */
export function writeResults(store: SessionStore, folder: string): void {
  const path = join(folder, "results.tsv");
  Deno.writeTextFileSync(`${path}.new`, resultsText(store));
  Deno.renameSync(`${path}.new`, path);
}

/** The table of a session, for the terminal. */
export function tableText(store: SessionStore): string {
  const runs = store.runs();
  const rows: string[][] = [["experiment", "change", "val_bpb", "Δ", "kept", "tokens/s", "seconds"]];
  let best: number | null = null;
  for (const experiment of store.experiments()) {
    const { id, state, parent, valBpb } = experiment;
    const run = decidingRun(runs, id);
    const scored = state === "kept" || state === "discarded" ? valBpb : null;
    const delta = scored === null || best === null ? "" : (scored - best).toFixed(4).replace("-", "−");
    rows.push([
      parent === null ? "baseline" : `exp_${String(id).padStart(3, "0")}`,
      describeShortly(experiment),
      scored?.toFixed(6) ?? "—",
      delta === "" || delta.startsWith("−") ? delta : `+${delta}`,
      state === "kept" ? "yes" : state === "discarded" ? "no" : state,
      // A run that ended early may have a part of a step to its name, which is no speed.
      run?.status === "ok" && run.tokens && run.trainingSeconds
        ? String(Math.round(run.tokens / run.trainingSeconds))
        : "",
      run?.totalSeconds?.toFixed(1) ?? "",
    ]);
    if (state === "kept" && valBpb !== null && (best === null || valBpb < best)) best = valBpb;
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => [...row[column]].length)));
  const left = new Set([0, 1, 4]);
  return rows.map((row) =>
    row.map((text, column) => {
      const gap = " ".repeat(widths[column] - [...text].length);
      return left.has(column) ? text + gap : gap + text;
    }).join("  ").trimEnd()
  ).join("\n");
}

/**
 * Enters decisions into the general memory, each once. Never stops a session.
 * @returns what went wrong, or null
 */
export function enterDecisions(path: string, tag: string, experiments: readonly ExperimentRow[]): string | null {
  try {
    Deno.mkdirSync(dirname(path), { recursive: true });
    using memory = openMemory(path);
    rememberDecisions(memory, tag, experiments);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
