/** Summaries beside the beginnings of texts, measured by points that a person wrote. The figures stand in data/summaries/README.md. */
import { ok } from "node:assert";
import { summarize } from "../../router/executors/summary/summarize.ts";
import { lead, pointsMade, rouge, type Sample, samples } from "./_rouge.ts";

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

async function measure(texts: readonly Sample[]) {
  const rows = await Promise.all(texts.map(async (sample) => {
    const summaryOf = async (request: { sentences?: number; words?: number }) =>
      (await summarize(sample.text, { ...request, bullets: false, said: "" })).sentences.join(" ");
    const [three, hundred] = [await summaryOf({ sentences: 3 }), await summaryOf({ words: 100 })];
    const [firstThree, firstHundred] = [
      await lead(sample.text, { sentences: 3 }),
      await lead(sample.text, { words: 100 }),
    ];
    return {
      recall: [rouge(firstHundred, sample).recall, rouge(hundred, sample).recall],
      points: [pointsMade(firstHundred, sample), pointsMade(hundred, sample)],
      f: [rouge(firstThree, sample).f, rouge(three, sample).f],
    };
  }));
  return {
    recall: [0, 1].map((side) => mean(rows.map(({ recall }) => recall[side]))),
    points: [0, 1].map((side) => mean(rows.map(({ points }) => points[side]))),
    f: [0, 1].map((side) => mean(rows.map(({ f }) => f[side]))),
    wins: rows.filter(({ recall }) => recall[1] > recall[0]).length,
  };
}

for (const [name, rest] of [["measured only", 1], ["used in setting the weights", 0]] as const) {
  Deno.test(`summaries hold more of what matters than the beginnings of the eight texts ${name}`, async () => {
    const texts = samples().filter((_, index) => index % 2 === rest);
    const { recall, points, f, wins } = await measure(texts);
    const figures = JSON.stringify({ recall, points, f, wins });
    if (Deno.args.includes("--print")) console.log(name, figures);
    ok(texts.length === 8);
    ok(recall[1] > recall[0] * 1.35, figures);
    ok(points[1] > points[0] * 1.4, figures);
    ok(f[1] > f[0] * 1.6, figures);
    ok(wins >= 6, figures);
  });
}

Deno.test("a person's points are worth what they should be: the text's own reference scores highest, another text's lowest", async () => {
  const texts = samples();
  for (const [index, sample] of texts.slice(0, 14).entries()) {
    const other = texts[(index + 1) % 14];
    ok(rouge(sample.points.join(" "), sample).f > 0.999);
    const own = rouge(await lead(sample.text, { words: 100 }), sample).recall;
    ok(rouge(await lead(other.text, { words: 100 }), sample).recall < Math.max(0.12, own), sample.name);
  }
});
