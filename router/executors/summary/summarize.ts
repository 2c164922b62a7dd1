/**
 * Summarises a text by its own sentences: `summarize(text, request)`. No model, no network; the same text gives the same
 * summary.
 * @module
 */
import { countWords, termsOf } from "../text/words.ts";
import { type Budget, chooseUnits } from "./choose.ts";
import { type LengthRequest, naturalLength } from "./length.ts";
import { scoreUnits, type Weights } from "./score.ts";
import { type TextUnits, type Unit, unitsOf } from "./units.ts";

/** A summary. */
export interface Summary {
  /** Its sentences in the order of the text, verbatim but for marks of Markdown. */
  readonly sentences: readonly string[];
  /** Heading under which each stands; empty where there is none. */
  readonly headings: readonly string[];
  /** Words of the summary. */
  readonly words: number;
  /** Whether the last sentence was cut to fit. */
  readonly cut: boolean;
  /** Whether nothing was left out because the text is short. */
  readonly whole: boolean;
  /** Terms that the text is about, the most telling first. */
  readonly keywords: readonly string[];
  /** What the text consists of. */
  readonly text: TextUnits;
}

/** What to use up, from what was asked for and from the length of the text. */
function budgetOf(request: LengthRequest, { units, words }: TextUnits): Budget {
  const none: Budget = { sentences: Infinity, words: Infinity, characters: Infinity };
  if (request.sentences !== undefined) return { ...none, sentences: Math.max(1, request.sentences) };
  if (request.words !== undefined) return { ...none, words: Math.max(1, request.words) };
  if (request.characters !== undefined) return { ...none, characters: Math.max(1, request.characters) };
  if (request.share !== undefined) return { ...none, words: Math.max(1, Math.round(request.share * words)) };
  const natural = naturalLength(units.length);
  const sentences = Math.max(1, Math.min(units.length, Math.round(natural * (request.factor ?? 1))));
  // Long sentences count for more: a summary of them must not be as long as the text.
  return { ...none, sentences, words: Math.max(12, Math.round(words * (sentences / Math.max(1, units.length)) * 2)) };
}

/** A sentence cut to fit, at the end of a clause if there is one in its second half. */
function cutTo(text: string, limit: { words?: number; characters?: number }): string {
  let head = text;
  if (limit.words !== undefined && countWords(head) > limit.words) {
    const parts = head.match(/\S+\s*/g) ?? [];
    // In scripts without spaces one part may hold many words.
    const letters = [...head];
    let low = 0, high = parts.length > 3 ? parts.length : letters.length;
    const take = (count: number) => (parts.length > 3 ? parts : letters).slice(0, count).join("").trimEnd();
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (countWords(take(middle)) <= limit.words) low = middle;
      else high = middle - 1;
    }
    head = take(low);
  }
  if (limit.characters !== undefined && head.length > limit.characters - 2) {
    head = [...head].slice(0, Math.max(1, limit.characters - 2)).join("").replace(/\s+\S*$/, "");
  }
  if (head === text) return text;
  const clause = head.search(/[,;:–—][^,;:–—]*$/);
  if (clause > head.length * 0.6) head = head.slice(0, clause);
  return head.replace(/[\s,;:–—(]+$/, "") + " …";
}

/** The words of the text that its terms come from, most telling first. */
function keywordsOf({ units, language }: TextUnits, count: number): string[] {
  const weight = new Map<string, { value: number; sentences: number }>();
  for (const { terms } of units) {
    for (const term of new Set(terms)) {
      const entry = weight.get(term) ?? { value: 0, sentences: 0 };
      entry.sentences++;
      weight.set(term, entry);
    }
  }
  for (const [term, entry] of weight) {
    // Common and long words tell most; a word in nearly every sentence tells nothing more for that.
    entry.value = entry.sentences * Math.log(1 + units.length / entry.sentences) * Math.min(1, term.length / 6) *
      (/^\p{N}/u.test(term) ? 0.2 : 1);
  }
  const best = [...weight].filter(([, { sentences }]) => sentences > 1).sort((a, b) =>
    b[1].value - a[1].value || (a[0] < b[0] ? -1 : 1)
  )
    .slice(0, count).map(([term]) => term);
  // Stems are shown as the word that they were first seen as.
  const shown = new Map<string, string>();
  const wanted = new Set(best);
  for (const { text } of units) {
    if (shown.size === wanted.size) break;
    for (const [word] of text.matchAll(/[\p{L}\p{N}\p{M}]+(?:['’_.@+-][\p{L}\p{N}\p{M}]+)*/gu)) {
      for (const term of termsOf(word, language.code)) if (wanted.has(term) && !shown.has(term)) shown.set(term, word);
    }
  }
  return best.map((term) => shown.get(term) ?? term).map((word) => word.length > 40 ? word.slice(0, 40) : word);
}

/**
 * Summarises a text.
 * @param source plain text or Markdown
 * @param request how long, and about what; see `readLength`
 */
export async function summarize(
  source: string,
  request: LengthRequest = { bullets: false, said: "" },
  options: { pause?: () => Promise<void>; weights?: Weights } = {},
): Promise<Summary> {
  const text = await unitsOf(source, options.pause);
  const { units } = text;
  const budget = budgetOf(request, text);
  const done = (chosen: readonly Unit[], extra: Partial<Summary> = {}): Summary => {
    const sentences = extra.sentences ?? chosen.map((unit) => unit.text);
    return {
      sentences,
      headings: chosen.map(({ section }) => text.sections[section].title),
      words: sentences.reduce((sum, sentence) => sum + countWords(sentence), 0),
      cut: false,
      whole: chosen.length === units.length,
      keywords: keywordsOf(text, 8),
      text,
      ...extra,
    };
  };
  const length = units.reduce((sum, unit) => sum + unit.text.length + 1, -1);
  if (units.length <= budget.sentences && text.words <= budget.words && length <= budget.characters) return done(units);
  const focus = new Set(request.focus === undefined ? [] : termsOf(request.focus, text.language.code));
  const scored = await scoreUnits(text, focus, options.pause, options.weights);
  const chosen = await chooseUnits(units, scored, budget, options.pause);
  if (chosen.length > 0) return done(chosen.map((index) => units[index]));
  // Not even one sentence fits: the best of the shorter ones is cut.
  const index = units.reduce((best, _, at) => scored.scores[at] > scored.scores[best] ? at : best, 0);
  const limit = {
    words: Number.isFinite(budget.words) ? budget.words : undefined,
    characters: Number.isFinite(budget.characters) ? budget.characters : undefined,
  };
  return done([units[index]], { sentences: [cutTo(units[index].text, limit)], cut: true, whole: false });
}
