/**
 * Which part of a task has to wait for which: by order words ("before", "then"), and by words that stand for the result
 * of another part ("it", "the readings"). Reads the words between the parts; knows nothing of what a part does.
 * @module
 */
import type { Segment } from "./types.ts";

/** One part that waits for another. */
export interface Dependency {
  /** Index of the part that waits. */
  readonly part: number;
  /** Index of the part it waits for. */
  readonly on: number;
  /** Whether the words give the order, or the part needs what the other brings. */
  readonly because: "order" | "result";
}

/** Parts of one sentence that one "before" or "after" is taken to govern, at most. */
const CHAIN = 16;

const sequence =
  /\b(?:then|after that|after which|afterwards?|next|subsequently|followed by|whereupon|thereafter|last of all|finally|lastly|at last|in the end)\b/;
const openingSequence = /^(?:then|afterwards?|next|finally|lastly|subsequently|thereafter)\b/i;
const boundary = /[.;!?\n]/;

/** A pronoun that stands for something said before. */
const pronoun = /\b(?:it|them|both of them|all of them|each of them|these|those)\b(?!\s+\p{L}+\s+(?:are|is)\b)/iu;
/** Something of the same part that the pronoun can stand for: "take the board out and put it …". */
const ownAntecedent =
  /\b(?:the|an?|my|our|your|his|her|their|every|each|all|any|some|\d+)\s+\p{L}[^,;]*\b(?:it|them)\b/iu;
/** Human work that brings something to know, and the words by which a later part means what it brought. */
const findings: readonly [work: RegExp, result: RegExp][] = [
  [
    /\b(?:photograph|film|video|snap|take (?:a |the |some )?(?:photos?|pictures?))/i,
    /\bthe (?:photos?|photographs?|pictures?|images?|film|videos?|shots?)\b/i,
  ],
  [
    /\b(?:ask|interview|call|phone|survey|ring up|talk|speak|meet|find out|consult|negotiat|agree|shake on)/i,
    /\b(?:the|their|his|her) (?:answers?|responses?|notes|outcome|replies|reply|minutes|results?|recordings?|opinions?)\b/i,
  ],
  [
    /\b(?:measur|read|count|weigh|time|copy|note|write down|jot|log|record|gauge)/i,
    /\bthe (?:readings?|measurements?|values?|numbers?|figures|counts?|weights?|results?|data|recordings?|notes)\b/i,
  ],
  [
    /\b(?:sampl|collect|gather|draw|swab|pick|harvest)/i,
    /\bthe (?:samples?|data|results?|swabs?|harvest)\b/i,
  ],
  [
    /\b(?:inspect|look|check|examin|listen|tast|smell|observ|watch|test)/i,
    /\bthe (?:findings?|observations?|outcome|results?|state|condition)\b/i,
  ],
];

/** Whether a part means, by a word such as "the readings", what a person brings from another part. */
function meansFindingsOf(work: string, text: string): boolean {
  return findings.some(([does, result]) => does.test(work) && result.test(text));
}

/**
 * Finds what waits for what.
 * @param task the text that the parts were cut from
 * @param segments its parts, in order of appearance
 * @returns one dependency a pair at most, in order of parts
 */
export function dependencies(task: string, segments: readonly Segment[]): Dependency[] {
  const found = new Map<string, Dependency>();
  const add = (part: number, on: number, because: Dependency["because"]) => {
    const key = `${part} ${on}`;
    if (part !== on && !found.has(key)) found.set(key, { part, on, because });
  };
  const gaps = segments.map(({ start }, i) => task.slice(i === 0 ? 0 : segments[i - 1].end, start).toLowerCase());
  /** Parts of the same sentence from `first` on, in steps of `step`. */
  const sentence = (first: number, step: 1 | -1): number[] => {
    const parts: number[] = [];
    for (let i = first; i >= 0 && i < segments.length && parts.length < CHAIN; i += step) {
      if (step === 1 && boundary.test(gaps[i])) break;
      parts.push(i);
      if (step === -1 && boundary.test(gaps[i])) break;
    }
    return parts;
  };
  segments.forEach(({ text }, i) => {
    const gap = gaps[i];
    const joiner = /\b(before|after|once)\s*$/.exec(gap)?.[1];
    const opens = i === 0 || boundary.test(gap);
    if (joiner === "before") {
      if (opens) { for (const main of sentence(i + 1, 1)) add(i, main, "order"); }
      else for (const main of sentence(i - 1, -1)) add(i, main, "order");
    } else if (joiner !== undefined) {
      if (opens) { for (const main of sentence(i + 1, 1)) add(main, i, "order"); }
      else add(i - 1, i, "order");
    } else if (i > 0 && (sequence.test(gap) || openingSequence.test(text))) {
      add(i, i - 1, "order");
    }
    if (i === 0) return;
    if (pronoun.test(text) && !ownAntecedent.test(text)) add(i, i - 1, "result");
    for (let j = Math.max(0, i - CHAIN); j < i; j++) {
      const other = segments[j];
      if (other.domain === "human-action" && meansFindingsOf(other.text, text)) add(i, j, "result");
    }
  });
  // A "result" that runs against the words' own order is no result.
  return [...found.values()]
    .filter(({ part, on, because }) => because === "order" || found.get(`${on} ${part}`) === undefined)
    .sort((a, b) => a.part - b.part || a.on - b.on);
}

/**
 * An order in which every part comes after what it waits for, and which otherwise keeps the order of appearance.
 * @param count number of parts
 * @returns indices of parts; where the words contradict themselves the part that was named first goes first
 */
export function executionOrder(count: number, waits: readonly Dependency[]): number[] {
  const open = new Map<number, Set<number>>();
  for (let i = 0; i < count; i++) open.set(i, new Set());
  const followers = new Map<number, number[]>();
  for (const { part, on } of waits) {
    open.get(part)?.add(on);
    followers.set(on, [...followers.get(on) ?? [], part]);
  }
  const order: number[] = [];
  while (open.size > 0) {
    let next = -1;
    for (const [part, left] of open) {
      if (left.size === 0) {
        next = part;
        break;
      }
    }
    if (next < 0) next = open.keys().next().value!;
    open.delete(next);
    order.push(next);
    for (const follower of followers.get(next) ?? []) open.get(follower)?.delete(next);
  }
  return order;
}
