/**
 * The write gate: what may enter the memory, and in which form. Text is cleaned of control characters, what is empty or
 * junk is refused, what is huge is cut; each with one sentence. Knows no database.
 * @module
 */
import { type Entry, type EntryType, entryTypes } from "./entries.ts";
import { sha256 } from "./sha256.ts";

/** UTF-16 units of an entry's text at most; more is cut. */
export const CONTENT_LENGTH = 65_536;
/** UTF-16 units of an entry's metadata as JSON at most; more is left out. */
export const METADATA_LENGTH = 65_536;
/** UTF-16 units of tag, phase and status at most. */
const LABEL_LENGTH = 256;
/** Share of control characters from which on a text is taken for junk. */
const JUNK_SHARE = 0.2;

/** A call that asks for what the memory cannot do; the message is one sentence. */
export class MemoryError extends Error {
  /** Makes the error. @param message one sentence */
  constructor(message: string) {
    super(message);
    this.name = "MemoryError";
  }
}

/** An entry as it will be stored. */
export interface AdmittedEntry {
  fileType: EntryType;
  timestamp: string;
  tag: string;
  content: string;
  metadata: string;
  phase: string | null;
  progressStatus: string | null;
  /** 53 bits that equal entries share. */
  dedupeKey: number;
  /** What was left out, one sentence. */
  notice?: string;
}

/** Why an entry is not stored. */
export interface Refusal {
  refused: "empty" | "noise";
  notice: string;
}

// deno-lint-ignore no-control-regex
const escapes = /\x1b(?:\[[0-?]*[ -\/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g; // colours and titles of terminals
// Control characters but tab and line feed, invisible direction marks that reorder what is shown, and broken characters.
// deno-lint-ignore no-control-regex
const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffd-\uffff]/g;

/** Text without what a terminal or a reader could be misled by. */
function clean(text: string): { text: string; dropped: number } {
  const plain = text.toWellFormed().replace(/\r\n?/g, "\n").replace(escapes, "");
  const cleaned = plain.replace(controls, "");
  return { text: cleaned, dropped: plain.length - cleaned.length };
}

/** The first `length` units, no character torn apart. */
function cut(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).toWellFormed().replace(/\ufffd$/, "");
}

function label(text: string): string {
  return cut(clean(text).text.replace(/\s+/g, " ").trim(), LABEL_LENGTH);
}

const encoder = new TextEncoder();

/** Bits that entries of one type, one text (case and spaces aside) and one `key` share. */
export function dedupeKey(fileType: string, content: string, key = ""): number {
  const hash = sha256(encoder.encode(`${fileType}\n${key}\n${normalised(content)}`));
  const view = new DataView(hash.buffer);
  return view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11);
}

/** The form in which two texts are compared. */
export function normalised(content: string): string {
  return content.normalize("NFC").replace(/\s+/g, " ").trim().toLowerCase();
}

function timestampOf(given: string | undefined): string {
  const date = given === undefined ? new Date() : new Date(given);
  if (Number.isNaN(date.getTime())) {
    throw new MemoryError(`the timestamp ${JSON.stringify(given)} of an entry is no ISO 8601 time`);
  }
  return date.toISOString();
}

function metadataOf(given: Record<string, unknown> | undefined): string {
  try {
    const text = JSON.stringify(given ?? {}) ?? "{}";
    return text.isWellFormed() ? text : text.toWellFormed();
  } catch (error) {
    throw new MemoryError(
      `the metadata of an entry cannot be written as JSON: ${(error as Error).message.split("\n")[0]}`,
    );
  }
}

/**
 * Decides what becomes of an entry.
 * @throws {MemoryError} its kind, time or metadata are none
 */
export function admit(entry: Entry): AdmittedEntry | Refusal {
  if (!entryTypes.includes(entry.fileType)) {
    throw new MemoryError(`${JSON.stringify(entry.fileType)} is no kind of entry; there are ${entryTypes.join(", ")}`);
  }
  const notices: string[] = [];
  // What is far beyond the limit is not even cleaned.
  const { text, dropped } = clean(cut(entry.content, 2 * CONTENT_LENGTH));
  if (dropped > 1 && dropped > JUNK_SHARE * (text.length + dropped)) {
    return { refused: "noise", notice: `${dropped} of its ${text.length + dropped} characters are control characters` };
  }
  const trimmed = text.trim();
  if (trimmed === "") return { refused: "empty", notice: "the entry has no text" };
  const content = cut(trimmed, CONTENT_LENGTH).trimEnd();
  if (!/[\p{L}\p{N}]/u.test(content)) return { refused: "noise", notice: "the entry has no letter and no digit" };
  if (trimmed.length > CONTENT_LENGTH || entry.content.length > 2 * CONTENT_LENGTH) {
    notices.push(`the text of ${entry.content.length} characters was cut to ${content.length}`);
  }
  let metadata = metadataOf(entry.metadata);
  if (metadata.length > METADATA_LENGTH) {
    notices.push(`the metadata of ${metadata.length} characters were left out`);
    metadata = JSON.stringify({ omitted: `${metadata.length} characters of metadata` });
  }
  return {
    fileType: entry.fileType,
    timestamp: timestampOf(entry.timestamp),
    tag: label(entry.tag) || entry.fileType,
    content,
    metadata,
    phase: entry.phase === undefined ? null : label(entry.phase),
    progressStatus: entry.progressStatus === undefined ? null : label(entry.progressStatus),
    dedupeKey: dedupeKey(entry.fileType, content, entry.key),
    ...(notices.length > 0 ? { notice: notices.join("; ") } : {}),
  };
}
