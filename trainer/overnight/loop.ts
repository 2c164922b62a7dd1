/**
 * The night itself: the baseline, then experiment after experiment, each along proposed → checked → running → evaluated →
 * decided, every step in the database before the next one begins. Starting again after a kill is the same code: what is
 * undecided goes on from where it stands. Knows nothing of command lines. Long because the steps, and what each of them
 * leaves for the next after a kill, are to be read in one place.
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type ExperimentRow,
  isDecided,
  type RunMeasures,
  type RunRow,
  type SessionRow,
  type SessionStore,
} from "../../memory/mod.ts";
import type { Config } from "../contract.ts";
import { DataError } from "../data/error.ts";
import type { RunEvents, RunResult } from "../run/types.ts";
import { configOf, editSpace, parseSpace } from "../space.ts";
import {
  type Agent,
  type AgentTools,
  type Attempt,
  describeChange,
  type Edit,
  type ResearchRecord,
} from "./agents/agent.ts";
import type { DecisionRule } from "./decide.ts";
import { SessionError } from "./git.ts";
import { decidingRun, describe, describeShortly, enterDecisions, writeResults } from "./ledger.ts";
import type { Runner } from "./runner.ts";
import type { Workspace } from "./workspace.ts";

/** Experiments in a row without a score after which a person has to look. */
const FAILURES_IN_A_ROW = 5;
/** Times that an experiment may take the session down with it. */
const KILLS = 3;
/** What a session must be able to write to be worth going on with. */
const ROOM_BYTES = 2 ** 24;

/** For a session whose clone or library is not what its runs were begun with. */
export const HARNESS_CHANGED = "the harness of the session's clone, or the library, is not what was pinned when the " +
  "session began; nothing is charged to an experiment";

/** What a display may show. */
export interface SessionEvents {
  /** A run begins. */
  started?(experiment: ExperimentRow): RunEvents | undefined;
  /** A decision was recorded. */
  decided?(experiment: ExperimentRow): void;
  /** Something that does not stop the session. */
  warning?(sentence: string): void;
}

/** Everything a session works with. */
export interface SessionParts {
  /** The session's database. */
  readonly store: SessionStore;
  /** The clone that experiments are made in. */
  readonly workspace: Workspace;
  /** Who proposes. */
  readonly agent: Agent;
  /** Who decides. */
  readonly rule: DecisionRule;
  /** Who runs. */
  readonly runner: Runner;
  /** Folder of the session. */
  readonly folder: string;
  /** Literals of the preset, for the baseline. */
  readonly baseline: { readonly title: string; readonly values: Config };
  /** Seed of every run. */
  readonly seed: number;
  /** Training time of a run: what the first one is expected to take at least. */
  readonly budgetSeconds: number;
  /** Experiments after the baseline, and seconds, that the session may use; null for no limit. */
  readonly limits: { readonly experiments: number | null; readonly seconds: number | null };
  /** Hashes of what goes into every run beside `train.ts`. */
  readonly hashes: Record<string, unknown>;
  /** `AI-Memory/memory.db`, null for none. */
  readonly memoryPath: string | null;
  /** Asks `valid` of a text about constants. */
  valid(source: string, configs: readonly Config[]): Promise<(true | string)[]>;
  /** Whether the code around `train.ts`, or the library, is no longer what was pinned; absent: nothing is pinned. */
  harnessChanged?(): Promise<boolean>;
  /** Ends the session early; the run in flight is lost, nothing else. */
  readonly signal?: AbortSignal;
  /** Who watches. */
  readonly events?: SessionEvents;
}

/** How a call of `runSession` ended. */
export interface SessionOutcome {
  /** `interrupted`: by the signal; everything is recorded and `--resume` goes on. */
  readonly status: "finished" | "stopped" | "interrupted";
  /** One sentence. */
  readonly reason: string;
}

const name = (id: number): string => `exp_${String(id).padStart(3, "0")}`;

