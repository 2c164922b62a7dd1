/**
 * Promises of a session's loop, with real git, SQLite and search, and a runner that computes a score from the constants
 * instead of training. Real processes and training: tests/overnight_processes_test.ts. Long because every promise is
 * made of one and the same place, which is set up here, and a step of the loop is only seen through a whole session.
 */
import { deepStrictEqual as equal, ok, rejects } from "node:assert";
import { join } from "node:path";
import { openMemory, rememberDecisions, SessionStore } from "../memory/mod.ts";
import { configOf, parseSpace } from "../trainer/space.ts";
import { SearchAgent } from "../trainer/overnight/agents/search.ts";
import type { Agent } from "../trainer/overnight/agents/agent.ts";
import { decisionRules } from "../trainer/overnight/decide.ts";
import { Git } from "../trainer/overnight/git.ts";
import { resultsText, tableText } from "../trainer/overnight/ledger.ts";
import { runSession, type SessionOutcome, type SessionParts } from "../trainer/overnight/loop.ts";
import { Progress } from "../trainer/overnight/progress.ts";
import type { Runner } from "../trainer/overnight/runner.ts";
import { TRAIN_FILE, Workspace } from "../trainer/overnight/workspace.ts";
import type { RunResult } from "../trainer/run/types.ts";

const trainFile = `export const config = {
  // #space
  depth: 4, // int 1..8
  batchTokens: 4096, // logint 256..65536
  embeddingLearningRate: 0.6, // log 0.05..3
  warmDown: 0.5, // linear 0..1
  activation: "relu2", // of relu2 gelu swiglu
  // #end
};
`;

