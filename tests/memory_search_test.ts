/** Promises of the search: hostile questions, other scripts, kinds, time, and work that does not grow with the memory. */
import { deepStrictEqual as equal, ok } from "node:assert";
import { type EntryType, openMemoryInRam } from "../memory/mod.ts";
import { entry } from "./_memory.ts";

const memoryOf = (...texts: string[]) => {
  const memory = openMemoryInRam();
  memory.appendAll(texts.map((content, index) => ({ fileType: "CONTEXT", tag: `note ${index}`, content })));
  return memory;
};

Deno.test("no question makes the search throw, whatever FTS5 would make of it", () => {
  using memory = memoryOf(
    "The quick brown fox",
    'said "stop" (twice)',
    "NEAR the river AND the wood",
    "a-b c*d e^f g:h",
  );
  const hostile = [
    "",
    " ",
    '"',
    '""',
    '"""',
    "'",
    "*",
    "-",
    "--",
    "^",
    ":",
    "(",
    ")",
    "()",
    "AND",
    "OR",
    "NOT",
    "NEAR",
    "NEAR(a b, 5)",
    'NEAR("a" "b"',
    "a AND",
    "AND a OR NOT b",
    "fox*",
    "^fox",
    "terms : fox",
    "terms:fox",
    "{terms} : fox",
    "- terms : fox",
    "fox + brown",
    "entry_terms",
    "@decision",
    '"@context"',
    "'; DROP TABLE entries; --",
    "%",
    "_",
    "\\",
    "\u0000",
    "fox\u0000brown",
    "\u0001\u0002\u001b[31m",
    "\ud800",
    "\udfff fox \ud800",
    "\ufeff\u200b\u202e",
    "0",
    "1e999",
    "-1",
    "0x10",
    "\u{1F98A}\u{1F98A}",
    "a".repeat(100_000),
    '"'.repeat(100_000),
    "(".repeat(100_000),
    "NOT ".repeat(50_000),
    "fox ".repeat(250_000),
    "'-.".repeat(300_000),
    "a.".repeat(500_000),
    "雪".repeat(300_000),
    "é\u0301".repeat(200_000),
  ];
  for (const query of hostile) {
    const started = performance.now();
    for (const type of [undefined, "CONTEXT", "NONSENSE" as EntryType] as const) memory.search(query, { type });
    memory.context(query);
    ok(performance.now() - started < 1000, `${query.slice(0, 20)} took ${performance.now() - started} ms`);
  }
  equal(memory.search("fox\u0000brown")[0].content, "The quick brown fox");
  equal(memory.search('"fox" AND NOT ("wolf")')[0].content, "The quick brown fox");
  ok(memory.verify().ok);
});

