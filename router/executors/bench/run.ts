/**
 * The work of the benchmark report: repeated measurements become median, range and spread; candidates become ratios.
 * @module
 */
import type { Outcome, Work } from "../define.ts";
import { InputError } from "../files.ts";
import { inlineCode, markdownTable, oneLine } from "../safe_text.ts";
import { cutNote, gatherSources } from "../sources.ts";
import type { ExecutorContext } from "../types.ts";
import { type Measurement, parseBench } from "./parse.ts";

/** Where our own benchmarks leave their results. */
const OWN_RESULTS = "tests/bench/results";
/** Rows of one table, and tables. */
const MOST_ROWS = 60, MOST_METRICS = 10;

/** Repeated measurements of one thing. */
export interface Group {
  /** What was measured. */
  readonly subject: string;
  /** Whose values they are. */
  readonly candidate: string;
  /** Single values, ascending. */
  readonly values: readonly number[];
  /** The middle one. */
  readonly median: number;
  /** Distance of the quartiles over the median (of the extremes, below four values); NaN for one value. */
  readonly spread: number;
}

/** A value at a share of sorted ones, between neighbours. */
function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1), low = Math.floor(place);
  return sorted[low] + (place - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

/** Groups what was measured more than once. */
export function groupMeasurements(measurements: readonly Measurement[]): Group[] {
  const groups = Map.groupBy(measurements, ({ subject, candidate }) => `${subject}\n${candidate}`);
  return [...groups.values()].map((group) => {
    const values = group.map(({ value }) => value).sort((a, b) => a - b);
    const median = quantile(values, 0.5);
    const width = values.length >= 4
      ? quantile(values, 0.75) - quantile(values, 0.25)
      : values[values.length - 1] - values[0];
    const { subject, candidate } = group[0];
    return {
      subject,
      candidate,
      values,
      median,
      spread: values.length > 1 && median !== 0 ? width / Math.abs(median) : NaN,
    };
  });
}

/** Whether less of it is better; null where that cannot be told. */
export function lowerIsBetter(metric: string, unit: string): boolean | null {
  const text = `${metric} ${unit}`;
  if (/\/s\b|\/sec\b|flop|throughput|speed|of peak|accuracy|recall|score|bandwidth/i.test(text)) return false;
  if (
    /\btime\b|\b(?:ns|µs|μs|us|ms|s|sec|seconds|min)\b|latency|duration|loss|bpb|memory|\b(?:MB|MiB|GB|GiB|KB|bytes)\b|size|p\d{2}|avg|mean|median|time_over_floor|error/i
      .test(text)
  ) return true;
  return null;
}

const show = (value: number): string => {
  if (!Number.isFinite(value)) return "—";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(5)));
};

const percent = (value: number): string =>
  Number.isNaN(value) ? "—" : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;

/** What candidates of one metric come to, beside each other. @returns Markdown */
function compare(groups: readonly Group[], candidates: readonly string[], lower: boolean | null): string {
  const [first, ...others] = candidates;
  const bySubject = Map.groupBy(groups, ({ subject }) => subject);
  const rows: string[][] = [];
  const logs = new Map<string, number[]>(others.map((other) => [other, []]));
  for (const [subject, group] of bySubject) {
    const of = (candidate: string) => group.find((one) => one.candidate === candidate);
    const base = of(first);
    rows.push([
      subject === "" ? "(all)" : subject,
      ...candidates.map((candidate) => of(candidate) === undefined ? "—" : show(of(candidate)!.median)),
      ...others.map((other) => {
        const one = of(other);
        if (base === undefined || one === undefined || !(base.median > 0) || !(one.median > 0)) return "—";
        logs.get(other)!.push(Math.log(base.median / one.median));
        return (base.median / one.median).toFixed(2);
      }),
    ]);
  }
  const head = ["measured", ...candidates, ...others.map((other) => `${first} ÷ ${other}`)];
  const table = markdownTable(head, rows.slice(0, MOST_ROWS), head.map((_, column) => column).slice(1));
  const lines = others.map((other) => {
    const ratios = logs.get(other)!;
    if (ratios.length === 0) return "";
    const mean = Math.exp(ratios.reduce((sum, value) => sum + value, 0) / ratios.length);
    const range = ratios.length > 1
      ? ` (${Math.exp(Math.min(...ratios)).toFixed(2)} to ${
        Math.exp(Math.max(...ratios)).toFixed(2)
      } in ${ratios.length})`
      : "";
    const verdict = lower === null || Math.abs(mean - 1) < 0.005
      ? ""
      : (mean > 1) === lower
      ? `, which is worse for ${inlineCode(first)}`
      : `, which is better for ${inlineCode(first)}`;
    return `- ${inlineCode(first)} ÷ ${inlineCode(other)}: ${mean.toFixed(3)}${
      ratios.length > 1 ? " in the geometric mean" : ""
    }${range}${verdict}.`;
  }).filter((line) => line !== "");
  const hidden = rows.length > MOST_ROWS ? `\n\n${rows.length - MOST_ROWS} further rows are left out.` : "";
  return `${table}${hidden}${lines.length > 0 ? `\n\n${lines.join("\n")}` : ""}`;
}

