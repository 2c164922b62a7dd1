/**
 * The summarizer: sentences of a text, chosen so that they stand for the rest. Logs and tables are told by their figures.
 * @module
 */
import { defineExecutor } from "./define.ts";
import { isOthersWork, namesFile, speaksOfRecord } from "./match.ts";
import { pathsIn } from "./paths.ts";
import type { Executor } from "./types.ts";

const asked =
  /\bsummar(?:y|ies|i[sz]\w*)\b|\btl;?\s?dr\b|\b(?:condense|abridge|boil down|sum up|sum it up|shorten)\b|\bthe gist\b|\bkey (?:points|takeaways)\b|\bmain (?:points|ideas)\b|\bpr[ée]cis\b|\bzusammenfass\w*|\bfass\w*\b.{0,80}\bzusammen\b|\br[ée]sum(?:e[rz]?|é)\b|\bresum(?:e|ir|en)\b|\briassum\w+/i;

/** Summarises the given text or the files that the task names. */
export const summarizer: Executor = defineExecutor({
  name: "summarizer",
  purpose: "Summarises a text by its own sentences, as long as the task asks for.",
  effect: "read",
  match(segment, _task, hasInput) {
    if (isOthersWork(segment) || !asked.test(segment)) return 0;
    if (hasInput) return 0.9;
    if (namesFile(segment)) return 0.85;
    return speaksOfRecord(segment) ? 0.4 : 0.55;
  },
  steps(context) {
    const files = pathsIn(context.segment).filter(({ target }) => !target).map(({ path }) => path);
    const what = context.input?.name ?? (files.length > 0 ? files.join(", ") : "the text");
    return [
      `Read ${what}`,
      "Cut it into sentences, leaving code and tables out",
      "Rank the sentences by what they share with the rest of the text and by their place in it",
      "Choose those that add most and do not repeat each other, as many as were asked for",
    ];
  },
  work: async (context, work) => (await import("./summary/run.ts")).runSummary(context, work),
});
