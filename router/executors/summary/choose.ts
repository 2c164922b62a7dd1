/**
 * Chooses sentences for a summary: the best ones that add most to what is already said (the terms that they cover, as in
 * Lin and Bilmes, 2011) and do not repeat each other (maximal marginal relevance, Carbonell and Goldstein, 1998), within
 * a number of sentences, words or characters.
 * @module
 */
import { cosine } from "./graph.ts";
import type { Scored } from "./score.ts";
import type { Unit } from "./units.ts";

/** What a summary may use up. */
export interface Budget {
  /** Sentences. */
  readonly sentences: number;
  /** Words. */
  readonly words: number;
  /** Characters, spaces between sentences among them. */
  readonly characters: number;
}

/** Weights of new terms and of repetition, against scores whose largest is scaled to 1. */
const COVERAGE = 1.4, REPETITION = 0.7;
/** Cosine from which two sentences say the same. */
const SAME = 0.62;
/** Sentences that are looked at: the rest have no chance. */
const LOOKED_AT = 2000;
/** Sentences of a summary at most, whatever was asked for. */
export const MOST_SENTENCES = 300;

/** Indices of the chosen sentences, in the order of the text. */
export async function chooseUnits(
  units: readonly Unit[],
  { scores, vectors, focused }: Scored,
  budget: Budget,
  pause: () => Promise<void> = async () => {},
): Promise<number[]> {
  // Fragments and what announces a table fill gaps badly; they stay out where there is enough else.
  const whole = ({ words, text }: Unit) => words >= 5 && !/[:：]$/.test(text);
  const full = units.filter(whole).length;
  const order = Array.from(units.keys()).filter((index) =>
    full < Math.max(3, Math.min(budget.sentences, 20)) || whole(units[index])
  ).sort((a, b) => scores[b] - scores[a] || a - b).slice(0, LOOKED_AT);
  const highest = Math.max(1e-9, scores[order[0]] ?? 0);
  const worth = new Map<string, number>();
  for (const { terms } of units) for (const term of new Set(terms)) worth.set(term, (worth.get(term) ?? 0) + 1);
  for (const [term, count] of worth) worth.set(term, count ** 0.75);
  const distinct = new Map(order.map((index) => [index, [...new Set(units[index].terms)]]));
  const said = new Set<string>();
  // Long sentences hold more terms; the root keeps them from winning by length alone.
  const gain = (index: number): number => {
    let sum = 0;
    for (const term of distinct.get(index)!) if (!said.has(term)) sum += worth.get(term)!;
    return sum / Math.max(8, units[index].words) ** 0.25;
  };
  const mostGain = order.reduce((most, index) => Math.max(most, gain(index)), 1e-9);
  const coverage = focused ? COVERAGE / 4 : COVERAGE;
  const repetition = new Float64Array(units.length);
  const chosen: number[] = [];
  let words = 0, characters = 0;
  const left = new Set(order);
  while (chosen.length < Math.min(budget.sentences, MOST_SENTENCES) && left.size > 0) {
    await pause();
    let best = -1, bestValue = -Infinity;
    for (const index of left) {
      if (words + units[index].words > budget.words) continue;
      if (characters + units[index].text.length + (chosen.length > 0 ? 1 : 0) > budget.characters) continue;
      if (repetition[index] > SAME) continue;
      let value = scores[index] / highest - REPETITION * repetition[index] + coverage * gain(index) / mostGain;
      // With few words left a sentence must be worth its length.
      if (Number.isFinite(budget.words)) value -= 0.25 * units[index].words / budget.words;
      if (Number.isFinite(budget.characters)) value -= 0.25 * units[index].text.length / budget.characters;
      if (value > bestValue) [best, bestValue] = [index, value];
    }
    if (best < 0) break;
    chosen.push(best);
    left.delete(best);
    words += units[best].words;
    characters += units[best].text.length + (chosen.length > 1 ? 1 : 0);
    for (const term of units[best].terms) said.add(term);
    for (const index of left) repetition[index] = Math.max(repetition[index], cosine(vectors[index], vectors[best]));
  }
  return chosen.sort((a, b) => a - b);
}
