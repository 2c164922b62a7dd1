/**
 * The full check of a memory: the file's structure, the audit chain against every entry, the handoffs against their
 * history, and the search index against the entries. Reads everything once, in one snapshot.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { type AuditKind, type AuditRecord, chainedColumns, hex, recordHash } from "./audit.ts";
import { type EntryType, entryTypes } from "./entries.ts";
import { type Handoff, type HandoffChange, readHandoff, replay } from "./handoffs.ts";
import { migrate, valueOf } from "./memory_file.ts";
import { indexRowid, indexText, typeTerm } from "./search.ts";
import type { Row } from "./session_rows.ts";

/** One thing that is not as it was written. */
export interface Problem {
  /** The part that it is in. */
  readonly part: "file" | "chain" | "entries" | "repeats" | "handoffs" | "index";
  /** The entry, handoff or record that it is about, if it is about one. */
  readonly id?: number;
  /** One sentence. */
  readonly message: string;
}

/** What the full check found. */
export interface VerifyReport {
  /** Whether there is no problem. */
  readonly ok: boolean;
  /** Entries read. */
  readonly entries: number;
  /** Records of the audit chain read. */
  readonly records: number;
  /** Ids of entries that another program wrote and that were taken into the chain later; the first 1000. */
  readonly adopted: readonly number[];
  /**
   * Number and hash of the last record. Who notes it down elsewhere and gives it to a later `verify` finds also a chain
   * that was computed anew as a whole.
   */
  readonly head: string;
  /** What is wrong, the first 1000. */
  readonly problems: readonly Problem[];
}

/** Problems that a report lists; a file with more is beyond listing. */
const LISTED = 1000;
/** Entries whose terms are looked up in the index, spread over all. */
const SAMPLED = 1000;

/** A head as text, `<seq>:<hash>`. */
export function headText(seq: number, hash: Uint8Array): string {
  return `${seq}:${hex(hash)}`;
}

class Findings {
  readonly problems: Problem[] = [];
  add(part: Problem["part"], message: string, id?: number): void {
    if (this.problems.length < LISTED) this.problems.push(id === undefined ? { part, message } : { part, id, message });
  }
}

/** What the chain says that the tables must hold. */
interface Told {
  records: number;
  head: string;
  high: number;
  /** Highest id of an entry before the chain began. */
  baseline: number;
  entries: number;
  adopted: number[];
  repeats: Map<number, { times: number; last: string }>;
  handoffs: Map<number, Handoff | undefined>;
}

function walkChain(database: DatabaseSync, findings: Findings, anchor: string | undefined): Told {
  const columns = chainedColumns.map((name) => `e.${name} AS e_${name}`).join(", ");
  const rows = database.prepare(
    `SELECT a.*, ${columns} FROM audit a LEFT JOIN entries e ON a.kind IN ('entry', 'adopted') AND e.id = a.subject ` +
      "ORDER BY a.seq",
  ).iterate();
  const told: Told = {
    records: 0,
    head: headText(0, new Uint8Array(32)),
    high: 0,
    baseline: 0,
    entries: 0,
    adopted: [],
    repeats: new Map(),
    handoffs: new Map(),
  };
  let before: Uint8Array = new Uint8Array(32);
  let lastSeq = 0;
  let anchored = anchor === undefined;
  for (const row of rows as Iterable<Row>) {
    const record = row as unknown as AuditRecord;
    const { seq, kind, subject } = record;
    if (seq !== lastSeq + 1) {
      const gap = seq === lastSeq + 2 ? `record ${lastSeq + 1}` : `records ${lastSeq + 1} to ${seq - 1}`;
      findings.add("chain", `${gap} of the audit chain ${seq === lastSeq + 2 ? "was" : "were"} removed`, lastSeq + 1);
    }
    const aboutEntry = kind === "entry" || kind === "adopted";
    const entry = !aboutEntry || row.e_id === null
      ? null
      : Object.fromEntries(chainedColumns.map((name) => [name, row[`e_${name}`]]));
    if (aboutEntry && entry === null) {
      findings.add("entries", `entry ${subject} was removed (audit record ${seq})`, subject);
    } else if (!(record.hash instanceof Uint8Array) || hex(recordHash(before, record, entry)) !== hex(record.hash)) {
      if (aboutEntry) {
        findings.add("entries", `entry ${subject}, or audit record ${seq} about it, was changed`, subject);
      } else findings.add("chain", `audit record ${seq} (${kind} ${subject}) was changed`, seq);
    }
    if (seq === 1 && kind === "start") told.baseline = subject;
    if (aboutEntry) {
      told.entries++;
      if (subject <= told.high || record.high !== subject) {
        findings.add("chain", `audit record ${seq} about entry ${subject} is out of order`, subject);
      }
      if (kind === "adopted" && told.adopted.length < LISTED) told.adopted.push(subject);
    } else if (record.high !== told.high) findings.add("chain", `audit record ${seq} is out of order`, seq);
    note(told, kind, subject, record.detail);
    told.high = Math.max(told.high, record.high);
    told.records++;
    lastSeq = seq;
    if (record.hash instanceof Uint8Array) before = record.hash;
    told.head = headText(seq, before);
    anchored ||= told.head === anchor;
  }
  if (!anchored) findings.add("chain", `the audit chain does not hold the record ${anchor} that was noted down`);
  return told;
}

