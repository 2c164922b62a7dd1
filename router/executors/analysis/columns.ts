/**
 * What the values of a column are: type, gaps, range, commonest values. Fed cell by cell, with bounded memory.
 * @module
 */

/** What a cell is. */
export type CellType = "empty" | "integer" | "number" | "boolean" | "date" | "text";

/** What a column comes to. */
export interface ColumnSummary {
  /** Its name. */
  readonly name: string;
  /** What most of its values are, such as `integer`; two where they are mixed. */
  readonly type: string;
  /** Cells. */
  readonly count: number;
  /** Cells that are empty or say so. */
  readonly missing: number;
  /** Different values; at least so many where `more`. */
  readonly distinct: number;
  /** Whether there are more different values than were told apart. */
  readonly more: boolean;
  /** Least and greatest value, or shortest and longest length for texts; empty without values. */
  readonly range: string;
  /** The commonest values with their counts, where values repeat. */
  readonly common: readonly (readonly [value: string, count: number])[];
}

/** Different values that are told apart in a column. */
const MOST_VALUES = 2000;

const missing = /^(?:|na|n\/a|n\.a\.|nan|null|none|nil|undefined|missing|\?|-|—|\\n|#n\/a)$/i;
const integer = /^[+-]?(?:\d{1,18}|\d{1,3}(?:[,_ ]\d{3})+)$/;
const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?\d{1,3}(?:,\d{3})+\.\d+$|^[+-]?inf(?:inity)?$/i;
const decimalComma = /^[+-]?\d+,\d+$/;
const boolean = /^(?:true|false|yes|no|y|n|t|f)$/i;
const date =
  /^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?$|^\d{1,2}[./]\d{1,2}[./]\d{4}(?: \d{1,2}:\d{2}(?::\d{2})?)?$|^\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?$/;

/** What one cell is. */
export function cellType(text: string): CellType {
  const value = text.trim();
  if (missing.test(value)) return "empty";
  if (value.length > 40) return "text";
  if (integer.test(value)) return /^[+-]?0\d/.test(value) ? "text" : "integer"; // 007 is a name, not a number
  if (decimal.test(value) || decimalComma.test(value)) return "number";
  if (boolean.test(value)) return "boolean";
  return date.test(value) ? "date" : "text";
}

const numberOf = (text: string): number => {
  const value = text.trim();
  return Number(
    decimalComma.test(value) && !integer.test(value) ? value.replace(",", ".") : value.replace(/[,_ ](?=\d{3})/g, ""),
  );
};

const show = (value: number): string => Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(7)));

/** One column, fed value by value. */
export class Column {
  readonly #types: Record<CellType, number> = { empty: 0, integer: 0, number: 0, boolean: 0, date: 0, text: 0 };
  readonly #values = new Map<string, number>();
  #count = 0;
  #low = Infinity;
  #high = -Infinity;
  #sum = 0;
  #firstDate = "";
  #lastDate = "";
  #shortest = Infinity;
  #longest = 0;
  #more = false;

  /** Makes one. @param name what it is called */
  constructor(readonly name: string) {}

  /** Takes one value as it is written. */
  add(text: string): void {
    this.#count++;
    const type = cellType(text);
    this.#types[type]++;
    if (type === "empty") return;
    const value = text.trim();
    if (type === "integer" || type === "number") {
      const number = numberOf(value);
      if (Number.isFinite(number)) {
        this.#low = Math.min(this.#low, number);
        this.#high = Math.max(this.#high, number);
        this.#sum += number;
      }
    } else if (type === "date") {
      if (this.#firstDate === "" || value < this.#firstDate) this.#firstDate = value;
      if (value > this.#lastDate) this.#lastDate = value;
    } else {
      this.#shortest = Math.min(this.#shortest, value.length);
      this.#longest = Math.max(this.#longest, value.length);
    }
    const key = value.length > 60 ? value.slice(0, 60) + "…" : value;
    const known = this.#values.get(key);
    if (known !== undefined) this.#values.set(key, known + 1);
    else if (this.#values.size < MOST_VALUES) this.#values.set(key, 1);
    else this.#more = true;
  }

  /** Notes rows in which the column is not there at all. */
  absent(count: number): void {
    this.#count += count;
    this.#types.empty += count;
  }

  /** What it comes to. */
  summary(): ColumnSummary {
    const types = this.#types;
    const filled = this.#count - types.empty;
    const numeric = types.integer + types.number;
    // Two kinds of numbers are one kind; 0 and 1 beside true and false stay apart.
    const kinds =
      ([["number", numeric], ["boolean", types.boolean], ["date", types.date], ["text", types.text]] as const)
        .filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
    const main = kinds[0]?.[0];
    const word = (kind: string) => kind === "number" && types.number === 0 ? "integer" : kind;
    const type = filled === 0
      ? "empty"
      : kinds.length === 1 || kinds[1][1] < 0.01 * filled
      ? word(main!) + (kinds.length > 1 ? ` (${filled - kinds[0][1]} other)` : "")
      : kinds.slice(0, 2).map(([kind, count]) => `${word(kind)} ${Math.round(100 * count / filled)} %`).join(", ");
    let range = "";
    if (main === "number" && this.#low <= this.#high) {
      range = this.#low === this.#high
        ? show(this.#low)
        : `${show(this.#low)} … ${show(this.#high)}, mean ${show(this.#sum / numeric)}`;
    } else if (main === "date") {
      range = this.#firstDate === this.#lastDate ? this.#firstDate : `${this.#firstDate} … ${this.#lastDate}`;
    } else if (main === "text") {
      range = this.#shortest === this.#longest
        ? `${this.#longest} characters`
        : `${this.#shortest} … ${this.#longest} characters`;
    }
    const repeated = [...this.#values].filter(([, count]) => count > 1).sort((a, b) =>
      b[1] - a[1] || (a[0] < b[0] ? -1 : 1)
    );
    const telling = this.#values.size <= 0.5 * filled && main !== "date" &&
      !(main === "number" && this.#values.size > 20);
    return {
      name: this.name,
      type,
      count: this.#count,
      missing: types.empty,
      distinct: this.#values.size,
      more: this.#more,
      range,
      common: telling ? repeated.slice(0, 4) : [],
    };
  }
}
