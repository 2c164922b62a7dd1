/**
 * Cuts a log into entries with time, level and message, whatever wrote it: plain lines, syslog, logfmt, JSON lines.
 * Lines that go on (stack traces, indented ones) belong to the entry before. Linear in the text.
 * @module
 */
import { safeText } from "../safe_text.ts";

/** How grave an entry is; `none` where the log does not say. */
export type Level = "debug" | "info" | "warning" | "error" | "none";

/** One entry of a log. */
export interface LogEntry {
  /** Line on which it begins, from 1. */
  readonly line: number;
  /** Its time as milliseconds since 1970, or since midnight where the log has no dates; null without. */
  readonly time: number | null;
  /** Whether the time has a date. */
  readonly dated: boolean;
  /** How grave it is, by its own word or by what it says. */
  readonly level: Level;
  /** What it says, without time and level. */
  readonly message: string;
  /** Further lines, the first few. */
  readonly more: readonly string[];
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const iso =
  /^[[("']?(\d{4})[-/.](\d{2})[-/.](\d{2})[T _](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?\s?(Z|UTC|[+-]\d{2}:?\d{2})?[\])"']?/;
const apache = /\[(\d{1,2})\/([A-Z][a-z]{2})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-]\d{4})\]/;
const syslog = /^([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{2}):(\d{2}):(\d{2})(?:\.\d+)?/;
const klog = /^([IWEFD])(\d{2})(\d{2}) (\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?/;
const clock = /^[[(]?(\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,6}))?[\])]?(?=[\s:|-]|$)/;

interface Stamp {
  readonly time: number;
  readonly dated: boolean;
  /** Characters that it takes up at the beginning of the line; 0 where it stands elsewhere. */
  readonly length: number;
}

const zone = (text: string | undefined): number | null => {
  if (text === undefined) return null;
  if (text === "Z" || text === "UTC") return 0;
  return (text[0] === "-" ? -1 : 1) * (Number(text.slice(1, 3)) * 60 + Number(text.slice(-2)));
};

/** A moment from its parts, in local time where the log names no zone. */
function moment(parts: readonly number[], minutes: number | null): number {
  const [year, month, day, hour, minute, second, ms = 0] = parts;
  return minutes === null
    ? +new Date(year, month, day, hour, minute, second, ms)
    : Date.UTC(year, month, day, hour, minute - minutes, second, ms);
}

const fraction = (text: string | undefined): number => text === undefined ? 0 : Math.floor(Number(`0.${text}`) * 1000);

/** The time that a line begins with. @param year for formats without one */
function stampOf(line: string, year: number): Stamp | null {
  const head = line.slice(0, 80);
  let match = head.match(iso);
  if (match) {
    const [whole, y, mo, d, h, mi, s, f, z] = match;
    return { time: moment([+y, +mo - 1, +d, +h, +mi, +s, fraction(f)], zone(z)), dated: true, length: whole.length };
  }
  match = head.match(clock);
  if (match) {
    const [whole, h, mi, s, f] = match;
    return { time: ((+h * 60 + +mi) * 60 + +s) * 1000 + fraction(f), dated: false, length: whole.length };
  }
  match = head.match(syslog);
  if (match && months.includes(match[1].toLowerCase())) {
    const [whole, mo, d, h, mi, s] = match;
    return {
      time: moment([year, months.indexOf(mo.toLowerCase()), +d, +h, +mi, +s], null),
      dated: true,
      length: whole.length,
    };
  }
  match = head.match(klog);
  if (match) {
    const [, , mo, d, h, mi, s, f] = match;
    return { time: moment([year, +mo - 1, +d, +h, +mi, +s, fraction(f)], null), dated: true, length: 1 };
  }
  match = line.slice(0, 300).match(apache);
  if (match) {
    const [, d, mo, y, h, mi, s, z] = match;
    return { time: moment([+y, months.indexOf(mo.toLowerCase()), +d, +h, +mi, +s], zone(z)), dated: true, length: 0 };
  }
  return null;
}

const levelWords: Readonly<Record<string, Level>> = {
  trace: "debug",
  debug: "debug",
  dbg: "debug",
  verbose: "debug",
  info: "info",
  information: "info",
  notice: "info",
  log: "info",
  ok: "info",
  warn: "warning",
  warning: "warning",
  wrn: "warning",
  error: "error",
  err: "error",
  fatal: "error",
  critical: "error",
  crit: "error",
  severe: "error",
  panic: "error",
  emerg: "error",
  alert: "error",
  failure: "error",
};
const levelWord = new RegExp(
  String.raw`^[\s\[\]()<>|:*-]*(?:\S{0,40}\s)?[\[(<|]?(${Object.keys(levelWords).join("|")})\b[\])>|]?:?\s*`,
  "i",
);
const levelField = /\b(?:level|severity|lvl)=["']?([a-z]+)/i;
/** What tells trouble in lines that name no level. */
const trouble =
  /\b(?:Traceback \(most recent call last\)|panicked at|Segmentation fault|core dumped|out of memory|OutOfMemory\w*|Killed\b|SIG(?:KILL|SEGV|ABRT|TERM)|Unhandled(?: promise)? rejection|Uncaught|unrecoverable|No space left on device)|(?:^|: |\] )(?:fatal|error|panic)\b\s*[:[!]|\b[A-Z]\w*(?:Error|Exception)\b(?:\s*:|$)|\b(?:exit(?:ed)?(?: with)?(?: code| status)?|returned|status)[ =:]+(?!0\b)-?\d{1,3}\b(?=\D|$)(?=.{0,40}$)|\b(?:failed|failure|crashed|aborted|refused|timed? ?out|could not|cannot|unable to)\b/i;
const warning = /\b(?:warning|deprecated|retry(?:ing)?|slow|throttl\w+|degraded)\b/i;
/** Words that take the sting out: "0 errors", "no failures", "error rate 0". */
const harmless =
  /\b(?:0|no|without|zero)\s+(?:\w+\s+)?(?:errors?|failures?|warnings?|failed)\b|\b(?:errors?|failed|failures?)\s*[:=]\s*0\b|\b0 failed\b/i;

/** A line that belongs to the one before. */
const goesOn = /^(?:\s+\S|\s*at \S|Caused by:|\s*\.\.\. \d+ more|\s*File ".*", line \d+|\s*\^+\s*$|[}\])]+[,;]?\s*$)/;

