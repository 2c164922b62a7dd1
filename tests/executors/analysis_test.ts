/** Files of many kinds: what they are by their bytes, and what they are made of. */
import { deepStrictEqual as equal, match, ok, strictEqual as same } from "node:assert";
import { analyzeInput } from "../../router/executors/analysis/analyze.ts";
import { codeLanguage } from "../../router/executors/analysis/code.ts";
import { cellType } from "../../router/executors/analysis/columns.ts";
import { readRows, summarizeTable, tableSeparator } from "../../router/executors/analysis/tables.ts";
import { decodeBytes } from "../../router/executors/decode.ts";
import { inputOf } from "../../router/executors/mod.ts";
import { fromFileUrl } from "./_paths.ts";
import { runTask, withFolder } from "./_fixture.ts";

const now = new Date(2026, 10, 23, 9);
const analyze = (name: string, content: string | Uint8Array) =>
  analyzeInput(inputOf(name, typeof content === "string" ? new TextEncoder().encode(content) : content), now);
const bytes = (...values: (number | string)[]) =>
  new Uint8Array(
    values.flatMap((value) => typeof value === "number" ? [value] : [...value].map((letter) => letter.charCodeAt(0))),
  );

Deno.test("a CSV is told column by column: types, missing values, ranges, commonest values, ragged and repeated rows", async () => {
  const rows = [
    'id,name,price,when,ok,note,"a, b"',
    '1,"Smith, J",3.5,2026-01-02,true,,x',
    '2,"say ""hi""",NA,2026-01-05,false,n/a,y',
    "3,Lee,-7.25,2025-12-31,true,text,y",
    "3,Lee,-7.25,2025-12-31,true,text,y",
    "4,Kim,1e3,2026-02-01,false",
    '5,"two\nlines",12,2026-01-09,true,,x',
  ];
  const { kind, name, text } = await analyze("data.csv", rows.join("\r\n"));
  equal([kind, name], ["table", "CSV table"]);
  match(text, /6 rows, 7 columns/);
  match(text, /1 row have more or fewer cells than there are columns; the first is row 6/);
  match(text, /1 row repeat an earlier one/);
  match(text, /\| id \| integer \| 0 \| 5 \| 1 … 5, mean 3 \|/);
  match(text, /\| price \| number \| 1 \(17 %\) \| 4 \| -7\.25 … 1000, mean 200\.2 \|/);
  match(text, /\| when \| date \| 0 \| 5 \| 2025-12-31 … 2026-02-01 \|/);
  match(text, /\| ok \| boolean \| 0 \| 2 \|\s+\| true \(4\), false \(2\) \|/);
  match(text, /\| note \| text \| 4 \(67 %\) \|/);
  match(text, /\| a, b \|/);
  match(text, /line ends of Windows/);
});

Deno.test("separators are found, names are told from values, prose is no table", async () => {
  equal(["a\tb\n1\t2\n", "a;b\n1,5;2\n", "a|b\n1|2\n", "a,b\n1,2\n"].map(tableSeparator), ["\t", ";", "|", ","]);
  for (
    const text of [
      "Well, this is prose.\nIt has commas, as prose does.\nAnd, again, more of them.\n",
      "one line",
      "",
      "a\nb\nc\n",
    ]
  ) {
    same(tableSeparator(text), null, text);
  }
  same((await summarizeTable("1,2\n3,4\n5,6\n", ",")).header, false);
  same((await summarizeTable("name,size\nx,4\ny,6\n", ",")).header, true);
  const comma = await summarizeTable("n;v\na;1,5\nb;2,5\n", ";");
  equal([comma.columns[1].type, comma.columns[1].range], ["number", "1.5 … 2.5, mean 2"]);
});

Deno.test("quoted cells are read as they are written, and unclosed quotes end with their line", () => {
  equal(
    [...readRows('a,"b,""c""\nd",e\n"x\ny,2\n', ",")],
    [["a", 'b,"c"\nd', "e"], ["x"], ["y", "2"]].slice(0, 1).concat([...readRows('"x\ny,2\n', ",")]),
  );
  equal([...readRows("a,b\r\n\r\n1,2\r\n", ",")], [["a", "b"], ["1", "2"]]);
});

Deno.test("cells are typed by their whole text", () => {
  const cases: Record<string, string> = {
    "": "empty",
    "N/A": "empty",
    "null": "empty",
    "-": "empty",
    "7": "integer",
    "-1,234": "integer",
    "1.5e-3": "number",
    ".5": "number",
    "007": "text",
    "1.2.3": "text",
    "yes": "boolean",
    "2026-11-22T10:00:00Z": "date",
    "10:30": "date",
    "12 kg": "text",
    "unknown": "text",
  };
  for (const [cell, type] of Object.entries(cases)) same(cellType(cell), type, cell);
});

