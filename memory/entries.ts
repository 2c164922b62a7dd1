/**
 * The `entries` table of `AI-Memory/memory.db`, laid out as the Python original has it, so that its files open
 * unchanged. Holds the schema and the append; search, dedupe and the audit chain stand on top of it.
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { openDatabase, type Schema } from "./schema.ts";

const version1 = `
CREATE TABLE IF NOT EXISTS entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  file_type TEXT NOT NULL CHECK(file_type IN ('CONTEXT', 'DECISION', 'PROGRESS', 'PATTERN', 'BRIEF', 'RESEARCH_REPORT',
    'PLAN_REPORT', 'EXECUTION_REPORT')),
  timestamp TEXT NOT NULL,
  tag TEXT NOT NULL,
  content TEXT NOT NULL,
  metadata TEXT DEFAULT '{}',
  phase TEXT DEFAULT NULL,
  progress_status TEXT DEFAULT NULL,
  embedding BLOB DEFAULT NULL
);
CREATE INDEX IF NOT EXISTS idx_file_timestamp ON entries(file_type, timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_tag ON entries(tag);
`;

/** Schema of `memory.db`; the original's files carry neither an application id nor a version. */
export const entriesSchema: Schema = { name: "memory.db", applicationId: 0, migrations: [version1] };

/** What an entry is about; the kinds of the Python original. */
export type EntryType =
  | "CONTEXT"
  | "DECISION"
  | "PROGRESS"
  | "PATTERN"
  | "BRIEF"
  | "RESEARCH_REPORT"
  | "PLAN_REPORT"
  | "EXECUTION_REPORT";

/** One entry of the memory. */
export interface Entry {
  /** Kind of the entry. */
  fileType: EntryType;
  /** Short label, such as `SESSION:nov23:exp_004`. */
  tag: string;
  /** The text. */
  content: string;
  /** Anything that goes into JSON. */
  metadata?: Record<string, unknown>;
  /** Part of the work that it belongs to, such as `overnight`. */
  phase?: string;
  /** How far it is, such as `kept`. */
  progressStatus?: string;
  /** ISO 8601; now, if it is left out. */
  timestamp?: string;
}

/** Appends one entry to an open memory. */
export function appendEntry(database: DatabaseSync, entry: Entry): number {
  const result = database.prepare(
    "INSERT INTO entries (file_type, timestamp, tag, content, metadata, phase, progress_status) VALUES (?, ?, ?, ?, ?, ?, ?)",
  ).run(
    entry.fileType,
    entry.timestamp ?? new Date().toISOString(),
    entry.tag,
    entry.content,
    JSON.stringify(entry.metadata ?? {}),
    entry.phase ?? null,
    entry.progressStatus ?? null,
  );
  return Number(result.lastInsertRowid);
}

/**
 * Opens, or creates, a memory.
 * @throws {DatabaseError} the file is damaged, newer or cannot be opened
 */
export function openMemory(path: string): DatabaseSync {
  return openDatabase(path, entriesSchema, true);
}
