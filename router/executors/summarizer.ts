/**
 * The summarizer: sentences of a text, chosen so that they stand for the rest. Logs and tables are told by their figures.
 * @module
 */
import { defineExecutor } from "./define.ts";
import { fromVerb, isOthersWork, namesFile, speaksOfRecord } from "./match.ts";
import { pathsIn } from "./paths.ts";
import type { Executor } from "./types.ts";

/** What is to come out. */
const product = String
  .raw`(?:summary|summaries|gist|key points|key takeaways|main points|main ideas|pr[ée]cis|tl;?\s?dr|zusammenfassung|r[ée]sum[ée]|resumen|riassunto)`;
/** The part begins with what is to be done, or with what is to come out. */
const asked = new RegExp(
  String
    .raw`^(?:summar(?:i[sz]\w*|y\b)|tl;?\s?dr\b|condense\b|abridge\b|boil\b.{0,60}\bdown\b|sum (?:it |this |that |them )?up\b(?!.*\b(?:hours|grams|totals?|amounts?|invoices|column|expenses)\b)|digest\b|` +
    String
      .raw`zusammenfass\w*|fass\w*\b.{0,80}\bzusammen\b|r[ée]sume[rz]?\b|r[ée]sumé\b|resum(?:e|ir|en)\b(?= (?:el|la|lo|los|las|un|una|este|esta|esto|en|o|os|as|le|les|ce|cet|cette)\b)|riassum\w+|` +
    String
      .raw`(?:give|write|draft|make|create|prepare|produce|provide|generate|get|need|want|show|extract|list)\b(?:\s+\S+){0,7}?\s+${product}\b|` +
    String.raw`(?:an?|the)\s+(?:[\w-]+\s+){0,4}?${product}\s+(?:of|from|for)\b|what (?:are|is) the ${product}\b)`,
  "i",
);

/** Summarises the given text or the files that the task names. */
export const summarizer: Executor = defineExecutor({
  name: "summarizer",
  purpose: "Summarises a text by its own sentences, as long as the task asks for.",
  effect: "read",
  match(segment, _task, hasInput) {
    if (isOthersWork(segment) || !asked.test(fromVerb(segment).slice(0, 400))) return 0;
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
