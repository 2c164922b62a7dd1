/** Promises of the session store and of the schema code beneath it, on real files. */
import { DatabaseSync } from "node:sqlite";
import { deepStrictEqual as equal, ok, throws } from "node:assert";
import {
  DatabaseError,
  openDatabase,
  type RunMeasures,
  sessionSchema,
  SessionStore,
  transitions,
} from "../memory/mod.ts";

const start = {
  tag: "t",
  checkout: "/nowhere",
  baseCommit: "0".repeat(40),
  branch: "researchswarm/t",
  settings: { preset: "cpu-tiny" },
  pin: { tree: "x" },
  machine: { device: "cpu" },
};

const measures = (valBpb: number | null, status = "ok"): RunMeasures => ({
  status,
  reason: "",
  valBpb,
  trainingSeconds: 1,
  evaluationSeconds: 1,
  forwardSeconds: 0.5,
  overheadSeconds: 0.5,
  totalSeconds: 2.5,
  steps: 3,
  tokens: 300,
  parameters: 1000,
  depth: 2,
  peakBytes: 2 ** 20,
  mfu: null,
  clock: [0, 0.4, 0.8],
  curve: [{ step: 0, loss: 7, seconds: 0.1 }],
  weightsHash: "ab",
  hashes: { tree: "x" },
  machine: { device: "cpu" },
  cost: 0,
});

const idea = {
  parent: null,
  agent: "baseline",
  origin: "baseline",
  hypothesis: "h",
  edit: { kind: "space", values: {} },
};

