/**
 * `cli.ts memory …`: looks into the memory. Changes nothing.
 * @module
 */
import type { EntryType, StoredEntry } from "../../memory/mod.ts";
import { type Arguments, wholeNumber } from "./arguments.ts";
import { exit, usageError } from "./errors.ts";
import { type Output, safeJson, visible, visibleLine } from "./output.ts";
import { openForCommand, placeOf } from "./place.ts";

/** Entries that are written at once. */
const BATCH = 256;

/** Field names as the table has them. */
function snake(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map((
      [name, value],
    ) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  );
}

/** Bytes, such as an embedding, as base64; everything else as it is. */
function entryJson(entry: StoredEntry): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(snake(entry)).map((
      [name, value],
    ) => [name, value instanceof Uint8Array ? value.toBase64() : value]),
  );
}

/** Day and minute; a file that others wrote may hold any text there. */
const minuteOf = (timestamp: string): string => visibleLine(timestamp).slice(0, 16);

/** Runs a memory command. @returns the exit code */
export async function runMemory(
  { command, positionals, values }: Arguments,
  standard: string,
  output: Output,
): Promise<number> {
  const action = command.name.split(" ")[1];
  const place = placeOf(values.db, standard);
  const limit = values.limit === undefined ? 10 : wholeNumber("--limit", values.limit, 1, 100_000);
  const type = values.type as EntryType | undefined;
  const query = positionals.join(" ");
  if (action === "search" && !/[\p{L}\p{N}]/u.test(query)) throw usageError('"memory search" needs words to look for');
  using opened = await openForCommand(place, `"${command.name}"`, false);
  if (opened === null) {
    output.notice(`there is no memory yet in ${place.path}`);
    if (action !== "export") {
      output.result({ path: place.path, entries: [], notices: output.notices }, () => "Nothing yet.");
    }
    return exit.done;
  }
  const { memory } = opened;
  switch (action) {
    case "search": {
      const hits = memory.search(query, { limit, type });
      output.result(
        { query, hits: hits.map(snake), notices: output.notices },
        (paint) =>
          hits.length === 0 ? "Nothing found." : hits.map(({ id, timestamp, tag, content }) => {
            return `${paint.bold(String(id))}  ${paint.dim(minuteOf(timestamp))}  ${visibleLine(tag)}\n  ${
              visibleLine(content).slice(0, 300)
            }`;
          }).join("\n"),
      );
      break;
    }
    case "recent": {
      const entries = memory.recent({ limit, type });
      output.result(
        { entries: entries.map(entryJson), notices: output.notices },
        (paint) =>
          entries.length === 0 ? "Nothing yet." : entries.map(({ id, timestamp, fileType, tag, content }) => {
            const head = `${paint.bold(String(id))}  ${paint.dim(minuteOf(timestamp))}  ${visibleLine(fileType)}  ${
              visibleLine(tag)
            }`;
            return `${head}\n${visible(content).slice(0, 600).split("\n").map((line) => `  ${line}`).join("\n")}`;
          }).join("\n"),
      );
      break;
    }
    case "export": {
      let lines: string[] = [];
      for (const entry of memory.export()) {
        lines.push(safeJson(entryJson(entry)));
        if (lines.length < BATCH) continue;
        output.write(`${lines.join("\n")}\n`);
        lines = [];
      }
      if (lines.length > 0) output.write(`${lines.join("\n")}\n`);
      break;
    }
    case "verify": {
      const report = memory.verify(values.anchor);
      output.result({ path: place.path, ...snake(report), notices: output.notices }, (paint) => {
        const problems = report.problems.map(({ message }) => `  - ${visibleLine(message)}`).join("\n");
        return report.ok ? `${paint.bold("ok")}: chain, file and index agree` : `${paint.bold("NOT ok")}\n${problems}`;
      });
      return report.ok ? exit.done : exit.failed;
    }
    case "stats": {
      const stats = snake(memory.stats());
      output.result(
        { path: place.path, ...stats, notices: output.notices },
        (paint) =>
          Object.entries(stats).map(([name, value]) =>
            `${paint.bold(name)}: ${typeof value === "object" ? safeJson(value) : visibleLine(String(value))}`
          ).join("\n"),
      );
      break;
    }
  }
  return exit.done;
}