/** How grave a message is by what it says. */
function judged(message: string): Level {
  const head = message.slice(0, 400);
  if (harmless.test(head)) return "none";
  return trouble.test(head) ? "error" : warning.test(head) ? "warning" : "none";
}

/** Fields that JSON logs keep their parts in. */
const timeFields = ["time", "timestamp", "ts", "@timestamp", "date", "datetime", "at", "t"];
const levelFields = ["level", "severity", "lvl", "levelname", "log.level"];
const messageFields = ["msg", "message", "event", "text", "error", "err", "kind", "log"];

function fromJson(line: string, number: number): LogEntry | null {
  if (!/^\s*\{.*\}\s*$/.test(line) || line.length > 200_000) return null;
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line);
  } catch {
    return null;
  }
  const pick = (names: readonly string[]) => names.find((name) => fields[name] !== undefined && fields[name] !== null);
  const [timeField, levelField, messageField] = [pick(timeFields), pick(levelFields), pick(messageFields)];
  const raw = timeField === undefined ? undefined : fields[timeField];
  const time = typeof raw === "number"
    ? raw > 1e17 ? raw / 1e6 : raw > 1e14 ? raw / 1e3 : raw > 1e11 ? raw : raw > 1e8 ? raw * 1000 : null
    : typeof raw === "string" && !Number.isNaN(Date.parse(raw))
    ? Date.parse(raw)
    : null;
  const named = levelField === undefined ? undefined : fields[levelField];
  let level: Level = typeof named === "number"
    ? named >= 50 ? "error" : named >= 40 ? "warning" : named >= 30 ? "info" : "debug"
    : levelWords[String(named ?? "").toLowerCase()] ?? "none";
  const said = messageField === undefined ? undefined : fields[messageField];
  const rest = Object.entries(fields).filter(([key]) => key !== timeField && key !== levelField && key !== messageField)
    .map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`).join(" ");
  const message = safeText(
    `${said === undefined ? "" : typeof said === "object" ? JSON.stringify(said) : String(said)} ${rest}`.trim(),
  );
  if (level === "none") level = judged(message);
  return { line: number, time, dated: time !== null, level, message, more: [] };
}

/** Lines that are read one by one; of a longer log the first and the last half of them. */
const MOST_LINES = 300_000;

/** Where the middle of a log that is too long begins and ends; null where all of it is read. */
function middleOf(text: string): { from: number; to: number; lines: number } | null {
  let lines = 1, at = -1, from = 0;
  while ((at = text.indexOf("\n", at + 1)) >= 0) if (++lines === MOST_LINES / 2 + 1) from = at + 1;
  if (lines <= MOST_LINES) return null;
  let to = text.length;
  for (let count = 0; count < MOST_LINES / 2; count++) to = text.lastIndexOf("\n", to - 1);
  return { from, to: to + 1, lines: lines - MOST_LINES };
}

/** Lines in the middle of a log that `parseLog` does not read. */
export const linesLeftOut = (text: string): number => middleOf(text)?.lines ?? 0;

/** Cuts a log into entries. @param pause called now and then @param now for the year of formats without one */
export async function parseLog(
  text: string,
  now: Date,
  pause: () => Promise<void> = async () => {},
): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  let open: { entry: LogEntry; more: string[] } | null = null;
  let line = 0, at = 0;
  let stamped = 0;
  const middle = middleOf(text);
  while (at <= text.length) {
    if (middle !== null && at === middle.from) {
      at = middle.to;
      line += middle.lines;
      open = null;
    }
    let end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    line++;
    // What a person reads of one line is never longer.
    const raw = safeText(text.slice(at, Math.min(end, at + 20_000)).replace(/\r$/, "").replace(/^.*\r/s, ""));
    at = end + 1;
    if (line % 512 === 0) await pause();
    if (raw.trim() === "") continue;
    const json: LogEntry | null = raw.startsWith("{") ? fromJson(raw, line) : null;
    if (json !== null) {
      entries.push(json);
      open = null;
      continue;
    }
    const stamp = stampOf(raw, now.getFullYear());
    if (stamp !== null) stamped++;
    // In a log with times a line without one goes on with the entry before; elsewhere only an indented one does.
    if (
      open !== null && stamp === null &&
      (goesOn.test(raw) || (stamped > 3 && stamped > 0.5 * entries.length && !levelWord.test(raw)))
    ) {
      if (open.more.length < 40) open.more.push(raw.slice(0, 500));
      if (open.entry.level !== "error" && trouble.test(raw.slice(0, 400)) && !harmless.test(raw)) {
        open.entry = { ...open.entry, level: "error" };
        entries[entries.length - 1] = open.entry;
      }
      continue;
    }
    let message = raw.slice(stamp?.length ?? 0);
    const word = message.match(levelWord) ?? null;
    const field = message.slice(0, 300).match(levelField);
    let level: Level = "none";
    if (field) level = levelWords[field[1].toLowerCase()] ?? "none";
    else if (word) level = levelWords[word[1].toLowerCase()];
    else if (/^[IWEF]\d{4} /.test(raw)) {
      level = ({ I: "info", W: "warning", E: "error", F: "error" } as const)[raw[0] as "I"];
    }
    // "info" in front is a level only where it stands as one: capitals, brackets or after a time.
    if (
      word && !field &&
      !(stamp || /^\W*[A-Z]{3,}\b|^\W*[[(<]/.test(message) || /^\s*(?:error|warning|fatal|panic|warn)\b/i.test(message))
    ) level = "none";
    if (word && level !== "none" && !field) message = message.slice(word[0].length) || message;
    message = message.replace(/^[\s:|\]>-]+/, "").trim();
    if (level === "none") level = judged(message);
    const entry: LogEntry = { line, time: stamp?.time ?? null, dated: stamp?.dated ?? false, level, message, more: [] };
    const more: string[] = [];
    entries.push({ ...entry, more });
    open = { entry: entries[entries.length - 1], more };
  }
  return entries;
}

/** Whether a text reads like a log: most of its lines begin with a time or a level. */
export function looksLikeLog(text: string): boolean {
  const lines = text.slice(0, 40_000).split("\n").filter((line) => line.trim() !== "").slice(0, 200);
  if (lines.length < 3) return false;
  const like = lines.filter((line) => {
    if (stampOf(line, 2000) !== null) return true;
    if (/^\W{0,3}(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL)\b/.test(line)) return true;
    if (/^\s*(?:time|ts|level)=\S/.test(line)) return true;
    return /^\{"/.test(line) && /"(?:level|severity|lvl)"\s*:/.test(line) &&
      /"(?:time|ts|timestamp|@timestamp)"\s*:/.test(line);
  }).length;
  return like > 0.5 * lines.length;
}