async function withFolder(work: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function evaluated(store: SessionStore, valBpb: number, parent: number | null = null): number {
  const { id } = store.propose({ ...idea, parent });
  store.advance(id, "checked", { source: `text ${id}`, diff: "d" });
  store.finishRun(store.startRun(id, 42).id, measures(valBpb), "evaluated");
  return id;
}

Deno.test("a session's record reads back as it was written, by a second connection too", () =>
  withFolder((folder) => {
    const path = `${folder}/session.db`;
    using store = SessionStore.create(path, start);
    const id = evaluated(store, 2.5);
    store.advance(id, "kept", { reason: "the baseline", commit: "c0ffee" });
    store.addSeconds(1.5);
    store.addSeconds(2);
    using reader = SessionStore.open(path, { readOnly: true });
    const { createdAt: _, ...session } = reader.session();
    equal(session, { ...start, status: "open", reason: "", activeSeconds: 3.5 });
    const [row] = reader.experiments();
    equal([row.id, row.state, row.valBpb, row.commit, row.source], [0, "kept", 2.5, "c0ffee", "text 0"]);
    const [run] = reader.runs();
    const { id: _id, experiment, attempt, seed, startedAt: _s, endedAt, ...measured } = run;
    equal([experiment, attempt, seed], [0, 1, 42]);
    ok(endedAt);
    equal(measured, measures(2.5));
    equal(reader.events().map(({ kind }) => kind), [
      "session started",
      "proposed",
      "checked",
      "running",
      "run started",
      "evaluated",
      "kept",
    ]);
  }));

Deno.test("an experiment moves along the arrows of the states and no other way", () =>
  withFolder((folder) => {
    using store = SessionStore.create(`${folder}/session.db`, start);
    const paths: Record<string, (id: number) => void> = {
      proposed: () => {},
      checked: (id) => store.advance(id, "checked"),
      running: (id) => (paths.checked(id), store.startRun(id, 1)),
      evaluated: (id) => (paths.checked(id), store.finishRun(store.startRun(id, 1).id, measures(2), "evaluated")),
      kept: (id) => (paths.evaluated(id), store.advance(id, "kept")),
      discarded: (id) => (paths.evaluated(id), store.advance(id, "discarded")),
      crashed: (id) => (paths.running(id), store.advance(id, "crashed")),
      refused: (id) => store.advance(id, "refused"),
    };
    let refusals = 0;
    for (const from of Object.keys(transitions) as (keyof typeof transitions)[]) {
      for (const to of Object.keys(transitions) as (keyof typeof transitions)[]) {
        const { id } = store.propose(idea);
        paths[from](id);
        const before = store.events().length;
        if (transitions[from].includes(to)) equal(store.advance(id, to).state, to);
        else {
          throws(() => store.advance(id, to), /cannot go from/);
          equal([store.experiment(id).state, store.events().length], [from, before]);
          refusals++;
        }
      }
    }
    equal(refusals, 64 - 9);
  }));

Deno.test("a run that was cut off is lost, and its experiment is run again with the next attempt", () =>
  withFolder((folder) => {
    using store = SessionStore.create(`${folder}/session.db`, start);
    const { id } = store.propose(idea);
    store.advance(id, "checked");
    const first = store.startRun(id, 7);
    const second = store.startRun(id, 7);
    equal([first.attempt, second.attempt], [1, 2]);
    equal(store.runs(id).map(({ status }) => status), ["lost", "running"]);
    throws(() => store.finishRun(first.id, measures(2), "evaluated"), /not under way/);
    store.finishRun(second.id, measures(null, "crash"), "crashed");
    equal([store.experiment(id).state, store.experiment(id).valBpb], ["crashed", null]);
    equal(store.best(), null);
  }));

Deno.test("the best is the kept experiment with the lowest score, the earlier one among equals", () =>
  withFolder((folder) => {
    using store = SessionStore.create(`${folder}/session.db`, start);
    for (const [score, state] of [[3, "kept"], [2, "kept"], [1, "discarded"], [2, "kept"]] as const) {
      store.advance(evaluated(store, score), state);
    }
    equal(store.best()?.id, 1);
  }));

Deno.test("the log of decisions can be added to and nothing else", () =>
  withFolder((folder) => {
    const path = `${folder}/session.db`;
    SessionStore.create(path, start).close();
    const database = new DatabaseSync(path);
    throws(() => database.exec("UPDATE events SET kind = 'x'"), /append-only/);
    throws(() => database.exec("DELETE FROM events"), /append-only/);
    database.exec("INSERT INTO events (at, kind, detail) VALUES ('now', 'x', '{}')");
    database.close();
  }));

Deno.test("commits of a session reach the disk: the database is in WAL with full synchronisation", () =>
  withFolder((folder) => {
    using database = openDatabase(`${folder}/session.db`, sessionSchema, true);
    equal(Object.values(database.prepare("PRAGMA journal_mode").get()!), ["wal"]);
    equal(Object.values(database.prepare("PRAGMA synchronous").get()!), [2]);
  }));

Deno.test("a damaged, foreign, newer or empty session.db is refused in one sentence and left as it is", () =>
  withFolder((folder) => {
    const good = `${folder}/good.db`;
    using store = SessionStore.create(good, start);
    for (let i = 0; i < 60; i++) evaluated(store, 2 + i);
    store.close();
    const bytes = Deno.readFileSync(good);
    const broken = bytes.slice();
    crypto.getRandomValues(broken.subarray(8192, 8192 + 30000));
    const cases: [string, Uint8Array, RegExp][] = [
      [
        "text",
        new TextEncoder().encode("no database at all, just some text that is long enough".repeat(30)),
        /damaged/,
      ],
      ["cut", bytes.subarray(0, bytes.length / 2 & ~4095), /damaged/],
      ["scribbled", broken, /damaged/],
      ["empty", new Uint8Array(), /empty/],
    ];
    for (const [name, content, expected] of cases) {
      const path = `${folder}/${name}.db`;
      Deno.writeFileSync(path, content);
      for (const readOnly of [true, false]) {
        throws(() => SessionStore.open(path, { readOnly }), (error: unknown) => {
          ok(error instanceof DatabaseError, `${name}: ${error}`);
          ok(
            expected.test(error.message) && error.message.startsWith(path) && !error.message.includes("\n"),
            error.message,
          );
          return true;
        });
      }
      equal(Deno.readFileSync(path), new Uint8Array(content), `${name} was changed`);
    }
    const foreign = new DatabaseSync(`${folder}/foreign.db`);
    foreign.exec("CREATE TABLE t (a)");
    foreign.close();
    throws(() => SessionStore.open(`${folder}/foreign.db`), /is a database, but no session\.db/);
    const newer = new DatabaseSync(good);
    newer.exec(`PRAGMA user_version=${sessionSchema.migrations.length + 1}`);
    newer.close();
    throws(() => SessionStore.open(good), /use a newer one/);
  }));

Deno.test("what a killed process had committed is there, though the database was never closed", () =>
  withFolder(async (folder) => {
    const path = `${folder}/session.db`;
    const script = `
      import { SessionStore } from ${JSON.stringify(new URL("../memory/mod.ts", import.meta.url).href)};
      const store = SessionStore.create(${JSON.stringify(path)}, ${JSON.stringify(start)});
      store.propose(${JSON.stringify(idea)});
      console.log("ready");
      setInterval(() => store, 1000);`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", `--allow-read=${folder}`, `--allow-write=${folder}`, "-"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(script));
    await writer.close();
    const reader = child.stdout.getReader();
    ok(new TextDecoder().decode((await reader.read()).value).includes("ready"));
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    using store = SessionStore.open(path);
    equal(store.experiments().map(({ state }) => state), ["proposed"]);
  }));
