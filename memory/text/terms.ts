/**
 * Text to index terms: folded, without stop words, stemmed. The same function serves entries and questions, so they always
 * agree; FTS5 only splits its result at the spaces. Identifiers, versions and numbers stay findable as a whole and by their
 * parts; scripts without spaces become pairs of characters.
 * @module
 */
import { stem } from "./stem.ts";
import { stopWords } from "./words.ts";

/** Characters of a term at most; the rest of a longer word is ignored. */
const TERM_LENGTH = 64;

/** Characters of a joined word that are looked at. */
const CHUNK_LENGTH = 4 * TERM_LENGTH;

/** Letters that no decomposition takes apart. */
const letters: Readonly<Record<string, string>> = {
  "ß": "ss",
  "æ": "ae",
  "œ": "oe",
  "ø": "o",
  "đ": "d",
  "ð": "d",
  "þ": "th",
  "ł": "l",
  "ı": "i",
};

/** A word with what may join its parts: `val_bpb`, `don't`, `train.ts`, `3e-4`, `c++`, `10,000`. */
const chunk = /[\p{L}\p{N}\p{M}_]+(?:['’.\-]+[\p{L}\p{N}\p{M}_]+|,\d{3}(?!\d))*(?:\+\+|#(?![\p{L}\p{N}]))?/gu;
/** The same for text in ASCII, at half the time. */
const asciiChunk = /[a-z0-9_]+(?:['.\-]+[a-z0-9_]+|,\d{3}(?!\d))*(?:\+\+|#(?![a-z0-9]))?/gi;
// deno-lint-ignore no-control-regex
const ascii = /^[\x00-\x7f]*$/;
const scripts = `[${
  "Han Hiragana Katakana Hangul Thai Lao Khmer Myanmar".split(" ").map((name) => `\\p{Script=${name}}`).join("")
}]+`;
const unspaced = new RegExp(scripts, "u");
const everyUnspaced = new RegExp(scripts, "gu");
const number = /^\d+(?:\.\d+)?(?:e[-+]?\d+)?$/;

/** Without accents, compatibility forms (full width, ligatures, numbers in circles) as their plain ones. */
function plain(text: string): string {
  return text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").normalize("NFC");
}

/** Lower case; letters that no decomposition takes apart as their plain ones. */
function lower(text: string): string {
  const small = text.toLowerCase();
  return ascii.test(small) ? small : small.replace(/\u0307|[ßæœøđðþłı]/g, (letter) => letters[letter] ?? "");
}

/** One way to write a number: 0.040, 4e-2 and 0.04 are one term; 004 is 4. */
function numeral(text: string): string {
  const value = Number(text);
  return text.length <= 15 && Number.isFinite(value) ? String(value) : text;
}

function* unspacedTerms(run: string): Generator<string> {
  const characters = [...run];
  if (characters.length === 1) yield run;
  for (let i = 0; i + 1 < characters.length; i++) yield characters[i] + characters[i + 1];
}

/** Terms of one part that has no joints left. */
function* partTerms(part: string): Generator<string> {
  if (number.test(part)) yield numeral(part);
  else if (part.length > 1 && !stopWords.has(part)) yield stem(part.slice(0, TERM_LENGTH));
}

/** Terms of a word that is more than plain letters. */
function* chunkTerms(original: string): Generator<string> {
  const text = lower(original).replace(/['’]s$/, "").replace(/['’,]/g, "");
  if (stopWords.has(text)) return;
  if (number.test(text)) return yield numeral(text);
  if (unspaced.test(text)) {
    for (const run of text.match(everyUnspaced)!) yield* unspacedTerms(run);
    for (const part of text.replace(everyUnspaced, " ").split(/[^\p{L}\p{N}\p{M}]+/u)) yield* partTerms(part);
    return;
  }
  const date = /^\d{4}-\d\d-\d\d(?=t|$)/.exec(text);
  if (date) return yield date[0];
  const whole = text.slice(0, TERM_LENGTH);
  const identifier = /[\d_.+#]/.test(text); // a bare hyphen makes none: "follow-up" is its parts
  if (identifier) yield whole;
  if (/^[\d.\-]+$/.test(text)) return; // versions and addresses mean nothing in parts
  const camel = /\p{Ll}\p{Lu}/u.test(original);
  const parts = (camel ? lower(original.replace(/(\p{Ll})(?=\p{Lu})/gu, "$1 ")).replace(/['’,]/g, "") : text)
    .split(/[^\p{L}\p{N}\p{M}]+|(?<=\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L})/u);
  if (parts.length === 1) {
    if (!identifier) yield* partTerms(text);
    return;
  }
  // Of "v2.9.6" only the letters, of "exp_004" the number too.
  for (const part of parts) if (!(number.test(part) && text.includes("."))) yield* partTerms(part);
  if (camel && !identifier) yield stem(whole);
}

/**
 * The terms of a text, in order, repeats included.
 * @param text any text
 * @param limit terms at most
 * @example
 * ```ts
 * import { termsOf } from "./terms.ts";
 * import { deepStrictEqual } from "node:assert";
 *
 * deepStrictEqual(termsOf("She measured the val_bpb of 4e-2"), ["measur", "val_bpb", "val", "bpb", "0.04"]);
 * ```
 */
export function termsOf(text: string, limit = Infinity): string[] {
  const terms: string[] = [];
  const isAscii = ascii.test(text);
  const pattern = isAscii ? asciiChunk : chunk;
  const source = isAscii ? text : plain(text);
  pattern.lastIndex = 0;
  for (let found = pattern.exec(source); found !== null && terms.length < limit; found = pattern.exec(source)) {
    const word = found[0];
    if (/^[A-Z]?[a-z]+$/.test(word)) { // most words, without the work that the others need
      const small = word.toLowerCase();
      if (small.length > 1 && !stopWords.has(small)) terms.push(stem(small.slice(0, TERM_LENGTH)));
    } else {
      for (const term of chunkTerms(unspaced.test(word) ? word : word.slice(0, CHUNK_LENGTH))) terms.push(term);
    }
  }
  return terms.length > limit ? terms.slice(0, limit) : terms;
}
