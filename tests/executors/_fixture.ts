/** Real sessions made through the real store, with a clock that the tests set, and folders that go away again. */
import { join } from "node:path";
import type { RunMeasures } from "../../memory/session_rows.ts";
import { SessionStore } from "../../memory/sessions.ts";
import {
  chooseExecutor,
  type ExecutorContext,
  type ExecutorResult,
  inputOf,
  localFiles,
} from "../../router/executors/mod.ts";

/** Runs something while `new Date()` gives a time that the work moves on. */
export function withClock<T>(start: Date, work: (pass: (seconds: number) => void) => T): T {
  const Real = Date;
  let time = +start;
  class Clock extends Real {
    // deno-lint-ignore no-explicit-any
    constructor(...args: any[]) {
      // deno-lint-ignore no-explicit-any
      super(...((args.length === 0 ? [time] : args) as [any]));
    }
  }
  globalThis.Date = Clock as DateConstructor;
  try {
    return work((seconds) => time += 1000 * seconds);
  } finally {
    globalThis.Date = Real;
  }
}

/** What a run measured; everything that is not given is plausible. */
export function measures(valBpb: number | null, extra: Partial<RunMeasures> = {}): RunMeasures {
  return {
    status: "ok",
    reason: "",
    valBpb,
    trainingSeconds: 15,
    evaluationSeconds: 3,
    forwardSeconds: 2,
    overheadSeconds: 2,
    totalSeconds: 20,
    steps: 100,
    tokens: 300_000,
    parameters: 1000,
    depth: 3,
    peakBytes: 2 ** 26,
    mfu: null,
    clock: [0],
    curve: [],
    weightsHash: "ab",
    hashes: {},
    machine: { device: "cpu" },
    cost: 0,
    ...extra,
  };
}

/** One experiment of a made-up night. */
export interface Made {
  /** Constants that differ from the best so far. */
  readonly values: Record<string, number | string>;
  /** Score, or how it failed. */
  readonly end:
    | { readonly bpb: number; readonly keep: boolean; readonly extra?: Partial<RunMeasures> }
    | { readonly status: string; readonly reason: string; readonly state: "crashed" | "refused" }
    | { readonly refused: string }
    | { readonly open: true };
  /** Runs that were lost before. */
  readonly lost?: string;
  /** Seconds of silence before it. */
  readonly silence?: number;
}

const start: Record<string, number | string> = {
  depth: 3,
  matrixLearningRate: 0.04,
  warmDown: 0.5,
  activation: "relu2",
};

const sourceOf = (values: Record<string, number | string>): string =>
  `export const config = {\n  // #space\n${
    Object.entries(values).map(([name, value]) => `  ${name}: ${JSON.stringify(value)}, // fixed\n`).join("")
  }  // #end\n};\n`;

/** Makes a session through the store. @returns its folder */
export function makeNight(
  sessions: string,
  tag: string,
  begun: Date,
  experiments: readonly Made[],
  end: { status: "finished" | "stopped" | "open"; reason: string } = {
    status: "finished",
    reason: "the time is used up",
  },
): string {
  const folder = join(sessions, tag);
  Deno.mkdirSync(folder, { recursive: true });
  withClock(begun, (pass) => {
    const store = SessionStore.create(join(folder, "session.db"), {
      tag,
      checkout: "/nowhere",
      baseCommit: "0".repeat(40),
      branch: `researchswarm/${tag}`,
      settings: { preset: "cpu-tiny", agent: "search", decide: "greedy", seed: 42, budgetSeconds: 15, hours: 8 },
      pin: {},
      machine: { device: "cpu", processor: "a processor", threads: 2 },
    });
    let best = start, commits = 0;
    for (const [index, { values, end, lost, silence }] of experiments.entries()) {
      pass(silence ?? 1);
      const constants = { ...best, ...values };
      const change = index === 0
        ? "baseline cpu-tiny"
        : Object.entries(values).map(([name, value]) => `${name} ${best[name]} → ${value}`).join(", ");
      const { id } = store.propose({
        parent: index === 0 ? null : 0,
        agent: index === 0 ? "baseline" : "search",
        origin: index === 0 ? "baseline" : "tpe",
        hypothesis: "It may help",
        edit: { kind: "space", values, change },
      });
      const source = sourceOf(constants);
      if ("refused" in end) {
        store.advance(id, "refused", { reason: end.refused, source, diff: "d" });
        continue;
      }
      store.advance(id, "checked", { source, diff: "d" });
      if ("open" in end) continue;
      if (lost !== undefined) {
        const run = store.startRun(id, 42);
        pass(5);
        store.loseRun(run.id, lost);
      }
      const run = store.startRun(id, 42);
      pass(20);
      store.addSeconds(21);
      if ("status" in end) {
        store.finishRun(run.id, measures(null, { status: end.status, reason: end.reason }), end.state);
        continue;
      }
      store.finishRun(run.id, measures(end.bpb, end.extra), "evaluated");
      if (end.keep) {
        best = constants;
        store.advance(id, "kept", {
          reason: index === 0 ? "the baseline" : "lower",
          commit: String(++commits).repeat(40),
        });
      } else store.advance(id, "discarded", { reason: "above the best" });
    }
    pass(1);
    if (end.status !== "open") store.setStatus(end.status, end.reason);
    store.close();
  });
  return folder;
}

/** A night in which everything that can go wrong did: kept 3, discarded 1, crashed 2, timed out 1, voided 1, refused 1, open 1. */
export const badNight: readonly Made[] = [
  { values: {}, end: { bpb: 1.9, keep: true } },
  { values: { matrixLearningRate: 0.05 }, end: { bpb: 1.85, keep: true } },
  { values: { warmDown: 0.7 }, end: { bpb: 1.8492, keep: true } },
  { values: { depth: 4 }, end: { bpb: 1.95, keep: false } },
  {
    values: { depth: 12 },
    end: { status: "crash", reason: "out of memory: wanted 9000 bytes, free 17", state: "crashed" },
  },
  {
    values: { depth: 11 },
    end: { status: "crash", reason: "out of memory: wanted 8000 bytes, free 23", state: "crashed" },
  },
  {
    values: { activation: "gelu" },
    end: { status: "timeout", reason: "killed at twice the budget", state: "crashed" },
    silence: 7200,
  },
  {
    values: { warmDown: 0.9 },
    end: { status: "void", reason: "row 3: logits before the cut changed", state: "refused" },
  },
  { values: { matrixLearningRate: 0.05 }, end: { refused: "the same text as exp_002" } },
  { values: { warmDown: 0.6 }, end: { open: true } },
];

/** A folder that is removed afterwards. */
export async function withFolder<T>(work: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    return await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs the executor that a task chooses. @throws where it chooses none */
export async function runTask(
  task: string,
  options: Partial<ExecutorContext> & { text?: string } = {},
): Promise<ExecutorResult & { executor: string }> {
  const { text, ...rest } = options;
  const input = text === undefined ? rest.input : inputOf("the given text", text);
  const executor = chooseExecutor(task, task, input !== undefined);
  if (executor === undefined) throw new Error(`no executor for: ${task}`);
  const result = await executor.run({
    ...localFiles(),
    task,
    segment: task,
    now: new Date(2026, 10, 23, 9),
    ...rest,
    input,
  });
  return { ...result, executor: executor.name };
}
