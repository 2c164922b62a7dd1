/**
 * Opens SQLite files and carries their schema forward by `PRAGMA user_version`. A file that is damaged, of another kind
 * or of a newer version is refused with one sentence before a byte of it changes. Knows no table.
 * @module
 */
import { DatabaseSync } from "node:sqlite";

/** What a database file is and how it came to be. */
export interface Schema {
  /** Named in error texts: "session.db", "memory.db". */
  readonly name: string;
  /** `PRAGMA application_id` of files written by this version; 0 where older files carry none. */
  readonly applicationId: number;
  /** SQL that leads from version i to version i + 1. Appended to, never edited. */
  readonly migrations: readonly string[];
}

/** A database file that cannot be used; the message is one sentence that names the file. */
export class DatabaseError extends Error {
  /** The file that cannot be used. */
  readonly path: string;

  /** Makes the sentence. @param path the file @param reason why it cannot be used, without a full stop @param cause what was thrown */
  constructor(path: string, reason: string, cause?: unknown) {
    super(`${path} ${reason}.`, { cause });
    this.name = "DatabaseError";
    this.path = path;
  }
}

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** One value of a pragma. */
function pragma(database: DatabaseSync, name: string): unknown {
  const row = database.prepare(`PRAGMA ${name}`).get();
  return row === undefined ? undefined : Object.values(row)[0];
}

/**
 * Looks at an existing file without changing it.
 * @throws {DatabaseError} it is damaged, of another kind, or newer than this program
 */
function inspect(path: string, schema: Schema): void {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    const state = pragma(database, "quick_check");
    if (state !== "ok") throw new Error(String(state).split("\n")[0]);
    const applicationId = Number(pragma(database, "application_id"));
    const version = Number(pragma(database, "user_version"));
    if (applicationId !== schema.applicationId) throw new DatabaseError(path, `is a database, but no ${schema.name}`);
    if (version > schema.migrations.length) {
      throw new DatabaseError(
        path,
        `has schema version ${version}, this program knows ${schema.migrations.length}; use a newer one`,
      );
    }
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError(path, `is damaged and was left as it is (${text(error)}); restore it from a copy`, error);
  } finally {
    database?.close();
  }
}

/** Runs `work` in one transaction that takes the write lock at once; an exception rolls back. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** Bytes of a file, null if there is none. */
function sizeOf(path: string): number | null {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/**
 * Opens a database file for reading and writing (WAL, `synchronous=FULL`: a commit survives a power cut) and migrates it
 * forward.
 * @param create makes the file where it is absent or empty
 * @throws {DatabaseError} the file is damaged, of another kind, newer, or cannot be opened
 */
export function openDatabase(path: string, schema: Schema, create: boolean): DatabaseSync {
  const size = sizeOf(path);
  if (!create && size === null) throw new DatabaseError(path, "does not exist");
  if (!create && size === 0) throw new DatabaseError(path, "is empty; restore it from a copy");
  if (size) inspect(path, schema);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec(
      "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    );
    const open = database;
    if (Number(pragma(open, "user_version")) < schema.migrations.length) {
      transaction(open, () => {
        // Read again under the lock: another process may have migrated in between.
        const version = Number(pragma(open, "user_version"));
        for (const step of schema.migrations.slice(version)) open.exec(step);
        open.exec(`PRAGMA application_id=${schema.applicationId}; PRAGMA user_version=${schema.migrations.length};`);
      });
    }
    return open;
  } catch (error) {
    database?.close();
    throw new DatabaseError(path, `cannot be opened as ${schema.name} (${text(error)})`, error);
  }
}

/**
 * Opens an existing database file for reading; other processes may be writing it.
 * @throws {DatabaseError} the file is damaged, of another kind or newer
 */
export function readDatabase(path: string, schema: Schema): DatabaseSync {
  if (!sizeOf(path)) throw new DatabaseError(path, "is empty or does not exist");
  inspect(path, schema);
  return new DatabaseSync(path, { readOnly: true });
}
