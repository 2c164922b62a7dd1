/**
 * The recall of the search, in the manner of LongMemEval (arXiv:2410.10813): facts of 45 sessions amid thousands of
 * distractors, questions in other words, about one entry, about the present state of what has changed, and across
 * sessions. `data/memory-recall.txt` has the facts and the questions.
 */
import { ok, strictEqual } from "node:assert";
import { type Memory, openMemoryInRam } from "../memory/mod.ts";
import { makeDistractors, mixed, type Question, readMaterial } from "./_memory_recall.ts";

const material = readMaterial();
const now = new Date("2026-04-20T12:00:00Z");

/** A memory with all facts, and the id of each by its name. */
function remember(distractors: number): { memory: Memory; ids: Map<string, number> } {
  const memory = openMemoryInRam();
  const all = mixed(material, makeDistractors(distractors, 7));
  const results = memory.appendAll(
    all.map(({ date, text }) => ({
      fileType: "CONTEXT",
      tag: `DAY:${date}`,
      content: text,
      timestamp: `${date}T12:00:00Z`,
    })),
  );
  return { memory, ids: new Map(all.map(({ name }, index) => [name, results[index].id!])) };
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

Deno.test("the material is what it claims to be", () => {
  const { facts, questions, unrelated } = material;
  const names = new Set(facts.map(({ name }) => name));
  ok(facts.length >= 200 && questions.length >= 170 && unrelated.length >= 15);
  strictEqual(names.size, facts.length, "every name is used once");
  for (const { text, evidence, outdated } of questions) {
    for (const name of [...evidence, ...outdated]) ok(names.has(name), `${text}: ${name}`);
  }
  // No question is a copy: on average a quarter of the words of an entry, small words included, come back in its question.
  const words = (text: string) => new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu));
  const shares = questions.map(({ text, evidence }) => {
    const of = words(facts.find(({ name }) => name === evidence[0])!.text);
    return [...of].filter((word) => words(text).has(word)).length / of.size;
  });
  ok(mean(shares) < 0.26 && Math.max(...shares) < 0.7, `${mean(shares)} ${Math.max(...shares)}`);
});

Deno.test("recall@5 is at least 0.95 among five thousand distractors", () => {
  const { memory, ids } = remember(5000);
  const recall = (question: Question) => {
    const hits = memory.search(question.text, { limit: 5, now });
    return mean(question.evidence.map((name) => (hits.some(({ id }) => id === ids.get(name)) ? 1 : 0)));
  };
  const of = (kind?: Question["kind"]) =>
    mean(material.questions.filter((question) => kind === undefined || question.kind === kind).map(recall));
  console.log(
    `recall@5 ${percent(of())}: one entry ${percent(of("one"))}, present state ${percent(of("present"))}, ` +
      `several sessions ${percent(of("several"))}`,
  );
  ok(of() >= 0.95, percent(of()));
  ok(of("one") >= 0.95 && of("present") >= 0.9 && of("several") >= 0.8);
  memory.close();
});

Deno.test("a task that nothing is about gets no context, the others get little and mostly the right thing", () => {
  const { memory, ids } = remember(5000);
  for (const task of material.unrelated) {
    const hits = memory.context(task);
    strictEqual(hits.length, 0, `${task}: ${hits.map(({ content }) => content)}`);
  }
  const contexts = material.questions.map(({ text }) => memory.context(text));
  const found = mean(
    material.questions.map(({ evidence }, index) =>
      mean(evidence.map((name) => (contexts[index].some(({ id }) => id === ids.get(name)) ? 1 : 0)))
    ),
  );
  const size = mean(contexts.map((hits) => hits.length));
  console.log(`context holds ${percent(found)} of the evidence in ${size.toFixed(1)} entries on average`);
  ok(found >= 0.8 && size <= 3);
  memory.close();
});
