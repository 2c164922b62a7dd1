/** The texts with their points, and how much of the points a summary holds. */
import { fromFileUrl } from "./_paths.ts";
import { unitsOf } from "../../router/executors/summary/units.ts";
import { countWords, termsOf } from "../../router/executors/text/words.ts";

/** A text and what a person would want of its summary. */
export interface Sample {
  /** File. */
  readonly name: string;
  /** The text. */
  readonly text: string;
  /** Points, one sentence each. */
  readonly points: readonly string[];
  /** Language of its terms. */
  readonly language: string;
}

const languages: Readonly<Record<string, string>> = { "15": "de", "16": "fr" };

/** All texts in order of their numbers. */
export function samples(): Sample[] {
  const folder = fromFileUrl("data/summaries");
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => /^\d\d-/.test(name)).sort().map(
    (name) => {
      const [text, points] = Deno.readTextFileSync(`${folder}/${name}`).split("\n=== points\n");
      return { name, text, points: points.trim().split("\n"), language: languages[name.slice(0, 2)] ?? "en" };
    },
  );
}

/** ROUGE-1 over stems without the commonest words. */
export function rouge(summary: string, { points, language }: Sample): { recall: number; precision: number; f: number } {
  const count = (text: string) => {
    const counts = new Map<string, number>();
    for (const term of termsOf(text, language)) counts.set(term, (counts.get(term) ?? 0) + 1);
    return counts;
  };
  const [own, reference] = [count(summary), count(points.join("\n"))];
  let hits = 0;
  for (const [term, times] of own) hits += Math.min(times, reference.get(term) ?? 0);
  const total = (counts: Map<string, number>) => [...counts.values()].reduce((sum, times) => sum + times, 0);
  const [recall, precision] = [hits / total(reference), hits / Math.max(1, total(own))];
  return { recall, precision, f: recall + precision > 0 ? 2 * recall * precision / (recall + precision) : 0 };
}

/** Share of the points that a summary makes: those of whose words it holds 60 %. */
export function pointsMade(summary: string, { points, language }: Sample): number {
  const own = new Set(termsOf(summary, language));
  return points.filter((point) => {
    const terms = [...new Set(termsOf(point, language))];
    return terms.filter((term) => own.has(term)).length >= 0.6 * terms.length;
  }).length / points.length;
}

/** The beginning of a text, whole sentences, within a number of sentences or words. */
export async function lead(text: string, limit: { sentences?: number; words?: number }): Promise<string> {
  const { units } = await unitsOf(text);
  let result = "";
  for (const unit of units.slice(0, limit.sentences ?? units.length)) {
    if (limit.words !== undefined && countWords(result) + unit.words > limit.words) break;
    result += (result === "" ? "" : " ") + unit.text;
  }
  return result;
}