/** Folder of one attempt at a run. */
const runFolder = (parts: SessionParts, run: RunRow): string =>
  join(
    parts.folder,
    "runs",
    run.attempt === 1 ? name(run.experiment) : `${name(run.experiment)}_attempt_${run.attempt}`,
  );

const measuresOf = (result: RunResult, parts: SessionParts, source: string): RunMeasures => ({
  status: result.status,
  reason: result.reason,
  valBpb: result.valBpb,
  trainingSeconds: result.trainingSeconds,
  evaluationSeconds: result.evaluationSeconds,
  forwardSeconds: result.forwardSeconds,
  overheadSeconds: result.overheadSeconds,
  totalSeconds: result.totalSeconds,
  steps: result.steps,
  tokens: result.tokens,
  parameters: result.parameters,
  depth: result.depth,
  peakBytes: result.peakBytes,
  mfu: result.mfu,
  clock: result.clock,
  curve: result.curve,
  weightsHash: result.weightsHash,
  hashes: { ...parts.hashes, train: createHash("sha256").update(source).digest("hex") },
  machine: parts.store.session().machine,
  cost: 0,
});

/** What agents see of a decided experiment. */
function attemptOf(experiment: ExperimentRow, runs: readonly RunRow[]): Attempt {
  const { id, parent, agent, origin, hypothesis, source, valBpb, reason } = experiment;
  const state = experiment.state as Attempt["state"];
  const steps = decidingRun(runs, id)?.steps ?? null;
  return { id, parent, state, agent, origin, hypothesis, source, valBpb, reason, steps };
}

/** The record as agents see it. */
export function recordOf(store: SessionStore, seed: number): ResearchRecord {
  const runs = store.runs();
  const best = store.best();
  if (best === null) throw new SessionError("the session has no baseline yet");
  const attempts = store.experiments().filter(({ state }) => isDecided(state)).map((row) => attemptOf(row, runs));
  return { seed, attempts, best: attempts.find(({ id }) => id === best.id) as ResearchRecord["best"] };
}

/** The text after an edit. @throws where the edit does not fit the text */
function applyEdit(source: string, edit: Edit): string {
  return edit.kind === "source" ? edit.source : editSpace(source, edit.values);
}

/** The commit that the next kept experiment follows. */
function headOf(store: SessionStore): string {
  return store.experiments().findLast(({ state }) => state === "kept")?.commit ?? store.session().baseCommit;
}

function commitMessage(parts: SessionParts, experiment: ExperimentRow): string {
  const { id, parent, hypothesis, valBpb } = experiment;
  const title = `${parent === null ? "" : `${name(id)}: `}${describeShortly(experiment)}`;
  const trailer = `ResearchSwarm-Session: ${parts.store.session().tag}\nResearchSwarm-Experiment: ${id}`;
  return `${title}\n\n${hypothesis}\n\n${describe(experiment)}\nval_bpb ${valBpb?.toFixed(6)}\n\n${trailer}\n`;
}

/** Commits a scored experiment; making the commit again gives the same hash. */
function commit(parts: SessionParts, experiment: ExperimentRow, parent: string): Promise<string> {
  return parts.workspace.commit({
    parent,
    source: experiment.source,
    message: commitMessage(parts, experiment),
    date: decidingRun(parts.store.runs(), experiment.id)?.endedAt ?? experiment.proposedAt,
  });
}

/** Writes everything that is derived from the database. */
async function publish(parts: SessionParts): Promise<void> {
  writeResults(parts.store, parts.folder);
  const trouble = await parts.workspace.publish();
  if (trouble !== null) {
    parts.events?.warning?.(`${parts.workspace.branch} was not brought into your repository: ${trouble}`);
  }
}

/**
 * Puts clone, branch, files and database in order after whatever has happened: a missing or half-made clone, a commit
 * without a record, a record without a commit, lock files of git, a table that was not written.
 */
