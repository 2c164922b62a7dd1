/** Lets several processes write one memory at once, kills some of them, and compares what they were told with the file. */
import { openMemory } from "../memory/mod.ts";

/** What came of it. */
export interface WritersReport {
  /** Entries that were acknowledged. */
  acknowledged: number;
  /** Entries in the file. */
  entries: number;
  /** Processes that were killed in mid-work. */
  killed: number;
  seconds: number;
  /** Bytes of the largest write-ahead log that was seen. */
  walBytes: number;
  /** What is wrong; empty if all is well. */
  problems: string[];
}

interface Told {
  name: string;
  /** Number of an entry to its id. */
  ids: Map<number, number>;
  ended: boolean;
}

/**
 * Runs the writers.
 * @param killed how many of them are ended with SIGKILL somewhere in the middle
 */
export async function runWriters(
  path: string,
  processes: number,
  count: number,
  killed: number,
): Promise<WritersReport> {
  const started = performance.now();
  let walBytes = 0;
  const watch = setInterval(() => {
    try {
      walBytes = Math.max(walBytes, Deno.statSync(`${path}-wal`).size);
    } catch {
      // not there at the moment
    }
  }, 100);
  const told = await Promise.all(Array.from({ length: processes }, (_, index) => {
    const fatal = index < killed ? Math.floor(count * (0.1 + (0.8 * index) / Math.max(1, killed))) : Infinity;
    return writer(path, String.fromCharCode(97 + index), count, fatal);
  }));
  clearInterval(watch);
  const seconds = (performance.now() - started) / 1000;

  const problems: string[] = [];
  using memory = openMemory(path);
  let acknowledged = 0;
  for (const { name, ids, ended } of told) {
    acknowledged += ids.size;
    if (ended && ids.size !== count) problems.push(`writer ${name} ended after ${ids.size} of ${count}`);
    const stored = new Map(
      memory.tagged(`WRITER:${name}`).map(({ id, metadata }) => [metadata.number as number, id]),
    );
    for (const [number, id] of ids) {
      if (stored.get(number) !== id) {
        problems.push(`entry ${number} of writer ${name} was acknowledged as ${id} and is lost`);
      }
    }
    if (stored.size > ids.size + 1) {
      problems.push(`writer ${name} has ${stored.size} entries for ${ids.size} acknowledged`);
    }
  }
  const report = memory.verify();
  problems.push(...report.problems.map(({ message }) => message));
  return {
    acknowledged,
    entries: report.entries,
    killed: told.filter(({ ended }) => !ended).length,
    seconds,
    walBytes,
    problems,
  };
}

/** Runs one writer and kills it when it has had `fatal` entries acknowledged. */
async function writer(path: string, name: string, count: number, fatal: number): Promise<Told> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--allow-read",
      "--allow-write",
      new URL("_memory_writer.ts", import.meta.url).pathname,
      path,
      name,
      String(count),
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const told: Told = { name, ids: new Map(), ended: false };
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop()!;
    for (const line of lines) {
      const [number, id] = line.split(" ").map(Number);
      if (line === "end") told.ended = true;
      else if (line !== "open") told.ids.set(number, id);
    }
    if (told.ids.size >= fatal) {
      try {
        child.kill("SIGKILL");
      } catch {
        // it has ended by itself
      }
    }
  }
  await child.status;
  return told;
}
