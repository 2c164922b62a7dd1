/** What a summary promises beside being good: its length, its words, what it leaves out, and short, long and strange texts. */
import { deepStrictEqual as equal, match, ok, strictEqual as same } from "node:assert";
import { naturalLength, readLength } from "../../router/executors/summary/length.ts";
import { summarize } from "../../router/executors/summary/summarize.ts";
import { countWords } from "../../router/executors/text/words.ts";
import { runTask, withFolder } from "./_fixture.ts";
import { samples } from "./_rouge.ts";

const request = (task: string) => readLength(task);

Deno.test("the length is read from the task in its usual phrasings, and from nothing else", () => {
  const cases: [task: string, wanted: Record<string, number>][] = [
    ["Summarize this in three sentences", { sentences: 3 }],
    ["Give me a one-sentence summary", { sentences: 1 }],
    ["a 150-word abstract", { words: 150 }],
    ["in no more than 100 words", { words: 100 }],
    ["in fifty words or less", { words: 50 }],
    ["5 bullet points", { sentences: 5 }],
    ["in 2-3 sentences", { sentences: 3 }],
    ["two short paragraphs", { sentences: 10 }],
    ["half a page please", { words: 225 }],
    ["under 280 characters", { characters: 280 }],
    ["10% of the length", { share: 0.1 }],
    ["a third of the length", { share: 1 / 3 }],
    ["TL;DR", { sentences: 1 }],
    ["briefly", { factor: 0.5 }],
    ["Fasse den Text in zwei Sätzen zusammen", { sentences: 2 }],
    ["Résume en 3 phrases", { sentences: 3 }],
    ["resume en tres frases", { sentences: 3 }],
    ["Summarize point 3 of the agenda", {}],
    ["Summarize chapter one", {}],
    ["summarize the training logs of version 2.5", {}],
  ];
  for (const [task, wanted] of cases) {
    const { bullets: _bullets, said: _said, focus: _focus, ...numbers } = request(task);
    equal(numbers, wanted, task);
  }
  equal([request("in 5 bullets").bullets, request("in 5 sentences").bullets], [true, false]);
  same(request("Summarize it focusing on costs and risks").focus, "costs and risks");
});

Deno.test("a summary keeps to the sentences, words and characters that were asked for", async () => {
  for (const { name, text } of samples()) {
    for (const count of [1, 2, 3, 7]) {
      same((await summarize(text, request(`in ${count} sentences`))).sentences.length, count, name);
    }
    for (const count of [8, 25, 50, 120]) {
      const { words, sentences, cut } = await summarize(text, request(`in ${count} words`));
      ok(words <= count && words > (count > 8 ? 0.5 : 0.3) * count, `${name}: ${words} of ${count}`);
      if (cut) match(sentences[0], / …$/);
    }
    const { sentences } = await summarize(text, request("in 140 characters"));
    ok(sentences.join(" ").length <= 140, name);
  }
});

Deno.test("without a wish the length grows with the text, ever more slowly", async () => {
  const texts = samples().map(({ text }) => text);
  const shares = await Promise.all([1, 4, 12].map(async (count) => {
    const text = texts.slice(0, count).join("\n\n");
    const { words } = await summarize(text);
    return { words, share: words / countWords(text) };
  }));
  ok(shares[0].share > 0.12 && shares[0].share < 0.4, JSON.stringify(shares));
  ok(shares[0].words < shares[1].words && shares[1].words < shares[2].words, JSON.stringify(shares));
  ok(shares[0].share > shares[1].share && shares[1].share > shares[2].share, JSON.stringify(shares));
});

Deno.test("a text of twenty sentences gets five, one of a hundred twelve, none more than twenty", () => {
  equal([1, 2, 5, 10, 20, 50, 100, 1000, 100_000].map(naturalLength), [1, 2, 2, 3, 5, 8, 12, 20, 20]);
});

Deno.test("sentences of a summary stand in the text word for word, in its order, none twice", async () => {
  for (const { name, text } of samples()) {
    const { sentences } = await summarize(text);
    const plain = text.replace(/\s+/g, " ").replace(/[*`\\]|\[([^\]]*)\]\([^)]*\)/g, "$1");
    let last = -1;
    for (const sentence of sentences) {
      const at = plain.indexOf(sentence.replace(/[*`]/g, ""));
      ok(at > last, `${name}: ${sentence}`);
      last = at;
    }
  }
});

Deno.test("what is said twice is chosen once", async () => {
  const facts = [
    "The dam at Kerrow was raised by four metres in the spring of 1932.",
    "A storm in the following winter tore away the temporary crest of the dam.",
  ];
  const text = [
    facts[0],
    "Workers came from three valleys.",
    facts[1],
    "In the spring of 1932 the dam at Kerrow was raised by four metres.",
    "The road was closed for a month.",
    facts[0],
  ].join(" ");
  const { sentences } = await summarize(text, request("in two sentences"));
  equal(sentences.filter((sentence) => /four metres/.test(sentence)).length, 1, sentences.join("\n"));
  // Also where there is room for all of it.
  const all = await summarize(text, request("in five sentences"));
  equal(all.sentences.filter((sentence) => /four metres/.test(sentence)).length, 1, all.sentences.join("\n"));
});