export async function reconcile(parts: SessionParts): Promise<void> {
  const { store, workspace, folder } = parts;
  const { baseCommit } = store.session();
  if (!await workspace.has(baseCommit)) {
    parts.events?.warning?.("the session's clone was missing or damaged and was made again from its record");
    await workspace.clone(baseCommit);
  }
  let head = baseCommit;
  for (const experiment of store.experiments()) {
    if (experiment.source !== "") writeSnapshot(folder, experiment);
    if (experiment.state !== "kept") continue;
    const made = await commit(parts, experiment, head);
    if (made !== experiment.commit) store.setCommit(experiment.id, made);
    head = made;
  }
  await workspace.moveTo(head);
  if (store.best() !== null) await publish(parts);
  else writeResults(store, folder);
  remember(parts, store.experiments().filter(({ state }) => isDecided(state)));
}

/** Enters decisions that the general memory does not hold yet; a kill may have come between a decision and its entry. */
function remember(parts: SessionParts, experiments: readonly ExperimentRow[]): void {
  if (parts.memoryPath === null || experiments.length === 0) return;
  const trouble = enterDecisions(parts.memoryPath, parts.store.session().tag, experiments);
  if (trouble !== null) parts.events?.warning?.(`the decision was not entered into the memory: ${trouble}`);
}

function writeSnapshot(folder: string, experiment: ExperimentRow): void {
  Deno.mkdirSync(join(folder, "snapshots"), { recursive: true });
  const path = join(folder, "snapshots", `${name(experiment.id)}.ts`);
  Deno.writeTextFileSync(`${path}.new`, experiment.source);
  Deno.renameSync(`${path}.new`, path);
}

/**
 * Whether the signal has come, for a failure that may be its work: Ctrl-C reaches the children of a terminal as well, and
 * their end may be seen before the signal is.
 */
async function interrupted(parts: SessionParts): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, 100));
  return parts.signal?.aborted ?? false;
}

/**
 * Whether a run that says so really failed for want of space. Its reason may hold whatever `train.ts` chose to throw, so
 * this process tries for itself, after what the run has left is gone.
 * @throws the error of the attempt: the session cannot go on
 */
async function checkRoom(parts: SessionParts, run: RunRow, reason: string): Promise<void> {
  if (!/No space left on device|os error 28/.test(reason)) return;
  const left = runFolder(parts, run);
  for (const { name: file } of await Array.fromAsync(Deno.readDir(left)).catch(() => [])) {
    if (file !== "stderr.log" && file !== "clock.json") await Deno.remove(join(left, file), { recursive: true });
  }
  const path = join(parts.folder, "room.test");
  try {
    using file = await Deno.open(path, { write: true, create: true, truncate: true });
    const block = crypto.getRandomValues(new Uint8Array(2 ** 16));
    for (let written = 0; written < ROOM_BYTES;) written += await file.write(block);
    await file.sync();
  } finally {
    await Deno.remove(path).catch(() => {});
  }
}

/** What no experiment is to blame for, after one that failed. @throws the trouble */
async function checkMachine(parts: SessionParts, run: RunRow, result: RunResult): Promise<void> {
  await checkRoom(parts, run, result.reason);
  if (result.status === "refused" && await parts.harnessChanged?.()) throw new SessionError(HARNESS_CHANGED);
}

/** proposed → checked, or refused: the edit fits, the text is new, and `valid` agrees. */
async function check(parts: SessionParts, experiment: ExperimentRow): Promise<ExperimentRow> {
  const { store, workspace } = parts;
  const before = experiment.parent === null
    ? await workspace.sourceOf(store.session().baseCommit)
    : store.experiment(experiment.parent).source;
  let after: string;
  try {
    after = applyEdit(before, experiment.edit as unknown as Edit);
  } catch (error) {
    return store.advance(experiment.id, "refused", { reason: (error as Error).message });
  }
  const diff = await workspace.diff(before, after);
  const refuse = (reason: string) => store.advance(experiment.id, "refused", { reason, diff, source: after });
  const same = experiment.parent === null
    ? undefined
    : store.experiments().find(({ id, source }) => id < experiment.id && source === after);
  if (same) return refuse(`the same text as ${name(same.id)}`);
  let config: Config = {};
  try {
    config = configOf(parseSpace(after));
  } catch {
    // A text without a block is allowed; `valid` is then asked about nothing.
  }
  const [verdict] = await parts.valid(after, [config]);
  if (verdict !== true) return await interrupted(parts) ? experiment : refuse(verdict);
  const checked = store.advance(experiment.id, "checked", { diff, source: after });
  writeSnapshot(parts.folder, checked);
  return checked;
}

