/**
 * Tables as text: finds the separator, reads quoted cells as RFC 4180 has them, sums the columns up. One pass, whatever
 * the length.
 * @module
 */
import { cellType, Column, type ColumnSummary } from "./columns.ts";

/** What a table comes to. */
export interface TableSummary {
  /** What stands between cells. */
  readonly separator: "," | ";" | "\t" | "|";
  /** Whether the first line names the columns. */
  readonly header: boolean;
  /** Rows below the header. */
  readonly rows: number;
  /** Rows with more or fewer cells than there are columns, and the line of the first one. */
  readonly ragged: number;
  /** Number of the first such row, from 1; 0 without. */
  readonly firstRagged: number;
  /** Rows that stand there twice or more, as far as they were told apart. */
  readonly repeated: number;
  /** The columns. */
  readonly columns: readonly ColumnSummary[];
  /** Columns that are there beyond those that were looked at. */
  readonly furtherColumns: number;
}

/** Columns that are looked at. */
const MOST_COLUMNS = 120;
/** Rows that repetitions are looked for in. */
const MOST_ROWS_COMPARED = 200_000;
/** Characters of a cell that are kept. */
const LONGEST_CELL = 2000;

/** The rows of a table, one after another. @param separator one character */
export function* readRows(text: string, separator: string): Generator<string[]> {
  const quote = 34, cut = separator.charCodeAt(0);
  let at = 0;
  const length = text.length;
  while (at < length) {
    const row: string[] = [];
    for (;;) {
      let cell = "";
      if (text.charCodeAt(at) === quote) {
        let from = ++at;
        for (;;) {
          const end = text.indexOf('"', from);
          if (end < 0) {
            // A quote that nobody closes: the rest of the line is the cell.
            const stop = text.indexOf("\n", at);
            cell += text.slice(at, stop < 0 ? length : stop);
            at = stop < 0 ? length : stop;
            break;
          }
          cell += text.slice(from, end);
          if (text.charCodeAt(end + 1) === quote) {
            if (cell.length < LONGEST_CELL) cell += '"';
            from = end + 2;
            at = from;
            continue;
          }
          at = end + 1;
          break;
        }
        // What follows a closing quote within the cell belongs to it.
        while (at < length && text.charCodeAt(at) !== cut && text.charCodeAt(at) !== 10) {
          if (text.charCodeAt(at) !== 13) cell += text[at];
          at++;
        }
      } else {
        let end = at;
        while (end < length) {
          const code = text.charCodeAt(end);
          if (code === cut || code === 10) break;
          end++;
        }
        cell = text.slice(at, end);
        at = end;
      }
      row.push(cell.endsWith("\r") ? cell.slice(0, -1) : cell);
      if (at >= length || text.charCodeAt(at) === 10) break;
      at++;
    }
    at++;
    if (row.length > 1 || row[0] !== "") yield row;
  }
}

/** The first rows of a text. */
function sampleRows(text: string, separator: string, count: number): string[][] {
  const rows: string[][] = [];
  for (const row of readRows(text.slice(0, 200_000), separator)) {
    rows.push(row);
    if (rows.length >= count) break;
  }
  return rows;
}

/** The separator of a table, or null where the text is none. */
export function tableSeparator(text: string): TableSummary["separator"] | null {
  let best: TableSummary["separator"] | null = null, bestScore = 0;
  for (const separator of ["\t", ",", ";", "|"] as const) {
    const rows = sampleRows(text, separator, 60);
    const whole = text.length > 200_000 ? rows.slice(0, -1) : rows;
    if (whole.length < 2) continue;
    const widths = whole.map((row) => row.length);
    const counts = Map.groupBy(widths, (width) => width);
    const [width, same] = [...counts].sort((a, b) => b[1].length - a[1].length)[0];
    if (width < 2 || same.length < 0.8 * whole.length) continue;
    // Prose has commas too: cells of a table are short and do not end sentences.
    const cells = whole.flat();
    const long = cells.filter((cell) => cell.length > 120).length / cells.length;
    const sentences = whole.filter((row) =>
      /[.!?]["')\]]?$/.test(row.at(-1)!.trim()) && row.at(-1)!.trim().split(" ").length > 3
    ).length / whole.length;
    const spaced = cells.filter((cell) => /^ \S/.test(cell)).length / cells.length;
    if (sentences > 0.5 && separator !== "\t") continue;
    const score = Math.min(width, 8) * (same.length / whole.length) * (1 - long) * (separator === "\t" ? 1.3 : 1) *
      (1 - 0.7 * spaced);
    if (score > bestScore) [best, bestScore] = [separator, score];
  }
  return bestScore >= 1 ? best : null;
}

/** Whether the first row names columns: different, non-empty words above values of other kinds. */
function isHeader(first: readonly string[], others: readonly (readonly string[])[]): boolean {
  const names = first.map((cell) => cell.trim());
  if (names.some((name) => name.length > 80) || new Set(names).size < names.length) return false;
  if (names.some((name) => ["integer", "number", "date"].includes(cellType(name)))) return false;
  const typed = others.some((row) =>
    row.some((cell) => ["integer", "number", "date", "boolean"].includes(cellType(cell)))
  );
  if (typed) return true;
  // All words: names look like identifiers and do not come back below.
  const below = new Set(others.flat().map((cell) => cell.trim()));
  return names.every((name) => /^[\p{L}_][\p{L}\p{N}_ .()/%-]{0,40}$/u.test(name) && !below.has(name));
}

/** Sums a table up. */
export async function summarizeTable(
  text: string,
  separator: TableSummary["separator"],
  pause: () => Promise<void> = async () => {},
): Promise<TableSummary> {
  const sample = sampleRows(text, separator, 40);
  const header = sample.length > 1 && isHeader(sample[0], sample.slice(1));
  const widths = sample.map((row) => row.length).sort((a, b) => a - b);
  const width = header ? sample[0].length : widths[widths.length >> 1] ?? 0;
  const columns = Array.from(
    { length: Math.min(width, MOST_COLUMNS) },
    (_, index) => new Column(header ? sample[0][index].trim() || `column ${index + 1}` : `column ${index + 1}`),
  );
  const seen = new Set<string>();
  let rows = 0, ragged = 0, firstRagged = 0, repeated = 0;
  let first = header;
  for (const row of readRows(text, separator)) {
    if (first) {
      first = false;
      continue;
    }
    rows++;
    if (rows % 256 === 0) await pause();
    if (row.length !== width) {
      ragged++;
      firstRagged ||= rows + (header ? 1 : 0);
    }
    for (const [index, column] of columns.entries()) column.add((row[index] ?? "").slice(0, LONGEST_CELL));
    if (seen.size < MOST_ROWS_COMPARED) {
      const key = row.join("\u0001").slice(0, 4000);
      if (seen.has(key)) repeated++;
      else seen.add(key);
    }
  }
  return {
    separator,
    header,
    rows,
    ragged,
    firstRagged,
    repeated,
    columns: columns.map((column) => column.summary()),
    furtherColumns: Math.max(0, width - MOST_COLUMNS),
  };
}
