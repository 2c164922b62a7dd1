/**
 * How the values of constants go with the score: Spearman's rank correlation for numbers, the share of rank variance
 * between choices for words (Kruskal-Wallis η²), each with a permutation test. Numbers only; a correlation is no cause.
 * @module
 */
import type { Constant, Trial } from "../sessions/night.ts";

/** How one constant goes with the score. */
export interface Importance {
  /** The constant. */
  readonly name: string;
  /** Strength, 0 to 1: |ρ| for numbers, the root of η² for words. */
  readonly strength: number;
  /** ρ for numbers: negative where larger values go with lower scores; null for words. */
  readonly correlation: number | null;
  /** Share of random orders at least as strong. */
  readonly chance: number;
  /** Scored experiments that know the constant. */
  readonly count: number;
  /** Different values among them. */
  readonly values: readonly Constant[];
  /** Value of the lowest score. */
  readonly best: Constant;
}

/** Random orders of a permutation test. */
const ORDERS = 2000;

/** Ranks from 1, equal values sharing the mean of theirs. */
export function ranks(values: readonly number[]): number[] {
  const order = values.map((_, index) => index).sort((a, b) => values[a] - values[b]);
  const result = new Array<number>(values.length);
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]] === values[order[from]]) to++;
    for (let at = from; at <= to; at++) result[order[at]] = (from + to) / 2 + 1;
    from = to + 1;
  }
  return result;
}

/** Pearson's correlation; 0 where one side does not vary. */
function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let product = 0, squareA = 0, squareB = 0;
  for (let index = 0; index < a.length; index++) {
    const [x, y] = [a[index] - meanA, b[index] - meanB];
    product += x * y;
    squareA += x * x;
    squareB += y * y;
  }
  return squareA > 0 && squareB > 0 ? product / Math.sqrt(squareA * squareB) : 0;
}

/** Spearman's rank correlation. */
export const spearman = (a: readonly number[], b: readonly number[]): number => correlation(ranks(a), ranks(b));

/** Root of the share of variance of `scores` (ranks) that lies between groups. */
function between(groups: readonly number[], scores: readonly number[]): number {
  const mean = scores.reduce((sum, value) => sum + value, 0) / scores.length;
  const sums = new Map<number, { sum: number; count: number }>();
  let all = 0;
  for (const [index, group] of groups.entries()) {
    const entry = sums.get(group) ?? { sum: 0, count: 0 };
    entry.sum += scores[index] - mean;
    entry.count++;
    sums.set(group, entry);
    all += (scores[index] - mean) ** 2;
  }
  let part = 0;
  for (const { sum, count } of sums.values()) part += sum * sum / count;
  return all > 0 ? Math.sqrt(part / all) : 0;
}

/** A small seeded generator (mulberry32): the same record gives the same report. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The constants that vary among scored experiments, the strongest first.
 * @param trials experiments with and without a score
 */
export async function importances(
  trials: readonly Trial[],
  pause: () => Promise<void> = async () => {},
): Promise<Importance[]> {
  const scored = trials.filter(({ valBpb }) => valBpb !== null);
  const names = new Set(scored.flatMap(({ constants }) => [...constants.keys()]));
  const result: Importance[] = [];
  for (const name of names) {
    await pause();
    const known = scored.filter(({ constants }) => constants.has(name));
    const values = known.map(({ constants }) => constants.get(name)!);
    const different = [...new Set(values)];
    if (different.length < 2 || known.length < 4) continue;
    const scores = ranks(known.map(({ valBpb }) => valBpb!));
    const numeric = different.every((value) => typeof value === "number");
    const places = numeric ? ranks(values as number[]) : values.map((value) => different.indexOf(value));
    const strengthOf = (order: readonly number[]) =>
      numeric ? Math.abs(correlation(places, order)) : between(places, order);
    const strength = strengthOf(scores);
    const draw = random(known.length * 7919 + different.length);
    const order = [...scores];
    let stronger = 0;
    for (let round = 0; round < ORDERS; round++) {
      for (let at = order.length - 1; at > 0; at--) {
        const other = Math.floor(draw() * (at + 1));
        [order[at], order[other]] = [order[other], order[at]];
      }
      if (strengthOf(order) >= strength - 1e-12) stronger++;
      if (round % 100 === 0) await pause();
    }
    const best = known.reduce((low, trial) => trial.valBpb! < low.valBpb! ? trial : low);
    result.push({
      name,
      strength,
      correlation: numeric ? correlation(places, scores) : null,
      chance: (stronger + 1) / (ORDERS + 1),
      count: known.length,
      values: different.sort((a, b) =>
        typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : 1
      ),
      best: best.constants.get(name)!,
    });
  }
  return result.sort((a, b) => a.chance - b.chance || b.strength - a.strength || (a.name < b.name ? -1 : 1));
}

/** Experiments with the same constants, or the same text, in groups of two and more. */
export function duplicates(trials: readonly Trial[]): Trial[][] {
  const groups = Map.groupBy(
    trials.filter(({ constants, source }) => source !== "" || constants.size > 0),
    ({ constants, source }) =>
      source !== "" ? source : JSON.stringify([...constants].sort((a, b) => a[0] < b[0] ? -1 : 1)),
  );
  return [...groups.values()].filter((group) => group.length > 1);
}
