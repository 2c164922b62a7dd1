/**
 * How much each sentence says about the whole text: its place in the graph of sentences, closeness to the centre, place
 * in the text, words of the headings, marks of a conclusion, figures. The weights were set on eight texts beside the
 * eight that the tests measure.
 * @module
 */
import { centroid, cosine, lexRank, similarities, type TermVector, termVector } from "./graph.ts";
import type { TextUnits, Unit } from "./units.ts";

/** Weights of the parts of a score. */
export interface Weights {
  /** Place in the graph of sentences. */
  readonly graph: number;
  /** Closeness to the centre of the text. */
  readonly centre: number;
  /** Beginning of the text. */
  readonly lead: number;
  /** Beginning of a paragraph. */
  readonly opening: number;
  /** Last paragraph. */
  readonly closing: number;
  /** Words of the headings. */
  readonly heading: number;
  /** Words that announce a result. */
  readonly cue: number;
  /** Figures and names. */
  readonly figures: number;
  /** Taken off for words that only make sense after another sentence. */
  readonly dangling: number;
  /** What the user asked for. */
  readonly focus: number;
}

/** The weights in use. */
export const defaultWeights: Weights = {
  graph: 1.2,
  centre: 1,
  lead: 0.15,
  opening: 0.15,
  closing: 0.2,
  heading: 0.2,
  cue: 0.5,
  figures: 0.3,
  dangling: 0.35,
  focus: 2.5,
};

/** Sentences that the graph is made of at most: it takes time and memory by their square. */
const GRAPH_LIMIT = 500;
/** Sentences whose words are looked at one by one. */
const LOOK_LIMIT = 3000;

/** Words that announce what the writer wants to be remembered. */
const strongCues =
  /\b(?:in (?:short|summary|conclusion|sum|brief)|to (?:summari[sz]e|conclude|sum up)|the (?:short version|lesson|upshot|bottom line|main point|root cause|result is|answer is)|(?:we|i|they|authors?|group|report|council|team|board|committee) (?:therefore )?(?:recommend|suggest|propose|conclude|decided|found|agreed|voted|show|find)\w*|(?:it was|was|were|all \w+) (?:decided|agreed|found|shown)|concluded that|recommend\w*|key (?:finding|result|point|takeaway)s?|what matters(?: most)?|turned out|the (?:proof|problem|question|purpose|aim|goal) (?:is|was)|will change|first direct)\b|\b(?:zusammenfassend|kurz gesagt|das ergebnis|die ursache|beschlossen|empfiehlt|empfehlen|en résumé|en bref|a décidé|ont décidé|en resumen|in sintesi)\b/i;
/** Words of reasons, results and duties. */
const weakCues =
  /\b(?:overall|therefore|thus|hence|as a result|consequently|results?|because|important(?:ly)?|main(?:ly)?|crucial|essential|significant(?:ly)?|must|should|will|cannot|only|first|never|no longer|deshalb|daher|insgesamt|ergebnis|wichtig\w*|donc|ainsi|résultats?|por lo tanto|resultados?|quindi)\b/i;
/** Words of a thought that the writer goes on to reject. */
const hedges =
  /^(?:one might|you might|some (?:people )?(?:say|think|believe)|it is tempting|suppose|imagine|perhaps|maybe|at first (?:glance|sight))\b/i;
