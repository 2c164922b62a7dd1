/**
 * Reads `results.tsv`, the table that a session leaves (header `commit val_bpb memory_gb status description`), into the
 * same facts as its database gives. Times and hypotheses are not in it.
 * @module
 */
import { type Constant, constantOf, type FailureKind, type Night, type Trial, type TrialState } from "./night.ts";

/** Whether a text is such a table. */
export function isResultsTable(text: string): boolean {
  return /^\ufeff?commit\tval_bpb\tmemory_gb\tstatus\tdescription\r?(?:\n|$)/.test(text.slice(0, 200));
}

/** The constants that a description changes: `depth 3 → 4, width 128 → 192`. */
export function changesIn(description: string): { name: string; from: Constant; to: Constant }[] {
  const changes: { name: string; from: Constant; to: Constant }[] = [];
  for (const part of description.slice(0, 5000).split(/,\s+(?=[A-Za-z_$][\w$]* )/)) {
    const match = part.match(/^\s*([A-Za-z_$][\w$]{0,60}) (\S.{0,80}?) (?:→|->) (\S.{0,80}?)\s*$/);
    if (match) changes.push({ name: match[1], from: constantOf(match[2]), to: constantOf(match[3]) });
  }
  return changes;
}

/** The facts of such a table. @param name what the table is called */
export function nightOfTable(text: string, name: string): Night {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/).slice(1).filter((line) => line.includes("\t"));
  let best: number | null = null;
  let current = new Map<string, Constant>();
  const base = new Map<string, Constant>();
  const trials: Trial[] = [];
  for (const [index, line] of lines.entries()) {
    const [commit = "", score = "", memory = "", status = "", description = ""] = line.split("\t");
    const failed = status === "crash";
    const note = failed ? description.match(/^(.*?) \((crashed|refused): (.*)\)$/s) : null;
    const state: TrialState = status === "keep"
      ? "kept"
      : status === "discard"
      ? "discarded"
      : note?.[2] === "refused"
      ? "refused"
      : failed
      ? "crashed"
      : "open";
    const valBpb = !failed && Number(score) > 0 ? Number(score) : null;
    const change = note?.[1] ?? description;
    const constants = new Map(current);
    for (const { name, from, to } of changesIn(change)) {
      // What a constant was before its first change, it was from the beginning.
      if (!base.has(name)) base.set(name, from);
      constants.set(name, to);
    }
    if (state === "kept") current = constants;
    const reason = note?.[3] ?? "";
    const failure: FailureKind | null = state === "crashed"
      ? "crashed"
      : state === "refused"
      ? "refused before the run"
      : null;
    const gigabytes = Number(memory);
    trials.push({
      id: index,
      name: index === 0 ? "baseline" : `exp_${String(index).padStart(3, "0")}`,
      change,
      hypothesis: "",
      origin: "",
      state,
      failure,
      reason,
      valBpb,
      delta: valBpb !== null && best !== null ? valBpb - best : null,
      commit: /^[0-9a-f]{4,40}$/.test(commit) ? commit : null,
      proposedAt: null,
      decidedAt: null,
      seconds: 0,
      tokensPerSecond: null,
      peakBytes: gigabytes > 0 ? gigabytes * 2 ** 30 : null,
      steps: null,
      lostRuns: [],
      constants,
      source: "",
    });
    if (state === "kept" && valBpb !== null && (best === null || valBpb < best)) best = valBpb;
  }
  const whole = trials.map((trial) => ({ ...trial, constants: new Map([...base, ...trial.constants]) }));
  return {
    tag: name,
    path: name,
    begun: null,
    last: null,
    status: "unknown",
    reason: "",
    activeSeconds: null,
    settings: {},
    machine: {},
    branch: "",
    trials: whole,
    events: [],
  };
}
