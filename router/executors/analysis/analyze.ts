/**
 * Analyses one input: tells what it is and writes what it is made of, in Markdown. The bytes decide before the name does.
 * @module
 */
import { decodeBytes } from "../decode.ts";
import { digestLog } from "../logs/digest.ts";
import { linesLeftOut, looksLikeLog, parseLog } from "../logs/parse.ts";
import { logFailures, logFigures, logHead } from "../logs/tell.ts";
import { inlineCode, markdownTable, oneLine, safeText } from "../safe_text.ts";
import { isResultsTable } from "../sessions/results_tsv.ts";
import { cutNote } from "../sources.ts";
import type { ExecutorInput } from "../types.ts";
import { codeLanguage, summarizeCode } from "./code.ts";
import type { ColumnSummary } from "./columns.ts";
import { jsonLinesShape, jsonShape, looksLikeJsonLines } from "./json.ts";
import { binaryKind, entropy } from "./kinds.ts";
import { findTodos, summarizeProse } from "./prose.ts";
import { settingsShape } from "./settings.ts";
import { summarizeTable, tableSeparator } from "./tables.ts";

/** What an input is. */
export type InputKind = "empty" | "binary" | "json lines" | "json" | "log" | "table" | "settings" | "code" | "prose";

/** An analysis. */
export interface Analysis {
  /** What it is. */
  readonly kind: InputKind;
  /** What it is, in words: `CSV table`, `Markdown`, `TypeScript`. */
  readonly name: string;
  /** Markdown. */
  readonly text: string;
}

const MOST_HEADINGS = 40, MOST_TODOS = 20, MOST_DEFINITIONS = 40, MOST_PATHS = 40;

const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const plural = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`;

/** A size in bytes, and in larger units where it is large. */
function showBytes(bytes: number): string {
  if (bytes < 10_000) return plural(bytes, "byte");
  return bytes < 10_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

const endingOf = (name: string): string => name.toLowerCase().match(/\.([a-z0-9]+)$/)?.[1] ?? "";

/** What a text is. @param text decoded @param name may say nothing */
export function kindOf(text: string, name: string): InputKind {
  if (text.trim() === "") return "empty";
  const ending = endingOf(name);
  const start = text.slice(0, 2000).trimStart();
  if (["jsonl", "ndjson"].includes(ending) || (ending !== "json" && looksLikeJsonLines(text))) {
    return looksLikeLog(text) ? "log" : "json lines";
  }
  if (
    ["json", "geojson", "ipynb", "webmanifest"].includes(ending) ||
    (/^[{[]/.test(start) && /[}\]]\s*$/.test(text.slice(-200)) &&
      /^[{[]\s*(?:["{[\d\]}]|true|false|null|-)/.test(start))
  ) return "json";
  if (looksLikeLog(text)) return "log";
  if (["md", "markdown", "mdx", "rst", "adoc", "org"].includes(ending)) return "prose";
  if (["csv", "tsv", "tab"].includes(ending) || isResultsTable(text)) return "table";
  if (settingsShape(name, text) !== null) return "settings";
  if (codeLanguage(name, text) !== null) return "code";
  return tableSeparator(text) !== null ? "table" : "prose";
}

function columnTable(columns: readonly ColumnSummary[]): string {
  return markdownTable(
    ["column", "type", "missing", "distinct", "range", "commonest"],
    columns.map(({ name, type, count, missing, distinct, more, range, common }) => [
      name,
      type,
      missing === 0 ? "0" : `${missing} (${(100 * missing / count).toFixed(missing / count < 0.01 ? 2 : 0)} %)`,
      more ? `over ${distinct}` : String(distinct),
      range,
      common.map(([value, times]) => `${oneLine(value, 30)} (${times})`).join(", "),
    ]),
    [2, 3],
  );
}

async function analyzeTable(text: string, pause: () => Promise<void>): Promise<{ name: string; parts: string[] }> {
  const separator = tableSeparator(text) ?? (text.includes("\t") ? "\t" : ",");
  const table = await summarizeTable(text, separator, pause);
  const names = { ",": "CSV table", ";": "CSV table (semicolons)", "\t": "TSV table", "|": "table with bars" };
  const gaps = table.columns.filter(({ missing, count }) => missing > 0.5 * count).map(({ name }) => inlineCode(name));
  const notes = [
    table.header ? null : "- The first line holds values, not names, so the columns are numbered.",
    table.ragged > 0
      ? `- ${
        plural(table.ragged, "row")
      } have more or fewer cells than there are columns; the first is row ${table.firstRagged}.`
      : null,
    table.repeated > 0 ? `- ${plural(table.repeated, "row")} repeat an earlier one.` : null,
    gaps.length > 0 ? `- More than half is missing in ${gaps.slice(0, 10).join(", ")}.` : null,
    table.furtherColumns > 0 ? `- ${table.furtherColumns} further columns were not looked at.` : null,
  ].filter((note) => note !== null);
  return {
    name: names[separator],
    parts: [
      `${plural(table.rows, "row")}, ${plural(table.columns.length + table.furtherColumns, "column")}.`,
      notes.join("\n"),
      `## Columns\n\n${columnTable(table.columns)}`,
    ],
  };
}

