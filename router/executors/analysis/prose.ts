/**
 * What a text for people comes to: words, sentences, headings, lists, links, code, to-dos. Counts alone.
 * @module
 */
import { splitBlocks } from "../text/blocks.ts";
import { detectLanguage, type LanguageGuess } from "../text/language.ts";
import { splitSentences } from "../text/sentences.ts";
import { countWords } from "../text/words.ts";

/** Something that somebody meant to do. */
export interface Todo {
  /** Line, from 1. */
  readonly line: number;
  /** The line's words from the mark on. */
  readonly text: string;
}

/** What a text comes to. */
export interface ProseSummary {
  /** Its language. */
  readonly language: LanguageGuess;
  /** Words outside of code and tables. */
  readonly words: number;
  /** Sentences. */
  readonly sentences: number;
  /** Paragraphs. */
  readonly paragraphs: number;
  /** Items of lists. */
  readonly items: number;
  /** Tables. */
  readonly tables: number;
  /** Blocks of code by language; without one under "". */
  readonly code: ReadonlyMap<string, number>;
  /** Links and pictures. */
  readonly links: number;
  /** Headings in order. */
  readonly headings: readonly { readonly title: string; readonly level: number; readonly line: number }[];
  /** Boxes of to-do lists: all, and ticked. */
  readonly boxes: readonly [all: number, ticked: number];
}

/** To-dos that are listed. */
const MOST_TODOS = 400;

/** The lines that say that something is to be done. */
export async function findTodos(
  text: string,
  pause: () => Promise<void> = async () => {},
): Promise<{ todos: Todo[]; count: number }> {
  const todos: Todo[] = [];
  let count = 0, line = 1, at = 0;
  for (const match of text.matchAll(/\b(?:TODO|FIXME|XXX|HACK|BUG)\b(?=[\s:(\[!?,.-]|$)/g)) {
    if (++count % 512 === 0) await pause();
    if (todos.length >= MOST_TODOS) continue;
    for (let next = text.indexOf("\n", at); next >= 0 && next < match.index; next = text.indexOf("\n", at)) {
      at = next + 1;
      line++;
    }
    const end = text.indexOf("\n", match.index);
    const rest = text.slice(match.index, Math.min(end < 0 ? text.length : end, match.index + 200));
    todos.push({ line, text: rest.replace(/\s*(?:\*\/|-->)\s*$/, "") });
  }
  return { todos, count };
}

/** Sums a text up. */
export async function summarizeProse(text: string, pause: () => Promise<void> = async () => {}): Promise<ProseSummary> {
  const blocks = splitBlocks(text);
  await pause();
  let words = 0, sentences = 0, paragraphs = 0, items = 0, tables = 0, links = 0;
  const code = new Map<string, number>();
  const headings: { title: string; level: number; line: number }[] = [];
  let sample = "";
  for (const [index, block] of blocks.entries()) {
    if (index % 128 === 0) await pause();
    const { kind } = block;
    if (kind === "heading") headings.push({ title: block.text, level: block.level, line: block.line });
    else if (kind === "table") tables++;
    else if (kind === "code") code.set(block.language ?? "", (code.get(block.language ?? "") ?? 0) + 1);
    else if (kind === "paragraph" || kind === "item" || kind === "quote") {
      if (kind === "item") items++;
      else paragraphs++;
      words += countWords(block.text);
      sentences += splitSentences(block.text).length;
      if (sample.length < 20_000) sample += `${block.text.slice(0, 4000)}\n`;
      if (block.text.length < 100_000) {
        links += block.text.match(/\]\([^)\s]{1,500}\)|https?:\/\/[^\s)>\]]{3,}/g)?.length ?? 0;
      }
    }
  }
  const boxes = text.match(/^\s*[-*+] \[[ xX]\] /gm) ?? [];
  return {
    language: detectLanguage(sample || text.slice(0, 20_000)),
    words,
    sentences,
    paragraphs,
    items,
    tables,
    code,
    links,
    headings,
    boxes: [boxes.length, boxes.filter((box) => /\[[xX]\]/.test(box)).length],
  };
}
