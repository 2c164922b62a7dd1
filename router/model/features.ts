/**
 * What the model is told of each token: its entries in the lexicon, hashed beginnings and endings, and flags for its shape
 * and where it stands. The training program and the router share this file, so that both see the same.
 * @module
 */
import type { Token } from "../text/tokens.ts";
import { type Lookup, resolve, type Resolved } from "../text/resolve.ts";

/** Marks of punctuation that the model tells apart; the last flag of the group stands for all others. */
const marks = [".", ",", ";", ":", "?", "!", "(", ")", '"', "'", "`", "-", "–", "—", "*", "/", "&", "\n"];

const named = [
  "capital",
  "capitals",
  "inner capital",
  "digit",
  "number",
  "dot inside",
  "slash",
  "underscore",
  "flag",
  "hyphen",
  "apostrophe",
  "one letter",
  "non-ASCII",
  "in backticks",
  "in quotes",
  "in parentheses",
  "task start",
  "sentence start",
  "line start",
  "unspaced",
  "exact",
  "inflected",
  "parts",
  "corrected",
  "unknown",
  "ends in s",
  "ends in ed",
  "ends in ing",
  "file extension",
  "other mark",
  "list marker",
] as const;

type Flag = (typeof named)[number];
const flagNumbers = new Map<string, number>(named.map((name, index) => [name, index]));
const markNumbers = new Map<string, number>(marks.map((mark, index) => [mark, named.length + index]));

/** Number of flags. */
export const flagCount: number = named.length + marks.length;

/** Number of buckets for beginnings, and for endings. */
export const affixBuckets = 512;

/** What the model is told of one token. */
export interface TokenFeatures {
  /** Numbers of the flags that are set. */
  readonly flags: readonly number[];
  /** Bucket of the first three characters; −1 for punctuation. */
  readonly prefix: number;
  /** Bucket of the last three characters; −1 for punctuation. */
  readonly suffix: number;
  /** Where it was found in the lexicon. */
  readonly resolved: Resolved;
}

// Unicode's classes of letters take V8 half a millisecond to compile; few tokens need them.
const ascii = /^[\0-\x7f]*$/;
const asciiCapital = /^[A-Z]/, capital = /^\p{Lu}/u;
const asciiInnerCapital = /[a-z][A-Z]|[A-Z]{2}[a-z]/, innerCapital = /\p{Ll}\p{Lu}|\p{Lu}{2}\p{Ll}/u;

const fileExtension = /\.(?:[a-z][a-z0-9]{0,4}|[a-z]+config|7z|mp[34])$/i;

/** FNV-1a of a short text, folded into the buckets. */
function bucket(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return ((hash >>> 16) ^ hash) & (affixBuckets - 1);
}

const nothing: Resolved = { entries: [], found: "unknown" };

/** Describes every token of a task. @param lookup the lexicon */
export function describe(tokens: readonly Token[], lookup: Lookup): TokenFeatures[] {
  let backticks = false, quotes = false, depth = 0, sentence = true, line = true;
  return tokens.map((token, index) => {
    const { text } = token;
    const flags: number[] = [];
    const set = (flag: Flag, on: boolean) => on && flags.push(flagNumbers.get(flag)!);
    if (text === "`") backticks = !backticks;
    else if (text === '"') quotes = !quotes;
    else if (text === "“" || text === "«" || text === "„") quotes = true;
    else if (text === "(" || text === "[") depth++;
    set("in backticks", backticks);
    set("in quotes", quotes);
    set("in parentheses", depth > 0);
    if (text === "”" || text === "»") quotes = false;
    else if (text === ")" || text === "]") depth = Math.max(0, depth - 1);
    set("task start", index === 0);
    set("sentence start", sentence);
    set("line start", line);
    set("unspaced", !token.spaced);
    line = text === "\n";
    if (!token.word) {
      sentence = line || text === "." || text === "!" || text === "?" || text === ":" || (sentence && text !== ",");
      if (text.length > 1) {
        set("list marker", true);
        sentence = true;
        return { flags, prefix: -1, suffix: -1, resolved: nothing };
      }
      const mark = markNumbers.get(text === "’" ? "'" : text);
      if (mark === undefined) set("other mark", true);
      else flags.push(mark);
      return { flags, prefix: -1, suffix: -1, resolved: nothing };
    }
    sentence = false;
    const lower = text.toLowerCase();
    const isAscii = ascii.test(text);
    const hasCapital = (isAscii ? asciiCapital : capital).test(text);
    // A capital inside a sentence begins a name, which is no typing slip of a common word.
    const isName = hasCapital && index > 0 && !flags.includes(flagNumbers.get("sentence start")!);
    const resolved = backticks || isName ? resolve(text, lookup, false) : resolve(text, lookup, true);
    set("capital", hasCapital);
    set("capitals", text.length > 1 && text === text.toUpperCase() && text !== lower);
    set("inner capital", (isAscii ? asciiInnerCapital : innerCapital).test(text));
    set("digit", /\d/.test(text));
    set("number", /^[\d.,:]+$/.test(text));
    set("dot inside", text.includes("."));
    set("slash", text.includes("/"));
    set("underscore", text.includes("_"));
    set("flag", text[0] === "-");
    set("hyphen", text.includes("-", 1));
    set("apostrophe", text.includes("'") || text.includes("’"));
    set("one letter", text.length === 1);
    set("non-ASCII", !isAscii);
    set("file extension", fileExtension.test(text));
    set(resolved.found, true);
    set("ends in s", lower.endsWith("s"));
    set("ends in ed", lower.endsWith("ed"));
    set("ends in ing", lower.endsWith("ing"));
    return { flags, prefix: bucket("^" + lower.slice(0, 3)), suffix: bucket(lower.slice(-3) + "$"), resolved };
  });
}