async function git(folder: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: ["-C", folder, "-c", "user.name=user", "-c", "user.email=user@host", ...args],
    env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
  }).output();
  if (!success) throw new Error(`git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

const result = (part: Partial<RunResult>): RunResult => ({
  status: "ok",
  reason: "",
  valBpb: null,
  trainingSeconds: 1,
  totalSeconds: 1.5,
  evaluationSeconds: 0.3,
  forwardSeconds: 0.2,
  overheadSeconds: 0.3,
  peakBytes: 2 ** 28,
  steps: 100,
  tokens: 12345,
  epochs: 1.5,
  parameters: 1000,
  depth: 4,
  curve: [{ step: 0, loss: 7, seconds: 0 }],
  clock: [0, 0.5],
  weightsHash: "00",
  operations: 1,
  mfu: null,
  ...part,
});

/** Scores the text that lies in the clone, as a run would. */
class ComputedRunner implements Runner {
  readonly seen: { source: string; seed: number; folder: string }[] = [];
  constructor(readonly clone: string) {}
  async run({ seed, folder }: { seed: number; folder: string }): Promise<RunResult> {
    const source = await Deno.readTextFile(join(this.clone, TRAIN_FILE));
    this.seen.push({ source, seed, folder });
    const c = configOf(parseSpace(source)) as Record<string, number>;
    if (c.batchTokens < 1100) return result({ status: "crash", reason: "out of memory", valBpb: null });
    const score = 1.5 + 0.1 * Math.abs(Math.log2(c.batchTokens / 1500)) + Math.abs(c.embeddingLearningRate - 0.9) +
      (c.warmDown - 0.7) ** 2 + 0.01 * c.depth;
    return result({ valBpb: score });
  }
}

interface Place {
  root: string;
  checkout: string;
  folder: string;
  /** Parts of the session as a process that starts now would have them. */
  parts(part?: Partial<SessionParts>): SessionParts;
  runner: ComputedRunner;
}

async function withSession(work: (place: Place) => Promise<void>, source = trainFile): Promise<void> {
  const root = await Deno.makeTempDir();
  const stores: SessionStore[] = [];
  try {
    const checkout = join(root, "checkout");
    const folder = join(root, "session");
    await Deno.mkdir(join(checkout, "trainer"), { recursive: true });
    await Deno.mkdir(folder);
    await Deno.writeTextFile(join(checkout, TRAIN_FILE), source);
    await git(checkout, "init", "--quiet", "--initial-branch=main");
    await git(checkout, "add", "-A");
    await git(checkout, "commit", "--quiet", "-m", "first");
    const workspace = new Workspace(new Git(join(folder, "gitconfig")), folder, checkout, "researchswarm/t");
    const baseCommit = await git(checkout, "rev-parse", "HEAD");
    await workspace.clone(baseCommit);
    const path = join(folder, "session.db");
    SessionStore.create(path, {
      tag: "t",
      checkout,
      baseCommit,
      branch: workspace.branch,
      settings: {},
      pin: null,
      machine: { device: "none" },
    }).close();
    const runner = new ComputedRunner(workspace.folder);
    const parts = (part: Partial<SessionParts> = {}): SessionParts => {
      const store = SessionStore.open(path);
      stores.push(store);
      return {
        store,
        workspace,
        folder,
        runner,
        agent: new SearchAgent(),
        rule: decisionRules.greedy,
        baseline: { title: "baseline test", values: { depth: 3, unknownHere: 1 } },
        seed: 42,
        budgetSeconds: 1,
        limits: { experiments: 3, seconds: null },
        hashes: {},
        memoryPath: null,
        valid: (_source, configs) => Promise.resolve(configs.map(() => true as const)),
        ...part,
      };
    };
    await work({ root, checkout, folder, parts, runner });
  } finally {
    for (const store of stores) store.close();
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("a session runs the baseline, then experiments; kept ones are commits of train.ts alone in the user's repository", () =>
  withSession(async ({ checkout, folder, parts, runner }) => {
    const status = await git(checkout, "status", "--porcelain", "--ignored");
    const session = parts({ memoryPath: join(folder, "memory.db") });
    equal(await runSession(session), { status: "finished", reason: "all 3 experiments are done" });
    const experiments = session.store.experiments();
    equal(experiments.map(({ state }) => state), ["kept", "kept", "crashed", "kept"]);
    equal(experiments.map(({ parent }) => parent), [null, 0, 1, 1]);
    equal(experiments[1].edit.change, "batchTokens 4096 → 2048");
    ok(experiments[2].diff.includes("-  batchTokens: 2048,") && experiments[2].diff.includes("+++ b/trainer/train.ts"));
    ok(runner.seen.every(({ seed }) => seed === 42));
    equal(runner.seen.length, 4);
    ok(runner.seen[0].source.includes("depth: 3,"), "the baseline has the preset's literals");
    // The user's repository: the branch, one commit an experiment that was kept, nothing else.
    equal(await git(checkout, "status", "--porcelain", "--ignored"), status);
    const log = await git(checkout, "log", "--format=%H", "main..researchswarm/t");
    equal(log.split("\n").reverse(), experiments.filter(({ commit }) => commit !== null).map(({ commit }) => commit));
    for (const commit of log.split("\n")) {
      equal(await git(checkout, "diff", "--name-only", `${commit}^`, commit), TRAIN_FILE);
    }
    equal(await git(checkout, "show", `researchswarm/t:${TRAIN_FILE}`), experiments[3].source.trim());
    // Snapshots and the tables.
    for (const { id, source } of experiments) {
      equal(await Deno.readTextFile(join(folder, "snapshots", `exp_00${id}.ts`)), source);
    }
    const lines = (await Deno.readTextFile(join(folder, "results.tsv"))).split("\n");
    equal(lines[0], "commit\tval_bpb\tmemory_gb\tstatus\tdescription");
    equal(
      lines[1],
      `${experiments[0].commit!.slice(0, 7)}\t${experiments[0].valBpb!.toFixed(6)}\t0.250\tkeep\tbaseline test`,
    );
    equal(lines[3].split("\t").slice(0, 4), ["-", "0.000000", "0.000", "crash"]);
    equal(lines.length, 6);
    equal(lines[5], "");
    const table = tableText(session.store).split("\n");
    equal(table.length, 5);
    ok(/^baseline .* yes +12345 +1\.5$/.test(table[1]), table[1]);
    ok(/−0\.\d{4} +yes/.test(table[2]), table[2]);
    ok(/ — +crashed +1\.5$/.test(table[3]), `a run without a score has no speed: ${table[3]}`);
  }));

Deno.test("a session that is killed before any of its steps goes on as if nothing had been: none lost, none counted twice", async () => {
  const stride = 6;
  const offset = Math.floor(Math.random() * stride);
  console.log(`kill points: ${offset} + ${stride}·k`);
  class Killed extends Error {}
  /** Throws before the call of number `at`, counted over everything that the loop calls. */
  function mortal<T extends object>(target: T, clock: { calls: number; at: number }): T {
    return new Proxy(target, {
      get(object, key) {
        const value = Reflect.get(object, key, object);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (clock.calls++ >= clock.at) throw new Killed(`before ${String(key)}`);
          return value.apply(object, args);
        };
      },
    });
  }
  let expected: unknown;
  const check = (at: number, place: Place, outcome: SessionOutcome, store: SessionStore) => {
    const experiments = store.experiments();
    const facts = {
      outcome,
      experiments: experiments.map(({ id, parent, state, origin, edit, source, valBpb }) => (
        { id, parent, state, origin, edit, source, valBpb }
      )),
      scoredRuns: experiments.map(({ id }) =>
        store.runs(id).filter(({ endedAt, status }) => endedAt && status !== "lost").length
      ),
    };
    expected ??= facts;
    equal(facts, expected, `killed at ${at}`);
    equal(Deno.readTextFileSync(join(place.folder, "results.tsv")), resultsText(store));
  };
  let died = true;
  for (let at = Infinity; died; at = at === Infinity ? offset : at + stride) {
    await withSession(async (place) => {
      const clock = { calls: 0, at };
      const first = place.parts({ limits: { experiments: 2, seconds: null } });
      const wrapped = {
        ...first,
        store: mortal(first.store, clock),
        workspace: mortal(first.workspace, clock),
        runner: mortal(first.runner, clock),
      };
      let outcome: SessionOutcome | undefined;
      try {
        outcome = await runSession(wrapped);
        died = at === Infinity;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
      }
      first.store.close();
      if (outcome !== undefined && at !== Infinity) return;
      const second = place.parts({ limits: { experiments: 2, seconds: null } });
      outcome ??= await runSession(second);
      check(at, place, outcome, second.store);
      const kept = second.store.experiments().filter(({ state }) => state === "kept").map(({ commit }) => commit);
      const log = await git(place.checkout, "log", "--format=%H", "--reverse", "main..researchswarm/t");
      equal(log.split("\n"), kept, `killed at ${at}`);
      equal(await git(second.workspace.folder, "rev-parse", "HEAD"), kept.at(-1));
      equal(await git(second.workspace.folder, "status", "--porcelain"), "", "the clone shows the best file");
    });
  }
});

Deno.test("a commit without its record, a record without its commit, and a lost clone are put in order", () =>
  withSession(async ({ parts, checkout, folder }) => {
    const first = parts({ limits: { experiments: 1, seconds: null } });
    await runSession(first);
    const commits = first.store.experiments().map(({ commit }) => commit);
    first.store.close();
    // A commit that no record knows, left on the branch of the clone; then no clone at all.
    await git(first.workspace.folder, "commit", "--quiet", "--allow-empty", "-m", "unknown");
    let again = parts({ limits: { experiments: 1, seconds: null } });
    await runSession(again);
    equal(await git(first.workspace.folder, "rev-parse", "HEAD"), commits[1]);
    again.store.close();
    await Deno.remove(join(folder, "repo"), { recursive: true });
    await git(checkout, "update-ref", "-d", "refs/heads/researchswarm/t");
    again = parts({ limits: { experiments: 2, seconds: null } });
    const warnings: string[] = [];
    await runSession({ ...again, events: { warning: (sentence) => warnings.push(sentence) } });
    equal(warnings.length, 1);
    equal(again.store.experiments().slice(0, 2).map(({ commit }) => commit), commits);
    equal(
      await git(checkout, "log", "--format=%H", "--reverse", "main..researchswarm/t").then((log) =>
        log.split("\n").slice(0, 2)
      ),
      commits,
    );
  }));

Deno.test("five failures in a row end a session with the reason; a failed baseline ends it at once and is tried again on resume", () =>
  withSession(async ({ parts, runner }) => {
    const broken: Runner = { run: () => Promise.resolve(result({ status: "crash", reason: "no such op" })) };
    const first = parts({ runner: broken });
    equal(await runSession(first), { status: "stopped", reason: "the baseline failed: no such op" });
    equal(await runSession(parts({ limits: { experiments: 0, seconds: null } })), {
      status: "finished",
      reason: "the baseline is done",
    });
    equal(first.store.experiments().map(({ state }) => state), ["crashed", "kept"]);
    const last = parts({ runner: broken, limits: { experiments: 50, seconds: null } });
    equal(await runSession(last), {
      status: "stopped",
      reason: "5 experiments in a row failed, the last one: no such op",
    });
    equal(last.store.session().status, "stopped");
    equal(last.store.experiments().length, 7);
    equal(resultsText(last.store).split("\n")[1].split("\t")[3], "crash");
    equal(runner.seen.length, 1);
  }));

Deno.test("going on with a session that is over adds nothing to its record; with another limit it opens again", () =>
  withSession(async ({ parts }) => {
    const first = parts({ limits: { experiments: 1, seconds: null } });
    const outcome = await runSession(first);
    equal(outcome, { status: "finished", reason: "the one experiment is done" });
    const record = () => [first.store.session(), first.store.events()];
    const before = record();
    equal(await runSession(parts({ limits: { experiments: 1, seconds: null } })), outcome);
    equal(record(), before);
    const agent: Agent = { name: "idle", propose: () => Promise.resolve({ stop: "nothing to try" }) };
    const idle = () => runSession(parts({ agent, limits: { experiments: 2, seconds: null } }));
    equal(await idle(), { status: "finished", reason: "nothing to try" });
    const told = record();
    equal(await idle(), { status: "finished", reason: "nothing to try" });
    equal(record(), told);
    await runSession(parts({ limits: { experiments: 2, seconds: null } }));
    equal(first.store.experiments().length, 3);
    ok(first.store.events().some(({ kind }) => kind === "session open"));
  }));

Deno.test("a warning that comes with every experiment is printed once", () =>
  withSession(async ({ parts, checkout }) => {
    // A branch of this name leaves no room for those below it.
    await git(checkout, "branch", "researchswarm");
    const lines: string[] = [];
    const print = console.error;
    console.error = (line) => lines.push(line);
    try {
      await runSession(parts({ events: new Progress() }));
    } finally {
      console.error = print;
    }
    const warnings = lines.filter((line) => line.startsWith("warning: "));
    equal(warnings.length, 1, warnings.join("\n"));
    ok(/^warning: researchswarm\/t was not brought into your repository: /.test(warnings[0]), warnings[0]);
  }));

Deno.test("trouble that no experiment can help ends the session without blaming one; the same edit and seed run again", () =>
  withSession(async ({ parts, runner }) => {
    const first = parts();
    let calls = 0;
    const full: Runner = {
      run: (request) => {
        if (calls++ === 1) throw new Error("No space left on device (os error 28)");
        return runner.run(request);
      },
    };
    await rejects(runSession({ ...first, runner: full }), /os error 28/);
    equal(first.store.experiments().map(({ state }) => state), ["kept", "running"]);
    first.store.close();
    const second = parts();
    await runSession(second);
    equal(second.store.experiments().length, 4);
    equal(second.store.runs(1).map(({ attempt, status, seed }) => [attempt, status, seed]), [[1, "lost", 42], [
      2,
      "ok",
      42,
    ]]);
    equal(new Set(runner.seen.map(({ folder }) => folder)).size, 4, "every attempt has a folder of its own");
  }));

Deno.test("a disk that is full during a run ends the session; the experiment is not to blame and runs again", () =>
  withSession(async ({ parts, runner, folder }) => {
    const full: Runner = {
      run: () => Promise.resolve(result({ status: "crash", reason: "write: No space left on device (os error 28)" })),
    };
    // Where the session writes to see for itself, it cannot.
    await Deno.mkdir(join(folder, "room.test", "in the way"), { recursive: true });
    for (let time = 0; time < 4; time++) {
      const first = parts();
      await rejects(runSession({ ...first, runner: full }), /Is a directory|os error 21/);
      equal(first.store.experiments().map(({ state }) => state), ["running"]);
      first.store.close();
    }
    await Deno.remove(join(folder, "room.test"), { recursive: true });
    const second = parts({ limits: { experiments: 0, seconds: null } });
    await runSession(second);
    equal([second.store.experiments().length, runner.seen.length], [1, 1]);
  }));

Deno.test("a train.ts that only says that the disk is full has crashed, and the session goes on", () =>
  withSession(async ({ parts, runner, folder }) => {
    let calls = 0;
    const forging: Runner = {
      run: async (request) => {
        if (calls++ !== 1) return await runner.run(request);
        await Deno.mkdir(request.folder, { recursive: true });
        await Deno.writeTextFile(join(request.folder, "checkpoint.safetensors.tmp"), "big");
        return result({ status: "crash", reason: "train threw Error: No space left on device (os error 28)" });
      },
    };
    const session = parts({ runner: forging, limits: { experiments: 2, seconds: null } });
    equal((await runSession(session)).status, "finished");
    equal(session.store.experiments()[1].state, "crashed");
    equal(session.store.experiments().length, 3);
    equal([...Deno.readDirSync(join(folder, "runs", "exp_001"))], []);
    ok(![...Deno.readDirSync(folder)].some(({ name }) => name === "room.test"));
  }));

Deno.test("an experiment with which the session was killed three times is recorded as crashed, and the next one begins", () =>
  withSession(async ({ parts, runner }) => {
    const first = parts({ limits: { experiments: 0, seconds: null } });
    await runSession(first);
    first.store.close();
    class Killed extends Error {}
    for (let time = 0; time < 3; time++) {
      const dying = parts();
      const runs: Runner = { run: () => Promise.reject(new Killed()) };
      // A killed process writes nothing down.
      const store = new Proxy(dying.store, {
        get: (target, key) => {
          const value = Reflect.get(target, key, target);
          return key === "loseRun" ? () => {} : typeof value === "function" ? value.bind(target) : value;
        },
      });
      await rejects(runSession({ ...dying, store, runner: runs }), Killed);
      equal(dying.store.experiments().map(({ state }) => state), ["kept", "running"]);
      dying.store.close();
    }
    const last = parts({ limits: { experiments: 2, seconds: null } });
    equal((await runSession(last)).status, "finished");
    const { state, reason } = last.store.experiments()[1];
    equal([state, reason], ["crashed", "lost three times"]);
    equal(last.store.runs(1).map(({ status }) => status), ["lost", "lost", "lost"]);
    equal([last.store.experiments().length, runner.seen.length], [3, 2]);
  }));

Deno.test("an experiment that was interrupted many times is not to blame", () =>
  withSession(async ({ parts }) => {
    for (let time = 0; time < 4; time++) {
      const controller = new AbortController();
      const stopped: Runner = {
        run: () => (controller.abort(), Promise.resolve(result({ status: "aborted", reason: "stopped" }))),
      };
      const session = parts({ runner: stopped, signal: controller.signal });
      equal((await runSession(session)).status, "interrupted");
      equal(session.store.experiments().map(({ state }) => state), ["running"]);
      session.store.close();
    }
  }));

Deno.test("a harness that is not what was pinned ends the session; a run that is refused for itself does not", () =>
  withSession(async ({ parts, runner }) => {
    const reason = "the harness was changed";
    const refusing: Runner = { run: () => Promise.resolve(result({ status: "refused", reason })) };
    const first = parts({ runner: refusing, harnessChanged: () => Promise.resolve(true) });
    await rejects(runSession(first), /is not what was pinned when the session began; nothing is charged/);
    equal(first.store.experiments().map(({ state }) => state), ["running"]);
    first.store.close();
    const second = parts({ harnessChanged: () => Promise.resolve(false), limits: { experiments: 1, seconds: null } });
    let calls = 0;
    const once: Runner = { run: (request) => calls++ === 1 ? refusing.run(request) : runner.run(request) };
    equal((await runSession({ ...second, runner: once })).status, "finished");
    equal(second.store.experiments().map(({ state }) => state), ["kept", "refused"]);
  }));

Deno.test("a run or a check that dies of the same Ctrl-C as the session is no failure of the experiment", () =>
  withSession(async ({ parts }) => {
    const controller = new AbortController();
    const late = () => setTimeout(() => controller.abort(), 20);
    const dying: Runner = {
      run: () => (late(), Promise.resolve(result({ status: "crash", reason: "the worker ended by SIGINT" }))),
    };
    const first = parts({ runner: dying, signal: controller.signal });
    equal((await runSession(first)).status, "interrupted");
    equal(first.store.experiments().map(({ state }) => state), ["running"]);
    first.store.close();
    const again = new AbortController();
    const second = parts({
      signal: again.signal,
      valid: (_source, configs) => {
        if (configs.length === 1 && configs[0].batchTokens === 2048) setTimeout(() => again.abort(), 20);
        return Promise.resolve(configs.map((c) => c.batchTokens === 2048 && configs.length === 1 ? "killed" : true));
      },
    });
    equal((await runSession(second)).status, "interrupted");
    equal(second.store.experiments().map(({ state }) => state), ["kept", "proposed"]);
  }));

Deno.test("a signal ends the session between two steps, and the run in flight is made again", () =>
  withSession(async ({ parts, runner }) => {
    const controller = new AbortController();
    let calls = 0;
    const slow: Runner = {
      run: (request) => {
        if (calls++ === 0) return runner.run(request);
        controller.abort();
        return Promise.resolve(result({ status: "aborted", reason: "stopped by the caller" }));
      },
    };
    const first = parts({ runner: slow, signal: controller.signal });
    equal((await runSession(first)).status, "interrupted");
    equal(first.store.experiments().map(({ state }) => state), ["kept", "running"]);
    const second = parts({ limits: { experiments: 1, seconds: null } });
    equal((await runSession(second)).status, "finished");
    equal(second.store.experiments().map(({ state }) => state), ["kept", "kept"]);
  }));

Deno.test("no run begins that would not fit into the hours", () =>
  withSession(async ({ parts }) => {
    const session = parts({ limits: { experiments: null, seconds: 1 } });
    const { status, reason } = await runSession(session);
    equal(status, "finished");
    ok(/^the time is used up/.test(reason), reason);
    equal(session.store.experiments().length, 1, "1.5 s were measured for the baseline, less than 1 s is left");
  }));

Deno.test("a train.ts without a valid block gets no proposals, and the session says so", () =>
  withSession(async ({ parts }) => {
    const agent: Agent = {
      name: "breaker",
      propose: (record) =>
        Promise.resolve({
          edit: { kind: "source", source: record.best.source.replace("// #end", "// the end") + "// better\n" },
          origin: "test",
          hypothesis: "no block",
        }),
    };
    const runner: Runner = { run: () => Promise.resolve(result({ valBpb: 1 / performance.now() })) };
    await runSession(parts({ agent, runner, limits: { experiments: 1, seconds: null } }));
    const session = parts({ runner, limits: { experiments: 5, seconds: null } });
    const { status, reason } = await runSession(session);
    equal(status, "finished");
    ok(/gives the search nothing to edit: #space block/.test(reason), reason);
    equal(session.store.experiments().map(({ state }) => state), ["kept", "kept"]);
  }));

Deno.test("an edit outside its range, one that valid() refuses and one that was tried before are refused without a run", () =>
  withSession(async ({ parts, runner }) => {
    const edits = [{ depth: 99 }, { depth: 7 }, { warmDown: 0.6 }, { warmDown: 0.6 }, { noSuchName: 1 }];
    const agent: Agent = {
      name: "fixed",
      propose: ({ attempts }) => {
        const values = edits[attempts.length - 1] as unknown as Record<string, number>;
        return Promise.resolve({ edit: { kind: "space", values }, origin: "test", hypothesis: "h" });
      },
    };
    // What was kept is the parent of the next edit: the same edit twice gives the same text.
    const session = parts({
      agent,
      limits: { experiments: 5, seconds: null },
      valid: (_source, configs) =>
        Promise.resolve(configs.map(({ depth }) => depth === 7 ? "depth 7 is unlucky" : true)),
    });
    await runSession(session);
    const experiments = session.store.experiments();
    equal(experiments.map(({ state }) => state), ["kept", "refused", "refused", "kept", "refused", "refused"]);
    ok(/depth must lie in 1\.\.8, got 99/.test(experiments[1].reason), experiments[1].reason);
    equal(experiments[2].reason, "depth 7 is unlucky");
    equal(experiments[4].reason, "the same text as exp_003");
    ok(/no constant noSuchName/.test(experiments[5].reason));
    equal(runner.seen.length, 2);
  }));

Deno.test("a change of many constants is told in full in results.tsv and the commit, in short in the table", () =>
  withSession(async ({ parts, checkout }) => {
    const values = { depth: 2, batchTokens: 2222, embeddingLearningRate: 0.77, warmDown: 0.66, activation: "swiglu" };
    const agent: Agent = {
      name: "fixed",
      propose: () => Promise.resolve({ edit: { kind: "space", values }, origin: "test", hypothesis: "h" }),
    };
    const session = parts({ agent, limits: { experiments: 1, seconds: null } });
    await runSession(session);
    const full = "depth 3 → 2, batchTokens 4096 → 2222, embeddingLearningRate 0.6 → 0.77, warmDown 0.5 → 0.66, " +
      "activation relu2 → swiglu";
    equal(resultsText(session.store).trimEnd().split("\n")[2].split("\t")[4], full);
    ok(tableText(session.store).includes("exp_001     depth 3 → 2, batchTokens 4096 → 2222 and 3 more  "));
    const message = await git(checkout, "log", "-1", "--format=%B", "researchswarm/t");
    ok(message.startsWith("exp_001: depth 3 → 2, batchTokens 4096 → 2222 and 3 more\n\nh\n\n" + full), message);
  }));

Deno.test("a decision that a kill kept out of the memory is entered on resume, each decision once", () =>
  withSession(async ({ parts, folder }) => {
    const memoryPath = join(folder, "AI-Memory", "memory.db");
    const limits = { experiments: 2, seconds: null };
    const session = parts({ memoryPath, limits });
    await runSession(session);
    const tags = () => {
      using memory = openMemory(memoryPath);
      return Array.from(memory.export(), ({ tag }) => tag).sort();
    };
    const all = ["SESSION:t:exp_000", "SESSION:t:exp_001", "SESSION:t:exp_002"];
    equal(tags(), all);
    {
      await Deno.remove(memoryPath);
      using memory = openMemory(memoryPath);
      rememberDecisions(memory, "t", session.store.experiments().filter(({ id }) => id !== 1));
    }
    equal(tags().length, 2);
    for (let time = 0; time < 2; time++) {
      await runSession(parts({ memoryPath, limits }));
      equal(tags(), all);
    }
  }));

Deno.test("a memory that cannot be written is a warning, not an end", () =>
  withSession(async ({ parts, root }) => {
    await Deno.writeTextFile(join(root, "memory.db"), "this is no database, and it stays as it is".repeat(50));
    const warnings: string[] = [];
    const session = parts({
      memoryPath: join(root, "memory.db"),
      limits: { experiments: 1, seconds: null },
      events: { warning: (sentence) => warnings.push(sentence) },
    });
    equal((await runSession(session)).status, "finished");
    equal(warnings.length, 2);
    ok(/not entered into the memory: .*damaged/.test(warnings[0]), warnings[0]);
  }));