async function analyzeJson(text: string, pause: () => Promise<void>): Promise<string[]> {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    const reason = oneLine(error instanceof Error ? error.message : String(error), 200);
    return [`It looks like JSON and cannot be parsed: ${inlineCode(reason)}.`];
  }
  await pause();
  const { root: name, values, depth, paths, columns, cut } = await jsonShape(root, pause);
  return [
    `${name[0].toUpperCase()}${name.slice(1)}; ${plural(values, "value")}${cut ? " and more" : ""}, ${
      plural(depth, "level")
    } deep.`,
    columns.length > 0 ? `## Fields\n\n${columnTable(columns)}` : "",
    columns.length === 0 && paths.length > 0
      ? `## Structure\n\n${
        markdownTable(
          ["path", "type", "count"],
          paths.slice(0, MOST_PATHS).map(({ path, types, count }) => [path, types, String(count)]),
          [2],
        )
      }` +
        (paths.length > MOST_PATHS ? `\n\n${paths.length - MOST_PATHS} further paths are left out.` : "")
      : "",
  ];
}

async function analyzeProse(text: string, pause: () => Promise<void>): Promise<string[]> {
  const { language, words, sentences, paragraphs, items, tables, code, links, headings, boxes } = await summarizeProse(
    text,
    pause,
  );
  const blocks = [...code.values()].reduce((sum, count) => sum + count, 0);
  const languages = [...code].filter(([name]) => name !== "").map(([name, count]) => `${name} ${count}`).join(", ");
  const minutes = Math.max(1, Math.round(words / 230));
  const facts = [
    language.code === "und"
      ? "- Language: not clear"
      : `- Language: ${language.name}${language.confidence < 0.5 ? " (not certain)" : ""}`,
    `- ${plural(words, "word")} in ${plural(sentences, "sentence")} and ${plural(paragraphs, "paragraph")}` +
    (words > 0 ? `; about ${plural(minutes, "minute")} to read` : ""),
    sentences > 0 ? `- ${(words / sentences).toFixed(1)} words a sentence` : null,
    headings.length > 0 ? `- ${plural(headings.length, "heading")}` : null,
    items > 0 ? `- ${plural(items, "list item")}` : null,
    tables > 0 ? `- ${plural(tables, "table")}` : null,
    blocks > 0 ? `- ${plural(blocks, "block")} of code${languages === "" ? "" : ` (${languages})`}` : null,
    links > 0 ? `- ${plural(links, "link")}` : null,
    boxes[0] > 0 ? `- ${plural(boxes[0], "box", "boxes")} of to-do lists, ${boxes[1]} of them ticked` : null,
  ].filter((fact) => fact !== null);
  const outline = headings.slice(0, MOST_HEADINGS).map(({ title, level, line }) =>
    `${"  ".repeat(Math.max(0, level - 1))}- ${oneLine(title, 100)} (line ${line})`
  );
  return [
    `## Statistics\n\n${facts.join("\n")}`,
    outline.length > 0
      ? `## Headings\n\n${outline.join("\n")}${
        headings.length > MOST_HEADINGS ? `\n\n${headings.length - MOST_HEADINGS} further headings are left out.` : ""
      }`
      : "",
  ];
}

async function analyzeCode(
  name: string,
  text: string,
  pause: () => Promise<void>,
): Promise<{ name: string; parts: string[] }> {
  const { name: language, by } = codeLanguage(name, text)!;
  const { code, comments, blank, definitions, definitionCount, imports } = await summarizeCode(language, text, pause);
  const longest = text.split("\n").reduce((most, line) => Math.max(most, line.length), 0);
  const facts = [
    `- ${plural(code, "line")} of code, ${grouped(comments)} of comment, ${grouped(blank)} blank`,
    `- Longest line: ${plural(longest, "character")}`,
    imports.length > 0
      ? `- Imports: ${imports.slice(0, 25).map((one) => inlineCode(one, 60)).join(", ")}${
        imports.length > 25 ? ` and ${imports.length - 25} more` : ""
      }`
      : null,
  ].filter((fact) => fact !== null);
  return {
    name: language + (by === "content" ? " (by its content)" : by === "first line" ? " (by its first line)" : ""),
    parts: [
      `## Statistics\n\n${facts.join("\n")}`,
      definitions.length > 0
        ? `## Definitions\n\n${
          definitions.slice(0, MOST_DEFINITIONS).map(({ name, line }) => `- ${inlineCode(name, 80)} (line ${line})`)
            .join("\n")
        }` +
          (definitionCount > MOST_DEFINITIONS
            ? `\n\n${definitionCount - MOST_DEFINITIONS} further ones are left out.`
            : "")
        : "",
    ],
  };
}

