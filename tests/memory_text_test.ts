/** Promises of the parts that stand alone: stems, terms, synonyms and SHA-256. */
import { DatabaseSync } from "node:sqlite";
import { deepStrictEqual as equal, ok } from "node:assert";
import { createHash } from "node:crypto";
import { sha256 } from "../memory/sha256.ts";
import { stem } from "../memory/text/stem.ts";
import { synonymsOf } from "../memory/text/synonyms.ts";
import { termsOf } from "../memory/text/terms.ts";
import { irregularForms, stopWords } from "../memory/text/words.ts";

/** Words of the repository's own texts, and those that Porter's paper gives as examples. */
function someWords(): string[] {
  const examples = `caresses ponies ties caress cats feed agreed plastered bled motoring sing conflated troubled sized
    hopping tanned falling hissing fizzed failing filing happy sky relational conditional rational valenci hesitanci
    digitizer conformabli radicalli differentli vileli analogousli vietnamization predication operator feudalism
    decisiveness hopefulness callousness formaliti sensitiviti sensibiliti triplicate formative formalize electriciti
    electrical hopeful goodness revival allowance inference airliner gyroscopic adjustable defensible irritant
    replacement adjustment dependent adoption homologou communism activate angulariti homologous effective bowdlerize
    probate rate cease controll roll yellow yacht boyish enjoyment syzygy by buying oaten trees ivy private crate`;
  const texts = ["../README.md", "data/README.md", "data/memory-recall.txt", "mutants.md"]
    .map((name) => Deno.readTextFileSync(new URL(name, import.meta.url)));
  return [...new Set([examples, ...texts].join(" ").toLowerCase().match(/[a-z]{3,}/g))];
}

Deno.test("stem() agrees with FTS5's own porter tokenizer on every regular word", () => {
  const words = someWords().filter((word) => !irregularForms.has(word));
  ok(words.length > 1500, `${words.length} words`);
  const database = new DatabaseSync(":memory:");
  database.exec(
    "CREATE VIRTUAL TABLE f USING fts5(w, tokenize = 'porter ascii'); CREATE VIRTUAL TABLE v USING fts5vocab(f, 'instance')",
  );
  const insert = database.prepare("INSERT INTO f (rowid, w) VALUES (?, ?)");
  words.forEach((word, index) => insert.run(index, word));
  const wrong = database.prepare("SELECT term, doc FROM v").all()
    .filter(({ term, doc }) => stem(words[doc as number]) !== term)
    .map(({ term, doc }) => `${words[doc as number]}: ${term}, not ${stem(words[doc as number])}`);
  database.close();
  equal(wrong, []);
});

Deno.test("stem() brings irregular forms together and leaves other scripts alone", () => {
  for (const group of ["run ran running runs", "write wrote written writes writing", "mouse mice", "shelf shelves"]) {
    equal(new Set(group.split(" ").map(stem)).size, 1, group);
  }
  for (const word of ["été", "москва", "東京", "gpu", "ab", ""]) equal(stem(word), word);
});

Deno.test("every term is one that FTS5 takes as it is", () => {
  const database = new DatabaseSync(":memory:");
  database.exec(`
    CREATE VIRTUAL TABLE f USING fts5(w, tokenize = "ascii tokenchars '@_.-+#'");
    CREATE VIRTUAL TABLE v USING fts5vocab(f, 'instance')`);
  const random = (below: number) => Math.floor(Math.random() * below);
  const pieces = [
    "a",
    "B",
    "7",
    "-",
    ".",
    "_",
    "'",
    "’",
    ",",
    "+",
    "#",
    "@",
    "é",
    "ß",
    "雪",
    "가",
    "़",
    " ",
    "\n",
    "001",
    "1e5",
  ];
  for (let round = 0; round < 1000; round++) {
    let text = "";
    for (let n = random(14); n >= 0; n--) {
      text += random(6) === 0 ? String.fromCharCode(random(65_536)) : pieces[random(pieces.length)];
    }
    const terms = [...new Set(termsOf(text.toWellFormed()))];
    database.prepare("DELETE FROM f").run();
    database.prepare("INSERT INTO f (rowid, w) VALUES (1, ?)").run(terms.join(" "));
    const found = database.prepare("SELECT DISTINCT term FROM v").all().map(({ term }) => term as string);
    equal(new Set(found), new Set(terms), JSON.stringify(text));
  }
  database.close();
});

Deno.test("termsOf() takes identifiers, numbers and dates apart where that helps", () => {
  const cases: [string, string[]][] = [
    ["exp_004", ["exp_004", "exp", "4"]],
    ["learningRate", ["learn", "rate", "learningr"]],
    ["3e-4 0.0003 0.00030", ["0.0003", "0.0003", "0.0003"]],
    ["v2.9.6", ["v2.9.6"]],
    ["2026-06-27T16:15:13Z", ["2026-06-27", "15", "13z", "13"]],
    ["follow-up", ["follow"]],
    ["H100s", ["h100s", "100"]],
    ["train.ts", ["train.ts", "train", "ts"]],
    ["Don't!", []],
    ["C# or C++?", ["c#", "c++"]],
    ["10,000", ["10000"]],
    ["東京都", ["東京", "京都"]],
  ];
  for (const [text, terms] of cases) equal(termsOf(text), terms, text);
  equal(termsOf("one two three four", 2).length, 2);
});

Deno.test("hostile text is taken apart in bounded time", () => {
  for (const text of ["a-", "'", "aB", "1a", "é", "雪", "a.", "ab ", "1,000", "\u0301", "_"]) {
    const started = performance.now();
    termsOf(text.repeat(65_536 / text.length));
    ok(performance.now() - started < 500, `${text}: ${performance.now() - started} ms`);
  }
});

Deno.test("synonyms go both ways, are stems, and never name the word itself", () => {
  ok(synonymsOf(stem("bicycles")).includes(stem("bike")) && synonymsOf(stem("bike")).includes(stem("bicycle")));
  ok(synonymsOf(stem("tune")).includes(stem("tuner")) && synonymsOf(stem("tuner")).includes(stem("tune")));
  ok(synonymsOf(stem("runner")).includes("run"));
  for (const word of ["budget", "doctor", "tune", "zzz"]) ok(!synonymsOf(stem(word)).includes(stem(word)));
  equal(synonymsOf("東京"), []);
  for (const word of stopWords) ok(synonymsOf(word).every((other) => !stopWords.has(other)), word);
});

Deno.test("sha256() is SHA-256 at every length of the last block", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    equal(sha256(bytes), new Uint8Array(createHash("sha256").update(bytes).digest()), `${length} bytes`);
  }
});
