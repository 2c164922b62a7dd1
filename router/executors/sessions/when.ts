/**
 * Reads times from a task: "yesterday", "last night", "on Friday", "21 November", "2026-11-21", "the last three days",
 * "since Monday", "from 3 to 5 May". Local time, counted from a given now.
 * @module
 */

/** A stretch of time that a task names. */
export interface Period {
  /** First moment. */
  readonly from: Date;
  /** First moment after it. */
  readonly to: Date;
  /** The words that said so. */
  readonly said: string;
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const monthWords = String
  .raw`(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?`;
const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const weekdayWords = String.raw`(sun|mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?)(?:day)?`;
const counts: Readonly<Record<string, number>> = {
  a: 1,
  an: 1,
  one: 1,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  seven: 7,
  eight: 8,
  nine: 9,
  ten: 10,
  couple: 2,
  few: 3,
  twelve: 12,
};
const countWords = String.raw`(\d{1,3}|${Object.keys(counts).join("|")})`;

/** Midnight of a day, so many days later. */
export function dayStart(date: Date, days = 0): Date {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days);
}

const at = (date: Date, days: number, hour: number): Date =>
  new Date(date.getFullYear(), date.getMonth(), date.getDate() + days, hour);

/** A day and its year where none is given: the last such day that is not in the future. */
function calendarDay(now: Date, day: number, month: number, year?: number): [Date, Date] | null {
  const full = year === undefined ? now.getFullYear() : year < 100 ? 2000 + year : year;
  let date = new Date(full, month, day);
  if (date.getMonth() !== month || date.getDate() !== day || full < 1990 || full > 2200) return null;
  if (year === undefined && date > now) date = new Date(full - 1, month, day);
  return [date, dayStart(date, 1)];
}

const number = (text: string): number => counts[text.toLowerCase()] ?? Number(text);
const monthOf = (text: string): number => months.indexOf(text.slice(0, 3).toLowerCase());

type Reader = (match: RegExpMatchArray, now: Date) => [Date, Date] | null;

/** The night that ends or ended at noon of a day. */
const night = (now: Date, days: number): [Date, Date] => [at(now, days - 1, 17), at(now, days, 12)];

/** How a time is said, the longer ways first; each gives the stretch that is meant. */
const readers: readonly [pattern: string, read: Reader][] = [
  [
    String.raw`(\d{4})-(\d{2})-(\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2})?Z?)?`,
    ([, y, m, d], now) => calendarDay(now, +d, +m - 1, +y),
  ],
  [String.raw`(\d{4})/(\d{1,2})/(\d{1,2})`, ([, y, m, d], now) => calendarDay(now, +d, +m - 1, +y)],
  [
    String.raw`(\d{1,2})\.(\d{1,2})\.(\d{4}|\d{2})?`,
    ([, d, m, y], now) => calendarDay(now, +d, +m - 1, y ? +y : undefined),
  ],
  // 11/22 and 22/11: the one that is possible; month first where both are.
  [
    String.raw`(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})`,
    ([, a, b, y], now) => calendarDay(now, +b, +a - 1, +y) ?? calendarDay(now, +a, +b - 1, +y),
  ],
  [
    String.raw`(?:the\s+)?(\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?${monthWords}(?:,?\s+(\d{4}))?`,
    ([, d, m, y], now) => calendarDay(now, +d, monthOf(m), y ? +y : undefined),
  ],
  [
    String.raw`${monthWords}\s+(?:the\s+)?(\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(\d{4}))?`,
    ([, m, d, y], now) => calendarDay(now, +d, monthOf(m), y ? +y : undefined),
  ],
  [
    String.raw`(?:the\s+)?(?:day\s+before\s+yesterday|vorgestern|avant-hier|anteayer)`,
    (_, now) => [dayStart(now, -2), dayStart(now, -1)],
  ],
  [String.raw`(?:the\s+)?night\s+before\s+last`, (_, now) => night(now, -1)],
  [
    String.raw`last\s+night|yesternight|letzte\s+nacht|heute\s+nacht|la\s+nuit\s+dernière|anoche`,
    (_, now) => night(now, 0),
  ],
  [String.raw`yesterday\s+(?:night|evening)`, (_, now) => night(now, 0)],
  [String.raw`yesterday\s+morning`, (_, now) => [dayStart(now, -1), at(now, -1, 12)]],
  [String.raw`yesterday\s+afternoon`, (_, now) => [at(now, -1, 12), at(now, -1, 18)]],
  [String.raw`yesterday|gestern|hier|ayer|ieri`, (_, now) => [dayStart(now, -1), dayStart(now)]],
  [String.raw`tonight|this\s+night`, (_, now) => now.getHours() < 12 ? night(now, 0) : night(now, 1)],
  [String.raw`this\s+morning`, (_, now) => [dayStart(now), at(now, 0, 12)]],
  [String.raw`this\s+(?:afternoon|evening)`, (_, now) => [at(now, 0, 12), dayStart(now, 1)]],
  [String.raw`today|heute|aujourd['’]hui|hoy|oggi`, (_, now) => [dayStart(now), dayStart(now, 1)]],
  [String.raw`${countWords}\s+(days?|nights?|weeks?|hours?|months?)\s+ago`, ([, n, unit], now) => {
    const count = number(n);
    if (/^hour/i.test(unit)) {
      return [new Date(+now - (count + 1) * 3_600_000), new Date(+now - (count - 1) * 3_600_000)];
    }
    const days = count * (/^week/i.test(unit) ? 7 : /^month/i.test(unit) ? 30 : 1);
    return /^night/i.test(unit) ? night(now, 1 - days) : [dayStart(now, -days), dayStart(now, 1 - days)];
  }],
  [
    String
      .raw`(?:the\s+)?(?:last|past|previous)\s+(?:couple\s+of\s+)?${countWords}\s+(days?|nights?|weeks?|hours?|hrs?|h|months?)`,
    ([, n, unit], now) => {
      const count = number(n);
      if (/^h/i.test(unit)) return [new Date(+now - count * 3_600_000), now];
      const days = count * (/^week/i.test(unit) ? 7 : /^month/i.test(unit) ? 30 : 1);
      return [/^night/i.test(unit) ? at(now, -days, 17) : dayStart(now, -days), dayStart(now, 1)];
    },
  ],
  [
    String.raw`(?:the\s+)?(?:last|past)\s+(?:couple\s+of|few)\s+(?:days|nights)`,
    (_, now) => [dayStart(now, -3), dayStart(now, 1)],
  ],
  [String.raw`last\s+week(?!end)`, (_, now) => {
    const monday = dayStart(now, -((now.getDay() + 6) % 7) - 7);
    return [monday, dayStart(monday, 7)];
  }],
  [String.raw`this\s+week(?!end)`, (_, now) => [dayStart(now, -((now.getDay() + 6) % 7)), dayStart(now, 1)]],
  [String.raw`(?:last|this|the|over\s+the)\s+weekend`, (_, now) => {
    // The weekend that has begun last.
    const saturday = dayStart(now, -((now.getDay() + 1) % 7));
    return [at(saturday, -1, 17), at(saturday, 2, 12)];
  }],
  [String.raw`(?:in|of|during)\s+${monthWords}(?:\s+(\d{4}))?`, ([, m, y], now) => {
    const month = monthOf(m);
    const year = y ? +y : now.getFullYear() - (month > now.getMonth() ? 1 : 0);
    return [new Date(year, month, 1), new Date(year, month + 1, 1)];
  }],
  [
    String.raw`last\s+month`,
    (_, now) => [new Date(now.getFullYear(), now.getMonth() - 1, 1), new Date(now.getFullYear(), now.getMonth(), 1)],
  ],
  [String.raw`this\s+month`, (_, now) => [new Date(now.getFullYear(), now.getMonth(), 1), dayStart(now, 1)]],
  [String.raw`(last\s+)?(?:on\s+)?${weekdayWords}(?:['’]s)?(\s+night)?`, ([whole, last, name, dark], now) => {
    // "sat", "sun", "wed" and "fri" alone are words; days are spelt out or stand after "on" and "last".
    if (!/day/i.test(whole) && !/\b(?:on|last)\b/i.test(whole)) return null;
    const index = weekdays.indexOf(name.slice(0, 3).toLowerCase());
    let back = (now.getDay() - index + 7) % 7;
    if (back === 0 && last !== undefined) back = 7;
    return dark === undefined ? [dayStart(now, -back), dayStart(now, 1 - back)] : night(now, 1 - back);
  }],
];

