/**
 * What a log comes to: how long, how grave, which messages keep coming back, what failed first, where it fell silent,
 * how its figures ran, and the causes that it names itself.
 * @module
 */
import type { Level, LogEntry } from "./parse.ts";

/** Messages of one shape. */
export interface Group {
  /** The message with its changing parts left out. */
  readonly shape: string;
  /** The first of them, as it stands. */
  readonly example: LogEntry;
  /** The last of them. */
  readonly last: LogEntry;
  /** How many. */
  readonly count: number;
}

/** A figure that comes back. */
export interface Series {
  /** Its name in the log. */
  readonly name: string;
  /** How often. */
  readonly count: number;
  /** First value. */
  readonly first: number;
  /** Last value. */
  readonly last: number;
  /** Least value. */
  readonly low: number;
  /** Greatest value. */
  readonly high: number;
}

/** A stretch without entries. */
export interface Silence {
  /** The entry before it. */
  readonly before: LogEntry;
  /** The entry after it. */
  readonly after: LogEntry;
  /** How long, seconds. */
  readonly seconds: number;
}

/** What a log comes to. */
export interface LogDigest {
  /** Entries. */
  readonly entries: number;
  /** Entries by level. */
  readonly levels: Readonly<Record<Level, number>>;
  /** First entry with a time. */
  readonly first: LogEntry | null;
  /** Last entry with a time. */
  readonly last: LogEntry | null;
  /** Errors by shape, the first to come first. */
  readonly errors: readonly Group[];
  /** Warnings by shape, the most frequent first. */
  readonly warnings: readonly Group[];
  /** The other messages by shape, the most frequent first. */
  readonly common: readonly Group[];
  /** Long stretches without entries, the longest first. */
  readonly silences: readonly Silence[];
  /** Figures that come back. */
  readonly series: readonly Series[];
  /** Entries that name a cause themselves. */
  readonly causes: readonly LogEntry[];
  /** The last entries. */
  readonly ending: readonly LogEntry[];
}

/** Shapes that are told apart; further ones are counted together. */
const MOST_SHAPES = 20_000;
const figure = /([A-Za-z_][\w./-]{0,30})\s*[=:]\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w:.-]*[A-Za-z:])/g;
const spoken =
  /\b(step|epoch|loss|val_bpb|val_loss|train_loss|accuracy|lr|learning rate|tokens\/s|throughput|perplexity)\s+(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/gi;
const cause = /\b(?:because|due to|caused by|root cause|reason\s*[:=]|as a result of|triggered by|owing to)\b/i;

/** A message with what changes from time to time left out. */
export function shapeOf(message: string): string {
  return message.slice(0, 300)
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, "‹id›")
    .replace(/\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?/g, "‹time›")
    .replace(/"[^"]{0,200}"|'[^']{3,200}'/g, "‹text›")
    .replace(/(?:[A-Za-z]:)?(?:\/[\w.@~+-]+){2,}\/?/g, "‹path›")
    .replace(/\b0x[0-9a-f]+\b|\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b/gi, "‹hex›")
    .replace(/-?\d+(?:[.,:]\d+)*/g, "‹n›")
    .slice(0, 160);
}

/** Sums a log up. @param entries in the order of the log */
export async function digestLog(
  entries: readonly LogEntry[],
  pause: () => Promise<void> = async () => {},
): Promise<LogDigest> {
  const levels: Record<Level, number> = { debug: 0, info: 0, warning: 0, error: 0, none: 0 };
  const groups = new Map<string, { shape: string; example: LogEntry; last: LogEntry; count: number }>();
  const series = new Map<string, { -readonly [K in keyof Series]: Series[K] }>();
  const silences: Silence[] = [];
  const gaps: number[] = [];
  const causes: LogEntry[] = [];
  const said = new Set<string>();
  let before: LogEntry | null = null, first: LogEntry | null = null;
  for (const [index, entry] of entries.entries()) {
    if (index % 512 === 0) await pause();
    levels[entry.level]++;
    const shape = shapeOf(entry.message);
    const key = groups.has(`${entry.level} ${shape}`) || groups.size < MOST_SHAPES
      ? `${entry.level} ${shape}`
      : `${entry.level} …`;
    const group = groups.get(key);
    if (group) {
      group.count++;
      group.last = entry;
    } else groups.set(key, { shape, example: entry, last: entry, count: 1 });
    if (entry.time !== null) {
      first ??= entry;
      if (before !== null && before.dated === entry.dated) {
        const seconds = (entry.time - before.time!) / 1000;
        if (seconds > 0) gaps.push(seconds);
        if (seconds >= 60) silences.push({ before, after: entry, seconds });
      }
      before = entry;
    }
    const text = entry.message.slice(0, 1000);
    for (const pattern of [figure, spoken]) {
      let seen = 0;
      for (const [, name, value] of text.matchAll(pattern)) {
        if (++seen > 16) break;
        const number = Number(value);
        const key = name.toLowerCase();
        const known = series.get(key);
        if (known) {
          known.count++;
          known.last = number;
          known.low = Math.min(known.low, number);
          known.high = Math.max(known.high, number);
        } else if (series.size < 200) {
          series.set(key, { name, count: 1, first: number, last: number, low: number, high: number });
        }
      }
    }
    for (const line of [entry.message, ...entry.more]) {
      if (causes.length >= 12 || !cause.test(line.slice(0, 500))) continue;
      const told = shapeOf(line);
      if (said.has(told)) break;
      said.add(told);
      causes.push(line === entry.message ? entry : { ...entry, message: line.trim() });
      break;
    }
  }
  await pause();
  const all = [...groups.values()];
  const of = (level: (level: Level) => boolean) => all.filter(({ example }) => level(example.level));
  gaps.sort((a, b) => a - b);
  const usual = gaps[gaps.length >> 1] ?? 0;
  return {
    entries: entries.length,
    levels,
    first,
    last: before,
    errors: of((level) => level === "error").sort((a, b) => a.example.line - b.example.line),
    warnings: of((level) => level === "warning").sort((a, b) => b.count - a.count),
    common: of((level) => level !== "error" && level !== "warning").sort((a, b) => b.count - a.count),
    silences: silences.filter(({ seconds }) => seconds > Math.max(60, 8 * usual)).sort((a, b) => b.seconds - a.seconds)
      .slice(0, 8),
    series: [...series.values()].filter(({ count, low, high }) => count >= 3 && low !== high).sort((a, b) =>
      b.count - a.count
    ).slice(0, 12),
    causes,
    ending: entries.slice(-3),
  };
}
