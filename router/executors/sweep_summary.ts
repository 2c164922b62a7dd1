/**
 * The sweep summary: what a session's experiments say about the constants that they changed.
 * @module
 */
import { defineExecutor } from "./define.ts";
import { fromVerb, isOthersWork } from "./match.ts";
import type { Executor } from "./types.ts";

const sweep =
  /\bsweeps?\b|\bhyper-?parameters?\b|\bparameter (?:importance|search|study|sensitivity)\b|\bimportance of (?:the )?(?:parameters?|constants?)\b|\bsearch space\b|\bablations?\b|\b(?:which|what) (?:parameters?|constants?|settings?|changes?) (?:mattered|helped|matter|help|had)\b/i;
const asked =
  /\bsummar\w+\b|\breports?\b|\banaly[sz]\w*\b|\boverview\b|\bresults?\b|\bimportan\w+\b|\brank\w*\b|\bwhich\b|\bwhat\b|\bbest\b|\bcompar\w+\b|\brecap\b|\bwrite[\s-]?up\b|\bevaluate\b|\bgains?\b|\bduplicates?\b/i;

/** Summarises a sweep from sessions or tables of results. */
export const sweepSummary: Executor = defineExecutor({
  name: "sweep-summary",
  purpose:
    "Summarises a hyperparameter sweep: the best, gains, importance of constants by rank correlation, duplicates.",
  effect: "read",
  match(segment, _task, _hasInput) {
    if (
      isOthersWork(segment) || /^(?:run|start|launch|execute|plan|design|set up|kick off|do)\b/i.test(fromVerb(segment))
    ) return 0;
    const text = fromVerb(segment);
    return sweep.test(text) && asked.test(text) ? 0.92 : 0;
  },
  steps: (context) => [
    context.input === undefined
      ? "Find the sessions that the task means, or read the table that it names"
      : `Read ${context.input.name}`,
    "Take the constants of every scored experiment",
    "Rank the constants by how their values go with the score (rank correlation, with a permutation test)",
    "List gains and experiments that were tried twice",
  ],
  work: async (context, work) => (await import("./sweep/run.ts")).runSweepSummary(context, work),
});
