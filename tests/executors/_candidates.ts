/** Every executor with a task that asks for it, for the conformance suite. */
import { executors } from "../../router/executors/mod.ts";
import type { Candidate } from "./conformance.ts";

/** Tasks by executor. */
export const tasks: Readonly<Record<string, Pick<Candidate, "task" | "skip">>> = {
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

/** All executors of the list. */
export const candidates: readonly Candidate[] = executors.map((executor) => ({ executor, ...tasks[executor.name] }));
