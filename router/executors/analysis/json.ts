/**
 * The shape of JSON and JSON lines: which fields there are, of which types, how often they are absent, how deep it goes.
 * @module
 */
import { Column, type ColumnSummary } from "./columns.ts";

/** What JSON comes to. */
export interface JsonShape {
  /** `array of 12 objects`, `object with 3 fields`, … */
  readonly root: string;
  /** Values of all kinds. */
  readonly values: number;
  /** Deepest nesting, 1 for a plain value. */
  readonly depth: number;
  /** Paths with the types found there, such as `items[].price: number`. */
  readonly paths: readonly { readonly path: string; readonly types: string; readonly count: number }[];
  /** The fields of the records, where it is a list of objects. */
  readonly columns: readonly ColumnSummary[];
  /** Whether only a part was walked through. */
  readonly cut: boolean;
}

/** What JSON lines come to. */
export interface JsonLinesShape {
  /** Lines that are JSON. */
  readonly records: number;
  /** Lines that are not. */
  readonly broken: number;
  /** Line of the first one, from 1; 0 without. */
  readonly firstBroken: number;
  /** What kinds of values the lines hold. */
  readonly kinds: Readonly<Record<string, number>>;
  /** The fields of the objects. */
  readonly columns: readonly ColumnSummary[];
}

/** Values that are walked through. */
const MOST_VALUES = 2_000_000;
/** Paths that are told apart. */
const MOST_PATHS = 400;
/** Fields that become columns. */
const MOST_COLUMNS = 100;

const typeOf = (value: unknown): string => value === null ? "null" : Array.isArray(value) ? "array" : typeof value;

const isRecord = (value: unknown): value is Record<string, unknown> => typeOf(value) === "object";

/** A value as a cell: nested ones by their kind and size. */
function cellOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return `[${value.length} items]`;
  return typeof value === "object" ? `{${Object.keys(value).length} fields}` : String(value).slice(0, 2000);
}

/** Columns over the fields of records that come one by one. */
class FieldTable {
  readonly #columns = new Map<string, { column: Column; seen: number; nested: Record<"list" | "object", number> }>();
  #records = 0;

  add(record: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(record)) {
      let entry = this.#columns.get(name);
      if (entry === undefined) {
        if (this.#columns.size >= MOST_COLUMNS) continue;
        this.#columns.set(name, entry = { column: new Column(name), seen: 0, nested: { list: 0, object: 0 } });
      }
      entry.column.add(cellOf(value));
      entry.seen++;
      if (typeof value === "object" && value !== null) entry.nested[Array.isArray(value) ? "list" : "object"]++;
    }
    this.#records++;
  }

  summaries(): ColumnSummary[] {
    return [...this.#columns.values()].map(({ column, seen, nested }) => {
      column.absent(this.#records - seen);
      const summary = column.summary();
      const filled = summary.count - summary.missing;
      const kind = (["list", "object"] as const).find((kind) => nested[kind] > 0.5 * filled);
      return kind === undefined ? summary : { ...summary, type: kind, range: "" };
    });
  }
}

/** The shape of a parsed value. */
export async function jsonShape(root: unknown, pause: () => Promise<void> = async () => {}): Promise<JsonShape> {
  const paths = new Map<string, { types: Map<string, number>; count: number }>();
  let values = 0, depth = 0, cut = false;
  const stack: { value: unknown; path: string; level: number }[] = [{ value: root, path: "", level: 1 }];
  while (stack.length > 0) {
    const { value, path, level } = stack.pop()!;
    if (++values > MOST_VALUES) {
      cut = true;
      break;
    }
    if (values % 4096 === 0) await pause();
    depth = Math.max(depth, level);
    const type = typeOf(value);
    if (path !== "") {
      const entry = paths.get(path);
      if (entry) {
        entry.count++;
        entry.types.set(type, (entry.types.get(type) ?? 0) + 1);
      } else if (paths.size < MOST_PATHS) paths.set(path, { types: new Map([[type, 1]]), count: 1 });
    }
    if (Array.isArray(value)) {
      for (let index = value.length - 1; index >= 0; index--) {
        stack.push({ value: value[index], path: `${path}[]`, level: level + 1 });
      }
    } else if (isRecord(value)) {
      const keys = Object.keys(value);
      // An object with very many keys is a map: its keys are data, not structure.
      const map = keys.length > 60;
      for (const key of keys.reverse()) {
        const name = map ? "*" : /^[\w$-]{1,60}$/.test(key) ? key : `[${JSON.stringify(key.slice(0, 60))}]`;
        const joint = path === "" || name.startsWith("[") ? "" : ".";
        stack.push({ value: value[key], path: `${path}${joint}${name}`, level: level + 1 });
      }
    }
  }
  const table = new FieldTable();
  if (Array.isArray(root) && root.length > 0 && root.slice(0, 100).every(isRecord)) {
    for (const [index, record] of root.entries()) {
      if (index % 512 === 0) await pause();
      if (isRecord(record)) table.add(record);
    }
  }
  const kinds = Array.isArray(root) ? [...new Set(root.slice(0, 1000).map(typeOf))] : [];
  const name = Array.isArray(root)
    ? `array of ${root.length} ${kinds.length === 1 ? `${kinds[0]}${root.length === 1 ? "" : "s"}` : "values"}`
    : isRecord(root)
    ? `object with ${Object.keys(root).length} fields`
    : typeOf(root);
  return {
    root: name,
    values,
    depth,
    paths: [...paths].map(([path, { types, count }]) => ({ path, types: [...types.keys()].join(" or "), count })),
    columns: table.summaries(),
    cut,
  };
}

/** Whether a text is JSON lines: two lines or more, nearly all of them objects or arrays of their own. */
export function looksLikeJsonLines(text: string): boolean {
  const head = text.slice(0, 200_000);
  const lines = head.split("\n").filter((line) => line.trim() !== "");
  if (head.length < text.length) lines.pop();
  if (lines.length < 2) return false;
  const sample = lines.slice(0, 50);
  return sample.filter((line) => {
    if (!/^\s*[{[]/.test(line)) return false;
    try {
      JSON.parse(line);
      return true;
    } catch {
      return false;
    }
  }).length > 0.8 * sample.length;
}

/** The shape of JSON lines. */
export async function jsonLinesShape(
  text: string,
  pause: () => Promise<void> = async () => {},
): Promise<JsonLinesShape> {
  const table = new FieldTable();
  const kinds: Record<string, number> = {};
  let records = 0, broken = 0, firstBroken = 0, line = 0, at = 0;
  while (at < text.length) {
    let end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    const part = text.slice(at, end).trim();
    at = end + 1;
    line++;
    if (line % 256 === 0) await pause();
    if (part === "") continue;
    try {
      const value = JSON.parse(part);
      records++;
      const type = typeOf(value);
      kinds[type] = (kinds[type] ?? 0) + 1;
      if (isRecord(value)) table.add(value);
    } catch {
      broken++;
      firstBroken ||= line;
    }
  }
  return { records, broken, firstBroken, kinds, columns: table.summaries() };
}
