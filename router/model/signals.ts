/**
 * Why a part was called what it was: the tokens that moved its log-odds, joined to phrases and named by what they are; its
 * main verb and object; and what stands outside of all parts on purpose.
 * @module
 */
import type { Token } from "../text/tokens.ts";
import type { Signal, SignalKind } from "../types.ts";
import { nounClassOf, verbClassOf } from "./classes.ts";
import { bestTags } from "./decode.ts";
import type { TokenFeatures } from "./features.ts";
import type { Lexicon } from "./lexicon.ts";
import type { Reading } from "./network.ts";

/** A part with what was read of it. */
export interface ReadPart {
  /** Tokens of the stretch that it stands in. */
  readonly tokens: readonly Token[];
  /** Their features. */
  readonly features: readonly TokenFeatures[];
  /** What the model says of them. */
  readonly reading: Reading;
  /** Its first token. */
  readonly from: number;
  /** One past its last. */
  readonly to: number;
}

/** They move the odds too, but say nothing to a reader. */
const littleWords = new Set(["det", "conj", "part", "aux", "adp", "pron"]);

/** Least weight of a signal, in nats. */
const leastWeight = 0.4;
/** Most signals that are kept of a part. */
const mostSignals = 8;

const conditionWords = /^(if|unless|when|whenever|where|once|should|in|provided|assuming|except|until|as)$/i;
const authorityWords =
  /^(?:(?:counter)?sign|signature|approv(?:e|al)|authori[sz]e|pay|payment|cash|buy|purchase|order|hire|vote|swear|oath|notari[sz]e|ratify|vouch|award|permit|certify|witness|negotiate|captcha|fingerprints?)$/i;
const meansWords = /^(with|via|using|through|over|by|on|from)$/i;

function kindOf({ tokens, features, reading, from }: ReadPart, lexicon: Lexicon, at: number): SignalKind {
  const { entries } = features[at].resolved;
  const byte = entries.length > 0 ? lexicon.classes(entries[entries.length - 1]) : 0;
  const noun = nounClassOf(byte), verb = verbClassOf(byte);
  if (at === from && conditionWords.test(tokens[at].text) && reading.speech[at] !== "verb") return "condition";
  let quotes = 0;
  for (let i = from; i < at; i++) if (/^["“”]$/.test(tokens[i].text)) quotes++;
  if (quotes % 2 === 1) return "quotation";
  if (reading.votes[at] > 0 && authorityWords.test(tokens[at].text)) return "authority";
  if (reading.speech[at] === "verb" || reading.speech[at] === "aux") {
    return reading.votes[at] < 0 && (verb === "thought" || verb === "communication") ? "talk-about" : "action";
  }
  for (let i = at - 1; i >= Math.max(from, at - 3); i--) {
    if (reading.speech[i] === "adp" && meansWords.test(tokens[i].text) && noun !== "place" && noun !== "person") {
      return "instrument";
    }
    if (reading.speech[i] === "verb") break;
  }
  if (noun === "person") return "person";
  if (noun === "place") return "place";
  if (noun === "document" && reading.votes[at] < 0) return "talk-about";
  return at === from && verb !== "none" ? "action" : "object";
}

/** What spoke for and against a person, strongest first. */
export function partSignals(part: ReadPart, lexicon: Lexicon, task: string): Signal[] {
  const { tokens, reading, from, to } = part;
  const signals: Signal[] = [];
  for (let i = from; i < to; i++) {
    if (!tokens[i].word || Math.abs(reading.votes[i]) < leastWeight || littleWords.has(reading.speech[i])) continue;
    const kind = kindOf(part, lexicon, i);
    const towards = reading.votes[i] > 0 ? "human-action" : "text-based";
    const last = signals.at(-1);
    // Neighbours of one kind that point the same way are one phrase.
    if (
      last !== undefined && last.kind === kind && last.towards === towards && i > from && last.end === tokens[i - 1].end
    ) {
      signals[signals.length - 1] = {
        ...last,
        end: tokens[i].end,
        text: task.slice(last.start, tokens[i].end),
        weight: last.weight + reading.votes[i],
      };
    } else {
      const { start, end } = tokens[i];
      signals.push({ kind, text: task.slice(start, end), start, end, towards, weight: reading.votes[i] });
    }
  }
  return signals.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).slice(0, mostSignals);
}

const politeWords =
  /^(please|plz|pls|kindly|could|can|would|will|you|i|we|need|needs|want|should|must|ought|to|somebody|someone|has|have|let|us|like|just|simply|go|also|might|may|any|chance|that|be|otherwise|then|first|second|next|finally)$/i;

/** The main verb of a part and its object, as written, where they were found. */
export function mainWords(
  { tokens, reading: { speech }, from, to }: ReadPart,
  task: string,
): { verb?: string; object?: string } {
  let at = from;
  while (at < to - 1 && politeWords.test(tokens[at].text)) at++;
  while (at < to && speech[at] !== "verb") at++;
  if (at >= to) return {};
  const verb = tokens[at].text;
  let first = at + 1;
  while (first < to && /^(det|adj|num|adv|part|pron)$/.test(speech[first])) first++;
  let last = first;
  while (last < to && /^(noun|propn|adj|num)$/.test(speech[last])) last++;
  if (last === first) {
    return first > at + 1 && speech[first - 1] === "pron" ? { verb, object: tokens[first - 1].text } : { verb };
  }
  return { verb, object: task.slice(tokens[first].start, tokens[last - 1].end) };
}

const forbidding =
  /\b(don'?t|do not|never|not|no need|without|instead of|rather than|nothing|nobody|skip|leave|hands off|forget about|won'?t|mustn'?t|shouldn'?t|stop short of)\b/i;
const steering =
  /\b(classif\w*|classifier|router|route|routing|domain|label|labell?ed|text-based|human-action|hybrid|digital|physical|system|ignore|instructions?|policy|guidelines?|override|admin\w*|developer|answer|json|already (?:been )?done|you have (?:hands|a body))\b/i;

const joining = /^(and|but|then|or|just|so|n|instead|rather)$/i;

/** Clauses outside of all parts that forbid something or try to steer the router. */
export function excludedSignals(tokens: readonly Token[], reading: Reading, task: string): Signal[] {
  const tags = bestTags(reading.tags);
  const signals: Signal[] = [];
  let from = 0;
  for (let i = 0; i <= tokens.length; i++) {
    const ends = i === tokens.length || tags[i] !== 0 || /^[.;!?\n]$/.test(tokens[i].text);
    if (!ends) continue;
    while (from < i && !tokens[from].word) from++;
    let to = i;
    while (to > from && (!tokens[to - 1].word || joining.test(tokens[to - 1].text))) to--;
    if (to - from >= 2) {
      const [start, end] = [tokens[from].start, tokens[to - 1].end];
      const text = task.slice(start, end);
      const kind = steering.test(text) ? "injection" : forbidding.test(text) ? "negation" : null;
      if (kind !== null) signals.push({ kind, text, start, end, towards: null, weight: 0 });
    }
    while (i < tokens.length && tags[i] !== 0) i++;
    from = i < tokens.length && tags[i] === 0 && tokens[i].word ? i : i + 1;
  }
  return signals;
}
