/**
 * Cuts a text, Markdown or plain, into blocks: headings, paragraphs, list items, tables, code, quotes. Enough Markdown to
 * keep code and tables out of running text; no renderer.
 * @module
 */

/** What a block is. */
export type BlockKind = "heading" | "paragraph" | "item" | "quote" | "table" | "code" | "matter" | "rule";

/** One block. */
export interface Block {
  /** What it is. */
  readonly kind: BlockKind;
  /** Its text without the marks around it; code and tables as they stand. */
  readonly text: string;
  /** Line on which it begins, from 1. */
  readonly line: number;
  /** Level of a heading, depth of an item from 0; otherwise 0. */
  readonly level: number;
  /** Language of code, where it is named. */
  readonly language?: string;
}

const item = /^(\s*)(?:[-*+•–]|\(?(?:\d{1,3}|[a-zA-Z])[.)])\s+(?:\[[ xX]\]\s+)?(\S.*)$/;
const heading = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const rule = /^ {0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,}|={3,}|~{3,})$/;
const tableRow = /^\s*\|.*\|\s*$|^[^|\n]+\|[^|\n]+(?:\|[^|\n]*)*$/;
const tableRule = /^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$/;

/** Whether the end of a line ends a statement. */
const closes = (line: string): boolean => /[.!?…:;。！？]["'”’»)\]]*$/.test(line.trimEnd());

/**
 * Whether lines are statements of their own (notes, verses, a menu) rather than a paragraph broken by width: many lines,
 * short ones, of very different lengths, that end without a mark and begin with a capital.
 */
function linesStandAlone(lines: readonly string[]): boolean {
  if (lines.length < 3) return false;
  const longest = lines.reduce((most, line) => Math.max(most, line.trim().length), 0);
  const begins = lines.filter((line) => /^\s*["'“‘(\[]*[\p{Lu}\p{N}\p{Lo}]/u.test(line)).length / lines.length;
  const full = lines.slice(0, -1).filter((line) => line.trim().length > 0.75 * longest).length / (lines.length - 1);
  return begins > 0.8 && (full <= 0.5 || longest > 160) && longest < 2000;
}

/** Cuts a text into blocks. @param source line breaks of any kind */
export function splitBlocks(source: string): Block[] {
  const lines = source.replaceAll("\r\n", "\n").replaceAll("\r", "\n").split("\n");
  const blocks: Block[] = [];
  let paragraph: string[] = [], begun = 0;
  let kind: "paragraph" | "item" | "quote" = "paragraph", level = 0;
  const flush = () => {
    const kept = paragraph.filter((line) => line.trim() !== "");
    if (kept.length > 0) {
      if (kind === "paragraph" && linesStandAlone(kept)) {
        kept.forEach((line, at) => blocks.push({ kind, text: line.trim(), line: begun + at, level }));
      } else {
        // A hyphen at the end of a line that joins two halves of a word is not taken for one: compounds are commoner.
        blocks.push({ kind, text: kept.map((line) => line.trim()).join(" "), line: begun, level });
      }
    }
    paragraph = [];
    kind = "paragraph";
    level = 0;
  };
  const begin = (at: number) => {
    if (paragraph.length === 0) begun = at + 1;
  };
  let at = 0;
  if (/^---\s*$/.test(lines[0] ?? "")) {
    const end = lines.findIndex((line, index) => index > 0 && index < 100 && /^(?:---|\.\.\.)\s*$/.test(line));
    if (end > 0 && lines.slice(1, end).some((line) => /^[\w-]+:/.test(line))) {
      blocks.push({ kind: "matter", text: lines.slice(1, end).join("\n"), line: 1, level: 0 });
      at = end + 1;
    }
  }
  for (; at < lines.length; at++) {
    const line = lines[at];
    // Nobody writes headings or tables this long: minified code, or a whole text without line breaks.
    if (line.length > 100_000) {
      begin(at);
      paragraph.push(line);
      flush();
      continue;
    }
    const fence = line.length < 400 && line.match(/^\s*(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/);
    if (fence) {
      flush();
      const close = new RegExp(`^\\s*${fence[1][0]}{${fence[1].length},}\\s*$`);
      let end = at + 1;
      while (end < lines.length && !close.test(lines[end])) end++;
      const text = lines.slice(at + 1, end).join("\n");
      blocks.push({ kind: "code", text, line: at + 1, level: 0, language: fence[2] || undefined });
      at = end;
      continue;
    }
    if (line.trim() === "") {
      flush();
      continue;
    }
    const title = line.length < 400 ? line.match(heading) : null;
    if (title) {
      flush();
      if (title[2] !== "") blocks.push({ kind: "heading", text: title[2], line: at + 1, level: title[1].length });
      continue;
    }
    // A line of = or - under one line of text is a heading; alone it is a rule.
    if (
      paragraph.length === 1 && kind === "paragraph" && /^ {0,3}(?:={2,}|-{2,})\s*$/.test(line) &&
      paragraph[0].length < 200
    ) {
      blocks.push({ kind: "heading", text: paragraph[0].trim(), line: begun, level: line.includes("=") ? 1 : 2 });
      paragraph = [];
      continue;
    }
    if (line.length < 400 && rule.test(line)) {
      flush();
      blocks.push({ kind: "rule", text: line.trim(), line: at + 1, level: 0 });
      continue;
    }
    if (
      line.length < 4000 && tableRow.test(line) && tableRule.test(lines[at + 1] ?? "") &&
      (lines[at + 1] ?? "").includes("|")
    ) {
      flush();
      let end = at + 2;
      while (end < lines.length && lines[end].includes("|") && lines[end].trim() !== "") end++;
      blocks.push({ kind: "table", text: lines.slice(at, end).join("\n"), line: at + 1, level: 0 });
      at = end - 1;
      continue;
    }
    // Indented by four after an empty line: code, unless a list goes on.
    const previous = blocks.at(-1)?.kind;
    if (/^(?: {4}|\t)/.test(line) && paragraph.length === 0 && previous !== "item" && !item.test(line)) {
      let end = at;
      while (
        end < lines.length &&
        (/^(?: {4}|\t)/.test(lines[end]) || (lines[end].trim() === "" && /^(?: {4}|\t)/.test(lines[end + 1] ?? "")))
      ) end++;
      const text = lines.slice(at, end).join("\n");
      // Running text that is merely indented reads like sentences and holds no code.
      const prose = /[.!?]["')]?\s*(?:\n|$)/.test(text) && !/[{};=<>$]|^\s*(?:#|\/\/|\$ )/m.test(text) &&
        text.split(/\s+/).length > 8;
      if (prose) blocks.push({ kind: "paragraph", text: text.replace(/\s+/g, " ").trim(), line: at + 1, level: 0 });
      else blocks.push({ kind: "code", text: text.replace(/^(?: {4}|\t)/gm, ""), line: at + 1, level: 0 });
      at = end - 1;
      continue;
    }
    const point = line.match(item);
    if (point && (paragraph.length === 0 || kind === "item" || /^\s*[-*+•]/.test(line) || closes(paragraph.at(-1)!))) {
      flush();
      begin(at);
      kind = "item";
      level = Math.floor(point[1].replaceAll("\t", "    ").length / 2);
      paragraph.push(point[2]);
      continue;
    }
    const quoted = line.match(/^ {0,3}>\s?(.*)$/s);
    if (quoted) {
      if (kind !== "quote") flush();
      begin(at);
      kind = "quote";
      if (quoted[1].trim() === "") flush();
      else paragraph.push(quoted[1]);
      continue;
    }
    if (kind === "quote") flush();
    begin(at);
    paragraph.push(line);
  }
  flush();
  return blocks;
}

/** What stands between grave accents stays as it is; the marks around it are found first. */
const codeSpan = /(`{1,3})(?!`)[^\n]{1,500}?(?<!`)\1(?!`)/g;

function withoutMarks(text: string): string {
  return text
    .replace(/!\[[^\]\n]{0,500}\](?:\([^)\n]{0,2000}\)|\[[^\]\n]{0,200}\])/g, "")
    .replace(/\[([^\]\n]{1,500})\](?:\([^)\n]{0,2000}\)|\[[^\]\n]{0,200}\])/g, "$1")
    .replace(/<(https?:\/\/[^>\s]{1,1000})>/g, "$1")
    .replace(/<!--.{0,5000}?-->/gs, "")
    .replace(
      /<\/?(?:a|b|i|u|p|br|hr|em|strong|code|kbd|sub|sup|span|div|img|small|details|summary|ul|ol|li|h[1-6]|table|tr|td|th|font|center|blockquote|pre|picture|source)(?:\s[^<>\n]{0,500})?\/?>/gi,
      "",
    )
    .replace(/(\*\*|__)(?=\S)([^\n]{1,1000}?\S)\1/g, "$2")
    .replace(/(?<![\w*])\*(?=[^\s*])([^*\n]{1,500})\*(?![\w*])/g, "$1")
    .replace(/(?<![\w_])_(?=[^\s_])([^_\n]{1,500})_(?![\w_])/g, "$1")
    .replace(/\[\^[\w-]{1,30}\]/g, "")
    .replace(
      /&(amp|lt|gt|quot|nbsp|#39);/g,
      (_, name: string) => ({ amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " ", "#39": "'" })[name]!,
    )
    .replace(/\\([`*_#[\]])/g, "$1")
    .replace(/ {2,}/g, " ");
}

/** Running text without the marks of Markdown and HTML within a line: links keep their words, pictures go, code stays. */
export function plainInline(text: string): string {
  // A line this long is no Markdown, and looking for pairs of marks in it could take time by its square.
  if (text.length > 50_000 || !/[[\]*_`<&\\]/.test(text)) return text;
  // A link around code is a link: links are found with the code in them hidden.
  const code: string[] = [];
  const hidden = text.replace(codeSpan, (span) => `\u0001${code.push(span) - 1}\u0002`);
  return withoutMarks(hidden).replace(
    // deno-lint-ignore no-control-regex
    /\u0001(\d+)\u0002/g,
    (_, index: string) => code[Number(index)] ?? "",
  ).trim();
}
