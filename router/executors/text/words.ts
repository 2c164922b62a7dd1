/**
 * Words and terms: what is counted, compared and searched for in a text. Scripts without spaces are taken in pairs of
 * letters, as search engines do.
 * @module
 */
import { stopWords } from "./stop_words.ts";

/** Letters of scripts that put no space between words. */
export const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const word =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}ー]+|[\p{L}\p{N}\p{M}]+(?:['’_.@+-][\p{L}\p{N}\p{M}]+)*/gu;

/** The words of a text as they are written; a run of letters without spaces is one. */
export function wordsIn(text: string): string[] {
  return text.match(word) ?? [];
}

/** How many words a person would count; in scripts without spaces each letter is one, as their writers count. */
export function countWords(text: string): number {
  let count = 0;
  for (const [one] of text.matchAll(word)) count += unspaced.test(one) ? [...one].length : 1;
  return count;
}

/** Cuts common endings off an English word, so that "resets", "resetting" and "reset" meet. */
function stemEnglish(text: string): string {
  // American and British spelling meet.
  let stem = text.replace(/['’]s?$/, "").replace(/^(licen|defen|offen|practi)c(?=e)/, "$1s").replace(
    /(?<=\w{3})is(?=(?:e[sd]?|ing|ations?)$)/,
    "iz",
  )
    .replace(/(?<=\w{2}[lnvb])our(?=s?$|ed$|ing$|ful$)/, "or");
  if (stem.length > 4) {
    if (stem.endsWith("ies")) stem = stem.slice(0, -3) + "y";
    else if (/(?:ss|x|ch|sh|z)es$/.test(stem)) stem = stem.slice(0, -2);
    else if (/[^su]s$/.test(stem)) stem = stem.slice(0, -1);
    const before = stem;
    if (/[aeiouy].*(?:ing|ed)$/.test(stem) && stem.length > 5) {
      stem = stem.replace(/(?:ing|ed)$/, "");
      if (/([bdfgmnprt])\1$/.test(stem)) stem = stem.slice(0, -1);
      if (stem.length < 3) stem = before;
    }
    stem = stem.replace(/(?:ations?|ments?|ness|ly)$/, (ending) => (stem.length - ending.length >= 4 ? "" : ending));
    if (stem.length > 3 && stem.endsWith("e")) stem = stem.slice(0, -1);
  }
  return stem;
}

/** What a word counts as: without case, accents of width and inflection. */
export function stemOf(text: string, language: string): string {
  const lower = text.normalize("NFKC").toLowerCase();
  if (language === "en") return stemEnglish(lower);
  // Elsewhere the beginning of a longer word stands for all of its forms.
  return lower.length > 7 && !/\d/.test(lower) ? lower.slice(0, Math.max(6, Math.ceil(lower.length * 0.7))) : lower;
}

/** The terms of a text that carry meaning: stems without the commonest words. */
export function termsOf(text: string, language: string): string[] {
  const stops = stopWords(language);
  const terms: string[] = [];
  for (const [one] of text.matchAll(word)) {
    if (unspaced.test(one)) {
      const letters = [...one];
      if (letters.length === 1) terms.push(one);
      for (let at = 0; at + 1 < letters.length; at++) {
        const pair = letters[at] + letters[at + 1];
        // Two hiragana are mostly grammar.
        if (!/^[\p{Script=Hiragana}]{2}$/u.test(pair)) terms.push(pair);
      }
      continue;
    }
    const lower = one.toLowerCase().replaceAll("’", "'");
    if (stops.has(lower) || (lower.length < 2 && !/\d/.test(lower))) continue;
    // Elided articles: l'eau, dell'acqua, d'abord.
    const bare = language === "fr" || language === "it" ? lower.replace(/^[a-z]{1,5}'(?=\p{L}{2})/u, "") : lower;
    if (stops.has(bare)) continue;
    terms.push(stemOf(bare, language));
  }
  return terms;
}
