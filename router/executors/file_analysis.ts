/**
 * The file analysis: what a file is made of, without judging what it says.
 * @module
 */
import { defineExecutor } from "./define.ts";
import { isOthersWork, namesFile, pointsAtInput, speaksOfRecord } from "./match.ts";
import type { Executor } from "./types.ts";

const asked =
  /\banaly[sz]\w*\b|\banalysis\b|\b(?:inspect|examine|profile|describe|explore|characteri[sz]e|dissect|look (?:at|into|through)|go through|check out|take a look)\b|\bwhat(?:['’]s| is| does)\b[^?]{0,40}\b(?:in|inside|contain)\b|\b(?:statistics|stats|structure|schema|columns?|headings?|outline|table of contents|TODOs?|FIXMEs?|encoding|language|word count|line count|data types?)\b|\b(?:count|how many)\b[^?]{0,40}\b(?:lines?|words?|rows?|columns?|characters?|TODOs?|entries|records|headings?|functions?)\b|\bmissing values?\b/i;

/** Analyses the given text or the files that the task names. */
export const fileAnalysis: Executor = defineExecutor({
  name: "file-analysis",
  purpose: "Analyses a file: kind, encoding, language, structure, headings, TODOs, columns and their values.",
  effect: "read",
  match(segment, _task, hasInput) {
    if (isOthersWork(segment) || !asked.test(segment)) return 0;
    const analysis = /\banaly[sz]\w*\b|\banalysis\b/i.test(segment);
    if (namesFile(segment)) return 0.85;
    if (hasInput) return analysis || pointsAtInput(segment) ? 0.85 : 0.5;
    if (speaksOfRecord(segment)) return 0.2;
    return /\b(?:this|the|that|my|a) (?:\w+ )?(?:file|document|csv|table|spreadsheet|json|log)\b/i.test(segment)
      ? 0.55
      : 0;
  },
  steps: (context) => [
    `Read ${context.input?.name ?? "the file that the task names"}`,
    "Tell what kind of file it is, by its bytes before its name",
    "Count lines, words and parts; find headings and TODOs, or columns with their types, gaps and ranges",
  ],
  work: async (context, work) => (await import("./analysis/run.ts")).runAnalysis(context, work),
});
