/**
 * The executors: what the router does by itself for a digital part of a task. All but the research workflow only read.
 * Importing this needs no permission and loads no executor's work; that comes with its first `run`.
 *
 * @example
 * ```ts
 * import { chooseExecutor, inputOf, localFiles } from "./mod.ts";
 * import { strictEqual as equal } from "node:assert";
 *
 * const task = "Summarize this in one sentence";
 * const input = inputOf("a note", "The pump failed at noon. The pump failed because a fuse of the pump blew. We had soup.");
 * const executor = chooseExecutor(task, task, true)!;
 * const result = await executor.run({ ...localFiles(), task, segment: task, input, now: new Date() });
 * equal(result.status, "done");
 * equal(result.text.includes("because a fuse of the pump blew"), true);
 * ```
 * @module
 */
import { benchmarkReport } from "./benchmark_report.ts";
import { fileAnalysis } from "./file_analysis.ts";
import { postmortem } from "./postmortem.ts";
import { report } from "./report.ts";
import { researchWorkflow } from "./research_workflow.ts";
import { summarizer } from "./summarizer.ts";
import { sweepSummary } from "./sweep_summary.ts";
import type { Executor } from "./types.ts";

export type {
  Executor,
  ExecutorContext,
  ExecutorInput,
  ExecutorResult,
  ExecutorStatus,
  FileAccess,
  FileFacts,
} from "./types.ts";
export { InputError, inputOf, localFiles, readInput } from "./files.ts";
export {
  type ResearchAction,
  type ResearchActions,
  type ResearchRequest,
  researchWorkflow,
} from "./research_workflow.ts";

/** How well an executor must fit to be chosen. */
const LEAST = 0.4;

/** All executors; the research workflow among them only plans. */
export const executors: readonly Executor[] = [
  researchWorkflow(),
  postmortem,
  sweepSummary,
  benchmarkReport,
  report,
  fileAnalysis,
  summarizer,
];

/**
 * The executor that fits a part of a task best.
 * @param segment one digital part, or several that belong together, one a line
 * @param task the whole task
 * @param hasInput whether a text came with the task
 * @param list what to choose from
 * @returns undefined where none fits
 */
export function chooseExecutor(
  segment: string,
  task: string,
  hasInput: boolean,
  list: readonly Executor[] = executors,
): Executor | undefined {
  const [part, whole] = [segment.slice(0, 4000), task.slice(0, 20_000)];
  let best: Executor | undefined, bestFit = LEAST;
  for (const executor of list) {
    const fit = executor.match(part, whole, hasInput);
    if (fit > bestFit || (fit === bestFit && best === undefined)) [best, bestFit] = [executor, fit];
  }
  return best;
}
