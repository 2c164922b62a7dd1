/**
 * What a report or a postmortem is made from: sessions, `results.tsv` tables, or logs. A text or file that came with the
 * task is taken; otherwise the sessions that the task means are looked for.
 * @module
 */
import type { Work } from "../define.ts";
import { InputError } from "../files.ts";
import { digestLog, type LogDigest } from "../logs/digest.ts";
import { linesLeftOut, looksLikeLog, parseLog } from "../logs/parse.ts";
import { inlineCode, oneLine } from "../safe_text.ts";
import { cutNote, gatherSources } from "../sources.ts";
import type { ExecutorContext, ExecutorInput } from "../types.ts";
import { findNights } from "./find.ts";
import { type Night, nightOf } from "./night.ts";
import { isResultsTable, nightOfTable } from "./results_tsv.ts";
import { readPeriod, showTime } from "./when.ts";

/** A log and what it comes to. */
export interface LogMaterial {
  /** What to call it. */
  readonly name: string;
  /** What it comes to. */
  readonly digest: LogDigest;
  /** What the reader must know of how it was read. */
  readonly notes: readonly string[];
}

/** What there is to write about. */
export interface Material {
  /** Sessions, the oldest first. */
  readonly nights: readonly Night[];
  /** Logs. */
  readonly logs: readonly LogMaterial[];
  /** What was looked for and where, where it was looked for. */
  readonly account: string;
  /** Sentences on what could not be read. */
  readonly unreadable: readonly string[];
}

const SQLITE = "SQLite format 3\0";

/** Whether bytes begin like an SQLite file. */
const isDatabase = ({ bytes }: ExecutorInput): boolean =>
  bytes !== undefined && new TextDecoder("latin1").decode(bytes.subarray(0, 16)) === SQLITE;

/** A log, read; where the task names a time and the log knows days, its entries of that time. */
async function logMaterial(input: ExecutorInput, context: ExecutorContext, work: Work): Promise<LogMaterial> {
  const pause = () => work.pause();
  const notes = [cutNote(input)];
  const leftOut = linesLeftOut(input.text);
  if (leftOut > 0) notes.push(`${leftOut} lines in the middle were left out: the log is too long to read all of it.`);
  let entries = await parseLog(input.text, context.now, pause);
  const period = readPeriod(`${context.segment}\n${context.task}`, context.now);
  if (period !== null && entries.some(({ dated }) => dated)) {
    const inside = entries.filter(({ time, dated }) => dated && time! >= +period.from && time! < +period.to);
    const times = entries.filter(({ dated }) => dated).map(({ time }) => time!);
    if (inside.length > 0 && inside.length < entries.length) {
      // Entries without a time lie between those with one.
      const first = entries.indexOf(inside[0]), last = entries.indexOf(inside[inside.length - 1]);
      notes.push(
        `Only its entries of ${inlineCode(period.said)} were used (${last - first + 1} of ${entries.length}).`,
      );
      entries = entries.slice(first, last + 1);
    } else if (inside.length === 0) {
      const [low, high] = times.reduce(([a, b], time) => [Math.min(a, time), Math.max(b, time)], [Infinity, -Infinity]);
      notes.push(
        `No entry of it is from ${inlineCode(period.said)}: it reaches from ${showTime(new Date(low))} to ${
          showTime(new Date(high))
        }, and all of it was used.`,
      );
    }
  }
  const digest = await digestLog(entries, pause);
  work.did(`Read ${digest.entries} entries of the log ${oneLine(input.name)}`);
  return { name: input.name, digest, notes: notes.filter((note) => note !== "") };
}

/** A database that was handed in as a file. @throws {InputError} it is no session's */
async function nightOfFile(input: ExecutorInput): Promise<Night> {
  const path = input.realPath ?? input.name;
  const { SessionStore } = await import("../../../memory/sessions.ts");
  try {
    const store = SessionStore.open(path, { readOnly: true });
    try {
      return nightOf(store, input.name);
    } finally {
      store.close();
    }
  } catch (error) {
    const reason = oneLine(error instanceof Error ? error.message : String(error), 300);
    throw new InputError(`${oneLine(input.name)} is no session's database: ${reason}`, "failed", { cause: error });
  }
}

/**
 * Gathers what there is to write about.
 * @throws {InputError} a file that the task names cannot be read, or is neither a log nor a table of results
 */
export async function gatherMaterial(context: ExecutorContext, work: Work): Promise<Material> {
  const sources = await gatherSources(context, work, { folders: /\.(?:log|out|err|txt|tsv|jsonl?|db)$/i });
  if (sources.length === 0) {
    const { nights, account, unreadable } = await findNights(context, work);
    return { nights, logs: [], account, unreadable };
  }
  const nights: Night[] = [];
  const logs: LogMaterial[] = [];
  for (const input of sources) {
    await work.pause();
    if (isDatabase(input)) nights.push(await nightOfFile(input));
    else if (isResultsTable(input.text)) nights.push(nightOfTable(input.text, input.name));
    else if (input.text.trim() === "") {
      throw new InputError(
        `${oneLine(input.name)} ${input.bytes?.length ? "is no text" : "is empty"}; there is nothing to report on.`,
        "needs-input",
      );
    } else logs.push(await logMaterial(input, context, work));
  }
  return { nights, logs, account: "", unreadable: [] };
}

/** Whether a text is something that a report is made from rather than prose. */
export const isMaterial = (text: string): boolean => isResultsTable(text) || looksLikeLog(text);
