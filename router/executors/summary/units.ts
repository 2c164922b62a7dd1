/**
 * From a text to the sentences that a summary may choose from, each with its place in the text. Code, tables, headings
 * and rules are no sentences; what was left out is counted.
 * @module
 */
import { type Block, plainInline, splitBlocks } from "../text/blocks.ts";
import { detectLanguage, type LanguageGuess } from "../text/language.ts";
import { splitSentences } from "../text/sentences.ts";
import { countWords, termsOf } from "../text/words.ts";

/** A sentence that may be chosen. */
export interface Unit {
  /** Its words. */
  readonly text: string;
  /** Words in it. */
  readonly words: number;
  /** Terms in it, with repetitions. */
  readonly terms: readonly string[];
  /** Number of its paragraph in the text. */
  readonly paragraph: number;
  /** Sentences before it in its paragraph. */
  readonly place: number;
  /** Sentences of its paragraph. */
  readonly paragraphLength: number;
  /** `paragraph`, or where it stands otherwise. */
  readonly kind: "paragraph" | "item" | "quote";
  /** Number of its section in `sections`. */
  readonly section: number;
}

/** A text, cut up. */
export interface TextUnits {
  /** Sentences in order. */
  readonly units: readonly Unit[];
  /** Headings; the first one is what stands before any, and empty. */
  readonly sections: readonly { readonly title: string; readonly level: number }[];
  /** The language that terms were made in. */
  readonly language: LanguageGuess;
  /** Words of all sentences. */
  readonly words: number;
  /** Whether the text has more sentences than are looked at. */
  readonly truncated: boolean;
  /** Blocks that hold no sentences, by kind. */
  readonly leftOut: Readonly<Record<"code" | "table", number>>;
}

/** Words of the longest sentence that is taken whole; a longer one is a list without marks, or no prose. */
const LONGEST = 120;

/** Sentences that are looked at: more than any book has. */
const MOST_UNITS = 200_000;

/** Lines that are about the document rather than its matter. */
const boilerplate =
  /^(?:copyright\b|©|\(c\)|all rights reserved|table of contents|contents:?$|page \d+|\d+$|last (?:updated|modified)|posted (?:by|on)|click here|subscribe|share this|sent from my|unsubscribe|-- $|(?:from|to|cc|subject|date|reply-to):\s)/i;

/** Characters of the longest piece that is shown as one. */
const LONGEST_CHARACTERS = 1200;

/** A sentence that is too long, cut at its semicolons, else at its commas, else anywhere. */
function pieces(sentence: string): string[] {
  if (sentence.length <= LONGEST_CHARACTERS && countWords(sentence) <= LONGEST) return [sentence];
  const parts: string[] = [];
  for (const mark of [/(?<=[;；])\s*/, /(?<=[,，、])\s*/, /\s+/]) {
    const cut = sentence.split(mark);
    if (cut.length < 2) continue;
    let piece = "", length = 0;
    for (const part of cut) {
      const words = countWords(part);
      if (length + words > LONGEST * 0.6 && piece !== "") {
        parts.push(piece);
        [piece, length] = ["", 0];
      }
      piece += (piece === "" ? "" : " ") + part;
      length += words;
    }
    if (piece !== "") parts.push(piece);
    if (parts.every((one) => one.length <= LONGEST_CHARACTERS)) return parts;
    parts.length = 0;
  }
  for (let at = 0; at < sentence.length; at += 300) parts.push(sentence.slice(at, at + 300).toWellFormed());
  return parts;
}

/** Cuts a text up. @param pause called now and then, so that a long text does not block */
export async function unitsOf(source: string, pause: () => Promise<void> = async () => {}): Promise<TextUnits> {
  const blocks = splitBlocks(source);
  const prose = (block: Block) => block.kind === "paragraph" || block.kind === "item" || block.kind === "quote";
  const sample = blocks.filter(prose).slice(0, 200).map(({ text }) => text).join("\n").slice(0, 20_000);
  const language = detectLanguage(sample || source.slice(0, 20_000));
  const sections = [{ title: "", level: 0 }];
  const units: Unit[] = [];
  const leftOut = { code: 0, table: 0 };
  let paragraph = -1, words = 0;
  for (const block of blocks) {
    if (units.length >= MOST_UNITS) break;
    await pause();
    if (block.kind === "heading") sections.push({ title: plainInline(block.text), level: block.level });
    if (block.kind === "code" || block.kind === "table") leftOut[block.kind]++;
    if (!prose(block)) continue;
    const sentences = splitSentences(plainInline(block.text)).flatMap(pieces);
    paragraph++;
    for (const [place, text] of sentences.entries()) {
      if (units.length % 64 === 0) await pause();
      const count = countWords(text);
      if (count === 0 || boilerplate.test(text)) continue;
      words += count;
      units.push({
        text,
        words: count,
        terms: termsOf(text, language.code),
        paragraph,
        place,
        paragraphLength: sentences.length,
        kind: block.kind as Unit["kind"],
        section: sections.length - 1,
      });
    }
  }
  return { units, sections, language, words, leftOut, truncated: units.length >= MOST_UNITS };
}