/** checked or running → evaluated, crashed or refused; stays running if the signal ended it. */
async function train(parts: SessionParts, experiment: ExperimentRow): Promise<ExperimentRow> {
  const { store, workspace, runner, seed, signal } = parts;
  if (store.timesKilled(experiment.id) >= KILLS) {
    for (const { id, status } of store.runs(experiment.id)) if (status === "running") store.loseRun(id, "");
    return store.advance(experiment.id, "crashed", { status: "lost", reason: "lost three times" });
  }
  await workspace.write(experiment.source);
  const run = store.startRun(experiment.id, seed);
  const lose = (reason: string) => (store.loseRun(run.id, reason), store.experiment(experiment.id));
  const events = parts.events?.started?.(store.experiment(experiment.id));
  let result: RunResult | undefined;
  let thrown: unknown;
  try {
    result = await runner.run({ folder: runFolder(parts, run), seed, signal, events });
  } catch (error) {
    thrown = error;
  }
  try {
    if (result === undefined) await checkRoom(parts, run, String(thrown));
    else if (result.status === "aborted" || (result.status !== "ok" && await interrupted(parts))) {
      return lose("interrupted");
    } else if (result.status !== "ok") await checkMachine(parts, run, result);
    if (thrown instanceof SessionError || thrown instanceof DataError) throw thrown;
  } catch (trouble) {
    lose(String(trouble));
    throw trouble;
  }
  // A run may have filled the disk under this process, which has room again now: left as it is, it counts as killed.
  if (result === undefined) throw thrown;
  const scored = result.status === "ok" && result.valBpb !== null && Number.isFinite(result.valBpb);
  const state = scored ? "evaluated" : result.status === "refused" || result.status === "void" ? "refused" : "crashed";
  return store.finishRun(run.id, measuresOf(result, parts, experiment.source), state);
}

/** evaluated → kept or discarded. */
async function decide(parts: SessionParts, experiment: ExperimentRow): Promise<ExperimentRow> {
  const { store, workspace, rule } = parts;
  const best = store.best();
  const { keep, reason } = best === null
    ? { keep: true, reason: "the baseline" }
    : rule.decide({ best: best.valBpb!, candidate: experiment.valBpb! });
  if (!keep) return store.advance(experiment.id, "discarded", { reason });
  const made = await commit(parts, experiment, headOf(store));
  await workspace.moveTo(made);
  return store.advance(experiment.id, "kept", { reason, commit: made });
}

/** Takes an experiment as far as it gets; undecided afterwards only if the signal came. */
async function carryOn(parts: SessionParts, experiment: ExperimentRow): Promise<ExperimentRow> {
  const { store, workspace, events } = parts;
  let row = experiment;
  if (row.state === "proposed") row = await check(parts, row);
  if (row.state === "checked" || row.state === "running") {
    if (parts.signal?.aborted) return row;
    row = await train(parts, row);
  }
  if (row.state === "evaluated") row = await decide(parts, row);
  if (!isDecided(row.state)) return row;
  const best = store.best();
  if (row.state !== "kept") {
    if (best !== null) await workspace.write(best.source);
    const run = decidingRun(store.runs(), row.id);
    // The weights of what was not kept can be made again from the record (text, seed, clock).
    if (run) await Deno.remove(join(runFolder(parts, run), "checkpoint.safetensors")).catch(() => {});
  }
  await publish(parts);
  remember(parts, [row]);
  events?.decided?.(row);
  return row;
}

