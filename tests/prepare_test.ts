// trainer/prepare.ts from text to rows: what a data set promises, and what is left behind when something goes wrong.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { sourceOf } from "../trainer/data/source.ts";
import { findDataset, openDataset, prepare, type PrepareOptions } from "../trainer/prepare.ts";
import { Tokenizer } from "../trainer/tokenizer.ts";
import { testLibrary, testLibraryPath } from "./_library.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** A home folder of its own, with the library that the tests built. */
async function inHome(test: (home: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    await Deno.symlink(dirname(dirname(testLibraryPath)), join(home, "lib"));
    await test(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

const prepared = (options: PrepareOptions) => prepare({ libraryPath: testLibraryPath, ...options });
const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

/** Stories of a few words, all different. */
function stories(count: number, seed: number): string[] {
  const words = "the cat dog sat ran saw a red big old house and then under over with its friend slowly".split(" ");
  return Array.from({ length: count }, (_, story) => {
    const length = 20 + (story * 7919) % 60;
    return `Story ${seed}-${story}: ` +
      Array.from({ length }, (_, i) => words[(story * 31 + i * i + seed * i) % 19]).join(" ");
  });
}

const jsonLines = (texts: string[]) => texts.map((text) => JSON.stringify({ text }) + "\n").join("");

/** The documents of rows, taken apart at the BOS tokens. */
function piecesOf(rows: Uint16Array, bos: number): number[][] {
  const pieces: number[][] = [];
  for (const token of rows) token === bos ? pieces.push([]) : pieces.at(-1)!.push(token);
  return pieces;
}

Deno.test("prepare() makes full rows of the State of the Union addresses, whose text is the addresses'", () =>
  inHome(async (home) => {
    const options: PrepareOptions = { home, preset: "cpu-tiny" };
    assert.equal(findDataset(options), null);
    const folder = await prepared(options);
    assert.equal(findDataset(options), folder);
    using dataset = openDataset(folder);
    dataset.verify();
    const { splits, bosId, vocabSize, sequenceLength, duplicates } = dataset.manifest;
    assert.deepEqual([vocabSize, sequenceLength, dataset.tokenBytes[bosId]], [1024, 128, 0]);
    assert.equal(splits.train.documents + splits.val.documents + splits.sealed.documents + duplicates, 233);
    assert(splits.val.rows >= 512, "as many rows as the preset scores");
    const addresses: string[] = [];
    for await (const text of sourceOf("sotu").documents()) addresses.push(text);
    const total = addresses.reduce((sum, text) => sum + new TextEncoder().encode(text).length, 0);
    assert.equal(splits.train.bytes + splits.val.bytes + splits.sealed.bytes, total);

    testLibrary();
    using tokenizer = await Tokenizer.load(folder);
    assert.deepEqual([...tokenizer.tokenBytes()], [...dataset.tokenBytes]);
    const everything = addresses.join("\u0000");
    for (const split of ["val", "train"] as const) {
      const count = Math.min(150, dataset.rowCount(split));
      const rows = dataset.readRows(split, Array.from({ length: count }, (_, row) => row));
      for (let row = 0; row < count; row++) assert.equal(rows[row * 129], bosId);
      for (const piece of piecesOf(rows, bosId)) {
        // A piece may begin or end within a character.
        const text = tokenizer.decode(piece).replace(/^\ufffd+|\ufffd+$/g, "");
        assert(everything.includes(text), `not of the addresses: ${text}`);
      }
    }
    // All rows are full, so what is missing is less than a row a split.
    for (const { rows, tokens } of Object.values(splits)) assert(rows * 128 >= tokens - 128);
  }));

Deno.test("the same text gives the same files, whatever the order of preparing, and is not prepared twice", () =>
  inHome(async (home) => {
    const path = join(home, "stories.jsonl");
    await Deno.writeTextFile(path, jsonLines(stories(800, 1)));
    const options: PrepareOptions = { home, source: `files:${path}`, vocabSize: 400, sequenceLength: 32 };
    const folder = await prepared(options);
    const { files } = openAndClose(folder);
    const written = (await Deno.stat(join(folder, "manifest.json"))).mtime;
    assert.equal(await prepared({ ...options, libraryPath: "/nowhere/needs/no/library.so" }), folder);
    assert.deepEqual((await Deno.stat(join(folder, "manifest.json"))).mtime, written);
    const other = await prepared({ ...options, sequenceLength: 33 });
    assert.notEqual(other, folder);
    await Deno.remove(folder, { recursive: true });
    assert.equal(await prepared(options), folder);
    assert.deepEqual(openAndClose(folder).files, files);
  }));

function openAndClose(folder: string) {
  using dataset = openDataset(folder);
  return dataset.manifest;
}

Deno.test("a data set that was damaged is made again", () =>
  inHome(async (home) => {
    const path = join(home, "stories.jsonl");
    await Deno.writeTextFile(path, jsonLines(stories(800, 2)));
    const options: PrepareOptions = { home, source: `files:${path}`, vocabSize: 400, sequenceLength: 32 };
    const folder = await prepared(options);
    const { files } = openAndClose(folder);
    await Deno.truncate(join(folder, "train.bin"), 1000);
    assert.equal(findDataset(options), null);
    const lines: string[] = [];
    assert.equal(await prepared({ ...options, onProgress: (line) => lines.push(line) }), folder);
    assert.match(lines[0], /train.bin is damaged: it has 1000 bytes, not \d+; it is replaced$/);
    assert.deepEqual(openAndClose(folder).files, files);
    assert.deepEqual(names(join(home, "data")), [folder.slice(join(home, "data").length + 1)]);
  }));

Deno.test("validation documents from elsewhere are all scored, and none of them trains", () =>
  inHome(async (home) => {
    const [train, val] = [stories(600, 3), stories(60, 4)];
    await Deno.writeTextFile(join(home, "train-0.jsonl"), jsonLines([...train.slice(0, 300), val[5], train[0]]));
    await Deno.writeTextFile(join(home, "train-1.jsonl"), jsonLines([...train.slice(300), val[6]]));
    await Deno.writeTextFile(join(home, "val.jsonl"), jsonLines(val));
    const folder = await prepared({
      home,
      source: `files:${home}/train-*.jsonl`,
      validation: `files:${home}/val.jsonl`,
      tokenizer: "bytes",
      sequenceLength: 64,
    });
    using dataset = openDataset(folder);
    const { splits, duplicates, vocabSize } = dataset.manifest;
    assert.deepEqual([splits.val.documents, duplicates, vocabSize], [60, 3, 257]);
    assert.equal(splits.train.documents + splits.sealed.documents, 600);
    assert(splits.sealed.documents > 0);
    const bytes = (texts: string[]) => texts.join("").length;
    assert.equal(splits.val.tokens, bytes(val));
    assert.equal(splits.train.tokens + splits.sealed.tokens, bytes(train));
  }));

/** Runs the command line of prepare. */
async function command(home: string, args: string[], flags = ["--allow-read", "--allow-write", "--allow-ffi"]) {
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      ...flags,
      "--allow-env=RESEARCHSWARM_HOME",
      join(root, "trainer/prepare.ts"),
      ...args,
    ],
    env: { RESEARCHSWARM_HOME: home, NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code: output.code, out: decoder.decode(output.stdout), err: decoder.decode(output.stderr).trimEnd() };
}

Deno.test("two processes that prepare the same data at once both end well, and so does one after a kill", () =>
  inHome(async (home) => {
    const path = join(home, "stories.jsonl");
    await Deno.writeTextFile(path, jsonLines(stories(12_000, 5)));
    const args = ["--source", `files:${path}`, "--vocab-size", "400", "--sequence-length", "32"];
    const killed = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-check",
        "--allow-read",
        "--allow-write",
        "--allow-ffi",
        "--allow-env",
        join(root, "trainer/prepare.ts"),
        ...args,
      ],
      env: { RESEARCHSWARM_HOME: home },
      stdout: "null",
      stderr: "null",
    }).spawn();
    const data = join(home, "data");
    const begun = () => {
      try {
        return names(data).some((name) => names(join(data, name)).length > 0);
      } catch {
        return false;
      }
    };
    for (let i = 0; i < 500 && !begun(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
    killed.kill("SIGKILL");
    await killed.status;
    assert.deepEqual(names(data).filter((name) => !name.endsWith(".tmp")), [], "killed too late to test anything");

    const both = await Promise.all([command(home, args), command(home, args)]);
    for (const { code, out, err } of both) {
      assert.deepEqual([code, err], [0, ""]);
      assert.match(out, /^dataset: .*\n(.*\n)*rows: \d+ train, \d+ val, \d+ sealed\n/);
    }
    const folders = names(data).filter((name) => !name.endsWith(".tmp"));
    assert.equal(folders.length, 1);
    using dataset = openDataset(join(data, folders[0]));
    dataset.verify();
    // What the killed one left goes when it is a day old.
    const left = names(data).filter((name) => name.endsWith(".tmp"));
    assert.equal(left.length, 1);
    const old = new Date(Date.now() - 25 * 3600 * 1000);
    await Deno.utime(join(data, left[0]), old, old);
    assert.equal((await command(home, [...args, "--sequence-length", "16"])).code, 0);
    assert(!names(data).includes(left[0]));
  }));

Deno.test("every bad input of the command line is one sentence, exit code 1, and leaves nothing behind", () =>
  inHome(async (home) => {
    const file = (name: string, content: string | Uint8Array) => {
      const path = join(home, name);
      typeof content === "string" ? Deno.writeTextFileSync(path, content) : Deno.writeFileSync(path, content);
      return `files:${path}`;
    };
    const small = file("small.jsonl", jsonLines(stories(40, 6)));
    const cases: [string[], RegExp][] = [
      [["--what"], /Unknown option '--what'; see --help/],
      [["now"], /Unexpected argument 'now'/],
      [["--preset", "huge"], /there is no preset "huge"; there are h100, /],
      [["--vocab-size", "many"], /--vocab-size needs a whole number, got "many"/],
      [["--vocab-size", "70000"], /the vocabulary size must be a whole number of 257…65536, got 70000/],
      [["--sequence-length", "1"], /the sequence length must be/],
      [["--tokenizer", "words"], /--tokenizer must be bpe or bytes/],
      [["--source", "files:/nowhere/*.txt"], /files:\/nowhere\/\*.txt matches no file/],
      [["--source", "http://somewhere"], /there is no source/],
      [["--source", file("empty.txt", "")], /empty.txt is empty/],
      [["--source", file("binary.txt", new Uint8Array(100))], /binary.txt looks binary/],
      [["--source", file("bad.jsonl", "{")], /bad.jsonl, line 1 is not JSON/],
      [["--source", file("tiny.txt", "A few words.")], /the text is too small/],
      [["--source", small, "--vocab-size", "60000"], /give a vocabulary of at most \d+ tokens, 60000 are wanted/],
      [
        ["--source", small, "--vocab-size", "300", "--sequence-length", "5000"],
        /the text is too small: the \w+ split has/,
      ],
    ];
    const results = await Promise.all(cases.map(([args]) => command(home, args)));
    cases.forEach(([args, message], i) => {
      const { code, out, err } = results[i];
      assert.match(err, message, args.join(" "));
      assert.deepEqual([code, out, err.split("\n").length], [1, "", 1], `${args.join(" ")}: ${err}`);
      assert(err.startsWith("prepare: "));
    });
    const data = join(home, "data");
    assert.deepEqual(await Deno.stat(data).then(() => names(data), () => []), []);

    const refused = await command(home, ["--source", small], ["--allow-read"]);
    assert.deepEqual(
      [refused.code, refused.err],
      [1, `prepare: prepare lacks a permission; run it with --allow-write=${home} --allow-ffi=${home}/lib`],
    );
    const help = await command(home, ["--help"], []);
    assert.equal(help.code, 0);
    assert.match(help.out, /usage: deno task prepare/);
  }));

Deno.test("a home that cannot be written ends in one sentence", () =>
  inHome(async (home) => {
    await Deno.writeTextFile(join(home, "data"), "a file in the place of the folder");
    const { code, err } = await command(home, ["--preset", "cpu-tiny"]);
    assert.equal(code, 1);
    assert.match(err, /^prepare: .*cannot be prepared: .+$/);
  }));

const corpus = join(root, "../shared/data");
const absent = await Deno.stat(join(corpus, "small-train.jsonl.xz")).then(
  () => "",
  () => " (skipped: no corpus beside the repository)",
);
Deno.test({
  name: `prepare() reads real xz files with a validation file of their own${absent}`,
  ignore: absent !== "",
  fn: () =>
    inHome(async (home) => {
      const folder = await prepared({
        home,
        preset: "cpu",
        source: `files:${corpus}/small-train*.jsonl.xz`,
        validation: `files:${corpus}/small-val.jsonl.xz`,
      });
      const { splits } = openAndClose(folder);
      assert.deepEqual([splits.val.documents, splits.val.bytes], [165, 1003487]);
      assert.deepEqual([splits.train.documents + splits.sealed.documents, splits.train.bytes + splits.sealed.bytes], [
        1111,
        8003669,
      ]);
    }),
});
