/** Sentences, blocks, words and languages. */
import { deepStrictEqual as equal, ok, strictEqual as same } from "node:assert";
import { plainInline, splitBlocks } from "../../router/executors/text/blocks.ts";
import { detectLanguage } from "../../router/executors/text/language.ts";
import { splitSentences } from "../../router/executors/text/sentences.ts";
import { countWords, stemOf, termsOf } from "../../router/executors/text/words.ts";

Deno.test("sentences survive abbreviations, initials, numbers, quotes, names of files and parentheses", () => {
  const cases: string[][] = [
    ["Dr. Smith met Mr. J. R. Jones at 5 p.m. on Jan. 3.", "They spoke about e.g. fish.", "The U.S. team left."],
    ['"Stop!" she said.', '"Did you?"', "He nodded."],
    ["See Fig. 3 and No. 5.", "Is it v2.9.6?", "Yes.", "We use cli.ts.", "It works... or not."],
    ["Take 3.5 g (approx. 2 tsp. of salt).", "Items (see A. B. and C.) matter."],
    ["He left (it was late. Nobody minded.) and slept.", "So did she."],
    ["John F. Kennedy spoke.", "I chose plan B.", "It worked."],
    ["The rest, pens, paper etc., is there.", "We need pens etc.", "Then we begin."],
    ["Am 3. Oktober 1990 war Dr. Meier z. B. in Berlin.", "Es regnete bzw. schneite.", "Danach ging er."],
    ["今日は雨です。", "傘を持って行きます！", "「本当ですか？」と聞いた。", "はい。"],
    ["Первое предложение.", "Второе, т.е. ещё одно?", "Да!"],
    ["M. Dupont est arrivé à 8 h.", "Il a dit « bonjour ».", "Puis il est parti."],
    ["It took 3 min 3 s.", "Runs vary.", "See p. 5 and pp. 6 to 9."],
    ["npm is slow.", "deno is fast.", "iPhone sales fell."],
    ["यह पहला वाक्य है।", "यह दूसरा है।"],
    ["Ends without a mark"],
  ];
  for (const sentences of cases) {
    equal(splitSentences(sentences.join(/[。！？」]/u.test(sentences[0]) ? "" : " ")), sentences);
  }
});

Deno.test("sentences never lose a character that is no space", () => {
  let seed = 7;
  const next = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  const parts = [
    "Dr.",
    "a",
    "The",
    "(",
    ")",
    ".",
    "!",
    "?",
    '"',
    "e.g.",
    "5",
    "B.",
    "…",
    "。",
    "word",
    ",",
    "No.",
    "U.S.",
    "z. B.",
    "\n",
  ];
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: 30 }, () => parts[Math.floor(next() * parts.length)]).join(" ");
    same(splitSentences(text).join("").replace(/\s/g, ""), text.replace(/\s/g, ""), `seed 7, round ${round}`);
  }
});

Deno.test("blocks keep code, tables, lists and headings apart from running text", () => {
  const source = [
    "---",
    "title: x",
    "---",
    "# Title",
    "",
    "First line",
    "goes on.",
    "",
    "Under",
    "-----",
    "- one",
    "  more of one",
    "- [x] two",
    "",
    "| a | b |",
    "| --- | --- |",
    "| 1 | 2 |",
    "",
    "```ts",
    "const x = 1; // # no heading",
    "```",
    "",
    "> quoted",
    "> on",
    "",
    "    indented = code;",
    "",
    "***",
    "last",
  ].join("\n");
  equal(splitBlocks(source).map(({ kind, text, line }) => [kind, text.replaceAll("\n", "/"), line]), [
    ["matter", "title: x", 1],
    ["heading", "Title", 4],
    ["paragraph", "First line goes on.", 6],
    ["heading", "Under", 9],
    ["item", "one more of one", 11],
    ["item", "two", 13],
    ["table", "| a | b |/| --- | --- |/| 1 | 2 |", 15],
    ["code", "const x = 1; // # no heading", 19],
    ["quote", "quoted on", 23],
    ["code", "indented = code;", 26],
    ["rule", "***", 28],
    ["paragraph", "last", 29],
  ]);
});

Deno.test("lines that are statements of their own are not joined, wrapped ones are", () => {
  equal(splitBlocks("Milk\nThree eggs from the market\nBread").map(({ text }) => text), [
    "Milk",
    "Three eggs from the market",
    "Bread",
  ]);
  const wrapped =
    "The sensors were buried in pairs in\nthe vineyard above the station and\nread every hour for five months.";
  equal(splitBlocks(wrapped).map(({ text }) => text), [wrapped.replaceAll("\n", " ")]);
});

Deno.test("marks within a line go, words stay", () => {
  same(
    plainInline(
      "A [link](https://x.org/a_b) and **bold** _it_ `code_x` ![pic](p.png)<br> 2*3*4 snake_case_name &amp; \\*",
    ),
    "A link and bold it `code_x` 2*3*4 snake_case_name & *",
  );
});

Deno.test("a language is told by script and commonest words, also of one sentence", () => {
  const cases: Record<string, string> = {
    en: "The cat sat on the mat and it was warm.",
    de: "Der Server ist heute nicht erreichbar.",
    fr: "Le chat dort sur le canapé.",
    es: "El servidor no responde desde ayer.",
    pt: "O servidor não responde desde ontem.",
    nl: "De kat slaapt op de bank en het regent.",
    sv: "Katten sover på soffan och det regnar.",
    pl: "Kot śpi na kanapie, a pada deszcz i jest zimno.",
    ru: "Кошка спит на диване, и идёт дождь.",
    uk: "Кіт спить на дивані, і йде дощ.",
    el: "Η γάτα κοιμάται στον καναπέ.",
    ja: "猫はソファで寝ています。",
    zh: "猫在沙发上睡觉。",
    ko: "고양이가 소파에서 자고 있다.",
    ar: "القط نائم على الأريكة",
    und: "1234 5678",
  };
  for (const [code, text] of Object.entries(cases)) same(detectLanguage(text).code, code, text);
});

Deno.test("inflected words meet in one stem, and letters of unspaced scripts are counted one by one", () => {
  for (
    const words of [["reset", "resets", "resetting"], ["query", "queries"], ["measure", "measured", "measures"], [
      "box",
      "boxes",
    ]]
  ) {
    same(new Set(words.map((word) => stemOf(word, "en"))).size, 1, words.join());
  }
  ok(stemOf("news", "en") !== stemOf("new", "en"));
  equal(termsOf("The servers of the lab's two racks", "en"), ["server", "lab", "rack"]);
  same(countWords("猫はソファ two words"), 7);
});
