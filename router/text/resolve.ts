/**
 * Finds the entries of the lexicon that stand for a token: the word itself, its parts, its base form, its other spelling,
 * or the word that a typing slip was meant to be. Knows the lexicon as a function only.
 * @module
 */

/** What is asked of a lexicon. */
export interface Lookup {
  /** Number of a word in lower case, −1 for a word that is not in it. */
  find(word: string): number;
  /** Whether a word is so frequent that a typing slip is likely to have meant it. */
  frequent(entry: number): boolean;
}

/** How a token was found. */
export type Found = "exact" | "inflected" | "parts" | "corrected" | "unknown";

/** Entries of the lexicon for a token. */
export interface Resolved {
  /** Numbers of the entries, empty for an unknown token. */
  readonly entries: readonly number[];
  /** How they were found. */
  readonly found: Found;
}

const vowel = /[aeiou]/;

/** Base forms that a regular inflection may come from, the likeliest first. */
export function baseForms(word: string): string[] {
  const forms: string[] = [];
  const n = word.length;
  if (n < 4) return forms;
  if (word.endsWith("'s") || word.endsWith("’s")) forms.push(word.slice(0, -2));
  else if (word.endsWith("s'") || word.endsWith("s’")) forms.push(word.slice(0, -1), word.slice(0, -2));
  if (word.endsWith("ies")) forms.push(word.slice(0, -3) + "y");
  else if (word.endsWith("ves")) forms.push(word.slice(0, -3) + "f", word.slice(0, -3) + "fe", word.slice(0, -1));
  else if (word.endsWith("es")) forms.push(word.slice(0, -1), word.slice(0, -2));
  else if (word.endsWith("s") && !word.endsWith("ss")) forms.push(word.slice(0, -1));
  for (const suffix of ["ing", "ed"]) {
    if (!word.endsWith(suffix)) continue;
    const stem = word.slice(0, -suffix.length);
    if (stem.length < 2 || !vowel.test(stem) && !stem.includes("y")) continue;
    if (stem.at(-1) === stem.at(-2)) forms.push(stem.slice(0, -1), stem, stem + "e");
    else forms.push(stem + "e", stem);
    if (suffix === "ed" && stem.endsWith("i")) forms.push(stem.slice(0, -1) + "y");
  }
  if (word.endsWith("ily")) forms.push(word.slice(0, -3) + "y");
  else if (word.endsWith("ly")) forms.push(word.slice(0, -2));
  if (word.endsWith("ier")) forms.push(word.slice(0, -3) + "y");
  if (word.endsWith("iest")) forms.push(word.slice(0, -4) + "y");
  return forms;
}

/** The same word in the other common spelling (-ise and -ize, -our and -or, -re and -er). */
function otherSpellings(word: string): string[] {
  const forms: string[] = [];
  if (/is(e|es|ed|ing|ation|ations|er|ers)$/.test(word)) forms.push(word.replace(/is(?=[a-z]+$)(?!.*is[a-z]+$)/, "iz"));
  if (/yse[ds]?$/.test(word)) forms.push(word.replace(/yse(?=[ds]?$)/, "yze"));
  if (/our/.test(word)) forms.push(word.replace("our", "or"));
  if (/tre(s?)$/.test(word)) forms.push(word.replace(/tre(s?)$/, "ter$1"));
  if (/ll(ed|ing|er|ers)$/.test(word)) forms.push(word.replace(/ll(?=(ed|ing|er|ers)$)/, "l"));
  return forms;
}

const letters = "abcdefghijklmnopqrstuvwxyz";

/** A frequent word at one slip of the keyboard from `word`, swapped letters first; −1 if there is none. */
function correct(word: string, lookup: Lookup): number {
  const known = (candidate: string) => {
    const entry = lookup.find(candidate);
    return entry >= 0 && lookup.frequent(entry) ? entry : -1;
  };
  for (let i = 0; i + 1 < word.length; i++) {
    const entry = known(word.slice(0, i) + word[i + 1] + word[i] + word.slice(i + 2));
    if (entry >= 0) return entry;
  }
  if (word.length < 5) return -1;
  for (let i = 0; i <= word.length; i++) {
    const head = word.slice(0, i), tail = word.slice(i), rest = word.slice(i + 1);
    const shorter = i < word.length ? known(head + rest) : -1;
    if (shorter >= 0) return shorter;
    for (const letter of letters) {
      const longer = known(head + letter + tail);
      if (longer >= 0) return longer;
      const other = i > 0 && i < word.length ? known(head + letter + rest) : -1;
      if (other >= 0) return other;
    }
  }
  return -1;
}

