/**
 * What a log comes to, in Markdown. Every statement is counted or quoted from the log.
 * @module
 */
import { inlineCode, markdownTable } from "../safe_text.ts";
import type { LogMaterial } from "../sessions/material.ts";
import { showDay, showDuration, showTime, showZone } from "../sessions/when.ts";
import type { Group } from "./digest.ts";
import type { LogEntry } from "./parse.ts";

/** Rows of a table. */
const MOST_ROWS = 12;
/** Characters of a quoted message. */
const QUOTE = 160;

const plural = (count: number, one: string): string => `${count} ${count === 1 ? one : one + "s"}`;

const two = (value: number): string => String(value).padStart(2, "0");

/** The time of an entry as the log can tell it. */
function timeOf({ time, dated }: LogEntry): string {
  if (time === null) return "—";
  if (dated) return showTime(new Date(time)) + `:${two(new Date(time).getSeconds())}`;
  const seconds = Math.floor(time / 1000);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds % 3600 / 60))}:${two(seconds % 60)}`;
}

/** A message with the most telling line of what follows it: the exception at the end of a trace. */
function quote(entry: LogEntry): string {
  const last = entry.more.findLast((line) =>
    /^\S*(?:Error|Exception|panic|Caused by|reason)\b.*:|^[A-Z]\w*(?:Error|Exception)\b/i.test(line.trim())
  );
  const message = entry.message === "" && entry.more.length > 0 ? entry.more[0] : entry.message;
  return inlineCode(last === undefined ? message : `${message} … ${last.trim()}`, QUOTE);
}

const total = (groups: readonly Group[]): number => groups.reduce((sum, { count }) => sum + count, 0);

/** How long, how grave, how it ended. */
export function logHead({ name, digest }: LogMaterial): string {
  const { entries, first, last, levels, errors, warnings, ending } = digest;
  const span = first !== null && last !== null && first.dated === last.dated && last.time! >= first.time!
    ? ` from ${timeOf(first)} to ${timeOf(last)} (${showDuration((last.time! - first.time!) / 1000)}${
      first.dated ? `, local time, ${showZone(new Date(first.time!))}` : ""
    })`
    : "";
  const shape = (groups: readonly Group[]) =>
    groups.length === total(groups) ? "" : ` of ${plural(groups.length, "kind")}`;
  const grave = levels.error > 0
    ? `${plural(levels.error, "error")}${shape(errors)} and ${plural(levels.warning, "warning")}${shape(warnings)}`
    : levels.warning > 0
    ? `no error and ${plural(levels.warning, "warning")}${shape(warnings)}`
    : "no error and no warning";
  const end = ending.at(-1);
  return `${inlineCode(name, 200)} holds ${plural(entries, "entry").replace("entrys", "entries")}${span}: ${grave}.` +
    (end === undefined ? "" : ` It ends with ${quote(end)} (line ${end.line}).`);
}

/** When what first went wrong, and where nothing was said. */
export function logTimeline({ digest }: LogMaterial): string {
  const { first, last, errors, warnings, silences } = digest;
  const rows: { entry: LogEntry; text: string }[] = [];
  if (first !== null) rows.push({ entry: first, text: `first entry: ${quote(first)}` });
  for (const group of errors.slice(0, 20)) {
    const again = group.count > 1 ? ` (${group.count} times, the last at ${timeOf(group.last)})` : "";
    rows.push({ entry: group.example, text: `error: ${quote(group.example)}${again}` });
  }
  for (const group of warnings.slice(0, 6)) {
    rows.push({
      entry: group.example,
      text: `warning: ${quote(group.example)}${group.count > 1 ? ` (${group.count} times)` : ""}`,
    });
  }
  for (const { before, after, seconds } of silences.slice(0, 6)) {
    rows.push({ entry: before, text: `no entry for ${showDuration(seconds)}, until ${timeOf(after)}` });
  }
  if (last !== null && last !== first) rows.push({ entry: last, text: `last entry: ${quote(last)}` });
  if (rows.length === 0) return "The log holds no times and no errors.";
  rows.sort((a, b) => a.entry.line - b.entry.line);
  const days = new Set(rows.map(({ entry }) => entry.dated ? showDay(new Date(entry.time!)) : "")).size > 1;
  return rows.map(({ entry, text }) =>
    `- ${
      entry.time === null ? `line ${entry.line}` : days || !entry.dated ? timeOf(entry) : timeOf(entry).slice(11)
    } ${text}`
  ).join("\n");
}

/** Errors and warnings by shape. */
export function logFailures({ digest }: LogMaterial): string {
  const { errors, warnings } = digest;
  if (errors.length + warnings.length === 0) return "The log holds no error and no warning.";
  const row = (level: string) => ({ example, last, count }: Group) => [
    level,
    String(count),
    quote(example),
    timeOf(example),
    count > 1 ? timeOf(last) : "",
    String(example.line),
  ];
  const rows = [
    ...[...errors].sort((a, b) => b.count - a.count).slice(0, MOST_ROWS).map(row("error")),
    ...warnings.slice(0, MOST_ROWS >> 1).map(row("warning")),
  ];
  const hidden = errors.length + warnings.length - rows.length;
  return markdownTable(["level", "count", "first of its kind", "first", "last", "line"], rows, [1, 5]) +
    (hidden > 0 ? `\n\n${hidden} further kinds are left out.` : "");
}

/** What the log itself names as causes. */
export function logCauses({ digest }: LogMaterial): string {
  const { causes, errors } = digest;
  if (causes.length === 0) {
    return errors.length === 0
      ? "Nothing failed, so there is no cause to look for."
      : "The log names no cause; what lies behind its errors is not guessed here.";
  }
  return causes.map((entry) => `- line ${entry.line}: ${inlineCode(entry.message, 240)}`).join("\n") +
    "\n\nThese are the log's own words; what lies behind them is not guessed here.";
}

/** What to look at next. */
export function logFollowUps({ digest }: LogMaterial): string {
  const lines: string[] = [];
  const [first] = digest.errors;
  if (first !== undefined) lines.push(`Look at the first error (line ${first.example.line}): ${quote(first.example)}.`);
  const frequent = [...digest.errors].sort((a, b) => b.count - a.count)[0];
  if (frequent !== undefined && frequent !== first && frequent.count > 1) {
    lines.push(`Look at the most frequent one (${frequent.count} times): ${quote(frequent.example)}.`);
  }
  if (digest.silences.length > 0) {
    const { before, seconds } = digest.silences[0];
    lines.push(`Find out what happened in the ${showDuration(seconds)} after line ${before.line}.`);
  }
  if (digest.warnings.length > 0 && digest.warnings[0].count > 3) {
    lines.push(
      `Decide whether the most frequent warning matters (${digest.warnings[0].count} times): ${
        quote(digest.warnings[0].example)
      }.`,
    );
  }
  return lines.length > 0 ? lines.map((line) => `- [ ] ${line}`).join("\n") : "Nothing in the log asks for one.";
}

const figure = (value: number): string =>
  Number.isInteger(value)
    ? String(value)
    : Math.abs(value) >= 1e-3
    ? String(Number(value.toPrecision(6)))
    : value.toExponential(3);

/** Figures that come back: first, last, least, greatest. Empty where there is none. */
export function logFigures({ digest }: LogMaterial): string {
  if (digest.series.length === 0) return "";
  return markdownTable(
    ["figure", "times", "first", "last", "least", "greatest"],
    digest.series.map((
      { name, count, first, last, low, high },
    ) => [name, String(count), figure(first), figure(last), figure(low), figure(high)]),
    [1, 2, 3, 4, 5],
  );
}

/** The most frequent messages that are neither errors nor warnings. */
export function logMessages({ digest }: LogMaterial): string {
  if (digest.common.length === 0) return "There are no others.";
  return markdownTable(
    ["count", "message"],
    digest.common.slice(0, MOST_ROWS).map((
      { count, shape, example },
    ) => [String(count), inlineCode(count === 1 ? example.message : shape, QUOTE)]),
    [0],
  );
}
