/**
 * The memory: entries that are only ever added, found again by what they say. One class over `memory.db` or over a
 * database in RAM. Long because it is one public class over one connection: its methods are short, their work is in the
 * files beside this one, and half of the lines are their documentation.
 * @module
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { AuditChain, chainedColumns, type Head } from "./audit.ts";
import {
  type AppendResult,
  type Entry,
  entryColumns,
  entryOf,
  type EntryType,
  entryTypes,
  type Hit,
} from "./entries.ts";
import type { StoredEntry } from "./entries.ts";
import { admit, type AdmittedEntry, dedupeKey, normalised } from "./gate.ts";
import { HandoffStore } from "./handoffs.ts";
import { databaseError, isBusy, patiently, pause, valueOf } from "./memory_file.ts";
import type { Ranked } from "./rank.ts";
import { relevant } from "./relevance.ts";
import { DatabaseError, transaction } from "./schema.ts";
import { indexRowid, indexText, Search, type SearchOptions } from "./search.ts";
import type { Row } from "./session_rows.ts";
import { headText, verifyDatabase, type VerifyReport } from "./verify.ts";

/** Entries of another program that one transaction takes in. */
const ADOPTED_AT_ONCE = 2000;

/** Writes of this connection after which it looks how long the log is, and pages that are too many: 48 MB. */
const LOOKED_AFTER = 64;
const LOG_PAGES = 12_000;

/** What stands for the path of a memory in RAM. */
export const IN_RAM = ":memory:";

/** How much a memory holds. */
export interface MemoryStats {
  /** The file; `:memory:` in RAM. */
  readonly path: string;
  /** Bytes of the file; 0 in RAM. */
  readonly bytes: number;
  /** Version of the tables. */
  readonly schemaVersion: number;
  /** All entries. */
  readonly entries: number;
  /** Entries of each kind that has any. */
  readonly byType: Readonly<Partial<Record<EntryType, number>>>;
  /** Repeats that were counted and not stored. */
  readonly repeats: number;
  /** Time of the oldest entry, null without any. */
  readonly oldest: string | null;
  /** Time of the newest entry, null without any. */
  readonly newest: string | null;
  /** Handoffs by state. */
  readonly handoffs: { readonly open: number; readonly done: number; readonly cancelled: number };
  /** Records of the audit chain. */
  readonly records: number;
  /** Number and hash of the last record; see `VerifyReport.head`. */
  readonly head: string;
}

/** An open memory. Made by `openMemory`, `readMemory` and `openMemoryInRam`. */
export class Memory implements Disposable {
  /** Work that waits for a person. */
  readonly handoffs: HandoffStore;
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #wait: number;
  readonly #readOnly: boolean;
  readonly #chain: AuditChain;
  readonly #search: Search;
  #writes = 0;
  readonly #statements = new Map<string, StatementSync>();

  /** Made by the functions that open one. @param path what errors name @param database of the current schema @param wait milliseconds @param readOnly refuse writes */
  constructor(path: string, database: DatabaseSync, wait: number, readOnly: boolean) {
    this.#path = path;
    this.#database = database;
    this.#wait = wait;
    this.#readOnly = readOnly;
    this.#chain = new AuditChain(database);
    this.#search = new Search(database);
    this.handoffs = new HandoffStore({
      database,
      record: (id, change) => this.#chain.append(this.#chain.head(), "handoff", id, change),
      read: (work) => this.#read(work),
      writeDurably: (work) => this.#writeDurably(work),
    });
    if (!readOnly) this.#catchUp();
  }

  /**
   * Adds an entry, if there is something to remember in it that is not there yet. When this returns, the entry survives a
   * kill of the process; a power cut may take the last moments.
   * @throws {MemoryError} its kind, time or metadata are none
   * @throws {DatabaseError} the file cannot be written
   */
  append(entry: Entry): AppendResult {
    const admitted = admit(entry);
    if ("refused" in admitted) return { id: null, stored: false, reason: admitted.refused, notice: admitted.notice };
    const result = this.#write(() => this.#store(admitted));
    if (++this.#writes % LOOKED_AFTER === 0) this.#tidyLog();
    return result;
  }

  /**
   * Adds many entries in one transaction: all of them or, after an exception, none.
   * @throws {MemoryError} a kind, time or metadata is none
   * @throws {DatabaseError} the file cannot be written
   */
  appendAll(entries: Iterable<Entry>): AppendResult[] {
    const admitted = Array.from(entries, admit);
    return this.#write(() =>
      admitted.map((entry) =>
        "refused" in entry
          ? { id: null, stored: false, reason: entry.refused, notice: entry.notice }
          : this.#store(entry)
      )
    );
  }

