// The tokenizer against its definition (_tokenizer_reference.ts), its files, and what it refuses. Fuzzers print the seed
// when they fail; TOKENIZER_SEED runs another one. Long because the properties share their texts and vocabularies.
import assert from "node:assert/strict";
import { join } from "node:path";
import { classOf, unicodeTables } from "../cuda/tokenizer/unicode.ts";
import { KernelError } from "../cuda/lib.ts";
import { Tokenizer, TokenizerFileError } from "../trainer/tokenizer.ts";
import { byteAlphabet } from "../trainer/tokenizer_files.ts";
import { testLibrary } from "./_library.ts";
import * as reference from "./_tokenizer_reference.ts";

const { symbols } = testLibrary();
const seed = Number(Deno.env.get("TOKENIZER_SEED") ?? 20260727);

/** Runs a property with generators of `runs` seeds; a failure names the seed. */
function property(runs: number, check: (random: () => number) => void): void {
  for (let run = 0; run < runs; run++) {
    try {
      check(reference.generator(seed + run));
    } catch (cause) {
      throw new Error(`fails with TOKENIZER_SEED=${seed + run}`, { cause });
    }
  }
}

const english = `We hold these truths to be self-evident, that all men are created equal, that they are endowed by their
Creator with certain unalienable Rights, that among these are Life, Liberty and the pursuit of Happiness.--That to
secure these rights, Governments are instituted among Men, deriving their just powers from the consent of the governed.\n`;

/** A text of some variety that trains a small vocabulary. */
function corpus(random: () => number, documents: number): string[] {
  return Array.from({ length: documents }, (_, i) => i % 2 ? english : reference.randomText(random, 200));
}

