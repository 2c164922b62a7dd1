/**
 * The benchmark report: medians, spread and ratios from the output of benchmarks.
 * @module
 */
import { defineExecutor } from "./define.ts";
import { fromVerb, isOthersWork, namesFile } from "./match.ts";
import type { Executor } from "./types.ts";

const bench = /\bbench(?:mark(?:s|ed|ing)?)?\b|\bhyperfine\b|\btimings?\b|\bspeed (?:comparison|measurements?)\b/i;
const asked =
  /\breports?\b|\bsummar\w+\b|\banaly[sz]\w*\b|\bcompar\w+\b|\btabulate\b|\btable\b|\boverview\b|\bresults?\b|\boutput\b|\bwrite[\s-]?up\b|\bevaluate\b|\binterpret\b|\bmedians?\b|\bfaster\b|\bslower\b|\bspread\b|\bratios?\b/i;

/** That there are results to speak of. */
const results = /\b(?:results?|outputs?|numbers|timings?|figures|measurements?|runs?|tables?|logs?|report|summary)\b/i;

/** Reports on the results of benchmarks. */
export const benchmarkReport: Executor = defineExecutor({
  name: "benchmark-report",
  purpose: "Reports on benchmark results: medians, spread, ratios between candidates.",
  effect: "read",
  match(segment, task, hasInput) {
    if (
      isOthersWork(segment) ||
      /^(?:run|start|launch|execute|repeat|rerun|write an? benchmark(?! report| summary| overview)|benchmark(?! report| summary| results| overview))\b/i
        .test(fromVerb(segment))
    ) return 0;
    const text = fromVerb(segment);
    if (!bench.test(text) || !asked.test(text)) return 0;
    if (hasInput || namesFile(segment)) return 0.93;
    if (!results.test(text)) return 0.3;
    // Without a file only our own results are meant.
    return /\b(?:our|the|latest|last|my|these|this|all|today|yesterday)\b/i.test(segment) &&
        !/\bexist|papers?|literature|public|leaderboard|web|online\b/i.test(task)
      ? 0.7
      : 0.3;
  },
  steps: (context) => [
    `Read ${context.input?.name ?? "the results that the task names, or those in tests/bench/results"}`,
    "Find the measurements in tables, key-value lines, JSON and JSON lines",
    "Group repeated measurements; compute median, range and spread",
    "Compute the ratios between candidates",
  ],
  work: async (context, work) => (await import("./bench/run.ts")).runBenchReport(context, work),
});