Deno.test("JSON, JSON lines and settings are told by their structure", async () => {
  const list = await analyze("a.json", JSON.stringify([{ id: 1, tags: ["x"] }, { id: 2, tags: [], extra: null }]));
  match(list.text, /Array of 2 objects; 9 values, 4 levels deep/);
  match(list.text, /\| extra \| empty \| 2 \(100 %\) \|/);
  match(list.text, /\| tags \| list \| 0 \|/);
  const object = await analyze("a.json", JSON.stringify({ name: "x", "odd key": { deep: [1, "a"] } }));
  match(object.text, /\| \["odd key"\]\.deep\[\] \| number or string \| 2 \|/);
  match((await analyze("a.json", '{"a": 1,}')).text, /looks like JSON and cannot be parsed/);
  const lines = await analyze("a.jsonl", '{"a":1}\n{"a":2,"b":"x"}\nnot json\n{"a":3}\n');
  match(lines.text, /3 records \(3 object\); 1 line cannot be parsed, the first is line 3/);
  match(lines.text, /\| b \| text \| 2 \(67 %\) \|/);
  match(
    (await analyze("a.toml", '[one]\na = 1\n[two.three]\nb = "x"\n')).text,
    /2 keys in 2 sections\n- sections: one, two\.three/,
  );
  match((await analyze("a.yaml", "a: 1\nb:\n  - c: 2\n")).text, /at the top: a, b/);
  match(
    (await analyze("a.svg", '<?xml version="1.0"?><svg><g><path/><path/></g></svg>')).text,
    /root element svg[\s\S]*3 kinds of elements, 3 deep/,
  );
});

Deno.test("Markdown is told by its words, headings, lists, code, links and to-dos", async () => {
  const source =
    "# Title\n\nSome words here. And more of them.\n\n## Part\n\n- [ ] open\n- [x] done\n\n```ts\nconst x = 1; // TODO: rename\n```\n\nSee [this](https://x.org). FIXME later\n\n| a | b |\n| - | - |\n| 1 | 2 |\n";
  const { name, text } = await analyze("notes.md", source);
  same(name, "Markdown");
  for (
    const pattern of [
      /Language: English/,
      /2 headings/,
      /2 list items/,
      /1 block of code \(ts 1\)/,
      /1 link/,
      /2 boxes of to-do lists, 1 of them ticked/,
      /- Title \(line 1\)\n {2}- Part \(line 5\)/,
      /line 11: `TODO: rename`/,
      /line 14: `FIXME later`/,
    ]
  ) {
    match(text, pattern);
  }
});

Deno.test("programming languages are told by name, first line or content, with what they define and import", async () => {
  const cases: [name: string, text: string, language: string | null][] = [
    ["a.rs", "fn main() {}", "Rust"],
    ["Makefile", "all:\n\techo", "Makefile"],
    ["run", "#!/usr/bin/env python3\nprint(1)\n", "Python"],
    ["x.h", "namespace a { class B; }\nclass C {};\n", "C++"],
    [
      "the given text",
      "import os\n\ndef main():\n    for x in range(3):\n        print(x)\n\nif __name__ == '__main__':\n    main()\n",
      "Python",
    ],
    ["the given text", 'package main\n\nimport "fmt"\n\nfunc main() {\n\tx := 1\n\tfmt.Println(x)\n}\n', "Go"],
    ["letter.txt", "Dear Sam,\n\nI import wine from Spain.\nReturn soon.\n", null],
    ["notes.md", "# Title\n", null],
  ];
  for (const [name, text, language] of cases) same(codeLanguage(name, text)?.name ?? null, language, name);
  const { text } = await analyze(
    "a.ts",
    '/** Doc. */\nimport { x } from "./b.ts";\n\n// note\nexport function go(): void {}\nexport class Box {}\n',
  );
  match(text, /3 lines of code, 2 of comment, 1 blank/);
  match(text, /Imports: `\.\/b\.ts`/);
  match(text, /- `go` \(line 5\)\n- `Box` \(line 6\)/);
});