async function mergesOf(tokenizer: Tokenizer): Promise<[number, number][]> {
  const folder = await Deno.makeTempDir();
  try {
    await tokenizer.save(folder);
    const { model } = JSON.parse(await Deno.readTextFile(join(folder, "tokenizer.json")));
    return model.merges.map((pair: string[]) => pair.map((name) => model.vocab[name]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The largest vocabulary that texts give, from the sentence that refuses a larger one. */
async function largest(texts: string[]): Promise<number> {
  try {
    (await Tokenizer.train(texts, { vocabSize: 1 << 20 })).dispose();
  } catch (error) {
    assert(error instanceof RangeError);
    const found = /^\d+ bytes of text give a vocabulary of at most (\d+) tokens, 1048576 are wanted$/.exec(
      error.message,
    );
    assert(found, error.message);
    return Number(found[1]);
  }
  throw new Error("the text gives a million tokens");
}

Deno.test("unicode.gen.h is what the engine's Unicode tables give", async () => {
  const text = await Deno.readTextFile(new URL("../cuda/tokenizer/unicode.gen.h", import.meta.url));
  assert(text === unicodeTables(), "run cuda/tokenizer/unicode.ts");
});

Deno.test("text is cut into the pieces of the split pattern", async () => {
  // With every merge that a text allows, each piece is one token, so that the tokens show the pieces.
  for (let run = 0; run < 6; run++) {
    const random = reference.generator(seed + run);
    const texts = Array.from({ length: 60 }, () => reference.randomText(random, 1 + Math.floor(random() * 120)));
    using tokenizer = await Tokenizer.train(texts, { vocabSize: await largest(texts) });
    for (const text of texts) {
      const pieces = Array.from(tokenizer.encode(text), (id) => tokenizer.decode([id]));
      assert.deepEqual(pieces, reference.split(text), `seed ${seed + run}`);
    }
  }
});

Deno.test("text of up to four characters of every kind is cut into the pieces of the split pattern", async () => {
  let texts = [""];
  const all: string[] = [];
  for (let length = 1; length <= 4; length++) {
    texts = texts.flatMap((text) => [..." \t\n\r'sL1!\u00a0"].map((character) => text + character));
    all.push(...texts);
  }
  using tokenizer = await Tokenizer.train(all, { vocabSize: await largest(all) });
  const { ids, ends } = tokenizer.encodeBatch(all);
  all.forEach((text, i) => {
    const pieces = Array.from(ids.subarray(i ? ends[i - 1] : 0, ends[i]), (id) => tokenizer.decode([id]));
    assert.deepEqual(pieces, reference.split(text), JSON.stringify(text));
  });
});

Deno.test("characters are of their class: all below U+3400, those at the borders of classes, a sample of the others", async () => {
  const texts = [""];
  for (let c = 0; c < 0x32400; c++) {
    if (c >= 0xd800 && c < 0xe000) continue;
    const border = classOf(c) !== classOf(Math.max(c, 1) - 1) || classOf(c) !== classOf(c + 1);
    if (c >= 0x3400 && c % 61 !== seed % 61 && !border) continue;
    if (texts[texts.length - 1].length > 4000) texts.push("");
    texts[texts.length - 1] += `a${String.fromCodePoint(c)}1 `;
  }
  for (const text of texts) {
    using tokenizer = await Tokenizer.train([text], { vocabSize: await largest([text]) });
    assert.deepEqual(Array.from(tokenizer.encode(text), (id) => tokenizer.decode([id])), reference.split(text));
  }
});

Deno.test("train() makes the merges of the naive trainer, in its order", async () => {
  for (let run = 0; run < 4; run++) {
    const texts = corpus(reference.generator(seed + run), 12);
    using tokenizer = await Tokenizer.train(texts, { vocabSize: 257 + 220 });
    assert.deepEqual(await mergesOf(tokenizer), reference.train(texts, 220), `seed ${seed + run}`);
  }
  // Overlapping pairs and ties, of which natural text has few.
  for (const text of ["aaaaaaaaaaaaaaaaaaa aaaaaaa aaa", "abababababa babab abba", "zz yy xx", "aabaabaabaabaab aab"]) {
    const wanted = reference.train([text], 1000);
    using tokenizer = await Tokenizer.train([text], { vocabSize: 257 + wanted.length });
    assert.deepEqual(await mergesOf(tokenizer), wanted, text);
    await assert.rejects(Tokenizer.train([text], { vocabSize: 258 + wanted.length }), RangeError);
  }
});

Deno.test("train() gives the same vocabulary for any order of the texts and any number of threads", async () => {
  const texts = corpus(reference.generator(seed), 400);
  using one = await Tokenizer.train(texts, { vocabSize: 1200, threads: 1 });
  using three = await Tokenizer.train([...texts].reverse(), { vocabSize: 1200, threads: 3 });
  assert.deepEqual(await mergesOf(one), await mergesOf(three));
  async function* slowly() {
    for (const text of texts) yield await Promise.resolve(text);
  }
  using later = await Tokenizer.train(slowly(), { vocabSize: 1200 });
  assert.deepEqual(await mergesOf(one), await mergesOf(later));
});

Deno.test("encode() gives the ids of the naive encoder and decode() the text", async () => {
  const texts = corpus(reference.generator(seed), 40);
  using tokenizer = await Tokenizer.train(texts, { vocabSize: 900 });
  const merges = await mergesOf(tokenizer);
  const bytes = tokenizer.tokenBytes();
  property(60, (random) => {
    const text = reference.randomText(random, Math.floor(random() * 400)) + (random() < 0.3 ? english : "");
    const ids = tokenizer.encode(text);
    assert.deepEqual([...ids], reference.encode(text, merges));
    assert.equal(tokenizer.decode(ids), text.toWellFormed());
    assert.equal(
      Array.from(ids, (id) => bytes[id]).reduce((sum, length) => sum + length, 0),
      new TextEncoder().encode(text).length,
    );
  });
  // What differs in trailing zero bytes alone must not be taken for the same word.
  for (
    const text of ["ab\0", "ab\0\0", "a".repeat(12), "!".repeat(12) + "\0", "!".repeat(12) + "\0\0", "!".repeat(12)]
  ) {
    assert.deepEqual([...tokenizer.encode(text)], reference.encode(text, merges), JSON.stringify(text));
  }
  assert.equal(tokenizer.encode("").length, 0);
  assert.equal(tokenizer.decode([]), "");
});

Deno.test("encodeBatch() gives each document's own ids, on any number of threads and across the cuts of long documents", async () => {
  const random = reference.generator(seed);
  const folder = await Deno.makeTempDir();
  using tokenizer = await Tokenizer.train(corpus(random, 40), { vocabSize: 900 });
  await tokenizer.save(folder);
  using single = await Tokenizer.load(folder, { threads: 1 });
  using many = await Tokenizer.load(folder, { threads: 5 });
  await Deno.remove(folder, { recursive: true });
  const long = Array.from({ length: 500 }, () => english + reference.randomText(random, 300)).join("");
  const texts = ["", english, long, "", ...corpus(random, 300), long.slice(0, 1000), ""];
  const batch = many.encodeBatch(texts);
  assert.equal(batch.ends.at(-1), batch.ids.length);
  texts.forEach((text, i) => {
    const own = batch.ids.subarray(i ? batch.ends[i - 1] : 0, batch.ends[i]);
    assert.deepEqual(own, single.encode(text), `document ${i}`);
  });
  // The pieces of a long document one by one have no cut that could be wrong.
  for (const text of [long, "        x\n".repeat(60_000), "12345678".repeat(60_000), "a  b\n \n".repeat(90_000)]) {
    assert.deepEqual(many.encode(text), single.encodeBatch(reference.split(text)).ids);
  }
  assert.deepEqual(tokenizer.encodeBatch([]).ids.length, 0);
});

Deno.test("a piece of a megabyte is encoded in a moment, with the merges of the definition", async () => {
  const random = reference.generator(seed);
  const letters = (n: number) => Array.from({ length: n }, () => "abc"[Math.floor(random() * random() * 3)]).join("");
  const texts = Array.from({ length: 50 }, () => letters(300));
  using tokenizer = await Tokenizer.train(texts, { vocabSize: 700 });
  const merges = await mergesOf(tokenizer);
  for (const length of [40, 47, 48, 49, 50, 64, 500, 1500]) {
    const text = letters(length);
    assert.deepEqual([...tokenizer.encode(text)], reference.encode(text, merges), `${length} letters`);
  }
  for (const text of [letters(1 << 20), "a".repeat(1 << 20), " ".repeat(1 << 20), "'".repeat(1 << 20)]) {
    const start = performance.now();
    const ids = tokenizer.encode(text);
    // Measured 0.1 s; an algorithm that is quadratic in the length takes minutes.
    assert(performance.now() - start < 3000);
    assert(tokenizer.decode(ids) === text);
  }
});

Deno.test("lone surrogates become U+FFFD; a byte order mark stays", async () => {
  using tokenizer = await Tokenizer.train([english], { vocabSize: 300 });
  assert.equal(tokenizer.decode(tokenizer.encode("a\ud800b\udc00\ud83d")), "a\ufffdb\ufffd\ufffd");
  assert.equal(tokenizer.decode(tokenizer.encode("\ufeffab")), "\ufeffab");
});

Deno.test("bytes that are no UTF-8 are characters of no class each, and pass through the library unchanged", () => {
  // What stands for them in the reference: private characters, which are of no class either.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const characters = (bytes: Uint8Array) => {
    const found: { text: string; length: number }[] = [];
    for (let at = 0; at < bytes.length; at += found[found.length - 1].length) {
      let text = String.fromCodePoint(0xf0000 + bytes[at]), length = 1;
      for (let n = 1; n <= Math.min(4, bytes.length - at); n++) {
        try {
          [text, length] = [decoder.decode(bytes.subarray(at, at + n)), n];
          break;
        } catch {
          // Not one whole character.
        }
      }
      found.push({ text, length });
    }
    return found;
  };
  // Overlong forms, surrogates, beyond U+10FFFF, cut short, and what is fine.
  const units = "c181 e08080 eda080 edbfbf f0808080 f4908080 f5 e697 f09f98 80 c3a9 e697a5".split(" ").map((hex) =>
    hex.match(/../g)!.map((byte) => parseInt(byte, 16))
  );
  property(40, (random) => {
    const pick = (n: number) => Math.floor(random() * n);
    const bytes = Uint8Array.from(
      Array.from(
        { length: 200 },
        () => random() < 0.4 ? units[pick(units.length)] : [random() < 0.2 ? pick(256) : 0x61 + pick(3)],
      ).flat(),
    );
    const trainer = symbols.rs_bpe_trainer_create(1);
    const end = Float64Array.of(bytes.length), state = new Float64Array(2);
    assert.equal(symbols.rs_bpe_trainer_add(trainer, bytes, bytes.length, end, 8), 0);
    assert.equal(symbols.rs_bpe_trainer_begin(trainer), 0);
    assert.equal(symbols.rs_bpe_trainer_step(state, 16, trainer, 1000), 0);
    assert.equal(state[1], 1);
    const tokenizer = symbols.rs_tokenizer_create_trained(trainer, 1);
    const ids = new Uint16Array(bytes.length), idEnds = new Float64Array(1), sizes = new Float64Array(2);
    assert.equal(
      symbols.rs_tokenizer_encode(ids, ids.byteLength, idEnds, 8, bytes, bytes.length, end, 8, tokenizer, 2),
      0,
    );
    assert.equal(symbols.rs_tokenizer_sizes(sizes, 16, tokenizer), 0);
    const entries = new Uint8Array(sizes[1]), ends = new Float64Array(sizes[0]);
    assert.equal(symbols.rs_tokenizer_entries(entries, entries.length, ends, ends.byteLength, tokenizer), 0);
    const tokens = Array.from(ids.subarray(0, idEnds[0]), (id) => entries.subarray(id ? ends[id - 1] : 0, ends[id]));
    assert.deepEqual(tokens.flatMap((token) => [...token]), [...bytes]);
    const all = characters(bytes);
    let next = 0;
    const lengths = reference.split(all.map((character) => character.text).join("")).map((piece) =>
      Array.from(piece).reduce((sum) => sum + all[next++].length, 0)
    );
    assert.deepEqual(tokens.map((token) => token.length), lengths);
    assert.equal(symbols.rs_tokenizer_destroy(tokenizer), 0);
    assert.equal(symbols.rs_bpe_trainer_destroy(trainer), 0);
  });
});

Deno.test("special tokens never come from text, and have the last ids and no bytes", async () => {
  const specials = ["<|user|>", "<|end|>"];
  using tokenizer = await Tokenizer.train([english, "<|bos|><|user|>".repeat(50)], { vocabSize: 320, specials });
  assert.deepEqual([...tokenizer.specials], [["<|user|>", 317], ["<|end|>", 318], ["<|bos|>", 319]]);
  assert.equal(tokenizer.bosId, 319);
  const ids = tokenizer.encode("<|bos|>a<|user|> <|end|>");
  assert(ids.every((id) => id < 317));
  assert.equal(tokenizer.decode([319, ...ids]), "<|bos|><|bos|>a<|user|> <|end|>");
  assert.deepEqual([...tokenizer.tokenBytes().subarray(317)], [0, 0, 0]);
});

Deno.test("a vocabulary of 257 and the byte-level one are the bytes and <|bos|>", async () => {
  using trained = await Tokenizer.train([], { vocabSize: 257 });
  using bytes = Tokenizer.byteLevel();
  for (const tokenizer of [trained, bytes]) {
    assert.deepEqual([tokenizer.vocabSize, tokenizer.bosId, tokenizer.kind], [257, 256, "bytes"]);
    assert.deepEqual([...tokenizer.encode("é 1\n")], [0xc3, 0xa9, 32, 49, 10]);
    assert.deepEqual([...tokenizer.tokenBytes()], [...Array(256).fill(1), 0]);
  }
});

Deno.test("ids have 32 bits where 16 are not enough", async () => {
  const specials = Array.from({ length: 65_536 - 256 }, (_, i) => `<|s${i}|>`);
  using tokenizer = await Tokenizer.train([english], { vocabSize: 65_536 + 100, specials });
  const ids = tokenizer.encode(english);
  assert(ids instanceof Uint32Array);
  assert.equal(tokenizer.decode(ids), english);
  using small = Tokenizer.byteLevel();
  assert(small.encode(english) instanceof Uint16Array);
});

Deno.test("save() and load() keep ids, special tokens and files, and leave nothing temporary", async () => {
  const folder = await Deno.makeTempDir();
  using tokenizer = await Tokenizer.train([english], { vocabSize: 400, specials: ["<|user|>"] });
  await tokenizer.save(join(folder, "new", "tokenizer"));
  using loaded = await Tokenizer.load(join(folder, "new", "tokenizer"));
  assert.deepEqual(loaded.encode(english), tokenizer.encode(english));
  assert.deepEqual(loaded.tokenBytes(), tokenizer.tokenBytes());
  assert.deepEqual([...loaded.specials], [...tokenizer.specials]);
  await loaded.save(join(folder, "again"));
  const names = ["tokenizer.json", "tokenizer.tiktoken", "tokenizer_meta.json"];
  assert.deepEqual([...Deno.readDirSync(join(folder, "new", "tokenizer"))].map((file) => file.name).sort(), names);
  for (const name of names) {
    const read = (at: string) => Deno.readTextFileSync(join(folder, at, name));
    assert.equal(read("again"), read("new/tokenizer"));
  }
  const json = JSON.parse(await Deno.readTextFile(join(folder, "again", "tokenizer.json")));
  assert.equal(new Set(byteAlphabet()).size, 256);
  assert.equal(Object.keys(json.model.vocab).length, 398);
  json.model.merges.forEach(([a, b]: string[], i: number) => assert.equal(json.model.vocab[a + b], 256 + i));
  assert.deepEqual(json.added_tokens.map((token: { id: number }) => token.id), [398, 399]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("load() refuses damaged files with one sentence that names the file", async () => {
  const folder = await Deno.makeTempDir();
  using tokenizer = await Tokenizer.train([english], { vocabSize: 300 });
  await tokenizer.save(folder);
  const read = (name: string) => Deno.readTextFileSync(join(folder, name));
  const ranks = read("tokenizer.tiktoken"), meta = read("tokenizer_meta.json");
  const lines = ranks.split("\n");
  const swapped = [...lines.slice(0, 5), lines[6], ...lines.slice(6)].join("\n");
  const line = (index: number, text: string) => [...lines.slice(0, index), text, ...lines.slice(index + 1)].join("\n");
  const cases: [string, string | null, RegExp][] = [
    ["tokenizer.tiktoken", null, /does not exist/],
    ["tokenizer.tiktoken", "", /0 entries, 299 are wanted|cut short/],
    ["tokenizer.tiktoken", ranks.slice(0, 1000), /cut short/],
    ["tokenizer.tiktoken", lines.slice(0, 270).join("\n") + "\n", /270 entries, 299 are wanted/],
    ["tokenizer.tiktoken", swapped, /line 6 must be .* the rank 5/],
    ["tokenizer.tiktoken", line(7, "%%% 7"), /line 8 must be/],
    ["tokenizer.tiktoken", line(7, "CA== 7"), /entry 7 must be the byte 7/],
    ["tokenizer.tiktoken", line(260, `${btoa("qzxj")} 260`), /entry 260 is no merge of two entries before it/],
    ["tokenizer.tiktoken", line(298, lines[290].replace("290", "298")), /entry 298 is no merge of two/],
    ["tokenizer_meta.json", null, /does not exist/],
    ["tokenizer_meta.json", meta.slice(0, 40), /it is not JSON/],
    ["tokenizer_meta.json", "null", /must be a JSON object/],
    ["tokenizer_meta.json", meta.replace('"format": 1', '"format": 2'), /format must be 1, is 2/],
    ["tokenizer_meta.json", meta.replace('"bpe"', '"words"'), /kind must be/],
    ["tokenizer_meta.json", meta.replace("<|bos|>", "bos"), /must look like/],
    ["tokenizer_meta.json", meta.replace("<|bos|>", "<|eos|>"), /must be <\|bos\|>/],
    ["tokenizer_meta.json", meta.replace("300", "256"), /vocabSize must be an integer of at least 257/],
    ["tokenizer_meta.json", meta.replace("{1,2}", "{1,3}"), /pattern is not/],
  ];
  for (const [name, text, message] of cases) {
    const path = join(folder, name), before = read(name);
    if (text === null) Deno.removeSync(path);
    else Deno.writeTextFileSync(path, text);
    await assert.rejects(Tokenizer.load(folder), (error: unknown) => {
      assert(error instanceof TokenizerFileError, String(error));
      assert(error.message.startsWith(path), error.message);
      assert.match(error.message, message);
      assert(!error.message.includes("\n"));
      return true;
    });
    Deno.writeTextFileSync(path, before);
  }
  (await Tokenizer.load(folder)).dispose();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("sizes, special tokens and ids that cannot be are refused", async () => {
  for (const vocabSize of [256, 0, -1, 300.5, NaN, 2 ** 25]) {
    await assert.rejects(Tokenizer.train([english], { vocabSize }), /vocabSize must be an integer of at least 257/);
  }
  await assert.rejects(Tokenizer.train(["ab"], { vocabSize: 300 }), /at most 258 tokens, 300 are wanted/);
  for (const special of ["", "the", "<|a b|>", "<|bos|>", "<||>"]) {
    assert.throws(() => Tokenizer.byteLevel({ specials: [special] }), TokenizerFileError, special);
  }
  const tokenizer = Tokenizer.byteLevel();
  for (const id of [257, -1, 0.5, NaN]) assert.throws(() => tokenizer.decode([id]), RangeError);
  tokenizer.dispose();
  tokenizer.dispose();
  assert.throws(() => tokenizer.encode("a"), /disposed/);
});

Deno.test("the library refuses buffers that do not fit and handles that are stale", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, b) => b);
  const byteEnds = Float64Array.from(bytes, (b) => b + 1);
  const create = (ends: Float64Array<ArrayBuffer>) =>
    symbols.rs_tokenizer_create(bytes, bytes.byteLength, ends, ends.byteLength, 1);
  for (
    const spoil of [
      (ends: Float64Array) => ends[9] = 8.5,
      (ends: Float64Array) => ends[9] = NaN,
      (ends: Float64Array) => ends[9] = 400,
      (ends: Float64Array) => ends[9] = 3,
      (ends: Float64Array) => ends[255] = 255,
    ]
  ) {
    const ends = byteEnds.slice();
    spoil(ends);
    assert.equal(create(ends), 0);
  }
  assert.equal(create(byteEnds.slice(0, 255)), 0);
  const handle = create(byteEnds);
  const text = Uint8Array.of(1, 2, 3), ends = Float64Array.of(3), idEnds = new Float64Array(1);
  const encode = (ids: number, width: number, of = handle) =>
    symbols.rs_tokenizer_encode(new Uint8Array(ids), ids, idEnds, 8, text, 3, ends, 8, of, width);
  assert.deepEqual([encode(6, 2), encode(12, 4)], [0, 0]);
  assert.deepEqual([encode(5, 2), encode(3, 1), encode(12, 2), encode(6, 2, 0)], [1, 1, 1, 2]);
  assert.equal(symbols.rs_tokenizer_destroy(handle), 0);
  assert.equal(encode(6, 2), 2);
  assert.equal(symbols.rs_tokenizer_destroy(handle), 2);
  const trainer = symbols.rs_bpe_trainer_create(1), state = new Float64Array(2);
  assert.equal(symbols.rs_bpe_trainer_step(state, 16, trainer, 1), 1);
  assert.equal(symbols.rs_bpe_trainer_begin(trainer), 0);
  assert.equal(symbols.rs_bpe_trainer_begin(trainer), 1);
  assert.equal(symbols.rs_bpe_trainer_add(trainer, text, 3, ends, 8), 1);
  assert.equal(symbols.rs_bpe_trainer_step(state, 16, trainer, 5), 0);
  assert.deepEqual([...state], [0, 1]);
  assert.equal(symbols.rs_bpe_trainer_destroy(trainer), 0);
  assert.equal(symbols.rs_bpe_trainer_step(state, 16, trainer, 1), 2);
  assert.throws(() => Tokenizer.byteLevel({ threads: -1 }), KernelError);
});