/** The next experiment's proposal, or why there is none. */
async function proposeNext(parts: SessionParts): Promise<ExperimentRow | { stop: string }> {
  const { store, agent, baseline } = parts;
  if (store.best() === null) {
    const source = await parts.workspace.sourceOf(store.session().baseCommit);
    const known = new Set(parseSpace(source).map(({ name }) => name));
    const values = Object.fromEntries(Object.entries(baseline.values).filter(([key]) => known.has(key)));
    return store.propose({
      parent: null,
      agent: "baseline",
      origin: "baseline",
      hypothesis: "The starting point; nothing to compare it with",
      edit: { kind: "space", values, change: baseline.title },
    });
  }
  const record = recordOf(store, parts.seed);
  const tools: AgentTools = { valid: parts.valid };
  const proposal = await agent.propose(record, tools);
  if ("stop" in proposal) return proposal;
  const { edit, origin, hypothesis } = proposal;
  const change = edit.kind === "space"
    ? describeChange(configOf(parseSpace(record.best.source)), edit.values)
    : hypothesis;
  return store.propose({
    parent: record.best.id,
    agent: agent.name,
    origin,
    hypothesis,
    edit: { ...edit, change },
  });
}

/** Why the session is over by its limits, or null. */
function usedUp(parts: SessionParts): string | null {
  const { store, limits } = parts;
  const done = store.experiments().filter(({ parent }) => parent !== null).length;
  if (store.best() !== null && limits.experiments !== null && done >= limits.experiments) {
    if (limits.experiments === 0) return "the baseline is done";
    return limits.experiments === 1 ? "the one experiment is done" : `all ${limits.experiments} experiments are done`;
  }
  if (limits.seconds !== null) {
    const left = limits.seconds - store.session().activeSeconds;
    const times = store.runs().map((run) => run.totalSeconds ?? 0).filter((time) => time > 0).sort((a, b) => a - b);
    const expected = times[times.length >> 1] ?? parts.budgetSeconds;
    if (left < expected) {
      return `the time is used up (${Math.max(0, left).toFixed(0)} s left, a run takes about ${expected.toFixed(0)} s)`;
    }
  }
  return null;
}

/**
 * Runs a session, new or resumed, until its limits, its agent or the signal end it.
 * @throws what no experiment can help: no disk space, no data set; everything up to then is recorded
 */
export async function runSession(parts: SessionParts): Promise<SessionOutcome> {
  const { store, signal } = parts;
  // A session that is over and goes on to find that it is over adds nothing to its record.
  const become = (status: SessionRow["status"], reason: string): void => {
    const now = store.session();
    if (now.status !== status || now.reason !== reason) store.setStatus(status, reason);
  };
  const end = (status: "finished" | "stopped", reason: string): SessionOutcome => {
    become(status, reason);
    return { status, reason };
  };
  await reconcile(parts);
  let failures = 0;
  for (let mark = performance.now();;) {
    if (signal?.aborted) return { status: "interrupted", reason: "interrupted" };
    let experiment = store.experiments().find(({ state }) => !isDecided(state));
    if (experiment === undefined) {
      const over = usedUp(parts);
      if (over !== null) return end("finished", over);
      const next = await proposeNext(parts);
      if ("stop" in next) return end("finished", next.stop);
      experiment = next;
    }
    become("open", "");
    const row = await carryOn(parts, experiment);
    const now = performance.now();
    store.addSeconds((now - mark) / 1000);
    mark = now;
    if (!isDecided(row.state)) return { status: "interrupted", reason: "interrupted" };
    if (row.state === "kept" || row.state === "discarded") failures = 0;
    else failures++;
    if (row.parent === null && failures > 0) return end("stopped", `the baseline failed: ${row.reason}`);
    if (failures >= FAILURES_IN_A_ROW) {
      return end("stopped", `${failures} experiments in a row failed, the last one: ${row.reason}`);
    }
  }
}