/** Applies a record to what the tables must hold. */
function note(told: Told, kind: AuditKind, subject: number, detail: string | null): void {
  if (detail === null) return;
  let parsed: unknown;
  try {
    parsed = JSON.parse(detail);
  } catch {
    return; // its hash does not fit either
  }
  if (kind === "handoff") {
    told.handoffs.set(subject, replay(told.handoffs.get(subject), subject, parsed as HandoffChange));
  } else if (kind === "repeat") {
    const at = String((parsed as { at: string }).at);
    const known = told.repeats.get(subject);
    told.repeats.set(subject, { times: (known?.times ?? 0) + 1, last: known && known.last > at ? known.last : at });
  }
}

function checkEntries(database: DatabaseSync, told: Told, findings: Findings): number {
  const entries = Number(valueOf(database, "SELECT count(*) FROM entries"));
  const chained = Number(valueOf(database, `SELECT count(*) FROM entries WHERE id <= ${told.high}`));
  const strangers = chained === told.entries && told.records > 0 ? [] : database.prepare(
    "SELECT id FROM entries WHERE id <= ? EXCEPT SELECT subject FROM audit WHERE kind IN ('entry', 'adopted') LIMIT 1000",
  ).all(told.high);
  for (const { id } of strangers) {
    findings.add("entries", `entry ${id} was put in between and is not in the audit chain`, id as number);
  }
  for (const { id } of database.prepare("SELECT id FROM entries WHERE id > ? LIMIT 1000").all(told.high)) {
    findings.add(
      "entries",
      `entry ${id} was written by another program and is not in the audit chain yet; opening the memory for writing takes it in`,
      id as number,
    );
  }
  const given = Number(valueOf(database, "SELECT max(seq) FROM sqlite_sequence WHERE name = 'entries'") ?? 0);
  const highest = Number(valueOf(database, "SELECT max(id) FROM entries") ?? 0);
  if (given > Math.max(highest, told.high, told.baseline)) {
    findings.add(
      "entries",
      `entries after id ${highest} were removed: ids up to ${given} have been given`,
      highest + 1,
    );
  }
  const recorded = Number(valueOf(database, "SELECT max(seq) FROM sqlite_sequence WHERE name = 'audit'") ?? 0);
  const last = Number(told.head.split(":")[0]);
  if (recorded !== last) {
    findings.add("chain", `the audit chain ends at record ${last}, but record ${recorded} has been written`, last + 1);
  }
  return entries;
}