Deno.test("a focus moves the choice to its sentences", async () => {
  const { text } = samples().find(({ name }) => name.startsWith("12"))!;
  const of = async (task: string) => (await summarize(text, request(task))).sentences.join(" ");
  ok(!/screen is bright/.test(await of("in one sentence")));
  match(await of("in one sentence, focusing on the screen"), /screen/i);
  match(await of("Summarize in two sentences with a focus on the keyboard and touchpad"), /keyboard|touchpad/i);
});

Deno.test("code, tables, headings and marks of Markdown are in no summary", async () => {
  const { text } = samples().find(({ name }) => name.startsWith("03"))!;
  const summary = await summarize(text, request("detailed"));
  const words = summary.sentences.join("\n");
  ok(!/curl|tidepool join|\| --- |\[!\[|##|8 TB/.test(words), words);
  equal(summary.text.leftOut, { code: 1, table: 1 });
});

Deno.test("a text that is no longer than its summary is given back whole, and said to be", async () => {
  const text = "The kettle is broken. It will be replaced on Monday.";
  const { status, text: result } = await runTask("Summarize this", { text });
  same(status, "done");
  ok(result.includes(text) && result.includes("The whole text"), result);
});

Deno.test("other languages and scripts are summarised by their own sentences", async () => {
  const japanese =
    "図書館は来月から新しい建物に移ります。新しい建物は駅の前にあり、図書館の本は今の二倍になります。昨日は雨でした。" +
    "図書館の新しい建物には子供のための部屋もあります。市長は図書館の引っ越しに三億円かかると述べました。会議のあとでお茶が出ました。" +
    "古い図書館の建物は来年取り壊され、公園になる予定です。";
  const { sentences, text } = await summarize(japanese, request("in two sentences"));
  equal([sentences.length, text.units.length, text.language.code], [2, 7, "ja"]);
  ok(sentences.every((sentence) => sentence.includes("図書館")), sentences.join());
  for (const [number, language] of [["15", "German"], ["16", "French"]]) {
    const { text } = samples().find(({ name }) => name.startsWith(number))!;
    match((await runTask("Summarize this", { text })).text, new RegExp(`language: ${language}`));
  }
});

Deno.test("a log, a table, JSON and code are told by what they hold, not by sentences", async () => {
  const log = Array.from(
    { length: 20 },
    (_, index) => `2026-11-22 10:00:${10 + index} ${index === 7 ? "ERROR disk full" : "INFO step " + index}`,
  ).join("\n");
  match((await runTask("Summarize this", { text: log })).text, /no running text but a log[\s\S]*1 error/);
  const table = "name,age\nAda,36\nBob,41\nCy,29\nDi,52\n";
  match((await runTask("Summarize this", { text: table })).text, /CSV table[\s\S]*4 rows, 2 columns/);
  match(
    (await runTask("Summarize this", { text: '{"a": 1, "b": [1, 2, 3]}' })).text,
    /a JSON[\s\S]*Object with 2 fields/,
  );
});

Deno.test("huge and strange texts take bounded time and give bounded summaries", async () => {
  const texts = [
    "word ".repeat(400_000),
    "a".repeat(2e6),
    "a. ".repeat(500_000),
    "- x\n".repeat(300_000),
    "[".repeat(2e6),
    "(".repeat(2e6),
    "# t\n".repeat(300_000),
    "漢字".repeat(500_000),
    "*a ".repeat(500_000),
    "`".repeat(1e6),
    "![a](".repeat(300_000),
    "\n".repeat(1e6),
  ];
  const begun = performance.now();
  for (const text of texts) {
    const { sentences } = await summarize(text);
    ok(sentences.join(" ").length < 40_000, text.slice(0, 10));
  }
  const seconds = (performance.now() - begun) / 1000;
  ok(seconds < 30, `${seconds.toFixed(1)} s for ${texts.length} texts`);
});

Deno.test("files that the task names are summarised one by one; an output file is read by nobody and written by nobody", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/one.md`, "# One\n\nThe first thing happened. It was large.\n");
    await Deno.writeTextFile(`${folder}/two.md`, "# Two\n\nAnother thing happened. It was small.\n");
    const task = `Summarize ${folder}/one.md and ${folder}/two.md and save the result to ${folder}/out.md`;
    const { status, used, text } = await runTask(task);
    equal([status, used], ["done", [`${folder}/one.md`, `${folder}/two.md`]]);
    match(text, /first thing[\s\S]*Another thing[\s\S]*Nothing was written to `[^`]*out\.md`/);
    equal([...Deno.readDirSync(folder)].length, 2);
  }));