const dangling =
  /^(?:["'“‘(]*)(?:this|that|these|those|he|she|it|they|his|her|its|their|such|here|there(?= (?:are|were) losses)|but|and|so|then|also|still|yet|however|moreover|furthermore|besides|nevertheless|otherwise|instead|likewise|similarly|both|neither|another|the (?:latter|former|other|others|second|third)|for example|for instance|in addition|on the other hand|at the same time|er|sie|es|dies\w*|das|auch|danach|dann|aber|doch|außerdem|jedoch|deshalb|il|elle|ils|elles|cela|ce|cette|mais|ensuite|puis|esto|esta|este|ello|pero|luego|también)\b/i;

/** Everything that is known of the sentences, for the choice among them. */
export interface Scored {
  /** Score of each unit; higher is better. */
  readonly scores: Float64Array;
  /** Terms of each unit as a vector. */
  readonly vectors: readonly TermVector[];
  /** Whether the user asked for a subject: then what is new counts for less. */
  readonly focused: boolean;
}

/** Whether a sentence is made of code, trees of files or figures rather than of words. */
function likeCode(text: string): boolean {
  const marks = text.match(/[{}[\]<>|=\\#$^~_@/*+]|[\u2500-\u257f]/g)?.length ?? 0;
  return marks > 0.06 * text.length || /[\u2500-\u257f]|"\s*:\s*["[{]/.test(text);
}

/** The first sentence that says what the thing in the title is: it begins with its name. */
function definitionOf({ units, sections }: TextUnits): number {
  const name = sections[1]?.title.match(/^[\p{L}\p{N}][\p{L}\p{N}.-]{3,}/u)?.[0].toLowerCase();
  if (name === undefined) return -1;
  return units.slice(0, 60).findIndex(({ text, words }) => words > 5 && text.toLowerCase().startsWith(`${name} `));
}

/** Values scaled so that the largest is 1. */
function scaled(values: Float64Array): Float64Array {
  const highest = values.reduce((high, value) => Math.max(high, value), 0);
  return highest > 0 ? values.map((value) => value / highest) : values;
}

/** How many of the terms of a unit are in a set, over the root of its length. */
function overlap(unit: Unit, terms: ReadonlySet<string>): number {
  if (terms.size === 0) return 0;
  return new Set(unit.terms.filter((term) => terms.has(term))).size / Math.sqrt(terms.size);
}

/** Whether a length suits a summary: neither a fragment nor a page. */
function lengthFactor(unit: Unit): number {
  const { words } = unit;
  if (words < 4) return 0.2;
  if (words < 9) return 0.5 + 0.1 * (words - 4);
  return words > 45 ? Math.max(0.4, 1 - (words - 45) / 75) : 1;
}

/** Scores the sentences of a text. @param focus terms that the user asked for */
export async function scoreUnits(
  text: TextUnits,
  focus: ReadonlySet<string>,
  pause: () => Promise<void> = async () => {},
  weights: Weights = defaultWeights,
): Promise<Scored> {
  const { units, sections } = text;
  const n = units.length;
  const definition = definitionOf(text);
  const numbers = new Map<string, number>();
  const frequency: number[] = [];
  const counts = units.map(({ terms }) => {
    const count = new Map<number, number>();
    for (const term of terms) {
      let number = numbers.get(term);
      if (number === undefined) numbers.set(term, number = numbers.size);
      count.set(number, (count.get(number) ?? 0) + 1);
    }
    for (const number of count.keys()) frequency[number] = (frequency[number] ?? 0) + 1;
    return count;
  });
  await pause();
  const weightOf = (term: number) => Math.log(1 + n / frequency[term]);
  const vectors = counts.map((count) => termVector(count, weightOf));
  await pause();

  // The centre counts each section alike, so that a long one does not drown the others.
  const centre = centroid(vectors);
  const close = scaled(Float64Array.from(vectors, (vector) => cosine(vector, centre)));
  await pause();

  const lastParagraph = units[n - 1]?.paragraph ?? 0;
  const titles = titleTerms(sections.map(({ title }) => title), units);
  // Only sentences that are promising by what is cheap to tell are looked at closely; the others are never chosen.
  const promise = Float64Array.from(
    units,
    (unit, index) =>
      close[index] * lengthFactor(unit) + weights.lead / (1 + index) ** 0.7 + (unit.place === 0 ? 0.1 : 0) +
      Math.min(1, overlap(unit, focus)),
  );
  const looked = n <= LOOK_LIMIT ? units.map((_, index) => index) : spread(promise, LOOK_LIMIT);
  const scores = new Float64Array(n).fill(-10);
  for (const [at, index] of looked.entries()) {
    if (at % 256 === 0) await pause();
    const unit = units[index];
    const { text } = unit;
    let score = weights.centre * close[index];
    score += weights.lead / (1 + index) ** 0.7;
    if (unit.kind === "paragraph" && unit.place === 0 && unit.paragraphLength > 1) score += weights.opening;
    if (unit.paragraph === lastParagraph && unit.paragraphLength > 1 && n > 8) score += weights.closing;
    score += weights.heading *
      Math.min(1, overlap(unit, titles[unit.section]) + overlap(unit, titles[1] ?? new Set()) / 2);
    score += weights.cue * (strongCues.test(text) ? 1 : weakCues.test(text) ? 0.4 : 0);
    const figures = text.match(/\p{N}[\p{N}.,]*|(?<=\p{Ll}[,;:]?\s)\p{Lu}\p{L}+/gu)?.length ?? 0;
    score += weights.figures * Math.min(1, figures / 3);
    if (dangling.test(text)) score -= weights.dangling * (unit.place === 0 ? 0.5 : 1);
    if (hedges.test(text)) score -= 0.5;
    if (/[:：]$/.test(text)) score -= 1; // it announces a list or a table that is not in the summary
    if (likeCode(text)) score -= 1;
    if (index === definition) score += 1;
    if (/\?["'”’)]*$/.test(text)) score -= 0.3;
    if (unit.kind === "quote") score -= 0.2;
    if (unit.kind === "item") score -= 0.1;
    score += weights.focus * Math.min(1, overlap(unit, focus));
    scores[index] = score;
  }

  // The graph is made of the best of them, spread over the text.
  const members = looked.length <= GRAPH_LIMIT ? looked : spread(scores, GRAPH_LIMIT);
  const matrix = similarities(members.map((index) => vectors[index]));
  await pause();
  const rank = lexRank(matrix, members.length, members.map((index) => Math.max(0.05, close[index])));
  members.forEach((index, at) => scores[index] += weights.graph * rank[at]);
  for (let index = 0; index < n; index++) {
    const factor = lengthFactor(units[index]);
    scores[index] = scores[index] > 0 ? scores[index] * factor : scores[index] - (1 - factor);
  }
  return { scores, vectors, focused: focus.size > 0 };
}

/** Terms of each title that also stand in the text: the others are decoration. */
function titleTerms(titles: readonly string[], units: readonly Unit[]): ReadonlySet<string>[] {
  const heads = new Map<string, Set<string>>();
  for (const { terms } of units.slice(0, 20_000)) {
    for (const term of terms) {
      const head = term.slice(0, 5);
      const known = heads.get(head);
      if (known) known.add(term);
      else heads.set(head, new Set([term]));
    }
  }
  return titles.map((title) =>
    new Set(
      (title.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []).flatMap((
        word,
      ) => [...(heads.get(word.slice(0, 5)) ?? [])]),
    )
  );
}

/** The best of each stretch of a long text. */
function spread(scores: Float64Array, count: number): number[] {
  const stretches = Math.min(50, count, scores.length);
  const each = Math.floor(count / stretches);
  const chosen: number[] = [];
  for (let stretch = 0; stretch < stretches; stretch++) {
    const from = Math.floor(stretch * scores.length / stretches),
      to = Math.floor((stretch + 1) * scores.length / stretches);
    chosen.push(
      ...Array.from({ length: to - from }, (_, at) => from + at).sort((a, b) => scores[b] - scores[a]).slice(0, each),
    );
  }
  return chosen.sort((a, b) => a - b);
}