  /**
   * Entries that have words of the query, best first: BM25 over the rarest words, a little more for what is new (half-life
   * 30 days). Any text is a query; nothing in it is an operator.
   */
  search(query: string, options: SearchOptions = {}): Hit[] {
    const limit = Math.max(0, Math.floor(options.limit ?? 10));
    return this.#snapshot(() => this.#hits(this.#search.find(query, { ...options, limit }).slice(0, limit)));
  }

  /** The newest entries by their time, newest first. */
  recent(options: { limit?: number; type?: EntryType } = {}): StoredEntry[] {
    const limit = Math.max(0, Math.floor(options.limit ?? 10));
    const types = options.type === undefined ? entryTypes : [options.type];
    return this.#read(() => {
      // One ordered walk of the original's index for each kind.
      const rows = types.flatMap((type) =>
        this.#prepare(
          `SELECT ${entryColumns} FROM entries e LEFT JOIN repeats r ON r.entry = e.id WHERE e.file_type = ? ` +
            "ORDER BY e.timestamp DESC, e.id DESC LIMIT ?",
        ).all(type, limit)
      );
      return rows.map((row) => entryOf(row as Row))
        .sort((a, b) => (a.timestamp === b.timestamp ? b.id - a.id : a.timestamp < b.timestamp ? 1 : -1))
        .slice(0, limit);
    });
  }

  /**
   * What the memory knows that is relevant to a task, best first; nothing rather than something else.
   * @param limit entries at most
   */
  context(task: string, limit = 5): Hit[] {
    return this.#snapshot(() => this.#hits(relevant(this.#search.find(task, { limit })).slice(0, limit)));
  }

  /** One entry, undefined if there is none of this id. */
  get(id: number): StoredEntry | undefined {
    return this.#read(() => {
      const row = this.#prepare(
        `SELECT ${entryColumns} FROM entries e LEFT JOIN repeats r ON r.entry = e.id WHERE e.id = ?`,
      ).get(id);
      return row === undefined ? undefined : entryOf(row as Row);
    });
  }

  /** Entries of one tag in the order in which they were written. */
  tagged(tag: string): StoredEntry[] {
    return this.#read(() =>
      this.#prepare(
        `SELECT ${entryColumns} FROM entries e LEFT JOIN repeats r ON r.entry = e.id WHERE e.tag = ? ORDER BY e.id`,
      ).all(tag).map((row) => entryOf(row as Row))
    );
  }

  /** All entries in the order in which they were written; what is added meanwhile may come along. */
  *export(): Generator<StoredEntry> {
    for (let last = 0;;) {
      const rows = this.#read(() =>
        this.#prepare(
          `SELECT ${entryColumns} FROM entries e LEFT JOIN repeats r ON r.entry = e.id WHERE e.id > ? ORDER BY e.id LIMIT 500`,
        ).all(last)
      );
      if (rows.length === 0) return;
      for (const row of rows) yield entryOf(row as Row);
      last = rows[rows.length - 1].id as number;
    }
  }

  /**
   * The full check: SQLite's own, the audit chain against every entry, handoffs, search index. About half a minute for a
   * million entries.
   * @param anchor a `head` of an earlier report, which must still be in the chain
   */
  verify(anchor?: string): VerifyReport {
    return this.#snapshot(() => {
      try {
        return verifyDatabase(this.#database, anchor);
      } catch (error) {
        // A file too damaged to be read to its end is a finding, not a failure of the check.
        if (isBusy(error)) throw error;
        const message = `the check could not be finished: ${(error as Error).message}`;
        const problems = [{ part: "file" as const, message }];
        return { ok: false, entries: 0, records: 0, adopted: [], head: "", problems };
      }
    });
  }

  /** How much it holds. */
  stats(): MemoryStats {
    return this.#read(() => {
      const byType: Partial<Record<EntryType, number>> = {};
      let entries = 0;
      let oldest: string | null = null, newest: string | null = null;
      for (
        const row of this.#prepare(
          "SELECT file_type, count(*) AS n, min(timestamp) AS oldest, max(timestamp) AS newest FROM entries GROUP BY 1",
        ).all() as Row[]
      ) {
        byType[row.file_type as EntryType] = row.n as number;
        entries += row.n as number;
        const [first, last] = [String(row.oldest), String(row.newest)];
        if (oldest === null || first < oldest) oldest = first;
        if (newest === null || last > newest) newest = last;
      }
      const handoffs = { open: 0, done: 0, cancelled: 0 };
      for (const row of this.#prepare("SELECT state, count(*) AS n FROM handoffs GROUP BY 1").all() as Row[]) {
        handoffs[row.state as keyof typeof handoffs] = row.n as number;
      }
      const { seq, hash } = this.#chain.head();
      return {
        path: this.#path,
        bytes: this.#path === IN_RAM ? 0 : Deno.statSync(this.#path).size,
        schemaVersion: Number(valueOf(this.#database, "PRAGMA user_version")),
        entries,
        byType,
        repeats: Number(valueOf(this.#database, "SELECT COALESCE(sum(times), 0) FROM repeats")),
        oldest,
        newest,
        handoffs,
        records: seq,
        head: headText(seq, hash),
      };
    });
  }

  /**
   * Makes the search index anew from the entries.
   * @throws {DatabaseError} the file cannot be written
   */
  reindex(): void {
    this.#write(() => {
      this.#database.exec("INSERT INTO entry_terms (entry_terms) VALUES ('delete-all')");
      for (const row of this.#prepare("SELECT id, file_type, tag, content FROM entries").iterate() as Iterable<Row>) {
        this.#index(row.id as number, row.file_type as EntryType, String(row.tag), String(row.content));
      }
    });
  }

  /** Closes the file. Does nothing the second time. */
  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** Same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#database.prepare(sql));
    return statement;
  }

  #hits(ranked: readonly Ranked[]): Hit[] {
    return ranked.map(({ id, fileType, timestamp, tag, score }) => {
      const row = this.#prepare("SELECT content FROM entries WHERE id = ?").get(id) as Row;
      return { id, fileType, timestamp, tag, content: String(row.content), score };
    });
  }

  #read<T>(work: () => T): T {
    try {
      return patiently(work, this.#wait);
    } catch (error) {
      throw databaseError(this.#path, error);
    }
  }

  /** Reads in one transaction: all statements see the same state. */
  #snapshot<T>(work: () => T): T {
    return this.#read(() => {
      this.#database.exec("BEGIN");
      try {
        return work();
      } finally {
        if (this.#database.isTransaction) this.#database.exec("COMMIT");
      }
    });
  }

  #write<T>(work: () => T): T {
    if (this.#readOnly) throw new DatabaseError(this.#path, "was opened for reading");
    try {
      return patiently(() => transaction(this.#database, work), this.#wait);
    } catch (error) {
      throw databaseError(this.#path, error);
    }
  }

  /**
   * Among many writers somebody always adds to the log while it is carried into the file, so that SQLite never begins it
   * anew: it would grow by hundreds of megabytes. Now and then one of them keeps the others out until all of it is over.
   */
  #tidyLog(): void {
    if (this.#path === IN_RAM) return;
    const { log } = this.#prepare("PRAGMA wal_checkpoint(NOOP)").get() as Row;
    if ((log as number) <= LOG_PAGES) return;
    let helper: DatabaseSync | undefined;
    try {
      helper = new DatabaseSync(this.#path); // a connection cannot do it while it holds the write lock itself
      const carry = helper.prepare("PRAGMA wal_checkpoint(PASSIVE)");
      this.#write(() => {
        const deadline = performance.now() + 500;
        for (let done = false; !done && performance.now() < deadline;) {
          const { busy, log, checkpointed } = carry.get() as Row;
          done = busy === 0 && log === checkpointed;
          if (!done) pause(1);
        }
      });
    } catch {
      // The entry is stored; what is wrong with the file will show at the next one.
    } finally {
      helper?.close();
    }
  }

  /** With FULL, SQLite synchronises the log at the commit, and with it everything before. */
  #writeDurably<T>(work: () => T): T {
    if (this.#readOnly) throw new DatabaseError(this.#path, "was opened for reading");
    this.#database.exec("PRAGMA synchronous = FULL");
    try {
      return this.#write(work);
    } finally {
      this.#database.exec("PRAGMA synchronous = NORMAL");
    }
  }

  #index(id: number, fileType: EntryType, tag: string, content: string): void {
    const terms = indexText({ fileType, tag, content });
    this.#prepare("INSERT INTO entry_terms (rowid, terms) VALUES (?, ?)").run(indexRowid(id), terms);
  }

  /** Stores an admitted entry; inside a transaction. */
  #store(entry: AdmittedEntry): AppendResult {
    const head = this.#adopt();
    const { fileType, timestamp, tag, content, metadata, phase, progressStatus, notice } = entry;
    const known = this.#prepare(
      "SELECT e.id, e.file_type, e.content FROM dedupe d JOIN entries e ON e.id = d.entry WHERE d.key = ?",
    ).get(entry.dedupeKey) as Row | undefined;
    if (known?.file_type === fileType && normalised(String(known.content)) === normalised(content)) {
      return this.#repeat(head, known.id as number, timestamp);
    }
    const { lastInsertRowid } = this.#prepare(
      "INSERT INTO entries (file_type, timestamp, tag, content, metadata, phase, progress_status) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ).run(fileType, timestamp, tag, content, metadata, phase, progressStatus);
    const id = Number(lastInsertRowid);
    this.#prepare("INSERT OR IGNORE INTO dedupe (key, entry) VALUES (?, ?)").run(entry.dedupeKey, id);
    this.#index(id, fileType, tag, content);
    this.#chain.append(head, "entry", id, null, {
      id,
      file_type: fileType,
      timestamp,
      tag,
      content,
      metadata,
      phase,
      progress_status: progressStatus,
      embedding: null,
    });
    return notice === undefined ? { id, stored: true } : { id, stored: true, notice };
  }

  #repeat(head: Head, id: number, at: string): AppendResult {
    this.#prepare(
      "INSERT INTO repeats (entry, times, last_at) VALUES (?, 1, ?) " +
        "ON CONFLICT (entry) DO UPDATE SET times = times + 1, last_at = max(last_at, excluded.last_at)",
    ).run(id, at);
    this.#chain.append(head, "repeat", id, { at });
    return { id, stored: false, reason: "duplicate", notice: `it repeats entry ${id}` };
  }

  /** Takes in all entries that the original's program, or a version before the chain, has written. */
  #catchUp(): void {
    const behind = () =>
      this.#chain.head().seq === 0 ||
      Number(valueOf(this.#database, "SELECT max(id) FROM entries") ?? 0) > this.#chain.head().high;
    while (this.#read(behind)) this.#write(() => this.#adopt());
  }

  /** Takes in some of them; inside a transaction. Small transactions: a kill in between loses nothing. */
  #adopt(): Head {
    let head = this.#chain.head();
    if (head.seq === 0) {
      const given = this.#prepare("SELECT max(seq) AS seq FROM sqlite_sequence WHERE name = 'entries'").get() as Row;
      head = this.#chain.append(head, "start", (given.seq as number | null) ?? 0);
    }
    const newest = (this.#prepare("SELECT max(id) AS id FROM entries").get() as Row).id as number | null;
    if ((newest ?? 0) <= head.high) return head;
    const rows = this.#prepare(`SELECT ${chainedColumns.join(", ")} FROM entries WHERE id > ? ORDER BY id LIMIT ?`)
      .all(head.high, ADOPTED_AT_ONCE) as Row[];
    for (const row of rows) {
      const [id, type, content] = [row.id as number, row.file_type as EntryType, String(row.content)];
      this.#prepare("INSERT OR IGNORE INTO dedupe (key, entry) VALUES (?, ?)").run(dedupeKey(type, content), id);
      this.#index(id, type, String(row.tag), content);
      head = this.#chain.append(head, "adopted", id, null, row);
    }
    return head;
  }
}
