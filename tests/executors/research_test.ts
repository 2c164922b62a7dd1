/** The research workflow plans, and runs only what it is handed. */
import { deepStrictEqual as equal, match, ok, strictEqual as same } from "node:assert";
import { localFiles, type ResearchRequest, researchWorkflow } from "../../router/executors/mod.ts";
import { readResearch } from "../../router/executors/research_workflow.ts";

const task = "Prepare the data and run a baseline training experiment overnight";
const contextOf = (segment: string, signal?: AbortSignal) => ({
  ...localFiles(),
  task: segment,
  segment,
  now: new Date(),
  signal,
});

Deno.test("what is asked for is read from the task", () => {
  const cases: Record<string, Partial<ResearchRequest>> = {
    [task]: { prepare: true, baseline: true, session: true },
    "Prepare the data": { prepare: true, baseline: false, session: false },
    "Train the baseline": { prepare: false, baseline: true, session: false },
    "Run 12 experiments with the gpu-small preset": { session: true, experiments: 12, preset: "gpu-small" },
    "Run experiments for 6 hours tagged monday": { session: true, hours: 6, tag: "monday" },
    "Prepare the training data from files:texts/*.txt": { prepare: true, source: "files:texts/*.txt", baseline: false },
    "Train a tokenizer": { prepare: true, baseline: false },
  };
  for (const [segment, wanted] of Object.entries(cases)) {
    const request = readResearch(segment);
    equal(
      Object.fromEntries(Object.keys(wanted).map((key) => [key, request[key as keyof ResearchRequest]])),
      wanted,
      segment,
    );
  }
});

Deno.test("without actions it plans, names commands and flags, and says that nothing was run", async () => {
  const { status, text, steps, used } = await researchWorkflow().run(contextOf(task));
  equal([status, used, steps], ["planned", [], ["Planned; nothing was run"]]);
  match(text, /^Nothing was run: this is a plan\./);
  match(text, /Not run: it needs `--run-prepare`\.\n- Command: `deno task prepare`/);
  match(text, /Not run: it needs `--run-train`\.\n- Command: `deno task overnight --hours 8`/);
});

Deno.test("with actions it really runs them, in order, with what the task asks for", async () => {
  const calls: string[] = [];
  const workflow = researchWorkflow({
    prepare: (request) => (calls.push(`prepare ${request.preset}`), Promise.resolve("rows were packed")),
    train: (
      request,
    ) => (calls.push(`train ${request.session} ${request.experiments}`), Promise.resolve("val_bpb 1.75")),
  });
  const { status, text, steps } = await workflow.run(
    contextOf("Prepare the data and run 5 experiments with preset cpu-tiny"),
  );
  equal(calls, ["prepare cpu-tiny", "train true 5"]);
  same(status, "done");
  match(text, /Everything that was asked for was run[\s\S]*rows were packed[\s\S]*val_bpb 1\.75/);
  equal(steps.map((step) => step.replace(/\(.*\)/, "")), ["Ran prepare ", "Ran train "]);
});

Deno.test("with one action it says what was run and what was not", async () => {
  const { status, text } = await researchWorkflow({ prepare: () => Promise.resolve("rows") }).run(contextOf(task));
  same(status, "planned");
  match(text, /^Only prepare was run; the rest is a plan\.[\s\S]*Not run: it needs `--run-train`/);
});

Deno.test("a failure stops what would come after it and is told in its own words", async () => {
  let trained = false;
  const { status, text } = await researchWorkflow({
    prepare: () => Promise.reject(new Error("the disk is full\x1b[31m")),
    train: () => (trained = true, Promise.resolve("")),
  }).run(contextOf(task));
  equal([status, trained], ["failed", false]);
  match(text, /^prepare failed\.[\s\S]*It failed: the disk is full\n[\s\S]*Not run, since prepare failed\./);
});

Deno.test("the signal reaches the action, and what was stopped is not called done", async () => {
  const controller = new AbortController();
  let reached = false;
  const running = researchWorkflow({
    train: (_request, signal) =>
      new Promise((_, reject) =>
        signal!.addEventListener("abort", () => (reached = true, reject(new Error("stopped"))))
      ),
  }).run(contextOf("Run a baseline training experiment", controller.signal));
  setTimeout(() => controller.abort(), 5);
  const { status, text } = await running;
  equal([status, reached], ["failed", true]);
  match(text, /stopped before its end/);
  ok(!/Ran /.test(text));
});

Deno.test("words of the task go into commands only as one quoted word", async () => {
  const { text } = await researchWorkflow().run(
    contextOf('Prepare the data from --source "files:a.txt;rm${IFS}-rf" and run the baseline'),
  );
  ok(!/[^'\w]rm\$/.test(text.replace(/'[^']*'/g, "")), text);
});

Deno.test("a data centre is not prepared as training data", () => {
  const match = (part: string) => researchWorkflow().match(part, part, false);
  ok(match("Prepare the data") > 0.4);
  for (const part of ["Prepare the data center for the visit", "Prepare the data centre", "Prepare the text message"]) {
    equal(match(part), 0, part);
  }
});