/** What repeated measurements of one metric come to. @returns Markdown */
function list(groups: readonly Group[]): string {
  const repeated = groups.some(({ values }) => values.length > 1);
  const rows = groups.slice(0, MOST_ROWS).map(({ subject, candidate, values, median, spread }) => {
    const name = [subject, candidate].filter((part) => part !== "").join(" · ") || "(all)";
    return repeated
      ? [name, String(values.length), show(median), show(values[0]), show(values[values.length - 1]), percent(spread)]
      : [name, show(median)];
  });
  const head = repeated ? ["measured", "times", "median", "least", "greatest", "spread"] : ["measured", "value"];
  const hidden = groups.length > MOST_ROWS ? `\n\n${groups.length - MOST_ROWS} further rows are left out.` : "";
  return markdownTable(head, rows, head.map((_, column) => column).slice(1)) + hidden;
}

/** Candidates with the one to compare first: "ours" and "baseline" before others, else as they come. */
function candidatesOf(groups: readonly Group[]): string[] {
  const names = [...new Set(groups.map(({ candidate }) => candidate))].filter((name) => name !== "");
  const own = names.findIndex((name) => /\b(?:ours|researchswarm|us|new|this)\b/i.test(name));
  if (own > 0) names.unshift(...names.splice(own, 1));
  return names;
}

async function sourcesOf(context: ExecutorContext, work: Work) {
  const given = await gatherSources(context, work, { folders: /\.(?:json|jsonl|ndjson|txt|md|csv|tsv|log|out)$/i });
  if (given.length > 0) return given;
  let names: string[];
  try {
    names = await context.listFolder(OWN_RESULTS);
  } catch {
    names = [];
  }
  const files = names.filter((name) => /\.(?:json|jsonl|txt|md|csv|tsv)$/i.test(name)).map((name) =>
    `${OWN_RESULTS}/${name}`
  );
  if (files.length === 0) {
    throw new InputError(
      `There are no benchmark results: none came with the task, it names no file, and there are none in ${OWN_RESULTS}. Pass the output with --file FILE or --input-text TEXT.`,
      "needs-input",
    );
  }
  const named = files.map((file) => `"./${file}"`).join(" ");
  return await gatherSources({ ...context, input: undefined, segment: named, task: named }, work);
}

/** Reports on the measurements of the given text or files. */
export async function runBenchReport(context: ExecutorContext, work: Work): Promise<Outcome> {
  const sources = await sourcesOf(context, work);
  const measurements: Measurement[] = [];
  const notes: string[] = [];
  for (const input of sources) {
    await work.pause();
    const found = parseBench(input.text);
    work.did(`Found ${found.length} measurements in ${oneLine(input.name)}`);
    for (const one of found) measurements.push(one);
    if (found.length === 0) notes.push(`${inlineCode(input.name)} holds no measurement that could be told.`);
    const cut = cutNote(input);
    if (cut !== "") notes.push(cut);
  }
  const names = sources.map(({ name }) => inlineCode(name, 100)).join(", ");
  if (measurements.length === 0) {
    return {
      status: "needs-input",
      title: "Benchmark report: no measurements",
      text:
        `No measurement was found in ${names}. Tables, lines with units, key: value lines, JSON and JSON lines are understood.`,
    };
  }
  const metrics = [...Map.groupBy(measurements, ({ metric, unit }) => `${metric}\n${unit}`).values()].sort((a, b) =>
    b.length - a.length
  );
  const parts: string[] = [];
  for (const group of metrics.slice(0, MOST_METRICS)) {
    await work.pause();
    const { metric, unit } = group[0];
    const groups = groupMeasurements(group);
    const candidates = candidatesOf(groups);
    const lower = lowerIsBetter(metric, unit);
    const title = `${oneLine(metric, 60)}${unit !== "" && unit !== metric ? ` (${unit})` : ""}${
      lower === null ? "" : lower ? ", lower is better" : ", higher is better"
    }`;
    parts.push(
      `## ${title}\n\n${
        candidates.length > 1 && candidates.length <= 6 ? compare(groups, candidates, lower) : list(groups)
      }`,
    );
    const wide = groups.filter(({ spread, values }) => values.length > 2 && spread > 0.2);
    if (wide.length > 0) {
      parts.push(
        `${wide.length} of ${groups.length} vary by more than 20 %: differences of that size mean nothing there.`,
      );
    }
  }
  if (metrics.length > MOST_METRICS) {
    notes.push(`${metrics.length - MOST_METRICS} further kinds of values are left out.`);
  }
  const single = measurements.length ===
    groupMeasurements(
      measurements.map((one) => ({ ...one, subject: `${one.subject}\u0001${one.metric}\u0001${one.unit}` })),
    ).length;
  if (single) notes.push("Each thing was measured once, so there is no spread to judge differences by.");
  return {
    title: `Benchmark report: ${sources.map(({ name }) => oneLine(name, 60)).join(", ")}`,
    text: [
      `# Benchmark report\n\n${measurements.length} values from ${names}.`,
      ...parts,
      ...notes.map((note) => `_${note}_`),
    ].join("\n\n"),
  };
}
