/**
 * What the memory takes at a million entries: `deno run --allow-read --allow-write tests/bench/memory_bench.ts [entries]`.
 * Every entry is a transaction of its own, as in use. With `--allow-run` also eight processes that write at once, three of
 * which are killed; `--keep FILE` leaves the memory there.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { type Entry, entryTypes, type Memory, openMemory, readMemory } from "../../memory/mod.ts";
import { runWriters } from "../_memory_writers.ts";
import { Words } from "./memory_words.ts";

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

async function main(args: string[]): Promise<void> {
  const kept = args.indexOf("--keep");
  const keep = kept < 0 ? undefined : args[kept + 1];
  const [given] = args.filter((_, index) => kept < 0 || (index !== kept && index !== kept + 1));
  const entries = given === undefined ? 1_000_000 : Number(given);
  if (!Number.isInteger(entries) || entries < 1000) {
    throw new Error("the number of entries is a whole number from 1000 on");
  }
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

/** Runs the benchmark with the words of a command line. */
export async function benchMemoryCommand(args: string[]): Promise<void> {
  await main(args);
}

if (import.meta.main) await main(Deno.args);
