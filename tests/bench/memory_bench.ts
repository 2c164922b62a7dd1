/**
 * What the memory takes at a million entries: `deno task bench:memory [entries]`. Every entry is a transaction of its own,
 * as in use. With `--allow-run` also eight processes that write at once, three of which are killed.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Entry, entryTypes, type Memory, openMemory, readMemory } from "../../memory/mod.ts";
import { runWriters } from "../_memory_writers.ts";
import { Words } from "./memory_words.ts";

const usage =
  `What the memory takes: times of writing, searching, opening and checking, and of eight processes that write at once.

usage: deno task bench:memory [options] [ENTRIES]

  ENTRIES        how many are written, from 1000 on (default: 1000000)
  --keep FILE    write them to this file, which is new, and leave it there
  --help         this text`;

/** The share `q` of sorted values lies below this one. */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

/** p50, p99, p99.9 and maximum of times in milliseconds. */
function spread(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const of = (q: number) => quantile(sorted, q).toFixed(2);
  return `p50 ${of(0.5)} ms   p99 ${of(0.99)} ms   p99.9 ${of(0.999)} ms   max ${of(1)} ms`;
}

function line(name: string, value: string): void {
  console.log(`${name.padEnd(34)} ${value}`);
}

function entryOf(words: Words, number: number): Entry {
  return {
    fileType: entryTypes[number % entryTypes.length],
    tag: `SESSION:bench:exp_${number >> 8}`,
    content: words.sentence(20 + words.below(16)),
    timestamp: new Date(Date.UTC(2026, 0, 1) + number * 20_000).toISOString(),
  };
}

/** The floor of a write: one row of 200 bytes in a transaction of its own, without index, chain or search. */
function bareWrite(folder: string): string {
  const database = new DatabaseSync(join(folder, "bare.db"));
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE t (a TEXT)");
  const insert = database.prepare("INSERT INTO t VALUES (?)");
  const text = "x".repeat(200);
  const times: number[] = [];
  for (let i = 0; i < 5000; i++) {
    const start = performance.now();
    database.exec("BEGIN IMMEDIATE");
    insert.run(text);
    database.exec("COMMIT");
    times.push(performance.now() - start);
  }
  database.close();
  return spread(times);
}

/** Times `work` for each of the questions; the first ones warm up. */
function time(questions: readonly string[], work: (question: string) => unknown): string {
  for (const question of questions.slice(0, 20)) work(question);
  return spread(questions.map((question) => {
    const start = performance.now();
    work(question);
    return performance.now() - start;
  }));
}

function write(memory: Memory, path: string, words: Words, entries: number): void {
  const all: number[] = [];
  let before = 0;
  for (let quarter = 1; quarter <= 4; quarter++) {
    const times: number[] = [];
    const until = Math.round((entries * quarter) / 4);
    for (let number = all.length; number < until; number++) {
      const entry = entryOf(words, number);
      const start = performance.now();
      memory.append(entry);
      times.push(performance.now() - start);
    }
    for (const value of times) all.push(value);
    const size = Deno.statSync(path).size + Deno.statSync(`${path}-wal`).size;
    const bytes = (size - before) / times.length;
    line(
      `write, to ${until} entries`,
      `${spread(times)}   ${(size / 2 ** 20).toFixed(0)} MiB, ${bytes.toFixed(0)} bytes an entry`,
    );
    before = size;
  }
  line("write, all", spread(all));
}

function ask(memory: Memory, words: Words, entries: number): void {
  const sentences = (length: number, count = 500) => Array.from({ length: count }, () => words.sentence(length));
  for (const length of [4, 8, 12, 20]) {
    line(`search, ${length} words`, time(sentences(length), (question) => memory.search(question)));
  }
  const frequent = Array.from(
    { length: 200 },
    () => Array.from({ length: 8 }, () => words.ranked(words.below(60))).join(" "),
  );
  line("search, 8 of the 60 commonest words", time(frequent, (question) => memory.search(question)));
  line("search, 12 words, one kind", time(sentences(12), (question) => memory.search(question, { type: "DECISION" })));
  line("context, 12 words", time(sentences(12), (question) => memory.context(question)));
  let found = 0;
  const asked = 200;
  for (let n = 0; n < asked; n++) {
    const id = 1 + words.below(entries);
    const part = memory.get(id)!.content.split(" ").slice(3, 15).join(" ");
    if (memory.search(part, { limit: 5 }).some((hit) => hit.id === id)) found++;
  }
  line("12 words of some entry find it", `${((100 * found) / asked).toFixed(1)} % in the first five`);
}

/** Milliseconds of one call. */
function once(work: () => unknown): string {
  const start = performance.now();
  work();
  return `${(performance.now() - start).toFixed(1)} ms`;
}

/** What a command line asks for; null for help. @throws Error in one sentence */
function readOptions(args: string[]): { entries: number; keep?: string } | null {
  const options = { keep: { type: "string" }, help: { type: "boolean", short: "h" } } as const;
  const { values: { keep, help }, positionals } = parseArgs({ args, options, allowPositionals: true });
  if (help) return null;
  const [given = "1000000", ...more] = positionals;
  const entries = Number(given);
  if (!/^\d+$/.test(given) || entries < 1000 || more.length > 0) {
    throw new Error(`the one argument is the number of entries, from 1000 on, not "${positionals.join(" ")}"`);
  }
  return { entries, keep };
}

async function bench({ entries, keep }: { entries: number; keep?: string }): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "memory-bench-" });
  const path = keep ?? join(folder, "memory.db");
  try {
    line("bare row, for comparison", bareWrite(folder));
    const words = new Words(1);
    const memory = openMemory(path);
    write(memory, path, words, entries);
    ask(memory, words, entries);
    memory.close();
    line("open and close, for writing", once(() => openMemory(path).close()));
    line("open and close, for reading", once(() => readMemory(path).close()));
    line(
      "open, append, context, close",
      once(() => {
        using opened = openMemory(path);
        opened.append(entryOf(words, entries));
        opened.context(words.sentence(12));
      }),
    );
    using opened = readMemory(path);
    line("stats", once(() => opened.stats()));
    line("recent", once(() => opened.recent()));
    let fine = false;
    const verified = once(() => fine = opened.verify().ok);
    line("verify", `${verified}   ${fine ? "ok" : "NOT OK"}`);
    opened.close();

    if ((await Deno.permissions.query({ name: "run" })).state !== "granted") {
      line("eight processes", "left out: needs --allow-run");
      return;
    }
    const count = Math.min(10_000, Math.ceil(entries / 100));
    const report = await runWriters(join(folder, "shared.db"), 8, count, 3);
    line(
      `8 processes, ${count} entries each`,
      `${report.killed} killed, ${report.acknowledged} acknowledged in ${
        report.seconds.toFixed(1)
      } s, ${report.entries} stored, ` +
        `log of at most ${(report.walBytes / 2 ** 20).toFixed(0)} MiB, ${report.problems.length} problems`,
    );
    for (const problem of report.problems.slice(0, 10)) console.log(`  ${problem}`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

if (import.meta.main) {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions(Deno.args);
  } catch (error) {
    console.error(`bench:memory: ${(error as Error).message.split(/\.\s/)[0]}; see --help`);
    Deno.exit(2);
  }
  if (options === null) console.log(usage);
  else await bench(options);
}