function analyzeBinary(input: ExecutorInput): Analysis {
  const bytes = input.bytes!;
  const kind = binaryKind(bytes);
  const bits = entropy(bytes);
  const facts = [
    ...(kind?.facts ?? []).map((fact) => `- ${oneLine(fact, 300)}`),
    `- ${bits.toFixed(2)} bits of information a byte${bits > 7.5 ? ": compressed or encrypted" : ""}`,
  ];
  return {
    kind: "binary",
    name: kind?.name ?? "binary file of unknown kind",
    text: [
      `${showBytes(input.size ?? bytes.length)}; no text, so it has no lines or words.`,
      facts.join("\n"),
      cutNote(input),
    ].filter((part) => part !== "").join("\n\n"),
  };
}

/** Analyses one input. @param pause called now and then @param now for logs whose times have no year */
export async function analyzeInput(
  input: ExecutorInput,
  now: Date,
  pause: () => Promise<void> = async () => {},
): Promise<Analysis> {
  const decoded = input.bytes === undefined ? null : decodeBytes(input.bytes);
  if (decoded !== null && input.bytes!.length > 0 && decoded.encoding === null) return analyzeBinary(input);
  const raw = decoded?.text ?? input.text;
  const size = input.size ?? new TextEncoder().encode(raw).length;
  if (raw === "") return { kind: "empty", name: "empty file", text: "It is empty: 0 bytes." };
  await pause();
  const text = safeText(raw);
  await pause();
  const kind = kindOf(text, input.name);
  let name = "plain text";
  let parts: string[] = [];
  switch (kind) {
    case "empty":
      return { kind, name: "blank file", text: `It holds ${plural(size, "byte")} of white space and nothing else.` };
    case "json lines": {
      const { records, broken, firstBroken, kinds, columns } = await jsonLinesShape(text, pause);
      name = "JSON lines";
      parts = [
        `${plural(records, "record")} (${
          Object.entries(kinds).map(([type, count]) => `${count} ${type}`).join(", ")
        })` +
        (broken > 0
          ? `; ${plural(broken, "line")} cannot be parsed, the first is line ${firstBroken}.`
          : "; every line can be parsed."),
        columns.length > 0 ? `## Fields\n\n${columnTable(columns)}` : "",
      ];
      break;
    }
    case "json":
      name = endingOf(input.name) === "ipynb" ? "Jupyter notebook (JSON)" : "JSON";
      parts = await analyzeJson(text, pause);
      break;
    case "log": {
      name = "log";
      const digest = await digestLog(await parseLog(text, now, pause), pause);
      const leftOut = linesLeftOut(text);
      const log = { name: input.name, digest, notes: [] };
      parts = [
        logHead(log) + (leftOut > 0 ? ` ${grouped(leftOut)} lines in the middle were not read.` : ""),
        `## Trouble\n\n${logFailures(log)}`,
        logFigures(log) === "" ? "" : `## Figures\n\n${logFigures(log)}`,
      ];
      break;
    }
    case "table":
      ({ name, parts } = await analyzeTable(text, pause));
      break;
    case "settings": {
      const settings = settingsShape(input.name, text)!;
      name = settings.kind;
      parts = [settings.facts.map((fact) => `- ${oneLine(fact, 600)}`).join("\n")];
      break;
    }
    case "code":
      ({ name, parts } = await analyzeCode(input.name, text, pause));
      break;
    case "prose":
      name = ["md", "markdown", "mdx"].includes(endingOf(input.name)) ||
          /^#{1,6} \S|^```|\[[^\]\n]+\]\([^)\n]+\)/m.test(text.slice(0, 20_000))
        ? "Markdown"
        : "plain text";
      parts = await analyzeProse(text, pause);
      break;
  }
  const { todos, count } = await findTodos(text, pause);
  if (count > 0) {
    parts.push(
      `## To-dos\n\n${
        todos.slice(0, MOST_TODOS).map(({ line, text }) => `- line ${line}: ${inlineCode(text, 140)}`).join("\n")
      }` +
        (count > MOST_TODOS ? `\n\n${grouped(count - MOST_TODOS)} further ones are left out.` : ""),
    );
  }
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  if (text.endsWith("\n")) lines--;
  const windows = raw.includes("\r\n");
  const encoding = decoded === null
    ? ""
    : `, ${decoded.encoding}${decoded.mark ? " with a byte order mark" : ""}${decoded.guessed ? " (a guess)" : ""}`;
  const head = `${showBytes(size)}, ${plural(lines, "line")}${encoding}${windows ? ", line ends of Windows" : ""}${
    text === raw.replaceAll("\r\n", "\n") || windows
      ? ""
      : "; control characters were taken out before it was looked at"
  }.`;
  return { kind, name, text: [head, ...parts, cutNote(input)].filter((part) => part !== "").join("\n\n") };
}
