/**
 * Full-text search with bounded work. FTS5 holds the index; its own ranking is not used, since `bm25()` reads the whole
 * list of every term: 2.8 s for a sentence of twelve words over a million entries, where this takes a few milliseconds.
 *
 * 1. Every term of the query is probed for its newest entries, which tells its frequency.
 * 2. The lists of the rarest terms are read in full, as far as a budget goes; of the others, the newest entries and those
 *    that hold several of them at once.
 * 3. The best candidates by the sum of inverse document frequencies are loaded and ranked by BM25 and recency.
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type EntryType, entryTypes } from "./entries.ts";
import type { Row } from "./session_rows.ts";
import { type Asked, type Document, documentOf, inverseFrequency, isTaskTerm, rank, type Ranked } from "./rank.ts";
import { synonymsOf } from "./text/synonyms.ts";
import { termsOf } from "./text/terms.ts";

/** Characters of a query that are read; nobody asks longer questions. */
const QUERY_LENGTH = 16_384;
/** Terms of a query that are used, the first ones; a probe takes about 0.2 ms at a million entries. */
const QUERY_TERMS = 32;
/** Entries that a probe reads. */
const PROBE = 128;
/** Entries of full lists that one query reads; 0.1 to 0.15 µs each. */
const BUDGET = 8_000;
/** Entries of lists that one conjunction of frequent terms may walk. */
const WALK = 40_000;
/** Hits that one search gives at most. */
const MOST_HITS = 1000;
/** Candidates that are ranked to find the terms that widen the question. */
const FIRST_CANDIDATES = 16;
/** Entries that hold several frequent terms, newest first, at most. */
const CONJUNCTION = 128;
/** Candidates that are loaded and ranked. */
const CANDIDATES = 48;

/** Frequent terms of which pairs are looked up, unless the others hold this share of the question's weight. */
const CONJOINED = 3;
const ENOUGH = 0.7;
/** Questions of more terms say enough by themselves: they are not widened. */
const WIDENED = 12;
/** Synonyms of a term that are used. */
const SYNONYMS = 8;
/** Weights of words that nearly every task has, of synonyms and of terms from the first hits. */
const TASK_WORD = 0.4;
const SYNONYM = 0.5;
const FEEDBACK = 0.2;
/** Hits whose terms widen the question, and how many of these are probed and used. */
const FEEDBACK_HITS = 1;
const FEEDBACK_PROBES = 10;
const FEEDBACK_TERMS = 8;

/** A kind of fewer entries than this narrows the lists; of others, candidates are looked at one by one. */
const NARROW = 2000;
/** Candidates that are looked at for each one that is of a frequent kind; eight kinds there are. */
const OVERSAMPLED = 10;

/** Terms of which the lists are narrowed where that does not do, and what puts the entries found there before all others. */
const NARROWED = 3;
const OF_THE_KIND = 1000;

/** What limits a search. */
export interface SearchOptions {
  /** Hits at most; 10, and never more than 1000. */
  limit?: number;
  /** Only entries of this kind. */
  type?: EntryType;
  /** The time from which the age of entries counts; now. */
  now?: Date;
}

/** Something asked for and what is known of its list. */
interface Listed extends Asked {
  /** The FTS5 expression. */
  readonly match: string;
  ids: readonly number[];
  complete: boolean;
}

/** The marker term that every entry of a kind has, which makes a filter by kind part of the index. */
export function typeTerm(type: EntryType): string {
  return `@${type.toLowerCase()}`;
}

/** The text that FTS5 indexes for an entry. */
export function indexText(entry: { fileType: EntryType; tag: string; content: string }): string {
  return [...new Set([typeTerm(entry.fileType), ...termsOf(entry.tag), ...termsOf(entry.content)])].join(" ");
}

/** Rowids of the index run backwards from here, so that FTS5, reading forwards, meets the newest entries first. */
const FIRST_ROWID = 2 ** 34;

/** The rowid in the index of an entry, and the other way round. */
export function indexRowid(id: number): number {
  return FIRST_ROWID - id;
}

/** What one question has found so far. */
interface Quest {
  /** Restricts every expression to one kind that few entries have, or is empty. */
  readonly filter: string;
  /** The kind that candidates have to be of, where many entries are. */
  readonly type?: EntryType;
  /** Kinds that were looked up for that. */
  readonly types: Map<number, EntryType>;
  /** Entries of the memory. */
  readonly total: number;
  /** Entries of lists that may still be read. */
  budget: number;
  /** Sum of what is matched, by entry. */
  readonly scores: Map<number, number>;
}

/** Full-text search over one open database. */
export class Search {
  readonly #list: StatementSync;
  readonly #newest: StatementSync;
  readonly #row: StatementSync;
  readonly #high: StatementSync;
  readonly #type: StatementSync;

