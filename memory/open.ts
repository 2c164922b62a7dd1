/**
 * Opens memories: from a file for writing, from a file for reading, or in RAM.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { chainedColumns } from "./audit.ts";
import { IN_RAM, Memory } from "./memory.ts";
import { databaseError, migrate, openForReading, openForWriting, valueOf, WAIT } from "./memory_file.ts";
import { transaction } from "./schema.ts";
import type { Row } from "./session_rows.ts";

/** How a memory is opened. */
export interface MemoryOptions {
  /** Milliseconds that a call waits for another program's lock; 5000. */
  wait?: number;
}

/**
 * Opens a memory for reading and writing, makes it where it is absent, and brings older files, the Python original's
 * among them, to the present tables without losing a row.
 * @throws {DatabaseError} the file is damaged, newer, foreign, read-only or locked; it is left as it is
 * @example
 * ```ts
 * import { openMemory } from "./open.ts";
 * import { strictEqual } from "node:assert";
 *
 * const folder = await Deno.makeTempDir();
 * {
 *   using memory = openMemory(`${folder}/memory.db`);
 *   const { id } = memory.append({ fileType: "DECISION", tag: "lr", content: "The learning rate goes down to 0.02." });
 *   strictEqual(memory.search("Which learning rates did we decide on?")[0].id, id);
 *   strictEqual(memory.verify().ok, true);
 * }
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export function openMemory(path: string, options: MemoryOptions = {}): Memory {
  const wait = options.wait ?? WAIT;
  return made(path, openForWriting(path, wait).database, wait, false);
}

/**
 * A memory that lives as long as the process and needs no permission.
 * @example
 * ```ts
 * import { openMemoryInRam } from "./open.ts";
 * import { deepStrictEqual } from "node:assert";
 *
 * using memory = openMemoryInRam();
 * memory.append({ fileType: "CONTEXT", tag: "office", content: "The spare keys are in the safe." });
 * deepStrictEqual(memory.context("Bake a cake"), []);
 * ```
 */
export function openMemoryInRam(): Memory {
  const database = new DatabaseSync(IN_RAM);
  migrate(database, 0);
  return made(IN_RAM, database, 0, false);
}

/**
 * Opens an existing memory for reading only; other programs may be writing it. A file of an older version is read into
 * RAM and stays as it is.
 * @throws {DatabaseError} the file is absent, damaged, newer or foreign
 */
export function readMemory(path: string, options: MemoryOptions = {}): Memory {
  const wait = options.wait ?? WAIT;
  const { database, version } = openForReading(path, wait);
  if (version >= 2) return made(path, database, wait, true);
  try {
    const copy = new DatabaseSync(IN_RAM);
    migrate(copy, 0);
    const insert = copy.prepare(
      `INSERT INTO entries (${chainedColumns.join(", ")}) VALUES (${chainedColumns.map(() => "?").join(", ")})`,
    );
    transaction(copy, () => {
      if (version === 0 && valueOf(database, "SELECT count(*) FROM sqlite_schema") === 0) return;
      const rows = database.prepare(`SELECT ${chainedColumns.join(", ")} FROM entries ORDER BY id`).iterate();
      for (const row of rows as Iterable<Row>) insert.run(...chainedColumns.map((name) => row[name] as string));
    });
    made(path, copy, wait, false); // takes the entries into index and chain
    return made(path, copy, wait, true);
  } catch (error) {
    throw databaseError(path, error);
  } finally {
    database.close();
  }
}

function made(path: string, database: DatabaseSync, wait: number, readOnly: boolean): Memory {
  try {
    return new Memory(path, database, wait, readOnly);
  } catch (error) {
    database.close();
    throw databaseError(path, error);
  }
}