Deno.test("random text is a question like any other", () => {
  using memory = memoryOf(...Array.from({ length: 50 }, (_, index) => entry(index).content));
  const seed = Math.floor(Math.random() * 2 ** 32);
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const pieces = [
    '"',
    "'",
    "*",
    "AND",
    "NEAR(",
    ")",
    "valve",
    "tank",
    " ",
    "\n",
    "-",
    ".",
    ":",
    "_",
    "7",
    "é",
    "雪",
    "\ud83e",
  ];
  for (let round = 0; round < 300; round++) {
    let query = "";
    for (let part = random(12); part >= 0; part--) {
      query += random(4) === 0 ? String.fromCharCode(random(65_536)) : pieces[random(pieces.length)];
    }
    try {
      memory.search(query);
      memory.append({ fileType: "CONTEXT", tag: query, content: `${query} letters` });
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}: ${JSON.stringify(query)}`, { cause: error });
    }
  }
  const report = memory.verify();
  ok(report.ok, `seed ${seed}: ${JSON.stringify(report.problems)}`);
});

Deno.test("inflected, accented, joined and numeric forms meet", () => {
  const pairs: [entry: string, query: string][] = [
    ["Running the migrations broke everything", "a migration that ran"],
    ["Das Café in der Hauptstraße", "cafe hauptstrasse"],
    ["the learningRate of the head", "learning rate"],
    ["val_bpb fell", "what did val bpb do"],
    ["experiment exp_004 was kept", "exp 4"],
    ["a rate of 3e-4", "0.0003"],
    ["ten thousand: 10,000 rows", "10000"],
    ["the shelves were taller", "shelf"],
    ["O’Brien's car", "obrien"],
    ["Ｆｕｌｌ ｗｉｄｔｈ", "full width"],
    ["das Modell lernt schnell", "MODELL"],
    ["Москва не сразу строилась", "москва"],
    ["東京タワーに行きました", "東京"],
    ["서울에서 만나요", "서울"],
    ["วันนี้อากาศดี", "อากาศ"],
    ["नमस्ते दुनिया", "दुनिया"],
    ["مرحبا بالعالم", "مرحبا"],
    ["bug in C++ code", "c++"],
    ["eight bays in the attic", "8 bays"],
    ["node 10.0.0.12 is down", "10.0.0.12"],
  ];
  for (const [text, query] of pairs) {
    using memory = memoryOf("Something else entirely", text, "And a third one that matters little");
    equal(memory.search(query)[0]?.content, text, `${query} → ${text}`);
  }
});

Deno.test("a hit of more and rarer words of the question comes first", () => {
  using memory = memoryOf(
    "The pump was painted",
    "The pump was painted green in the boathouse",
    "A boathouse stands at the lake",
    ...Array.from({ length: 30 }, (_, index) => `The pump of house ${index} runs`),
  );
  const hits = memory.search("Which pump in the boathouse was painted green?");
  equal(hits[0].content, "The pump was painted green in the boathouse");
  ok(hits[0].score > hits[1].score);
});

Deno.test("of two equal entries the newer one comes first, and a much better one beats a newer one", () => {
  using memory = openMemoryInRam();
  const now = new Date("2026-06-01T00:00:00Z");
  const add = (content: string, timestamp: string) =>
    memory.append({ fileType: "CONTEXT", tag: "t", content, timestamp });
  add("The gate code is 4471", "2026-05-20");
  add("The gate code is 9035", "2026-01-01");
  add("The gate was painted", "2026-05-31");
  const hits = memory.search("gate code", { now });
  equal(hits.map(({ id }) => id), [1, 2, 3]);
  equal(memory.search("gate code", { now: new Date("2020-01-01") }).length, 3, "entries of the future are just new");
});

Deno.test("a kind restricts the hits, whether few entries are of it or many", () => {
  using memory = openMemoryInRam();
  memory.appendAll(Array.from({ length: 6000 }, (_, index) => ({
    fileType: index === 77 ? "BRIEF" : index % 2 === 0 ? "DECISION" : "PROGRESS",
    tag: "t",
    content: `The valve of tank ${index} is closed`,
  })));
  equal(memory.search("valve of tank 77", { type: "BRIEF" }).map(({ id }) => id), [78]);
  const hits = memory.search("closed valve of tank 501", { type: "DECISION", limit: 20 });
  equal(hits.length, 20);
  ok(hits.every(({ fileType }) => fileType === "DECISION"));
  equal(memory.search("valve of tank 501", { type: "PROGRESS" })[0].content, "The valve of tank 501 is closed");
  equal(memory.search("valve", { type: "PATTERN" }), []);
});

Deno.test("the limit is kept, small and large", () => {
  using memory = openMemoryInRam();
  memory.appendAll(Array.from({ length: 300 }, (_, index) => entry(index)));
  for (const limit of [0, 1, 10, 100, 250]) equal(memory.search("valve tank inspection", { limit }).length, limit);
  equal(memory.search("valve tank inspection", { limit: -5 }), []);
  equal(memory.context("Inspect the valve of tank 70", 2).length <= 2, true);
});

Deno.test("context() is what a task is about, and nothing if nothing is", () => {
  using memory = memoryOf(
    "The spare keys of the office are in the safe; Beatriz has the combination.",
    "Draft a report and then visit the lab to verify the rack",
    "Summarize the training logs of last night",
    "The pump in the boathouse needs a new seal.",
  );
  const first = (task: string) => memory.context(task)[0]?.id;
  equal(first("Find out who has the combination of the safe"), 1);
  equal(first("Order a seal for the boathouse pump"), 4);
  equal(first("Summarize last night's training logs again"), 3);
  equal(memory.context("Draft a cover letter for an actuary"), [], "a word that every task has is no relation");
  equal(memory.context("Write a report"), [], "nor are two");
  equal(memory.context("Verify the checksum of the download"), []);
  equal(memory.context("Translate the poem into Finnish"), []);
  equal(memory.context(""), []);
  equal(memory.context("the of and to"), []);
});

Deno.test("an old entry that alone has two frequent words is found among many that have one", () => {
  using memory = openMemoryInRam();
  memory.appendAll(Array.from({ length: 20_000 }, (_, index) => ({
    fileType: "CONTEXT",
    tag: "t",
    content: index === 100 ? "pump and valve together" : `${index % 2 === 0 ? "pump" : "valve"} number ${index}`,
  })));
  const started = performance.now();
  equal(memory.search("pump valve")[0].id, 101);
  ok(performance.now() - started < 500, `${performance.now() - started} ms`);
});

Deno.test("a kind is found whose entries are all older than many others of the same words", () => {
  using memory = openMemoryInRam();
  memory.appendAll(Array.from({ length: 14_000 }, (_, index) => ({
    fileType: index < 3000 ? "PROGRESS" : "DECISION",
    tag: "t",
    content: `pump ${index}`,
  })));
  const hits = memory.search("the pump", { type: "PROGRESS" });
  equal(hits.length, 10);
  ok(hits.every(({ fileType }) => fileType === "PROGRESS"));
});

Deno.test("what is new counts for more: a fifth at once, half of that after 30 days", () => {
  using memory = openMemoryInRam();
  memory.append({ fileType: "CONTEXT", tag: "t", content: "The gate code is 4471", timestamp: "2026-01-01" });
  const score = (days: number) => memory.search("gate code", { now: new Date(Date.UTC(2026, 0, 1 + days)) })[0].score;
  const close = (a: number, b: number) => ok(Math.abs(a - b) < 1e-9, `${a} ${b}`);
  close(score(0) / score(30), 1.2 / 1.1);
  close(score(0) / score(60), 1.2 / 1.05);
  close(score(-10), score(0));
});

Deno.test("of two entries about the same the newer one comes first, though the older one is a little more to the point", () => {
  using memory = openMemoryInRam();
  const add = (content: string, timestamp: string) =>
    memory.append({ fileType: "CONTEXT", tag: "t", content, timestamp });
  add("The gate code is 4471", "2026-01-01");
  add("The gate code is 9035 since Monday", "2026-01-09");
  add("Gate: ask the porter, who knows his code by heart and tells nobody, not even the director", "2026-01-10");
  const hits = memory.search("gate code", { now: new Date("2030-01-01") });
  equal(hits.map(({ id }) => id), [2, 1, 3]);
  ok(hits[0].score >= hits[1].score && hits[1].score >= hits[2].score, "scores fall");
});

Deno.test("other words for the same find an entry: synonyms, doers of a verb, nouns of a verb", () => {
  const pairs: [entry: string, query: string][] = [
    ["The bicycle has a flat tyre", "bike"],
    ["Dr. Weiss is our dentist", "tooth"],
    ["The tuner comes on Saturday", "Who can tune it?"],
    ["They decided to leave", "decision"],
    ["The storm did much damage", "What was destroyed?"],
  ];
  for (const [text, query] of pairs) {
    using memory = memoryOf("Something else entirely", text, "And a third one that matters little");
    equal(memory.search(query)[0]?.content, text, `${query} → ${text}`);
  }
});

Deno.test("context() leaves out what is much less relevant than the best, and works with a single entry", () => {
  using memory = memoryOf(
    "The pump of the boathouse was painted green by Boris in April",
    "Boris has a boathouse",
    "In April it rained",
  );
  equal(memory.context("Did Boris paint the pump of the boathouse green in April?").map(({ id }) => id), [1]);
  using single = memoryOf("The spare keys are in the safe");
  equal(single.context("Where did Boris put the spare keys?").length, 1, "with one entry every word is in all of them");
});
