/**
 * The file analysis: what a file is made of, without judging what it says.
 * @module
 */
import { defineExecutor } from "./define.ts";
import { fromVerb, isOthersWork, namesFile, pointsAtInput, speaksOfRecord } from "./match.ts";
import type { Executor } from "./types.ts";

/** What can be told of a file. */
const property = String
  .raw`(?:statistics|stats|structure|schema|shape|columns?|column types|data types?|fields?|headings?|outline|to-?dos?|fixmes?|encoding|language|(?:word|line|row) counts?|missing values?|contents?)`;
/** The part begins with looking at a file, or asks for what can be told of one. */
const asked = new RegExp(
  String
    .raw`^(?:analy[sz]\w*|an? (?:\w+ )?analysis\b|analysis of\b|inspect\b|examine\b|profile\b|explore\b|characteri[sz]e\b|dissect\b|` +
    String
      .raw`look (?:at|into|through)\b|(?:have|take) a (?:\w+ )?look (?:at|into|through)\b|go through\b|check out\b|` +
    String.raw`describe (?:the |this |that |my )?(?:\w+ )?(?:file|${property}|data|dataset|table|csv|\S+\.\w+)|` +
    String
      .raw`what(?:['’]s| is| are) (?:in|inside|this|the ${property})\b|what (?:does|do) \S+(?: file)? contain\b|what (?:kind|type|sort) of\b|` +
    String.raw`(?:which|what) (?:columns?|fields?|headings?|encoding|language|data types?)\b|` +
    String
      .raw`(?:count|how many)\b(?: the| all)?(?: number of)?(?:\s\w+)?(?: and)?\s(?:lines|words|rows|columns|characters|to-?dos?|entries|records|headings?|functions?|sentences)\b|` +
    String
      .raw`(?:give|show|list|find|extract|get|report|detect|determine|tell|compute|print out)\b(?:\s+\S+){0,3}?\s+(?:an? )?(?:${property}|analysis)\b(?!\s+(?:of|in)\s+(?:the\s+)?(?!file|this|that|\S+\.\w)))`,
  "i",
);

/** Analyses the given text or the files that the task names. */
export const fileAnalysis: Executor = defineExecutor({
  name: "file-analysis",
  purpose: "Analyses a file: kind, encoding, language, structure, headings, TODOs, columns and their values.",
  effect: "read",
  match(segment, _task, hasInput) {
    if (isOthersWork(segment) || !asked.test(fromVerb(segment).slice(0, 400))) return 0;
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