const compiled = readers.map(([pattern, read]) => ({
  // A date must not be part of a longer word: tags such as demo-2026-11-22 name sessions, not days.
  pattern: new RegExp(String.raw`(?<![\p{L}\p{N}_./-])(?:${pattern})(?![\p{L}\p{N}_]|[-/]\w)`, "giu"),
  read,
}));

/** A period and where it stands. */
interface Found extends Period {
  readonly start: number;
  readonly end: number;
}

function find(text: string, now: Date): Found[] {
  const found: Found[] = [];
  for (const { pattern, read } of compiled) {
    for (const match of text.matchAll(pattern)) {
      const start = match.index, end = start + match[0].length;
      if (found.some((other) => start < other.end && other.start < end)) continue;
      const period = read(match, now);
      if (period !== null) found.push({ from: period[0], to: period[1], said: match[0].trim(), start, end });
    }
  }
  return found.sort((a, b) => a.start - b.start);
}

/**
 * The stretch of time that a text names, or null.
 * @param text a task; the first 5,000 characters count
 * @param now what "yesterday" is counted from
 */
export function readPeriod(text: string, now: Date): Period | null {
  // "from 3 to 5 May": the month belongs to both.
  const head = text.slice(0, 5000).replace(
    new RegExp(
      String
        .raw`\b(\d{1,2})(?:st|nd|rd|th)?\s*(?:-|–|to|until|through|and)\s*(\d{1,2})(?:st|nd|rd|th)?\s+${monthWords}`,
      "giu",
    ),
    "$1 $3 to $2 $3",
  );
  const found = find(head, now);
  if (found.length === 0) return null;
  const [first, second] = found;
  if (second !== undefined) {
    const between = head.slice(first.end, second.start);
    if (
      /^\s*(?:['’]s\s*)?(?:-|–|to|and|until|till|through|thru|bis)\s*(?:the\s+)?$/i.test(between) &&
      second.to > first.from
    ) {
      return { from: first.from, to: second.to, said: head.slice(first.start, second.end) };
    }
  }
  const before = head.slice(0, first.start);
  if (/\bsince\s+(?:the\s+)?$/i.test(before)) return { from: first.from, to: now, said: `since ${first.said}` };
  return { from: first.from, to: first.to, said: first.said };
}

const two = (value: number): string => String(value).padStart(2, "0");

/** A moment in local time: `2026-11-22 23:05`. */
export function showTime(date: Date): string {
  return `${showDay(date)} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** A day in local time: `2026-11-22`. */
export function showDay(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** How far local time is from UTC at a moment: `UTC+01:00`. */
export function showZone(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** A length of time: `2 h 05 min`, `3 min 20 s`, `4.2 s`. */
export function showDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "—";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole % 3600 / 60))} min`;
}
