/**
 * The work of the summarizer: prose by its own sentences; logs, tables, JSON and code by their figures, since sentences
 * of theirs say nothing.
 * @module
 */
import { analyzeInput, kindOf } from "../analysis/analyze.ts";
import type { Outcome, Work } from "../define.ts";
import { InputError } from "../files.ts";
import { inlineCode, oneLine, safeText } from "../safe_text.ts";
import { cutNote, gatherSources } from "../sources.ts";
import type { ExecutorContext, ExecutorInput } from "../types.ts";
import { type LengthRequest, readLength } from "./length.ts";
import { summarize, type Summary } from "./summarize.ts";

/** Sentences from which on a summary is a list rather than a paragraph. */
const LIST_FROM = 6;

/** The sentences as a paragraph or a list, under the headings of a long text. */
function body({ sentences, headings }: Summary, bullets: boolean): string {
  if (!bullets && sentences.length < LIST_FROM) return sentences.join(" ");
  const titled = new Set(headings).size > 2 && sentences.length >= LIST_FROM;
  const lines: string[] = [];
  let last = "";
  for (const [index, sentence] of sentences.entries()) {
    if (titled && headings[index] !== last && headings[index] !== "") {
      lines.push(`${lines.length > 0 ? "\n" : ""}**${oneLine(headings[index], 100)}**\n`);
    }
    last = headings[index];
    lines.push(`- ${sentence}`);
  }
  return lines.join("\n");
}

/** How the summary came about, for the reader. */
function account(summary: Summary, request: LengthRequest): string {
  const { sentences, words, text, cut, whole } = summary;
  const left = Object.entries(text.leftOut).filter(([, count]) => count > 0)
    .map(([kind, count]) =>
      `${count} ${kind === "code" ? `block${count === 1 ? "" : "s"} of code` : `table${count === 1 ? "" : "s"}`}`
    );
  const parts = [
    whole
      ? `The whole text: it has ${text.units.length} ${
        text.units.length === 1 ? "sentence" : "sentences"
      } and is not longer than a summary`
      : cut
      ? `The most telling of ${text.units.length} sentences, cut to fit`
      : `${sentences.length} of ${text.units.length} sentences, word for word; ${words} of ${text.words} words`,
    request.said !== "" ? `length as asked for (${inlineCode(request.said, 60)})` : null,
    request.focus !== undefined ? `sentences about ${inlineCode(request.focus, 80)} preferred` : null,
    left.length > 0 ? `left out: ${left.join(", ")}` : null,
    text.truncated ? "only the first 200,000 sentences were looked at" : null,
    text.language.code !== "en" && text.language.code !== "und" ? `language: ${text.language.name}` : null,
  ];
  return `_${parts.filter((part) => part !== null).join("; ")}._`;
}

async function summarizeInput(
  input: ExecutorInput,
  request: LengthRequest,
  context: ExecutorContext,
  work: Work,
): Promise<string> {
  const pause = () => work.pause();
  const head = `# Summary of ${inlineCode(input.name, 120)}`;
  const name = oneLine(input.name);
  const binary = input.text === "" && (input.bytes?.length ?? 0) > 0;
  const text = safeText(input.text);
  const kind = binary ? "binary" : kindOf(text, input.name);
  if (kind === "empty") throw new InputError(`${name} is empty; there is nothing to summarise.`, "needs-input");
  if (kind === "prose") {
    const summary = await summarize(text, request, { pause });
    if (summary.text.units.length > 0) {
      work.did(`Chose ${summary.sentences.length} of ${summary.text.units.length} sentences of ${name}`);
      const keywords = summary.keywords.length > 2 && !summary.whole
        ? `\n\nKeywords: ${summary.keywords.map((word) => oneLine(word, 40)).join(", ")}`
        : "";
      return [head, body(summary, request.bullets), account(summary, request) + keywords, cutNote(input)].filter((
        part,
      ) => part !== "").join("\n\n");
    }
  }
  const analysis = await analyzeInput(input, context.now, pause);
  work.did(`Summed ${name} up by its figures (${analysis.name})`);
  return [
    head,
    `It is no running text but a ${analysis.name}, so this is what it holds instead of sentences of it.`,
    analysis.text,
  ].join("\n\n");
}

/** Summarises what the task names. */
export async function runSummary(context: ExecutorContext, work: Work): Promise<Outcome> {
  const sources = await gatherSources(context, work, { folders: /\.(?:md|markdown|txt|text|rst|log)$/i });
  if (sources.length === 0) {
    throw new InputError(
      "There is no text to summarise: name a file in the task, or pass --file FILE or --input-text TEXT.",
      "needs-input",
    );
  }
  // The length may stand in a sentence of its own: "Summarize notes.md. Keep it to two sentences, please."
  const own = readLength(context.segment);
  const aside = context.task.slice(0, 5000).split(/(?<=[.!?\n])\s+/)
    .filter((part) =>
      /^(?:please\s+)?(?:in|as|keep|make|use|at most|no more than|not more than|max|length|limit|focus|with)\b.{2,80}$/is
        .test(part.trim())
    )
    .join(" ");
  const request = own.said !== "" || own.focus !== undefined ? own : readLength(aside);
  const parts: string[] = [];
  for (const input of sources) parts.push(await summarizeInput(input, request, context, work));
  return { title: `Summary of ${sources.map(({ name }) => oneLine(name, 80)).join(", ")}`, text: parts.join("\n\n") };
}