  /** @param database an open memory of the current schema */
  constructor(database: DatabaseSync) {
    const list = (condition: string) =>
      database.prepare(
        "SELECT json_group_array(rowid) AS ids FROM (SELECT rowid FROM entry_terms WHERE entry_terms MATCH ? " +
          `${condition} ORDER BY rowid LIMIT ?)`,
      );
    this.#list = list("");
    this.#newest = list("AND rowid < ?");
    // The beginning of a long entry is enough to rank it.
    this.#row = database.prepare(
      "SELECT e.id, e.file_type, COALESCE(r.last_at, e.timestamp) AS timestamp, e.tag, substr(e.content, 1, 4000) AS head, " +
        "length(e.content) AS length FROM entries e LEFT JOIN repeats r ON r.entry = e.id WHERE e.id = ?",
    );
    this.#type = database.prepare("SELECT file_type FROM entries WHERE id = ?");
    this.#high = database.prepare("SELECT max(id) AS high FROM entries");
  }

  /** What was found, best first, with what the ranking knows of it. */
  find(query: string, options: SearchOptions = {}): Ranked[] {
    const { limit = 10, type, now = new Date() } = options;
    if (type !== undefined && !entryTypes.includes(type)) return [];
    const sequence = termsOf(query.slice(0, QUERY_LENGTH), 4 * QUERY_TERMS);
    const terms = [...new Set(sequence)].slice(0, QUERY_TERMS);
    const total = ((this.#high.get() as Row).high as number | null) ?? 0;
    if (terms.length === 0 || total === 0) return [];
    const quest = this.#quest(total, type);
    const count = Math.max(quest.type === undefined ? CANDIDATES : CANDIDATES / 2, Math.min(limit, MOST_HITS));
    const documents = new Map<number, Document>();
    const order = (asked: readonly Asked[], count: number): Ranked[] => {
      const candidates = this.#best(quest, count).map((id) => this.#document(id, documents));
      return rank(candidates.filter((document) => document !== null), asked, sequence, total, now);
    };

    const asked = terms.map((term) => this.#probe("term", [term], isTaskTerm(term) ? TASK_WORD : 1, quest));
    const widened = terms.length <= WIDENED;
    if (widened) asked.push(...this.#synonyms(terms, quest));
    this.#collect(asked, quest);
    this.#conjoin(asked, quest);
    if (type !== undefined && this.#best(quest, limit).length < limit) this.#narrow(asked, quest, type);
    if (!widened) return order(asked, count);
    const related = this.#related(order(asked, FIRST_CANDIDATES), asked, quest);
    this.#collect(related, quest);
    return order([...asked, ...related], count);
  }

  /** Where entries of other kinds fill the lists: the newest ones of this kind for the rarest terms, each list walked once. */
  #narrow(asked: readonly Listed[], quest: Quest, type: EntryType): void {
    const terms = asked.filter(({ role, frequency }) => role === "term" && frequency > 0);
    for (const item of terms.sort((a, b) => a.frequency - b.frequency).slice(0, NARROWED)) {
      const gain = item.factor * inverseFrequency(item.frequency, quest.total);
      const known = new Set(item.ids);
      for (const id of this.#ids(`${item.match} AND "${typeTerm(type)}"`, PROBE)) {
        quest.types.set(id, type);
        quest.scores.set(id, (quest.scores.get(id) ?? 0) + (known.has(id) ? 0 : gain) + OF_THE_KIND);
      }
    }
  }

  /** A list of few entries narrows every other one; beside a list of many, FTS5 would walk that. */
  #quest(total: number, type: EntryType | undefined): Quest {
    const quest: Quest = { filter: "", total, budget: BUDGET, scores: new Map(), types: new Map() };
    if (type === undefined) return quest;
    const marker = `"${typeTerm(type)}"`;
    return this.#ids(marker, NARROW).length < NARROW ? { ...quest, filter: ` AND ${marker}` } : { ...quest, type };
  }

  /** The entries with the largest sums. */
  #best({ scores, type, types }: Quest, count: number): number[] {
    if (type === undefined) return best(scores, count);
    const ids: number[] = [];
    for (const id of best(scores, OVERSAMPLED * count)) {
      let found = types.get(id);
      if (found === undefined) types.set(id, found = (this.#type.get(id) as Row | undefined)?.file_type as EntryType);
      if (found === type && ids.push(id) === count) break;
    }
    return ids;
  }

  #ids(match: string, limit: number, oldest?: number): number[] {
    const row = oldest === undefined
      ? this.#list.get(match, limit)
      : this.#newest.get(match, indexRowid(oldest), limit);
    return (JSON.parse((row as Row).ids as string) as number[]).map((rowid) => FIRST_ROWID - rowid);
  }

  #document(id: number, known: Map<number, Document>): Document | null {
    let document = known.get(id);
    if (document === undefined) {
      const row = this.#row.get(id) as Row | undefined;
      if (row === undefined) return null;
      known.set(id, document = documentOf(row));
    }
    return document;
  }

  /** The newest entries of any of these forms; their spacing tells how many there are. */
  #probe(role: Asked["role"], forms: readonly string[], factor: number, { filter, total }: Quest): Listed {
    const any = forms.map((form) => `"${form}"`).join(" OR ");
    const match = forms.length > 1 ? `(${any})` : any;
    const ids = this.#ids(match + filter, PROBE);
    const complete = ids.length < PROBE;
    const span = complete ? 0 : Math.max(1, total - ids[ids.length - 1]);
    const frequency = complete ? ids.length : Math.max(PROBE, Math.round((PROBE * total) / span));
    return { role, forms, factor, frequency, match, ids, complete };
  }

  #synonyms(terms: readonly string[], quest: Quest): Listed[] {
    return terms.flatMap((term) => {
      const forms = synonymsOf(term).filter((other) => !terms.includes(other)).slice(0, SYNONYMS);
      return forms.length === 0 ? [] : [{ ...this.#probe("synonym", forms, SYNONYM, quest), instead: term }];
    });
  }

  /** Rare terms of the best hits: entries about the same matter share them where they do not share those of the question. */
  #related(ranked: readonly Ranked[], asked: readonly Asked[], quest: Quest): Listed[] {
    const known = new Set(asked.flatMap(({ forms }) => forms));
    const fresh = new Set<string>();
    for (const { terms, score } of ranked.slice(0, FEEDBACK_HITS)) {
      if (score < 0.5 * ranked[0].score) break;
      for (const term of terms) if (!known.has(term) && !isTaskTerm(term)) fresh.add(term);
    }
    return [...fresh].slice(0, FEEDBACK_PROBES).map((term) => this.#probe("related", [term], FEEDBACK, quest))
      .filter(({ frequency }) => frequency > 1).sort((a, b) => a.frequency - b.frequency).slice(0, FEEDBACK_TERMS);
  }

  /** Reads the lists of the rarest in full, as far as the budget goes, and counts what every entry has. */
  #collect(asked: readonly Listed[], quest: Quest): void {
    const { scores } = quest;
    for (const item of asked.toSorted((a, b) => a.frequency - b.frequency)) {
      if (!item.complete && item.frequency <= quest.budget) {
        const limit = Math.min(quest.budget, 2 * item.frequency); // the estimate may be off; the budget is not
        item.ids = this.#ids(item.match + quest.filter, limit);
        item.complete = item.ids.length < limit;
        if (item.complete) item.frequency = item.ids.length;
      }
      quest.budget -= item.ids.length;
      const gain = item.factor * inverseFrequency(item.frequency, quest.total);
      for (const id of item.ids) scores.set(id, (scores.get(id) ?? 0) + gain);
    }
  }

  /** Finds old entries that have several frequent terms, where the rare ones do not say enough. */
  #conjoin(asked: readonly Listed[], { filter, total, scores }: Quest): void {
    const terms = asked.filter(({ role, frequency }) => role === "term" && frequency > 0);
    const gain = ({ factor, frequency }: Asked) => factor * inverseFrequency(frequency, total);
    const sum = (of: readonly Asked[]) => of.reduce((sum, item) => sum + gain(item), 0);
    if (sum(terms.filter(({ complete }) => complete)) > ENOUGH * sum(terms)) return;
    const frequent = terms.filter(({ complete }) => !complete).sort((a, b) => a.frequency - b.frequency)
      .slice(0, CONJOINED);
    const counted = new Map(frequent.map((item) => [item, new Set(item.ids)]));
    for (let i = 0; i < frequent.length; i++) {
      for (let j = i + 1; j < frequent.length; j++) {
        const pair = [frequent[i], frequent[j]];
        const oldest = Math.floor(total * Math.max(0, 1 - WALK / (pair[0].frequency + pair[1].frequency)));
        for (const id of this.#ids(`${pair[0].match} AND ${pair[1].match}${filter}`, CONJUNCTION, oldest)) {
          for (const item of pair) {
            if (counted.get(item)!.has(id)) continue;
            counted.get(item)!.add(id);
            scores.set(id, (scores.get(id) ?? 0) + gain(item));
          }
        }
      }
    }
  }
}

/** The keys of the largest values, the higher key first among equals. */
function best(scores: ReadonlyMap<number, number>, count: number): number[] {
  const better = (a: readonly [number, number], b: readonly [number, number]) => b[1] - a[1] || b[0] - a[0];
  let kept: [number, number][] = [];
  let floor: [number, number] | undefined;
  for (const pair of scores) {
    if (floor !== undefined && better(pair, floor) > 0) continue;
    kept.push(pair);
    if (kept.length < 4 * count) continue;
    kept = kept.sort(better).slice(0, count);
    floor = kept[count - 1];
  }
  return kept.sort(better).slice(0, count).map(([id]) => id);
}
