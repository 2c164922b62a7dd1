/**
 * The audit chain: one record for every entry, repeat and change of a handoff, in order. The hash of a record covers the
 * record, the whole entry that it is about and the hash before it, so nothing can be edited, removed or reordered without
 * every later hash being computed anew. Knows no search.
 *
 * hash(n) = SHA-256(hash(n−1) ‖ UTF-8 of the JSON array [seq, at, kind, subject, high, detail, entry]), hash(0) = 32 zero
 * bytes, entry = null or [id, file_type, timestamp, tag, content, metadata, phase, progress_status, embedding]; blobs stand
 * there as {"blob": hex}.
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Row } from "./session_rows.ts";
import { sha256 } from "./sha256.ts";

/** What a record of the chain is about. */
export type AuditKind =
  /** The first record: the chain begins. */
  | "start"
  /** An entry was appended. */
  | "entry"
  /** An entry that another program, such as the Python original, had written was taken into the chain. */
  | "adopted"
  /** An entry was given again. */
  | "repeat"
  /** A handoff was created or changed. */
  | "handoff";

/** One record of the chain. */
export interface AuditRecord {
  seq: number;
  at: number;
  kind: AuditKind;
  subject: number;
  high: number;
  detail: string | null;
  hash: Uint8Array;
}

/** The end of the chain. */
export interface Head {
  seq: number;
  high: number;
  hash: Uint8Array;
}

/** The columns of an entry that its hash covers, in this order. */
export const chainedColumns = [
  "id",
  "file_type",
  "timestamp",
  "tag",
  "content",
  "metadata",
  "phase",
  "progress_status",
  "embedding",
] as const;

const hexDigits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Bytes as lower-case hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += hexDigits[byte];
  return text;
}

const encoder = new TextEncoder();

/** The hash of a record behind the hash `before`. */
export function recordHash(before: Uint8Array, record: Omit<AuditRecord, "hash">, entry: Row | null): Uint8Array {
  const { seq, at, kind, subject, high, detail } = record;
  const columns = entry === null ? null : chainedColumns.map((name) => {
    const value = entry[name];
    return value instanceof Uint8Array ? { blob: hex(value) } : typeof value === "bigint" ? String(value) : value;
  });
  const text = encoder.encode(JSON.stringify([seq, at, kind, subject, high, detail, columns]));
  const bytes = new Uint8Array(before.length + text.length);
  bytes.set(before);
  bytes.set(text, before.length);
  return sha256(bytes);
}

/** The chain of one open database, for those who hold its write lock. */
export class AuditChain {
  readonly #head: StatementSync;
  readonly #insert: StatementSync;

  /** @param database an open memory of the current schema */
  constructor(database: DatabaseSync) {
    this.#head = database.prepare("SELECT seq, high, hash FROM audit ORDER BY seq DESC LIMIT 1");
    this.#insert = database.prepare(
      "INSERT INTO audit (seq, at, kind, subject, high, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
  }

  /** The end of the chain as this transaction sees it. */
  head(): Head {
    const row = this.#head.get() as Row | undefined;
    if (row === undefined) return { seq: 0, high: 0, hash: new Uint8Array(32) };
    return { seq: row.seq as number, high: row.high as number, hash: row.hash as Uint8Array };
  }

  /**
   * Adds a record behind `head`, which the caller read in the same transaction.
   * @param entry the row that the record is about, if it is about one
   * @returns the new head
   */
  append(head: Head, kind: AuditKind, subject: number, detail: unknown = null, entry: Row | null = null): Head {
    const record = {
      seq: head.seq + 1,
      at: Date.now(),
      kind,
      subject,
      high: entry === null ? head.high : subject,
      detail: detail === null ? null : JSON.stringify(detail),
    };
    const hash = recordHash(head.hash, record, entry);
    this.#insert.run(record.seq, record.at, kind, subject, record.high, record.detail, hash);
    return { seq: record.seq, high: record.high, hash };
  }
}
