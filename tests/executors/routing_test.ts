/** Which executor takes which part of a task, and which parts none takes. */
import { strictEqual as same } from "node:assert";
import { chooseExecutor } from "../../router/executors/mod.ts";

/** Parts of tasks by the executor that should take them; "" for none. */
const parts: Readonly<Record<string, readonly string[]>> = {
  summarizer: [
    "Summarize notes.md",
    "Give me the gist of docs/plan.txt in two sentences",
    "Summarize the paper",
    "tl;dr of ./README.md",
  ],
  postmortem: [
    "Draft a postmortem from yesterday's run logs",
    "Write a post-mortem of last night's session",
    "Please draft a postmortem",
    "Find out what went wrong in last night's training run",
    "Draft an incident report from run.log",
    "Why did the overnight run crash?",
  ],
  report: [
    "Summarize the training logs",
    "Report on last night's session",
    "How did the overnight experiments go?",
    "What happened in yesterday's training run?",
    "Show me the results of the last session",
    "Recap the experiments from last night",
    "Write a report from train.log",
    "Analyze the training logs",
  ],
  "file-analysis": [
    "Analyze data.csv",
    "Count the TODOs in src/main.rs",
    "Which columns does sales.csv have",
    "Inspect config.yaml",
    "Analyze this file",
  ],
  "benchmark-report": [
    "Report on the latest benchmark results",
    "Summarize bench.json as a benchmark report",
    "Compare our benchmark timings",
  ],
  "sweep-summary": [
    "Summarize the hyperparameter sweep",
    "Which hyperparameters mattered last night?",
    "Report on the sweep's results",
    "Rank the parameter importance of the last session",
  ],
  "research-workflow": [
    "Prepare the data and run a baseline training experiment overnight",
    "Prepare the data",
    "run a baseline training experiment overnight",
    "Start an overnight session of experiments",
    "Run experiments overnight to lower val_bpb",
    "Kick off a training run with the cpu-tiny preset",
    "Plan an overnight training session",
  ],
  "": [
    "Send the summary to Sam",
    "Email the postmortem to the team",
    "Translate report.md into French",
    "Translate the report on last night's session into French",
    "Plot the results of last night's session",
    "Write a report on salmon farming in Norway",
    "Draft a postmortem of the product launch",
    "Train a CatBoost classifier on the churn table",
    "Prepare the slides for Monday",
    "Prepare the dataset of tumour images",
    "Restart the nginx service",
    "Delete old.log",
    "Write a haiku about eels",
    "Refactor parser.ts",
    "Run the benchmark",
    "Plot the loss curve",
    "Scrape together whatever benchmarks exist for Mamba on long audio",
    "Book a session at the climbing gym through their website",
    "Reseat the GPU power cable",
    "Rename report.md to final.md",
    "Analyze the market for e-bikes",
    "",
    "   ",
  ],
};

for (const [name, segments] of Object.entries(parts)) {
  Deno.test(`${name === "" ? "no executor" : name} takes its parts of tasks and no other's`, () => {
    for (const segment of segments) same(chooseExecutor(segment, segment, false)?.name ?? "", name, segment);
  });
}

Deno.test("a text that came along is taken by what is asked for", () => {
  const cases: Record<string, string> = {
    "Summarize this in three sentences": "summarizer",
    "Analyze this file": "file-analysis",
    "Draft a postmortem": "postmortem",
    "Report on this run log": "report",
    "Write a benchmark report from this": "benchmark-report",
    "How many lines and words does it have?": "file-analysis",
    "Fasse den Text in zwei Sätzen zusammen": "summarizer",
    "Send this file to Bob": "",
  };
  for (const [segment, name] of Object.entries(cases)) {
    same(chooseExecutor(segment, segment, true)?.name ?? "", name, segment);
  }
});

Deno.test("choosing takes microseconds, for a megabyte of task too", () => {
  const tasks = Object.values(parts).flat();
  const begun = performance.now();
  for (let round = 0; round < 20; round++) for (const task of tasks) chooseExecutor(task, task, false);
  const each = (performance.now() - begun) / 20 / tasks.length;
  same(each < 2, true, `${each} ms`);
  const long = "summarize the logs of the session ".repeat(30_000);
  const start = performance.now();
  chooseExecutor(long, long, false);
  same(performance.now() - start < 500, true);
});
