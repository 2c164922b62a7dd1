/** The frame around executors: whatever an executor's own code gives back or throws, what comes out is clean and honest. */
import { deepStrictEqual as equal, match, ok, strictEqual as same } from "node:assert";
import { defineExecutor, type ExecutorSpec } from "../../router/executors/define.ts";
import { InputError } from "../../router/executors/files.ts";
import { localFiles } from "../../router/executors/mod.ts";

const secret = ["glpat", "q7Rw2ZkXc9LmVn4TbY8s"].join("-");
const dirty = `a\x1b[31mb\u202e ${secret}\x07`;

const executor = (work: ExecutorSpec["work"], steps: string[] = ["one"]) =>
  defineExecutor({
    name: "test",
    purpose: "Tests the frame.",
    effect: "read",
    match: () => 7,
    steps: () => steps,
    work,
  });
const context = (signal?: AbortSignal, segment = "do it") => ({
  ...localFiles(),
  task: segment,
  segment,
  now: new Date(),
  signal,
});

Deno.test("title, text, account and steps are cleaned and redacted, wherever their words came from", async () => {
  const result = await executor((_context, work) => {
    work.read(dirty);
    work.read(dirty);
    work.did(dirty);
    return Promise.resolve({ title: `${dirty}\nsecond`, text: dirty });
  }).run(context());
  const clean = "ab [redacted]";
  equal(result, { status: "done", title: `${clean} second`, text: clean, used: [clean], steps: [clean] });
  equal(executor(() => Promise.reject(), [dirty]).steps(context()), [clean]);
  same(executor(() => Promise.reject()).match("", "", false), 1);
});

Deno.test("errors become results with one sentence, and what was done before them stays in the account", async () => {
  const thrown = await executor((_context, work) => (work.did("began"), Promise.reject(new Error(dirty)))).run(
    context(),
  );
  equal([thrown.status, thrown.steps, thrown.text], ["failed", ["began"], "It failed: ab [redacted]"]);
  for (const status of ["needs-input", "refused", "failed"] as const) {
    const result = await executor(() => Promise.reject(new InputError("No such thing.", status))).run(context());
    equal([result.status, result.text], [status, "No such thing."]);
  }
  same((await executor(() => Promise.reject("a word")).run(context())).text, "It failed: a word");
  same(
    (await executor(() => {
      throw new TypeError("at once");
    }).run(context())).status,
    "failed",
  );
});

Deno.test("the signal ends work that never ends by itself, and work in a loop that pauses", async () => {
  for (
    const endless of [
      () => new Promise<never>(() => {}),
      async (_context: unknown, work: { pause(): Promise<void> }) => {
        for (;;) await work.pause();
      },
    ]
  ) {
    const result = await executor(endless as ExecutorSpec["work"]).run(context(AbortSignal.timeout(30)));
    equal([result.status, result.title], ["failed", "test: stopped"]);
  }
});

Deno.test("a result is cut where nobody would read on, and says so", async () => {
  const { text } = await executor(() => Promise.resolve({ title: "t", text: "x".repeat(300_000) })).run(context());
  ok(text.length < 101_000);
  match(text, /Cut here: the result has 300000 characters/);
});

Deno.test("a file that the result was to be written to is named as not written", async () => {
  const work = () => Promise.resolve({ title: "t", text: "body" });
  const { text } = await executor(work).run(context(undefined, "Do it and save it to out/result.md"));
  match(text, /^body\n\n_Nothing was written to `out\/result\.md`/);
  same((await executor(work).run(context())).text, "body");
});
