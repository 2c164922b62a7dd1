/**
 * Makes foreign text harmless to show: no terminal control, nothing that turns the direction of writing, no invisible
 * letters. Whatever an executor gives back goes through here.
 * @module
 */

// Control sequences of terminals, whole, so that no "[31m" stays behind. A string sequence that nobody ends must not
// swallow the rest of a file, hence the bounds.
// deno-lint-ignore no-control-regex
const strings = /(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c\n]{0,2000}(?:\x07|\x1b\\|\x9c)?/g;
// deno-lint-ignore no-control-regex
const controls = /(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?|\x1b[ -/]{0,8}[0-~]?/g;
// What man pages are printed with: a letter, a step back, the letter again.
// deno-lint-ignore no-control-regex
const overstrikes = /[^\n\x08]\x08/g;
// Other C0 and C1 codes; marks of direction; zero-width space, soft hyphen, byte order mark; invisible tags.
const invisible =
  // deno-lint-ignore no-control-regex
  /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;
const suspicious =
  // deno-lint-ignore no-control-regex
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]/;

/** The text with line breaks and tabs as its only control characters. */
export function safeText(text: string): string {
  if (!suspicious.test(text)) return text;
  let result = text.replaceAll("\r\n", "\n");
  if (result.includes("\x08")) result = result.replace(overstrikes, "");
  return result.replace(strings, "").replace(controls, "").replace(/[\r\u2028\u2029\x85]/g, "\n").replace(invisible, "")
    .toWellFormed();
}

/** The text on one line, cut after `limit` characters. */
export function oneLine(text: string, limit = 200): string {
  // A long text is cut before the work on it, with room for what falls away.
  const short = safeText(text.length > 8 * limit + 4000 ? text.slice(0, 8 * limit + 4000) : text)
    .replace(/\s+/g, " ").trim();
  const characters = [...short.slice(0, 2 * limit + 2)];
  return characters.length > limit || short.length > 2 * limit + 2
    ? characters.slice(0, Math.max(1, limit - 1)).join("").trimEnd() + "…"
    : short;
}

/** The text as inline code of Markdown. */
export function inlineCode(text: string, limit = 160): string {
  const line = oneLine(text, limit);
  if (!line.includes("`")) return "`" + line + "`";
  const longest = Math.max(...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence} ${line} ${fence}`;
}

/** The text as a cell of a Markdown table. */
export function tableCell(text: string, limit = 260): string {
  return oneLine(text, limit).replaceAll("\\", "\\\\").replaceAll("|", "\\|");
}

/** A Markdown table. @param right columns that are aligned to the right, from 0 */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const line = (cells: readonly string[]) => `| ${cells.map((text) => tableCell(text)).join(" | ")} |`;
  const rule = `| ${head.map((_, column) => (right.includes(column) ? "--:" : "---")).join(" | ")} |`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}
