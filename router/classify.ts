/**
 * Reads a task: cuts it into parts, says of each whether software can do it or a person is needed, and why. No FFI, no
 * network, no permission; the model is imported.
 * @module
 */
import { decode } from "./model/decode.ts";
import { describe } from "./model/features.ts";
import { confidence, type Model, type ModelFile, openModel, personFrom } from "./model/file.ts";
import type { Reading } from "./model/network.ts";
import { excludedSignals, mainWords, partSignals, type ReadPart } from "./model/signals.ts";
import modelFile from "./model/model.json" with { type: "json" };
import { recommendedAction } from "./plan.ts";
import { resolve } from "./text/resolve.ts";
import { isForeign } from "./text/language.ts";
import { type Token, tokenize } from "./text/tokens.ts";
import type { Classification, Domain, Segment } from "./types.ts";

/** Most characters of a task that are read, in UTF-16 units. */
export const longestTask = 16_000;

/** Most tokens that the model reads at once; longer tasks are read a few sentences at a time. */
const longestChunk = 160;

let opened: Model | undefined;

/** The model that is shipped with this program; opened at the first call. */
export function shippedModel(): Model {
  return opened ??= openModel(modelFile as ModelFile);
}

/** Cuts tokens into stretches that end with a sentence where one ends in time. */
function chunks(tokens: readonly Token[]): Token[][] {
  const result: Token[][] = [];
  for (let from = 0; from < tokens.length;) {
    let to = Math.min(tokens.length, from + longestChunk);
    if (to < tokens.length) {
      let end = to;
      while (end > from && !/^[.!?\n]$/.test(tokens[end - 1].text)) end--;
      if (end > from) to = end;
    }
    result.push(tokens.slice(from, to));
    from = to;
  }
  return result;
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/**
 * Classifies a task.
 *
 * A part belongs to a person where the model's log-odds say so; the threshold is set so that a doubtful part goes to a
 * person. The confidence is calibrated on tasks that the model was not trained on.
 * @param task any text; of a longer one than `longestTask` the beginning is read, and it is never called `text-based`
 * @returns parts in order of appearance, with offsets into `task`
 * @example
 * ```ts
 * import { classify } from "./classify.ts";
 * const { domain, segments } = classify("Summarize the training logs and then physically restart the server");
 * if (domain !== "hybrid" || segments.length !== 2) throw new Error(domain);
 * ```
 */
export function classify(task: string): Classification {
  const { lexicon, network, calibration } = shippedModel();
  const truncated = task.length > longestTask;
  const tokens = tokenize(truncated ? task.slice(0, longestTask) : task);
  if (isForeign(tokens, (word) => resolve(word, lexicon, false).entries.length > 0)) {
    return {
      task,
      domain: "unknown",
      confidence: 0.5,
      segments: [],
      excluded: [],
      reasons: ["The task is not in English, the only language that the router reads."],
      recommendedAction: recommendedAction("unknown"),
      truncated,
    };
  }
  const segments: Segment[] = [];
  const parts: ReadPart[] = [];
  const readings: { tokens: Token[]; reading: Reading }[] = [];
  const margins: number[] = [];
  let doubt = 0;
  for (const chunk of chunks(tokens)) {
    const features = describe(chunk, lexicon);
    const reading = network.read(features);
    readings.push({ tokens: chunk, reading });
    for (const { from, to, logit } of decode(chunk, reading, network.partBias)) {
      const margin = logit - personFrom(calibration, to - from);
      const part: ReadPart = { tokens: chunk, features, reading, from, to };
      const [start, end] = [chunk[from].start, chunk[to - 1].end];
      parts.push(part);
      margins.push(margin);
      segments.push({
        text: task.slice(start, end),
        start,
        end,
        domain: margin > 0 ? "human-action" : "text-based",
        confidence: logistic(Math.abs(margin) / calibration.temperature),
        ...mainWords(part, task),
        signals: partSignals(part, lexicon, task),
      });
    }
    doubt = Math.min(doubt, reading.doubt);
  }
  const humans = segments.filter((segment) => segment.domain === "human-action").length;
  let domain: Domain = segments.length === 0
    ? "unknown"
    : humans === 0
    ? "text-based"
    : humans === segments.length
    ? "human-action"
    : "hybrid";
  // What was not read may need a person.
  if (truncated && domain === "text-based") domain = "unknown";
  const excluded = readings.flatMap(({ tokens, reading }) => excludedSignals(tokens, reading, task));
  return {
    task,
    domain,
    confidence: tokens.length === 0 ? 1 : confidence(margins, doubt, calibration),
    segments,
    excluded,
    reasons: reasons(segments, excluded.map(({ kind, text }) => ({ kind, text })), truncated),
    recommendedAction: recommendedAction(domain),
    truncated,
  };
}

const shorten = (text: string): string => {
  const line = text.replace(/\s+/g, " ");
  return line.length > 60 ? line.slice(0, 57) + "…" : line;
};

function reasons(
  segments: readonly Segment[],
  excluded: readonly { kind: string; text: string }[],
  truncated: boolean,
): string[] {
  const sentences = segments.slice(0, 20).map(({ text, domain, signals }) => {
    const words = signals.filter((signal) => signal.towards === domain).slice(0, 3).map((signal) =>
      `"${shorten(signal.text)}"`
    );
    const because = words.length === 0 ? "" : `, by ${words.join(", ")}`;
    return `"${shorten(text)}" ${domain === "human-action" ? "needs a person" : "can be done in software"}${because}.`;
  });
  for (const { kind, text } of excluded.slice(0, 5)) {
    sentences.push(
      kind === "negation"
        ? `"${shorten(text)}" is not to be done.`
        : `"${shorten(text)}" tells the router what to answer; it was left aside.`,
    );
  }
  if (segments.length === 0) sentences.push("Nothing in the text says what is to be done.");
  if (truncated) sentences.push(`Only the first ${longestTask} characters were read.`);
  return sentences;
}
