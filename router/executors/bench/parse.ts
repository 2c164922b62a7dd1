/**
 * Finds measurements in what benchmarks print: tables (Markdown, CSV, TSV, aligned lines with units), `key: value` lines,
 * JSON of common tools, JSON lines. Says nothing of what they mean.
 * @module
 */
import { readRows } from "../analysis/tables.ts";
import { safeText } from "../safe_text.ts";

/** One measured value. */
export interface Measurement {
  /** What was measured, such as a shape or a preset. */
  readonly subject: string;
  /** Whose value it is, such as a library; empty where there is only one. */
  readonly candidate: string;
  /** What the value is, such as `time` or `tokens/s`. */
  readonly metric: string;
  /** Unit; empty where none is written. */
  readonly unit: string;
  /** The value in this unit. */
  readonly value: number;
}

/** Measurements of one text at most. */
const MOST = 200_000;

const units =
  "ns|µs|μs|us|ms|s|sec|secs|seconds|min|GFLOP/s|TFLOP/s|MFLOP/s|GFLOPS|TFLOPS|GB/s|MB/s|KB/s|GiB/s|MiB/s|tokens/s|tok/s|ops/s|ops/sec|iter/s|it/s|req/s|rows/s|entries/s|queries/s|samples/s|MB|MiB|GB|GiB|KB|KiB|kB|bytes|%|x|×";
const quantity = new RegExp(
  String.raw`(?<![\w.×])([+-]?\d[\d,]*(?:\.\d+)?)(?:e([+-]?\d+))?\s*(${units})(?![\w/])(?!(?<=[x×])\s*\d)`,
  "g",
);
const cellQuantity = new RegExp(
  String.raw`^\W{0,2}([+-]?\d[\d,_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(?:(${units})(?:\s+of \w+)?)?\W{0,2}$`,
);
/** Words that name a measured thing rather than who was measured. */
const metricWord =
  /\b(?:time|ms|ns|us|µs|s|sec|seconds?|latency|duration|throughput|speed|rate|tokens|gflops?|flops?|flop\/s|bandwidth|memory|bytes|mb|gb|loss|bpb|accuracy|score|mean|median|avg|average|min|max|p\d{2,3}|stddev|std|sd|deviation|iter|iterations?|ops|count|n|runs?|ratio|speed-?up|peak|%|per|cpu|wall|user|sys|relative|steps?|params?|size|value|result)\b/i;
