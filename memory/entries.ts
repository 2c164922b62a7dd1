/**
 * What an entry of the memory is, going in and coming out, and how a row becomes one.
 * @module
 */
import type { Row } from "./session_rows.ts";

/** The kinds of entries; those of the Python original. */
export const entryTypes = [
  "CONTEXT",
  "DECISION",
  "PROGRESS",
  "PATTERN",
  "BRIEF",
  "RESEARCH_REPORT",
  "PLAN_REPORT",
  "EXECUTION_REPORT",
] as const;

/** What an entry is about; the kinds of the Python original. */
export type EntryType = (typeof entryTypes)[number];

/** One entry for the memory. */
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
  /** What sets it apart from another entry of equal type and text, which it would repeat otherwise. Not stored. */
  key?: string;
}

/** What became of an entry that was given to the memory. */
export type AppendResult =
  | {
    /** Key of the new entry. */
    readonly id: number;
    /** It is in the memory, on the disk as far as a kill of the process goes. */
    readonly stored: true;
    /** One sentence if something of it was left out. */
    readonly notice?: string;
  }
  | {
    /** Key of the entry that it repeats; null if it was refused. */
    readonly id: number | null;
    /** It is not in the memory under a key of its own. */
    readonly stored: false;
    /** `duplicate`: it repeats `id`, which counts the repeat; `empty`, `noise`: there is nothing in it to remember. */
    readonly reason: "duplicate" | "empty" | "noise";
    /** The reason as one sentence. */
    readonly notice: string;
  };

/** One entry of the memory. */
export interface StoredEntry {
  /** Key; grows with every entry. */
  readonly id: number;
  /** Kind of the entry. */
  readonly fileType: EntryType;
  /** ISO 8601. */
  readonly timestamp: string;
  /** Short label. */
  readonly tag: string;
  /** The text. */
  readonly content: string;
  /** What was given with it; `{ text }` where it was no JSON object. */
  readonly metadata: Record<string, unknown>;
  /** Part of the work, null if none was given. */
  readonly phase: string | null;
  /** How far it is, null if none was given. */
  readonly progressStatus: string | null;
  /** The original's vector of the text, in base64; absent from entries without one. */
  readonly embedding?: string;
  /** How often the same was given again; absent if never. */
  readonly repeats?: number;
  /** When the same was last given, ISO 8601; absent if never. */
  readonly lastRepeat?: string;
}

/** An entry that a search found. */
export interface Hit {
  /** Key of the entry. */
  readonly id: number;
  /** Kind of the entry. */
  readonly fileType: EntryType;
  /** When it was written or last repeated, ISO 8601. */
  readonly timestamp: string;
  /** Short label. */
  readonly tag: string;
  /** The text. */
  readonly content: string;
  /** Larger is better; comparable within one answer only. */
  readonly score: number;
}

/** Columns that `entryOf` reads, for a SELECT over `entries e LEFT JOIN repeats r ON r.entry = e.id`. */
export const entryColumns =
  "e.id, e.file_type, e.timestamp, e.tag, e.content, e.metadata, e.phase, e.progress_status, e.embedding, " +
  "r.times, r.last_at";

function metadataOf(value: unknown): Record<string, unknown> {
  if (typeof value !== "string" || value === "") return {};
  try {
    const parsed = JSON.parse(value);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch {
    // The original wrote what it was given.
  }
  return { text: value };
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** An entry from its row. */
export function entryOf(row: Row): StoredEntry {
  return {
    id: row.id as number,
    fileType: row.file_type as EntryType,
    timestamp: String(row.timestamp),
    tag: String(row.tag),
    content: String(row.content),
    metadata: metadataOf(row.metadata),
    phase: row.phase as string | null,
    progressStatus: row.progress_status as string | null,
    ...(row.embedding instanceof Uint8Array ? { embedding: base64(row.embedding) } : {}),
    ...(typeof row.times === "number" ? { repeats: row.times, lastRepeat: String(row.last_at) } : {}),
  };
}
