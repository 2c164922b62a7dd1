/**
 * Opens `memory.db` cheaply and refuses what it must not touch: damaged, cut, foreign, newer, read-only and locked files end
 * in one sentence, before a byte of them changes. Turns what SQLite reports later into the same sentences.
 *
 * No file is opened here but by SQLite: closing any other handle of a database would drop the locks that SQLite holds on it
 * in this process.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { entriesSchema } from "./memory_schema.ts";
import { DatabaseError, transaction } from "./schema.ts";

/** Files up to this size are checked page by page at every open (11 ms a megabyte); larger ones by their ends. */
const CHECKED_BYTES = 2 ** 20;
/** Pages of the log after which it is carried into the file: 16 MB. At 1000, one write in 80 would wait for the disk. */
const CHECKPOINT_PAGES = 4000;

/** Milliseconds that a call waits for another program's lock. */
export const WAIT = 5000;

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Whether it is worth while to try again: another connection holds a lock. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && /database (table |schema )?is (locked|busy)/.test(error.message);
}

/** An error of SQLite or Deno as one sentence about the file; other errors pass. */
export function databaseError(path: string, error: unknown): unknown {
  if (error instanceof DatabaseError) return error;
  const message = text(error);
  const refuse = (reason: string) => new DatabaseError(path, reason, error);
  if (error instanceof Deno.errors.NotCapable || /run again with the --allow-/.test(message)) {
    const folder = folderPath(path);
    return refuse(`cannot be used without --allow-read=${folder} and --allow-write=${folder}, the folder it is in`);
  }
  if (isBusy(error)) return refuse("is locked by another program; try again when that has ended");
  // SQLite has read no more than the header: whether it was ever one, nobody can tell.
  if (/not a database/.test(message)) {
    return refuse("is no database, or one whose beginning is damaged; it was left as it is");
  }
  if (/malformed|file is encrypted|corrupt|fts5: |short read|vtable constructor failed/i.test(message)) {
    return refuse(`is damaged and was left as it is (${message}); restore it from a copy`);
  }
  if (/readonly/.test(message)) return refuse("is read-only");
  if (/unable to open/.test(message)) {
    const absent = isAbsent(folderPath(path));
    return refuse(
      `cannot be opened: ${absent ? "its folder does not exist" : "it, or the folder around it, is out of reach"}`,
    );
  }
  if (/disk is full/.test(message)) return refuse("cannot be written: the disk is full");
  if (/disk I\/O error/.test(message)) return refuse("cannot be read or written (disk I/O error)");
  if (/no such (table|column)|has no column/.test(message)) {
    return refuse(`is a database, but no memory.db (${message})`);
  }
  return error;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Waits without doing anything. */
export function pause(milliseconds: number): void {
  Atomics.wait(sleeper, 0, 0, milliseconds);
}

/**
 * Does `work` again while another connection's lock is in its way. SQLite's own waiting sleeps up to 100 ms at a time,
 * which among eight writers costs more than the writes.
 */
export function patiently<T>(work: () => T, milliseconds: number): T {
  const deadline = performance.now() + milliseconds;
  for (let attempt = 0;; attempt++) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      pause(Math.random() * Math.min(10, 0.5 * 2 ** Math.min(attempt, 6)) + 0.1);
    }
  }
}

/** One value of the first row. */
export function valueOf(database: DatabaseSync, sql: string): unknown {
  const row = database.prepare(sql).get();
  return row === undefined ? undefined : Object.values(row)[0];
}

function statOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    if (error instanceof Deno.errors.NotCapable) throw databaseError(path, error);
    if (error instanceof Deno.errors.NotADirectory) return null;
    throw new DatabaseError(path, `cannot be opened (${text(error)})`, error);
  }
}

/** Whether the mode bits allow nobody to write; the owner's wish, even where root could. */
function isReadOnly(info: Deno.FileInfo | null): boolean {
  return info !== null && info.mode !== null && (info.mode & 0o222) === 0;
}

const folderPath = (path: string): string => path.replace(/[^\/\\]*$/, "") || ".";

/** Whether there is surely nothing of this name. */
function isAbsent(path: string): boolean {
  try {
    Deno.statSync(path);
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
  return false;
}

function folderOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(folderPath(path));
  } catch {
    return null; // not there, or not ours to look at; SQLite will say
  }
}

/** Columns that the original's program reads and writes. */
const originalColumns = "id file_type timestamp tag content metadata phase progress_status embedding".split(" ");

/**
 * Looks through an open connection at what a file is.
 * @returns its schema version
 * @throws {DatabaseError} it is damaged, foreign or newer
 */
