/**
 * English word stems: Porter's algorithm (M. F. Porter, 1980, "An algorithm for suffix stripping") after a table of
 * irregular forms, so that `ran`, `runs` and `running` meet. Other scripts pass unchanged. Knows no stop words.
 * @module
 */
import { irregularForms } from "./words.ts";

/** Whether the letter at `i` counts as a consonant: `y` does unless it follows one. */
function consonant(word: string, i: number): boolean {
  switch (word[i]) {
    case "a":
    case "e":
    case "i":
    case "o":
    case "u":
      return false;
    case "y":
      return i === 0 || !consonant(word, i - 1);
    default:
      return true;
  }
}

/** The measure m of [C](VC)^m[V]. */
function measure(word: string): number {
  let count = 0;
  let vowelBefore = false;
  for (let i = 0; i < word.length; i++) {
    const isConsonant = consonant(word, i);
    if (isConsonant && vowelBefore) count++;
    vowelBefore = !isConsonant;
  }
  return count;
}

function hasVowel(word: string): boolean {
  for (let i = 0; i < word.length; i++) if (!consonant(word, i)) return true;
  return false;
}

function doubled(word: string): boolean {
  const last = word.length - 1;
  return last > 0 && word[last] === word[last - 1] && consonant(word, last);
}

/** Consonant, vowel, consonant at the end, the last one not w, x or y: `hop`, but not `snow`. */
function closed(word: string): boolean {
  const last = word.length - 1;
  return last >= 2 && consonant(word, last) && !consonant(word, last - 1) && consonant(word, last - 2) &&
    !"wxy".includes(word[last]);
}

/** Replaces the first suffix that fits if what is left before it has a measure over `least`. */
function replace(word: string, rules: readonly (readonly [string, string])[], least: number): string {
  for (const [suffix, put] of rules) {
    if (!word.endsWith(suffix)) continue;
    const root = word.slice(0, word.length - suffix.length);
    return measure(root) > least ? root + put : word;
  }
  return word;
}

const step2: readonly (readonly [string, string])[] = [
  ["ational", "ate"],
  ["tional", "tion"],
  ["enci", "ence"],
  ["anci", "ance"],
  ["izer", "ize"],
  ["abli", "able"],
  ["alli", "al"],
  ["entli", "ent"],
  ["eli", "e"],
  ["ousli", "ous"],
  ["ization", "ize"],
  ["ation", "ate"],
  ["ator", "ate"],
  ["alism", "al"],
  ["iveness", "ive"],
  ["fulness", "ful"],
  ["ousness", "ous"],
  ["aliti", "al"],
  ["iviti", "ive"],
  ["biliti", "ble"],
];
const step3: readonly (readonly [string, string])[] = [
  ["icate", "ic"],
  ["ative", ""],
  ["alize", "al"],
  ["iciti", "ic"],
  ["ical", "ic"],
  ["ful", ""],
  ["ness", ""],
];
// Longest first where one ends with another: "ement" before "ment" before "ent".
const step4 = [
  ..."al ance ence er ic able ible ant ement ment ent".split(" "),
  ..."ion ou ism ate iti ous ive ize".split(" "),
].map((suffix) => [suffix, ""] as const);

function porter(start: string): string {
  let word = start;
  if (word.endsWith("sses") || word.endsWith("ies")) word = word.slice(0, -2);
  else if (word.endsWith("s") && !word.endsWith("ss")) word = word.slice(0, -1);

  if (word.endsWith("eed")) {
    if (measure(word.slice(0, -3)) > 0) word = word.slice(0, -1);
  } else {
    const root = word.endsWith("ed") ? word.slice(0, -2) : word.endsWith("ing") ? word.slice(0, -3) : "";
    if (hasVowel(root)) {
      word = root;
      if (word.endsWith("at") || word.endsWith("bl") || word.endsWith("iz")) word += "e";
      else if (doubled(word) && !"lsz".includes(word[word.length - 1])) word = word.slice(0, -1);
      else if (measure(word) === 1 && closed(word)) word += "e";
    }
  }
  if (word.endsWith("y") && hasVowel(word.slice(0, -1))) word = word.slice(0, -1) + "i";

  word = replace(word, step2, 0);
  word = replace(word, step3, 0);
  // "ion" goes only after s or t.
  if (!word.endsWith("ion") || /[st]ion$/.test(word)) word = replace(word, step4, 1);

  if (word.endsWith("e")) {
    const root = word.slice(0, -1);
    const m = measure(root);
    if (m > 1 || (m === 1 && !closed(root))) word = root;
  }
  if (word.endsWith("ll") && measure(word.slice(0, -1)) > 1) word = word.slice(0, -1);
  return word;
}

/** Stems that were computed before: words repeat. */
const known = new Map<string, string>();
/** Entries of the cache; it is emptied when full, so that hostile text cannot fill the memory. */
const KNOWN_LIMIT = 20_000;

/**
 * The stem of one lower-case word.
 * @returns the word itself if it is short or has letters beyond a–z
 */
export function stem(word: string): string {
  const before = known.get(word);
  if (before !== undefined) return before;
  const base = irregularForms.get(word) ?? word;
  const result = base.length < 3 || !/^[a-z]+$/.test(base) ? base : porter(base);
  if (known.size >= KNOWN_LIMIT) known.clear();
  known.set(word, result);
  return result;
}