function checkDerived(database: DatabaseSync, told: Told, findings: Findings): void {
  const repeats = new Map(told.repeats);
  for (const { entry, times, last_at } of database.prepare("SELECT * FROM repeats").all()) {
    const expected = repeats.get(entry as number);
    repeats.delete(entry as number);
    if (expected?.times !== times || expected?.last !== last_at) {
      findings.add("repeats", `what is counted as repeats of entry ${entry} was changed`, entry as number);
    }
  }
  for (const entry of repeats.keys()) findings.add("repeats", `the repeats of entry ${entry} were removed`, entry);
  const lost = database.prepare("SELECT entry FROM dedupe WHERE entry NOT IN (SELECT id FROM entries) LIMIT 1000")
    .all();
  for (const { entry } of lost) {
    findings.add("entries", `entry ${entry} is known for finding repeats, but is gone`, entry as number);
  }
  const ids = new Set(database.prepare("SELECT id FROM handoffs").all().map(({ id }) => id as number));
  for (const id of ids) {
    if (!told.handoffs.has(id)) findings.add("handoffs", `handoff ${id} has no record in the audit chain`, id);
  }
  for (const [id, expected] of told.handoffs) {
    const actual = readHandoff(database, id);
    if (actual === undefined) findings.add("handoffs", `handoff ${id} was removed`, id);
    else if (canonical(actual) !== canonical(expected)) {
      findings.add("handoffs", `handoff ${id} is not as the audit chain tells its history`, id);
    }
  }
}

function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (_, part) =>
      typeof part === "object" && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
        : part,
  );
}

/** The triggers that refuse changes have to be there, word for word. */
function checkGuards(database: DatabaseSync, findings: Findings): void {
  const guards = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name";
  const fresh = new DatabaseSync(":memory:");
  migrate(fresh, 0);
  const present = new Map(database.prepare(guards).all().map(({ name, sql }) => [name, sql]));
  for (const { name, sql } of fresh.prepare(guards).all()) {
    if (present.get(name) !== sql) findings.add("file", `the guard ${name} is missing or not as it was made`);
  }
  fresh.close();
}

/** Compares numbers and sums of ids by kind, then the terms of a sample. */
function checkIndex(database: DatabaseSync, told: Told, findings: Findings): void {
  for (const type of entryTypes) {
    const indexed = database.prepare(
      "SELECT count(*) AS n, sum(? - rowid) AS ids FROM entry_terms WHERE entry_terms MATCH ?",
    ).get(indexRowid(0), `"${typeTerm(type)}"`) as Row;
    const stored = database.prepare(
      "SELECT count(*) AS n, sum(id) AS ids FROM entries WHERE file_type = ? AND id <= ?",
    ).get(type, told.high) as Row;
    if (indexed.n !== stored.n || indexed.ids !== stored.ids) {
      findings.add("index", `the search index has ${indexed.n} entries of kind ${type}, the memory ${stored.n}`);
    }
  }
  const step = Math.max(1, Math.floor(told.high / SAMPLED));
  const find = database.prepare("SELECT 1 FROM entry_terms WHERE entry_terms MATCH ? AND rowid = ?");
  const sample = database.prepare(
    "SELECT id, file_type, tag, content FROM entries WHERE id <= ? AND (id % ? = 0 OR id = ?)",
  );
  for (const row of sample.iterate(told.high, step, told.high) as Iterable<Row>) {
    if (!entryTypes.includes(row.file_type as EntryType)) continue; // the chain has told that already
    const entry = { fileType: row.file_type as EntryType, tag: String(row.tag), content: String(row.content) };
    const terms = indexText(entry).split(" ").slice(0, 64);
    if (find.get(terms.map((term) => `"${term}"`).join(" AND "), indexRowid(row.id as number)) === undefined) {
      findings.add("index", `the search index does not have the words of entry ${row.id}`, row.id as number);
    }
  }
}

/**
 * Checks everything.
 * @param database an open memory of the current schema, in a transaction
 * @param anchor a `head` that was noted down before and must still be in the chain
 */
export function verifyDatabase(database: DatabaseSync, anchor?: string): VerifyReport {
  const findings = new Findings();
  for (const row of database.prepare("PRAGMA integrity_check(100)").all()) {
    const message = String(Object.values(row)[0]);
    if (message !== "ok") findings.add("file", message.split("\n").join("; "));
  }
  checkGuards(database, findings);
  const told = walkChain(database, findings, anchor);
  const entries = checkEntries(database, told, findings);
  checkDerived(database, told, findings);
  checkIndex(database, told, findings);
  const { problems } = findings;
  return {
    ok: problems.length === 0,
    entries,
    records: told.records,
    adopted: told.adopted,
    head: told.head,
    problems,
  };
}