function examine(database: DatabaseSync, path: string, size: number): number {
  const version = Number(valueOf(database, "PRAGMA user_version"));
  // SQLite takes a file of one byte for an empty one, and an unfinished last page for a whole one.
  if (size === 1) throw new Error("not a database");
  if (size % Number(valueOf(database, "PRAGMA page_size")) !== 0) throw new Error("malformed: the last page is cut");
  const known = entriesSchema.migrations.length;
  if (Number(valueOf(database, "PRAGMA application_id")) !== entriesSchema.applicationId) {
    throw new DatabaseError(path, "is a database, but no memory.db");
  }
  if (version > known) {
    throw new DatabaseError(path, `has schema version ${version}, this program knows ${known}; use a newer one`);
  }
  const tables = new Set(
    database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all().map((row) => row.name as string),
  );
  if (tables.size === 0 && version === 0) return 0;
  const wanted = version < 2 ? ["entries"] : ["entries", "audit", "dedupe", "repeats", "handoffs", "entry_terms"];
  const columns = new Set(database.prepare("PRAGMA table_info(entries)").all().map((row) => row.name as string));
  if (!wanted.every((name) => tables.has(name)) || !originalColumns.every((name) => columns.has(name))) {
    throw new DatabaseError(path, "is a database, but no memory.db");
  }
  if (size <= CHECKED_BYTES) {
    const state = valueOf(database, "PRAGMA quick_check(1)");
    if (state !== "ok") throw new Error(`malformed: ${String(state).split("\n")[0]}`);
  } else {
    // SQLite has compared the size with the header; the first and the last rows lead down both edges of the trees.
    for (const table of version < 2 ? ["entries"] : ["entries", "audit", "dedupe", "entry_terms_data"]) {
      for (const order of ["ASC", "DESC"]) database.prepare(`SELECT * FROM ${table} ORDER BY rowid ${order}`).get();
    }
  }
  return version;
}

/** A connection to a file that was found good. */
export interface OpenedFile {
  database: DatabaseSync;
  /** Schema version that the file had when it was opened. */
  version: number;
}

/**
 * Opens a memory for reading and writing, makes it where it is absent, and brings its tables to the present schema.
 * @param wait milliseconds to wait for another program's lock
 * @throws {DatabaseError} the file cannot be used; it is left as it is
 */
export function openForWriting(path: string, wait: number): OpenedFile {
  const info = statOf(path);
  if (info?.isDirectory) throw new DatabaseError(path, "is a folder, no memory.db");
  if (info !== null && !info.isFile) throw new DatabaseError(path, "is no file");
  if (isReadOnly(info)) throw new DatabaseError(path, "is read-only and was left as it is");
  if (isReadOnly(folderOf(path))) throw new DatabaseError(path, "lies in a read-only folder and was left as it is");
  let database: DatabaseSync | undefined;
  try {
    // A log that a killed program left is carried into the file when its last writer closes: look before that.
    if (info !== null && info.size > 0 && (statOf(`${path}-wal`)?.size ?? 0) > 0) {
      const reader = new DatabaseSync(path, { readOnly: true });
      try {
        patiently(() => examine(reader, path, info.size), wait);
      } finally {
        reader.close();
      }
    }
    const open = database = new DatabaseSync(path);
    open.exec("PRAGMA busy_timeout = 0; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY");
    let version = info === null || info.size === 0 ? 0 : patiently(() => examine(open, path, info.size), wait);
    patiently(() => open.exec("PRAGMA journal_mode = WAL"), wait);
    // What is acknowledged survives a kill of the process; a power cut may take the last moments (handoffs sync, see there).
    open.exec(
      `PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA cache_size = -8000; ` +
        "PRAGMA journal_size_limit = 67108864; PRAGMA foreign_keys = ON",
    );
    // Takes the write lock also where nothing is to be done: a file that cannot be written shows it here.
    patiently(() =>
      transaction(open, () => {
        version = Number(valueOf(open, "PRAGMA user_version")); // another process may have migrated in between
        migrate(open, version);
      }), wait);
    return { database: open, version };
  } catch (error) {
    database?.close();
    throw databaseError(path, error);
  }
}

/** Brings the tables of an open database to the present schema; the caller holds the write lock. */
export function migrate(database: DatabaseSync, version: number): void {
  if (version >= entriesSchema.migrations.length) return;
  for (const step of entriesSchema.migrations.slice(version)) database.exec(step);
  database.exec(`PRAGMA user_version = ${entriesSchema.migrations.length}`);
}

/**
 * Opens an existing memory for reading; other programs may be writing it. Its version may be an older one.
 * @throws {DatabaseError} the file cannot be used; it is left as it is
 */
export function openForReading(path: string, wait: number): OpenedFile {
  const info = statOf(path);
  if (info === null) throw new DatabaseError(path, "does not exist");
  if (info.isDirectory) throw new DatabaseError(path, "is a folder, no memory.db");
  if (info.size === 0) throw new DatabaseError(path, "is empty");
  let database: DatabaseSync | undefined;
  try {
    // Only a connection that may write removes its -wal and -shm files when it closes.
    const writable = !isReadOnly(info) && !isReadOnly(folderOf(path)) &&
      Deno.permissions.querySync({ name: "write", path }).state === "granted";
    const logged = (statOf(`${path}-wal`)?.size ?? 0) > 0;
    const open = database = new DatabaseSync(path, { readOnly: !writable || logged });
    open.exec(
      "PRAGMA busy_timeout = 0; PRAGMA query_only = ON; PRAGMA cell_size_check = ON; PRAGMA cache_size = -8000; " +
        "PRAGMA temp_store = MEMORY",
    );
    return { database: open, version: patiently(() => examine(open, path, info.size), wait) };
  } catch (error) {
    database?.close();
    if (/readonly|unable to open/.test(text(error))) {
      const reason =
        "lies in a folder that cannot be written, which SQLite needs even for reading; copy it to another one";
      throw new DatabaseError(path, reason, error);
    }
    throw databaseError(path, error);
  }
}
