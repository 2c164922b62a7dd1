/**
 * Tells the human language of a text by its script, then by its commonest words and letters. Looks at a sample.
 * @module
 */
import { languagesWithStopWords, stopWords } from "./stop_words.ts";

/** A guess at a language. */
export interface LanguageGuess {
  /** ISO 639-1, such as `en`; `und` where nothing can be said. */
  readonly code: string;
  /** English name, such as `English`. */
  readonly name: string;
  /** How clear it is, 0 to 1. */
  readonly confidence: number;
}

const names: Readonly<Record<string, string>> = {
  en: "English",
  de: "German",
  fr: "French",
  es: "Spanish",
  it: "Italian",
  pt: "Portuguese",
  nl: "Dutch",
  sv: "Swedish",
  da: "Danish",
  no: "Norwegian",
  fi: "Finnish",
  pl: "Polish",
  cs: "Czech",
  tr: "Turkish",
  hu: "Hungarian",
  ro: "Romanian",
  ru: "Russian",
  uk: "Ukrainian",
  bg: "Bulgarian",
  el: "Greek",
  ja: "Japanese",
  zh: "Chinese",
  ko: "Korean",
  ar: "Arabic",
  fa: "Persian",
  ur: "Urdu",
  he: "Hebrew",
  hi: "Hindi",
  bn: "Bengali",
  ta: "Tamil",
  th: "Thai",
  ka: "Georgian",
  hy: "Armenian",
  und: "undetermined",
};

/** Scripts that decide, each with the language that it is nearly always used for. */
const scripts: readonly [pattern: RegExp, code: string][] = [
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/gu, "ja"],
  [/\p{Script=Han}/gu, "zh"],
  [/\p{Script=Hangul}/gu, "ko"],
  [/\p{Script=Arabic}/gu, "ar"],
  [/\p{Script=Hebrew}/gu, "he"],
  [/\p{Script=Devanagari}/gu, "hi"],
  [/\p{Script=Bengali}/gu, "bn"],
  [/\p{Script=Tamil}/gu, "ta"],
  [/\p{Script=Thai}/gu, "th"],
  [/\p{Script=Georgian}/gu, "ka"],
  [/\p{Script=Armenian}/gu, "hy"],
  [/\p{Script=Greek}/gu, "el"],
];

/** Letters that few of the languages have; each is worth a common word. */
const letters: Readonly<Record<string, RegExp>> = {
  de: /[äöüß]/g,
  fr: /[éèêçàùœ]/g,
  es: /[ñ¿¡áíóú]/g,
  it: /[àèìòù]/g,
  pt: /[ãõçáâê]/g,
  sv: /[åäö]/g,
  da: /[æøå]/g,
  no: /[æøå]/g,
  fi: /[äö]|aa|ii|kk/g,
  pl: /[ąęłńśźż]/g,
  cs: /[ěřůčšž]/g,
  tr: /[ğışçöü]/g,
  hu: /[őűáéí]/g,
  ro: /[ăâîșțşţ]/g,
  ru: /[ыэё]/g,
  uk: /[іїєґ]/g,
  bg: /[ъщ]/g,
};

const guess = (code: string, confidence: number): LanguageGuess => ({ code, name: names[code], confidence });

/** The language that most of a text is written in. @param text the first 20,000 characters count */
export function detectLanguage(text: string): LanguageGuess {
  const sample = text.slice(0, 20_000).toLowerCase();
  const total = sample.match(/\p{L}/gu)?.length ?? 0;
  if (total === 0) return guess("und", 0);
  const counts = scripts.map(([pattern, code]) => [code, sample.match(pattern)?.length ?? 0] as const);
  const shareOf = (code: string) => (counts.find(([name]) => name === code)?.[1] ?? 0) / total;
  // Japanese is Chinese characters with kana between them.
  if (shareOf("ja") + shareOf("zh") > 0.3) {
    const kana = shareOf("ja") / (shareOf("ja") + shareOf("zh"));
    return kana > 0.08 ? guess("ja", Math.min(1, 0.6 + kana)) : guess("zh", 0.9);
  }
  if (shareOf("ar") > 0.4) {
    if (/[ٹڈڑںے]/.test(sample)) return guess("ur", 0.8);
    return /[پچژگ]/.test(sample) ? guess("fa", 0.8) : guess("ar", 0.9);
  }
  for (const [code, count] of counts) if (count > 0.4 * total) return guess(code, Math.min(1, count / total + 0.1));

  const words = sample.match(/[\p{L}\p{M}]+(?:['’][\p{L}]+)*/gu) ?? [];
  const cyrillic = (sample.match(/\p{Script=Cyrillic}/gu)?.length ?? 0) > 0.4 * total;
  let best = "und", bestScore = 0, secondScore = 0;
  for (const code of languagesWithStopWords) {
    if (code === "el" || cyrillic !== (code === "ru" || code === "uk" || code === "bg")) continue;
    const stops = stopWords(code);
    let score = 0;
    // Short words are shared by many languages and say little.
    for (const word of words) if (stops.has(word)) score += word.length === 1 ? 0.3 : word.length === 2 ? 0.7 : 1;
    const own = letters[code] === undefined ? 0 : sample.match(letters[code])?.length ?? 0;
    score += Math.min(own * 0.5, words.length * 0.3) * (score > 0 ? 1 : 0.3);
    if (score > bestScore) [best, bestScore, secondScore] = [code, score, bestScore];
    else if (score > secondScore) secondScore = score;
  }
  const density = bestScore / Math.max(1, words.length);
  if (bestScore < 1 || density < 0.04) return guess("und", 0);
  const lead = 1 - secondScore / bestScore;
  return guess(best, Math.min(1, density * 2) * (0.4 + 0.6 * Math.min(1, 2.5 * lead)));
}
