/** Promises about sessions in the memory: decisions are entered once, and a lost memory is filled again from sessions. */
import { deepStrictEqual as equal, ok } from "node:assert";
import {
  type ExperimentRow,
  listSessions,
  openMemory,
  openMemoryInRam,
  rebuildFromSession,
  rebuildFromSessions,
  rememberDecisions,
  SessionStore,
} from "../memory/mod.ts";
import { enterDecisions } from "../trainer/overnight/ledger.ts";
import { withFolder } from "./_memory.ts";

const decided = (id: number, more: Partial<ExperimentRow> = {}): ExperimentRow => ({
  id,
  parent: id === 0 ? null : 0,
  state: "kept",
  agent: "search",
  origin: "tpe",
  hypothesis: "a larger rate learns faster",
  edit: { change: `matrixLearningRate 0.02 → 0.0${id + 3}` },
  diff: "",
  source: "",
  status: "ok",
  reason: "2.41 is better than 2.45",
  valBpb: 2.41,
  commit: "c0ffee",
  proposedAt: "2026-05-01T00:00:00.000Z",
  decidedAt: `2026-05-01T0${id}:30:00.000Z`,
  ...more,
});

/** A session with a baseline, a discarded and an undecided experiment. */
function makeSession(folder: string, tag: string): void {
  Deno.mkdirSync(`${folder}/${tag}`, { recursive: true });
  using store = SessionStore.create(`${folder}/${tag}/session.db`, {
    tag,
    checkout: "/nowhere",
    baseCommit: "0".repeat(40),
    branch: `researchswarm/${tag}`,
    settings: { preset: "cpu-tiny" },
    pin: null,
    machine: {},
  });
  for (const state of ["kept", "discarded", null] as const) {
    const { id } = store.propose({
      parent: null,
      agent: "search",
      origin: "tpe",
      hypothesis: `idea of ${tag}`,
      edit: { change: `depth ${tag}` },
    });
    store.advance(id, "checked");
    if (state === null) continue;
    store.advance(id, "running");
    store.advance(id, "evaluated", { valBpb: 2 + id });
    store.advance(id, state, { reason: "measured", commit: state === "kept" ? "c0ffee" : null });
  }
}

Deno.test("a decision becomes one entry that says what was tried, what was hoped for and what came of it", () => {
  using memory = openMemoryInRam();
  equal(rememberDecisions(memory, "night", [decided(0), decided(1, { state: "discarded", valBpb: 2.5 })]), 2);
  const { id: _, ...entry } = memory.get(2)!;
  equal(entry, {
    fileType: "DECISION",
    timestamp: "2026-05-01T01:30:00.000Z",
    tag: "SESSION:night:exp_001",
    content: "matrixLearningRate 0.02 → 0.04\na larger rate learns faster\ndiscarded: 2.41 is better than 2.45",
    metadata: { session: "night", experiment: 1, agent: "search", origin: "tpe", valBpb: 2.5, commit: "c0ffee" },
    phase: "overnight",
    progressStatus: "discarded",
  });
  equal(memory.search("Which learning rate was tried in exp 1?")[0].id, 2);
});

Deno.test("a decision is entered once, also if the memory is told again; equal decisions of two nights are two", () => {
  using memory = openMemoryInRam();
  rememberDecisions(memory, "night", [decided(0)]);
  equal(rememberDecisions(memory, "night", [decided(0), decided(1)]), 1);
  equal(
    rememberDecisions(memory, "night", [decided(0, { decidedAt: "2026-06-01T00:00:00.000Z" })]),
    1,
    "the name again",
  );
  equal(rememberDecisions(memory, "other", [decided(0)]), 1);
  equal(memory.stats().entries, 4);
  equal(memory.stats().repeats, 0);
});

Deno.test("the ledger enters decisions into a file and says what is wrong instead of throwing", () =>
  withFolder((folder) => {
    const path = `${folder}/AI-Memory/memory.db`;
    equal(enterDecisions(path, "night", [decided(0)]), null);
    equal(enterDecisions(path, "night", [decided(0), decided(1)]), null);
    {
      using memory = openMemory(path);
      equal(memory.stats().entries, 2);
    }
    Deno.writeTextFileSync(path, "not a database any more".repeat(100));
    ok(/is no database, .* it was left as it is/.test(enterDecisions(path, "night", [decided(2)])!));
  }));

Deno.test("a memory can be filled from sessions, again and again, with every decision once", () =>
  withFolder((folder) => {
    const sessions = `${folder}/sessions`;
    for (const tag of ["monday", "tuesday"]) makeSession(sessions, tag);
    Deno.mkdirSync(`${sessions}/broken`);
    Deno.writeTextFileSync(`${sessions}/broken/session.db`, "x".repeat(5000));
    Deno.mkdirSync(`${sessions}/empty`);
    using memory = openMemoryInRam();
    const { added, problems } = rebuildFromSessions(memory, sessions);
    equal([added, problems.length], [4, 1]);
    ok(/broken\/session\.db is damaged/.test(problems[0]), problems[0]);
    equal(rebuildFromSessions(memory, sessions).added, 0);
    using store = SessionStore.open(`${sessions}/monday/session.db`, { readOnly: true });
    equal(rebuildFromSession(memory, store), 0);
    equal(memory.recent().map(({ progressStatus }) => progressStatus).sort(), [
      "discarded",
      "discarded",
      "kept",
      "kept",
    ]);
    equal(rebuildFromSessions(memory, `${folder}/absent`), { added: 0, problems: [] });
  }));

Deno.test("sessions are listed with their experiments and their best score, the newest first", () =>
  withFolder((folder) => {
    for (const tag of ["monday", "tuesday"]) {
      makeSession(folder, tag);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3); // the times have to differ
    }
    const { sessions, problems } = listSessions(folder);
    equal(problems, []);
    const shown = sessions.map(({ session, experiments, kept, best }) => [session.tag, experiments, kept, best]);
    equal(shown, [["tuesday", 3, 1, 2], ["monday", 3, 1, 2]]);
    using store = SessionStore.open(sessions[1].path, { readOnly: true });
    equal(store.experiments().length, 3);
  }));