function oneWord(word: string, lookup: Lookup): Resolved | undefined {
  const exact = lookup.find(word);
  if (exact >= 0) return { entries: [exact], found: "exact" };
  for (const form of baseForms(word)) {
    const entry = lookup.find(form);
    if (entry >= 0) return { entries: [entry], found: "inflected" };
  }
  for (const form of otherSpellings(word)) {
    const entry = lookup.find(form);
    if (entry >= 0) return { entries: [entry], found: "inflected" };
    for (const base of baseForms(form)) {
      const entry = lookup.find(base);
      if (entry >= 0) return { entries: [entry], found: "inflected" };
    }
  }
  return undefined;
}

const prefixes =
  /^(?:re|de|un|pre|mis|sub|over|under|micro|multi|non|co|inter|auto|bio|hyper|meta|photo|geo|tele|super|poly|anti|semi|self|up|out|off)(?=[a-z]{4})/;
const suffixes = /(?<=[a-z]{4})(?:ers?|ness|less|ful|able|ible|ments?|ity|ish|like|wise|ably|proof|ship)$/;

/** The words that an unknown one is made of: a prefix or a suffix goes, two words written as one are parted. */
function components(word: string, lookup: Lookup): readonly number[] {
  for (const affix of [prefixes, suffixes]) {
    const stem = word.replace(affix, "");
    const found = stem === word ? undefined : oneWord(stem, lookup) ?? oneWord(stem + "e", lookup);
    if (found !== undefined) return found.entries;
  }
  // The parting nearest to the middle, of two frequent words.
  for (let away = 0; away <= word.length / 2 - 3; away++) {
    for (const at of [Math.floor(word.length / 2) + away, Math.ceil(word.length / 2) - away]) {
      if (at < 3 || word.length - at < 3) continue;
      const head = lookup.find(word.slice(0, at));
      const tail = oneWord(word.slice(at), lookup)?.entries[0] ?? -1;
      if (head >= 0 && tail >= 0 && lookup.frequent(head) && lookup.frequent(tail)) return [head, tail];
    }
  }
  return [];
}

/** What is between the joints, camelCase included; the simple patterns spare most tokens Unicode's classes of letters. */
function joints(token: string): string[] {
  if (/^[a-z]*$/.test(token)) return [token];
  return /^[\0-\x7f]*$/.test(token)
    ? token.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase().split(/[^a-z]+/)
    : token.replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2").toLowerCase().split(/[^\p{L}]+/u);
}

/**
 * Finds a token's entries.
 * @param token as written
 * @param lookup the lexicon
 * @param mend whether a word that is not found may be a typing slip
 */
export function resolve(token: string, lookup: Lookup, mend = true): Resolved {
  const word = token.toLowerCase().replaceAll("’", "'");
  const whole = oneWord(word, lookup);
  if (whole !== undefined) return whole;
  // Compounds, paths, identifiers.
  const parts = joints(token).filter((part) => part.length > 1);
  if (parts.length > 1 || (parts.length === 1 && parts[0] !== word)) {
    const entries = parts.slice(0, 6).flatMap((part) => oneWord(part, lookup)?.entries ?? []);
    if (entries.length > 0) return { entries, found: "parts" };
  }
  if (word.length >= 7 && word.length <= 24 && /^[a-z]+$/.test(word)) {
    const entries = components(word, lookup);
    if (entries.length > 0) return { entries, found: "parts" };
  }
  if (mend && word.length >= 4 && word.length <= 14 && /^[a-z]+$/.test(word)) {
    const entry = correct(word, lookup);
    if (entry >= 0) return { entries: [entry], found: "corrected" };
  }
  return { entries: [], found: "unknown" };
}
