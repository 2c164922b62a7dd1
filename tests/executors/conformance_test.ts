/** The conformance suite over every executor of the list. */
import { deepStrictEqual as equal } from "node:assert";
import { executors } from "../../router/executors/mod.ts";
import { type Candidate, conformance, makePlace } from "./conformance.ts";

const tasks: Readonly<Record<string, Pick<Candidate, "task" | "skip">>> = {
  "research-workflow": {
    task: "Prepare the data and run a baseline training experiment overnight",
    skip: {
      "names a missing file in one sentence": "it reads no file",
      "refuses files of keys by name, by link, by odd path and by content": "it reads no file",
      "refuses keys that come as its input": "it reads no input",
    },
  },
  postmortem: { task: "Draft a postmortem from the run logs" },
  "sweep-summary": { task: "Summarize the hyperparameter sweep" },
  "benchmark-report": { task: "Report on our benchmark results" },
  report: { task: "Report on the last training session" },
  "file-analysis": { task: "Analyze this file" },
  summarizer: { task: "Summarize this text" },
};

const root = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));

Deno.test("every executor is in the conformance suite", () =>
  equal(executors.map(({ name }) => name).sort(), Object.keys(tasks).sort()));

conformance(executors.map((executor) => ({ executor, ...tasks[executor.name] })), makePlace(root));
