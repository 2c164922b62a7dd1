/**
 * Parts of speech for the training tasks, from the npm packages `wink-nlp` and `wink-eng-lite-web-model`; the model learns
 * to tell them by itself.
 * @module
 */
// Pinned beside what loads them, so that no other task downloads them.
// deno-lint-ignore no-import-prefix
import model from "npm:wink-eng-lite-web-model@1.8.1";
// deno-lint-ignore no-import-prefix
import winkNLP from "npm:wink-nlp@2.4.0";
import { partsOfSpeech } from "../model/network.ts";
import { BEGIN, type Example } from "./dataset.ts";

const nlp = winkNLP(model, ["sbd", "pos"]);
const numbers = new Map<string, number>(partsOfSpeech.map((name, index) => [name, index]));
numbers.set("cconj", numbers.get("conj")!).set("sconj", numbers.get("conj")!);

const [noun, propn, verb] = ["noun", "propn", "verb"].map((name) => numbers.get(name)!);
/** What follows the verb of an order: "drain the", "call him", "write to", "carry both". */
const afterVerb = new Set(["det", "pron", "adp", "num", "adv", "part"].map((name) => numbers.get(name)!));

/** Number of the part of speech of each token, −1 where the two programs cut the text differently. */
export function tagSpeech(task: string, { tokens, tags }: Example): number[] {
  const found = new Map<number, number>();
  let at = 0;
  nlp.readDoc(task).tokens().each((token: { out(what?: unknown): string }) => {
    const text = token.out();
    const start = task.indexOf(text, at);
    if (start < 0) return;
    at = start + text.length;
    const number = numbers.get(token.out(nlp.its.pos).toLowerCase());
    if (number !== undefined) found.set(start, number);
  });
  const speech = tokens.map((token) => found.get(token.start) ?? -1);
  // The tagger knows newspapers, where orders are rare, and takes many of their verbs for nouns.
  tokens.forEach((_, i) => {
    if (tags[i] === BEGIN && (speech[i] === noun || speech[i] === propn) && afterVerb.has(speech[i + 1])) {
      speech[i] = verb;
    }
  });
  return speech;
}