/** Columns that count or configure rather than measure. */
const noMeasure = /^(?:n|count|iterations?|runs?|rounds?|repeats?|seed|index|id|#|version|exit.*|threads?|rank|line)$/i;
const nameField =
  /^(?:name|benchmark|bench|case|test|label|command|op|operation|preset|shape|title|task|key|fn|function|query|workload|metric)$/i;
const candidateField =
  /^(?:candidate|library|lib|impl|implementation|backend|variant|system|tool|build|engine|method|who|framework|device|language|compiler)$/i;

/** Cells such as `(295.1 ns … 320.2 ns)`: measured, but no single value. */
const ranged = new RegExp(String.raw`\d\s*(?:${units})\s*(?:…|\.\.|-|–)\s*\d`);

const numberOf = (text: string): number => Number(text.replace(/[,_ ](?=\d{3})/g, ""));

/** Splits a heading such as `ours, tokens/s` or `time (ms)` into its words and its unit. */
function heading(text: string): { name: string; unit: string } {
  const clean = text.replace(/[*`]/g, "").trim();
  const match = clean.match(new RegExp(String.raw`^(.*?)[\s,]*[\[(,]\s*(${units})\s*[\])]?$`)) ??
    clean.match(new RegExp(String.raw`^(.*?)[ _](${units})$`));
  if (match && match[1].trim() !== "") return { name: match[1].trim(), unit: match[2] };
  return new RegExp(String.raw`^(?:${units})$`).test(clean) ? { name: clean, unit: clean } : { name: clean, unit: "" };
}

/** Measurements of a table whose first row names the columns. */
function fromTable(rows: readonly (readonly string[])[]): Measurement[] {
  const [head, ...body] = rows;
  if (head === undefined || body.length === 0) return [];
  const parsed = body.map((row) =>
    head.map((_, column) => (row[column] ?? "").replace(/[*`]/g, "").trim().match(cellQuantity))
  );
  const share = head.map((_, column) => parsed.filter((row) => row[column] !== null).length / body.length);
  const titles = head.map(heading);
  const named = titles.findIndex(({ name }) => nameField.test(name));
  const subjectColumn = named >= 0 ? named : Math.max(0, share.findIndex((part) => part < 0.5));
  const candidateColumn = titles.findIndex(({ name }, column) =>
    column !== subjectColumn && share[column] < 0.5 && candidateField.test(name)
  );
  const measured = titles.map((title, column) => ({ ...title, column }))
    .filter(({ name, column }) =>
      column !== subjectColumn && column !== candidateColumn && share[column] >= 0.5 && !noMeasure.test(name)
    );
  if (measured.length === 0) return [];
  // Further columns of words belong to what was measured: op and shape.
  const words = titles.map((_, column) => column).filter((column) =>
    column !== candidateColumn && share[column] < 0.5 && column !== subjectColumn &&
    !body.some((row) => ranged.test(row[column] ?? ""))
  );
  const cellUnit = (column: number) => parsed.find((row) => row[column]?.[2] !== undefined)?.[column]?.[2] ?? "";
  const unitOf = ({ unit, column }: { unit: string; column: number }) => unit || cellUnit(column);
  const found: Measurement[] = [];
  for (const [index, row] of parsed.entries()) {
    const texts = [subjectColumn, ...words].map((column) => (body[index][column] ?? "").replace(/[*`]/g, "").trim())
      .filter((text) => text !== "");
    const subject = texts.join(" ").slice(0, 160);
    for (const measure of measured) {
      const match = row[measure.column];
      if (match === null) continue;
      const unit = match[2] ?? unitOf(measure);
      const who = candidateColumn >= 0 ? body[index][candidateColumn].trim() : "";
      // Columns of one unit whose names are no measures are those who were measured.
      const rivals = measured.filter((other) =>
        unitOf(other) === unitOf(measure) && !isMeasure(other.name, other.unit)
      );
      const rival = candidateColumn < 0 && rivals.length > 1 && !isMeasure(measure.name, measure.unit);
      found.push({
        subject,
        candidate: rival ? measure.name : who,
        metric: rival ? unit || "value" : measure.name === unit ? unit : measure.name,
        unit,
        value: numberOf(match[1]),
      });
    }
    if (found.length > MOST) break;
  }
  return found;
}

/** Whether a heading names what was measured: "time", "p99"; "ours" does not. */
function isMeasure(name: string, unit: string): boolean {
  return name === unit || metricWord.test(name);
}

/** Rows of the Markdown tables of a text, and the lines outside of them. */
function markdownTables(lines: readonly string[]): { tables: string[][][]; rest: string[] } {
  const tables: string[][][] = [];
  const rest: string[] = [];
  const cells = (line: string) => line.trim().replace(/^[|│]|[|│]$/g, "").split(/[|│]/).map((cell) => cell.trim());
  const rule = /^\s*[|│]?[\s|│+:-]*-{2,}[\s|│+:-]*$/;
  for (let at = 0; at < lines.length; at++) {
    if (/[|│]/.test(lines[at]) && rule.test(lines[at + 1] ?? "")) {
      const table = [cells(lines[at])];
      at += 2;
      while (at < lines.length && /[|│]/.test(lines[at])) {
        if (!rule.test(lines[at])) table.push(cells(lines[at]));
        at++;
      }
      at--;
      tables.push(table);
    } else rest.push(lines[at]);
  }
  return { tables, rest };
}

/** Units by what they are of, where nothing else names the value. */
const metricOf = (unit: string): string =>
  /^(?:ns|µs|μs|us|ms|s|sec|secs|seconds|min)$/.test(unit)
    ? "time"
    : /^(?:MB|MiB|GB|GiB|KB|KiB|kB|bytes)$/.test(unit)
    ? "size"
    : unit === "%"
    ? "share"
    : /^[x×]$/.test(unit)
    ? "ratio"
    : unit;

/** Measurements of lines such as `matmul 64×64  0.120 ms  31.2 GFLOP/s  13 % of peak`. */
function fromLines(lines: readonly string[]): Measurement[] {
  const found: Measurement[] = [];
  for (const line of lines) {
    if (found.length > MOST) break;
    const text = line.slice(0, 500);
    const pair = text.match(
      /^\s*["']?([A-Za-z][\w ./()-]{0,60}?)["']?\s*[:=]\s*([+-]?\d[\d,_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([A-Za-zµ%/×]{1,10})?\s*,?\s*$/,
    );
    if (pair) {
      const { name, unit } = heading(pair[1]);
      const given = pair[3] !== undefined && new RegExp(`^(?:${units})$`).test(pair[3])
        ? pair[3]
        : unit || pair[1].match(/_(ms|ns|us|mb|gflops|seconds)$/i)?.[1] || "";
      if (!noMeasure.test(name)) {
        found.push({ subject: "", candidate: "", metric: name, unit: given, value: numberOf(pair[2]) });
      }
      continue;
    }
    const matches = [...text.matchAll(quantity)];
    if (matches.length === 0 || matches[0].index === 0) continue;
    const subject = text.slice(0, matches[0].index).replace(/\s+/g, " ").replace(/[:=\s(-]+$/, "").trim();
    // A sentence that happens to hold a quantity is no measurement.
    const spoken = text.trim().split(/\s+/).filter((word) => /^\p{L}{2,}[.,;:!?]?$/u.test(word)).length;
    if (
      subject === "" || /[.!?]\s/.test(subject) || subject.split(" ").length > 10 || spoken > 9 ||
      (spoken > 5 && /[.!?]$/.test(text.trim()))
    ) continue;
    const seen = new Set<string>();
    for (const [, digits, exponent, unit] of matches.slice(0, 8)) {
      const metric = metricOf(unit);
      // The first of a kind is the value; what follows is its range.
      if (seen.has(metric)) continue;
      seen.add(metric);
      found.push({ subject, candidate: "", metric, unit, value: numberOf(digits) * 10 ** Number(exponent ?? 0) });
    }
  }
  return found;
}

type Fields = Record<string, unknown>;
const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Measurements of one object with names and numbers. */
function fromObject(fields: Fields, found: Measurement[], prefix = ""): void {
  const entries = Object.entries(fields);
  const texts = entries.filter((entry): entry is [string, string] =>
    typeof entry[1] === "string" && entry[1].length <= 200
  );
  const who = texts.find(([key]) => candidateField.test(key));
  const named = texts.filter(([key]) => nameField.test(key));
  const subject = [
    prefix,
    ...(named.length > 0
      ? named
      : texts.filter(([key]) =>
        key !== who?.[0] && !/^(?:unit|time_unit|date|time|timestamp|at|commit|machine|host|run_type)$/i.test(key)
      ).slice(0, 2)).map(([, value]) => value),
  ]
    .filter((part) => part !== "").join(" ").slice(0, 160);
  const shared = texts.find(([key]) => /^(?:unit|time_unit)$/i.test(key))?.[1] ?? "";
  for (const [key, value] of entries) {
    if (found.length > MOST) return;
    const { name, unit } = heading(key.replace(/(?<=[a-z0-9])_(?=(?:ms|ns|us|s|mb|gb|seconds|bytes)$)/i, " "));
    const own = unit || (/time|mean|median|min|max|avg|latency|value/i.test(key) ? shared : "");
    if (typeof value === "number" && Number.isFinite(value) && !noMeasure.test(key)) {
      found.push({ subject, candidate: who?.[1] ?? "", metric: name, unit: own, value });
    } else if (
      Array.isArray(value) && value.length > 0 && value.length <= 100_000 &&
      value.every((one) => typeof one === "number")
    ) {
      // Single runs say more than their mean.
      for (const one of value as number[]) {
        found.push({ subject, candidate: who?.[1] ?? "", metric: name, unit: own, value: one });
      }
    }
  }
}

/** Measurements of JSON: what hyperfine, `deno bench --json`, Google Benchmark and lists of objects hold. */
function fromJson(root: unknown): Measurement[] {
  const found: Measurement[] = [];
  const walk = (value: unknown, prefix: string, depth: number) => {
    if (depth > 4 || found.length > MOST) return;
    if (Array.isArray(value)) {
      for (const one of value.slice(0, MOST)) walk(one, prefix, depth + 1);
      return;
    }
    if (!isFields(value)) return;
    // deno bench: times in nanoseconds, one object deeper.
    if (
      Array.isArray(value.results) && typeof value.name === "string" &&
      value.results.some((one) => isFields(one) && isFields(one.ok))
    ) {
      const group = typeof value.group === "string" ? value.group : "";
      for (const result of value.results as Fields[]) {
        const ok = result.ok as Fields | undefined;
        for (const key of ["avg", "min", "max", "p75", "p99"]) {
          const number = ok?.[key];
          if (typeof number !== "number") continue;
          found.push({
            subject: group === "" ? value.name : group,
            candidate: group === "" ? "" : value.name,
            metric: key === "avg" ? "time (avg)" : key,
            unit: "ns",
            value: number,
          });
        }
      }
      return;
    }
    // hyperfine: seconds, with the single times.
    if (typeof value.command === "string" && typeof value.mean === "number") {
      const times = Array.isArray(value.times) ? value.times as unknown[] : [value.median ?? value.mean];
      for (const time of times) {
        if (typeof time === "number") {
          found.push({ subject: "", candidate: value.command, metric: "time", unit: "s", value: time });
        }
      }
      return;
    }
    const lists = Object.entries(value).filter(([, one]) => Array.isArray(one) && one.some(isFields) || isFields(one));
    const numbers = Object.values(value).some((one) =>
      typeof one === "number" || (Array.isArray(one) && one.length > 0 && typeof one[0] === "number")
    );
    if (numbers && (lists.length === 0 || Object.keys(value).length > 2 * lists.length + 1)) {
      fromObject(value, found, prefix);
    }
    for (const [key, one] of lists) {
      walk(
        one,
        isFields(one) && !/^(?:results|benchmarks|benches|data|runs|context|metrics)$/i.test(key)
          ? `${prefix} ${key}`.trim()
          : prefix,
        depth + 1,
      );
    }
  };
  walk(root, "", 0);
  return found;
}

/** The measurements of a text. */
export function parseBench(source: string): Measurement[] {
  const text = safeText(source);
  if (/^\s*[{[]/.test(text)) {
    try {
      const found = fromJson(JSON.parse(text));
      if (found.length > 0) return found;
    } catch {
      // Perhaps one value a line, or a line of text that begins with a bracket.
    }
  }
  const lines = text.split("\n").slice(0, MOST);
  const found: Measurement[] = [];
  const plain: string[] = [];
  for (const line of lines) {
    if (line.startsWith("{") && line.length < 200_000) {
      try {
        found.push(...fromJson(JSON.parse(line)));
        continue;
      } catch {
        // Plain text after all.
      }
    }
    plain.push(line);
  }
  const { tables, rest } = markdownTables(plain);
  for (const table of tables) found.push(...fromTable(table));
  if (found.length > 0 && tables.length === 0) return found;
  const body = rest.join("\n");
  for (const separator of ["\t", ",", ";"]) {
    const rows = [...readRows(body.slice(0, 5_000_000), separator)];
    const width = rows[0]?.length ?? 0;
    if (rows.length > 1 && width > 1 && rows.filter((row) => row.length === width).length > 0.8 * rows.length) {
      const table = fromTable(rows);
      if (table.length > 0) return [...found, ...table];
    }
  }
  return [...found, ...fromLines(rest)];
}