Deno.test("binary files are told by their bytes, whatever they are called", async () => {
  const png = bytes(0x89, "PNG\r\n", 0x1a, "\n", 0, 0, 0, 13, "IHDR", 0, 0, 4, 0, 0, 0, 3, 0, 8, 6);
  const zip = bytes("PK", 3, 4, ...new Array(26).fill(0));
  const tensors = new TextEncoder().encode('{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}');
  const safe = new Uint8Array(8 + tensors.length + 24);
  safe[0] = tensors.length;
  safe.set(tensors, 8);
  const cases: [Uint8Array, RegExp][] = [
    [png, /^PNG picture[\s\S]*1024 × 768 pixels/],
    [zip, /^ZIP archive/],
    [safe, /^safetensors file[\s\S]*1 tensors \(F32\), 6 numbers[\s\S]*w: F32 \[2, 3\]/],
    [bytes("SQLite format 3\0", 16, 0, 1, 1, ...new Array(80).fill(0)), /^SQLite database[\s\S]*pages of 4096 bytes/],
    [bytes("%PDF-1.7\n", 0, 1, 2), /^PDF document[\s\S]*version 1\.7/],
    [new Uint8Array(2000).map((_, index) => (index * 197 + (index >> 4) * 31) % 256), /^binary file of unknown kind/],
  ];
  for (const [content, pattern] of cases) {
    const { kind, name, text } = await analyze("notes.txt", content);
    same(kind, "binary");
    match(`${name}\n${text}`, pattern);
  }
});

Deno.test("encodings are found with and without a mark, and control characters never come through", async () => {
  const utf16 = (text: string, little: boolean, mark: boolean) => {
    const units = [...(mark ? "\ufeff" : "") + text].map((letter) => letter.charCodeAt(0));
    return new Uint8Array(units.flatMap((unit) => little ? [unit & 255, unit >> 8] : [unit >> 8, unit & 255]));
  };
  const koi = new Uint8Array([
    0xeb,
    0xcf,
    0xdb,
    0xcb,
    0xc1,
    0x20,
    0xd3,
    0xd0,
    0xc9,
    0xd4,
    0x20,
    0xce,
    0xc1,
    0x20,
    0xc4,
    0xc9,
    0xd7,
    0xc1,
    0xce,
    0xc5,
  ]);
  const sjis = new Uint8Array([
    0x94,
    0x4c,
    0x82,
    0xcd,
    0x83,
    0x5c,
    0x83,
    0x74,
    0x83,
    0x40,
    0x82,
    0xc5,
    0x90,
    0x51,
    0x82,
    0xc4,
    0x82,
    0xa2,
    0x82,
    0xdc,
    0x82,
    0xb7,
    0x81,
    0x42,
  ]);
  const cases: [Uint8Array, string | null, string][] = [
    [utf16("héllo wörld of text", true, true), "utf-16le", "héllo wörld of text"],
    [utf16("hello world of text", false, false), "utf-16be", "hello world of text"],
    [new TextEncoder().encode("\ufeffplain"), "utf-8", "plain"],
    [new TextEncoder().encode("naïve"), "utf-8", "naïve"],
    [bytes("caf", 0xe9, " au lait, s'il vous pla", 0xee, "t"), "windows-1252", "café au lait, s'il vous plaît"],
    [koi, "koi8-r", "Кошка спит на диване"],
    [sjis, "shift_jis", "猫はソファで寝ています。"],
    [bytes(0, 1, 2, 3, 0, 0, 200), null, ""],
  ];
  for (const [content, encoding, text] of cases) {
    equal([decodeBytes(content).encoding, decodeBytes(content).text], [encoding, text]);
  }
  const cut = new TextEncoder().encode("a".repeat(65_535) + "é");
  same(decodeBytes(cut).encoding, "utf-8", "a letter at the edge of the sample");
  match((await analyze("x.txt", "\x1b[31mred\x1b[0m words here.\n")).text, /control characters were taken out/);
});

Deno.test("empty, blank, absent, unreadable and endless files each get a sentence", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/empty.txt`, "");
    await Deno.writeTextFile(`${folder}/blank.txt`, " \n\n");
    match((await runTask(`Analyze ${folder}/empty.txt`)).text, /It is empty: 0 bytes\./);
    match((await runTask(`Analyze ${folder}/blank.txt`)).text, /3 bytes of white space and nothing else/);
    const folderResult = await runTask(`Analyze ${folder}/absent.txt`);
    equal([folderResult.status, folderResult.used], ["needs-input", []]);
    const pipe = await new Deno.Command("mkfifo", { args: [`${folder}/pipe.log`] }).output();
    if (pipe.success) match((await runTask(`Analyze ${folder}/pipe.log`)).text, /is no regular file/);
    const device = await runTask("Analyze /dev/zero");
    same(device.status, "refused");
  }));

Deno.test("this repository's own files are told for what they are", async () => {
  const result = await runTask(`Analyze ${fromFileUrl("../../deno.json")}`);
  match(result.text, /JSON[\s\S]*\| tasks\.test \| string \| 1 \|/);
  const readme = await runTask(`How many words and headings are in ${fromFileUrl("../../README.md")}?`);
  match(readme.text, /Markdown[\s\S]*\d+ headings/);
  ok(readme.used.length === 1);
});
