/**
 * The order of what a search found: BM25 over the loaded candidates, a bonus for neighbours that are neighbours in the
 * question, then recency. Knows no database.
 * @module
 */
import type { EntryType } from "./entries.ts";
import type { Row } from "./session_rows.ts";
import { stem } from "./text/stem.ts";
import { termsOf } from "./text/terms.ts";
import { taskWords } from "./text/words.ts";

/** Days after which the bonus of a new entry is half of what it was. */
export const HALF_LIFE_DAYS = 30;
/** Bonus of an entry of this moment, as a share of its score. */
const RECENCY = 0.2;
/** BM25: how soon repeats of a term stop counting, and how much the length of the entry matters. */
const SATURATION = 1.2;
const LENGTH = 0.4;
/** Bonus for two neighbouring terms of the question that stand as near in the entry, as a share of the lesser weight. */
const NEIGHBOURS = 0.3;
/** Terms apart that still count as near. */
const NEAR = 3;
/** Share of the score that an entry loses which has nothing of what is asked for; one with half of it loses half of that. */
const MISSING = 0.5;
/** Share of common terms from which on two entries are about the same, so that the newer one stands first. */
const SAME_SUBJECT = 0.4;

/** Whether a term is one that nearly every task has. Its words are stemmed as they come up, not all at the first question. */
export function isTaskTerm(term: string): boolean {
  const prefix = term.slice(0, -1);
  for (const word of taskWords) if (word.startsWith(prefix) && stem(word) === term) return true;
  return false;
}

/** One thing that the question asks for: a term of it, or what may stand in for that term. */
export interface Asked {
  /** `term` is of the question itself, `synonym` stands in for `instead`, `related` comes from the first hits. */
  readonly role: "term" | "synonym" | "related";
  /** Index terms, any of which is meant. */
  readonly forms: readonly string[];
  /** The term that a synonym stands in for. */
  readonly instead?: string;
  /** Share of its inverse document frequency that counts. */
  readonly factor: number;
  /** Entries that have it, estimated where there are many. */
  frequency: number;
}

/** A candidate in its place. */
export interface Ranked {
  readonly id: number;
  readonly fileType: EntryType;
  readonly timestamp: string;
  readonly tag: string;
  readonly score: number;
  /** Share of the question's weight that the entry has terms for, 0 to 1. */
  readonly coverage: number;
  /** Terms of the question that it has, itself or by a synonym. */
  readonly matched: readonly string[];
  /** All terms of the beginning of the entry. */
  readonly terms: ReadonlySet<string>;
}

/** Entries without any term of the question that are imagined beside the real ones: with three entries, one in three is rare. */
const IMAGINED = 100;

/** How much a term tells, in nats: that of BM25, always positive. */
export function inverseFrequency(frequency: number, total: number): number {
  return Math.log(1 + (Math.max(total, frequency) + IMAGINED - frequency + 0.5) / (frequency + 0.5));
}

/** A candidate taken apart into its terms. */
export interface Document {
  readonly row: Row;
  /** Where in the entry each term stands. */
  readonly positions: ReadonlyMap<string, readonly number[]>;
  /** Terms in all. */
  readonly length: number;
}

/**
 * Takes a candidate apart.
 * @param row `id`, `file_type`, `timestamp`, `tag`, `head` (beginning of the text) and `length` of the text
 */
export function documentOf(row: Row): Document {
  const head = String(row.head);
  const terms = [...termsOf(String(row.tag)), ...termsOf(head)];
  const positions = new Map<string, number[]>();
  terms.forEach((term, at) => {
    const places = positions.get(term);
    if (places === undefined) positions.set(term, [at]);
    else places.push(at);
  });
  const unread = Math.max(1, (row.length as number) / Math.max(1, head.length));
  return { row, positions, length: terms.length * unread };
}

function near(a: readonly number[] | undefined, b: readonly number[] | undefined): boolean {
  return a !== undefined && b !== undefined && a.some((x) => b.some((y) => x !== y && Math.abs(x - y) <= NEAR));
}

/** Share of the terms of two entries that both have. */
function likeness(a: Ranked, b: Ranked): number {
  let common = 0;
  for (const term of a.terms) if (b.terms.has(term)) common++;
  return common / (a.terms.size + b.terms.size - common);
}

/**
 * Ranks candidates.
 * @param documents the candidates
 * @param asked what the question asks for, the terms before their synonyms
 * @param sequence the terms of the question in order
 * @param total entries of the memory
 * @param now the time from which age counts
 */
export function rank(
  documents: readonly Document[],
  asked: readonly Asked[],
  sequence: readonly string[],
  total: number,
  now: Date,
): Ranked[] {
  const mean = documents.reduce((sum, { length }) => sum + length, 0) / Math.max(1, documents.length);
  const weights = asked.map(({ frequency, factor }) => factor * inverseFrequency(frequency, total));
  const termWeights = new Map<string, number>();
  asked.forEach(({ role, forms }, i) => role === "term" && termWeights.set(forms[0], weights[i]));
  const whole = [...termWeights.values()].reduce((sum, weight) => sum + weight, 0);

  const ranked = documents.map(({ row, positions, length }): Ranked => {
    let score = 0, covered = 0;
    const matched = new Set<string>();
    asked.forEach(({ role, forms, instead, factor }, i) => {
      if (instead !== undefined && matched.has(instead)) return;
      let count = 0;
      for (const form of forms) count += positions.get(form)?.length ?? 0;
      if (count === 0) return;
      score += weights[i] * count * (SATURATION + 1) / (count + SATURATION * (1 - LENGTH + LENGTH * length / mean));
      if (role === "related") return;
      matched.add(instead ?? forms[0]);
      covered += instead === undefined ? weights[i] : factor * termWeights.get(instead)!;
    });
    for (let i = 1; i < sequence.length; i++) {
      const [a, b] = [sequence[i - 1], sequence[i]];
      if (a === b || !near(positions.get(a), positions.get(b))) continue;
      score += NEIGHBOURS * Math.min(termWeights.get(a) ?? 0, termWeights.get(b) ?? 0);
    }
    const coverage = whole === 0 ? 0 : covered / whole;
    score *= 1 - MISSING * (1 - coverage);
    const days = Math.max(0, now.getTime() - Date.parse(row.timestamp as string)) / 86_400_000;
    score *= 1 + (Number.isFinite(days) ? RECENCY * 2 ** (-days / HALF_LIFE_DAYS) : 0);
    return {
      id: row.id as number,
      fileType: row.file_type as EntryType,
      timestamp: String(row.timestamp),
      tag: String(row.tag),
      score,
      coverage,
      matched: [...matched],
      terms: new Set(positions.keys()),
    };
  });
  ranked.sort((a, b) => b.score - a.score || b.id - a.id);
  return newerFirst(ranked);
}

/** Of entries about the same that match alike, the newer one comes first, with the older one's score: it is what holds now. */
function newerFirst(ranked: readonly Ranked[]): Ranked[] {
  const result: Ranked[] = [];
  for (const item of ranked) {
    const at = result.findIndex((other) =>
      other.timestamp < item.timestamp && other.matched.length === item.matched.length &&
      other.matched.every((term) => item.matched.includes(term)) && likeness(other, item) >= SAME_SUBJECT
    );
    if (at < 0) result.push(item);
    else result.splice(at, 0, { ...item, score: result[at].score });
  }
  return result;
}
