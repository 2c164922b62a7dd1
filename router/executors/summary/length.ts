/**
 * Reads from a task how long a summary is wanted: "in three sentences", "in 50 words", "as five bullet points", "10 %",
 * "one paragraph", "briefly"; and what it is about: "focus on costs".
 * @module
 */

/** What was asked for. */
export interface LengthRequest {
  /** Sentences, where a number was asked for. */
  readonly sentences?: number;
  /** Words at most. */
  readonly words?: number;
  /** Characters at most. */
  readonly characters?: number;
  /** Share of the text's words, 0 to 1. */
  readonly share?: number;
  /** Factor on the length that the text gets by itself. */
  readonly factor?: number;
  /** Whether a list was asked for. */
  readonly bullets: boolean;
  /** Words that the summary is to be about. */
  readonly focus?: string;
  /** The words of the task that said so, for the account; empty where nothing was said. */
  readonly said: string;
}

/** Numbers in words of the commonest languages of tasks. */
const numbers: Readonly<Record<string, number>> = Object.fromEntries(
  [
    "a an one single ein eine einem einen une un uno una um uma",
    "two couple zwei deux dos due dois duas",
    "three drei trois tres tre três",
    "four vier quatre cuatro quattro quatro",
    "five fünf cinq cinco cinque",
    "six sechs seis sei",
    "seven sieben sept siete sette sete",
    "eight acht huit ocho otto oito",
    "nine neun neuf nueve nove",
    "ten zehn dix diez dieci dez",
    "eleven elf onze once undici",
    "twelve dozen zwölf douze doce dodici doze",
  ].flatMap((words, at) => words.split(" ").map((word) => [word, at + 1])).concat([
    ["fifteen", 15],
    ["twenty", 20],
    ["thirty", 30],
    ["forty", 40],
    ["fifty", 50],
    ["sixty", 60],
    ["seventy", 70],
    ["eighty", 80],
    ["hundred", 100],
    ["hundert", 100],
    ["cent", 100],
    ["cien", 100],
  ]),
);

const numeral = String.raw`(\d{1,5}|${Object.keys(numbers).sort((a, b) => b.length - a.length).join("|")})`;
const range = String.raw`${numeral}(?:\s*(?:-|–|to|or|bis|à|a|oder)\s*${numeral})?`;
const before = String.raw`(?<![\p{L}\p{N}.,])`;
const gap = String
  .raw`(?:[\s-]+(?:or\s+(?:fewer|less)|short|brief|concise|simple|key|main|crisp|plain|clear|full|complete|kurzen|knappen|wichtigsten|courtes))*[\s-]+`;

const units: readonly [
  unit: "sentences" | "words" | "characters" | "bullets" | "paragraphs" | "pages" | "lines",
  words: string,
][] = [
  ["sentences", "sentences?|sätzen?|satz|sätze|phrases?|oraciones|oración|frases?|frasi"],
  ["words", "words?|wörtern?|worten?|wort|mots?|palabras?|parole|palavras?"],
  ["characters", "characters?|chars?|zeichen|letters|caractères?|caracteres"],
  [
    "bullets",
    "bullets?(?:[\\s-]+points?)?|points?|takeaways?|stichpunkten?|stichpunkte|punkten?|items?|puntos|highlights?|facts?|theses",
  ],
  ["paragraphs", "paragraphs?|absätzen?|absatz|absätze|paragraphes?|párrafos?|paragrafi"],
  ["pages", "pages?|seiten?|páginas?"],
  ["lines", "lines?|zeilen?|liners?|lignes?|líneas?"],
];

const valueOf = (text: string): number => /^\d/.test(text) ? Number(text) : numbers[text.toLowerCase()] ?? 1;

/** Sentences of one paragraph, words of one page: what people mean by them. */
const PARAGRAPH_SENTENCES = 5, PAGE_WORDS = 450;

/** What a task says about length and subject. */
export function readLength(task: string): LengthRequest {
  const text = task.slice(0, 5000);
  const focus = text.match(
    /\b(?:focus(?:s?ing|s?ed)?\s+on|with\s+(?:a\s+)?focus\s+on|concentrat(?:e|ing)\s+on|what\s+(?:it|this|the\s+\w+)\s+says?\s+about|with\s+(?:an\s+)?emphasis\s+on|mit\s+(?:dem\s+)?schwerpunkt\s+auf)\s+([^.;\n]{2,120})/i,
  )?.[1].replace(/\s+(?:in|and then|then)\s+(?:\d+|one|two|three|four|five|six|ten)\b.*$/i, "").trim();
  let bullets = /\bbullets?\b|\bbullet[\s-]points?\b|\bas\s+a\s+list\b|\bstichpunkt|\bkey\s+points\b|\btakeaways?\b/i
    .test(text);
  const result = (request: Omit<LengthRequest, "bullets" | "focus">): LengthRequest => ({ ...request, bullets, focus });

  const percent = text.match(
    /(?<![\d.])(\d{1,2}(?:\.\d+)?)\s*(?:%|percent\b|per cent\b|prozent\b|pour cent\b|por ciento\b)/iu,
  );
  if (percent && Number(percent[1]) > 0) return result({ share: Number(percent[1]) / 100, said: percent[0] });
  const part = text.match(
    /\b(?:a|one)\s+(half|third|quarter|fifth|tenth)\s+(?:of\s+(?:the|its)\s+)?(?:original\s+)?(?:length|size)?\b(?!\s*(?:page|dozen))/i,
  );
  if (part && /length|size|of/.test(part[0])) {
    const shares: Record<string, number> = { half: 1 / 2, third: 1 / 3, quarter: 1 / 4, fifth: 1 / 5, tenth: 1 / 10 };
    return result({ share: shares[part[1].toLowerCase()], said: part[0] });
  }
  for (const [unit, words] of units) {
    const pattern = new RegExp(`${before}${range}${gap}(?:${words})(?![\\p{L}])`, "iu");
    const match = text.match(pattern);
    if (!match) continue;
    // "the three key points" asks for three; "points" without a word of summary before it may be anything: "point 3".
    const low = valueOf(match[1]), high = match[2] === undefined ? low : valueOf(match[2]);
    const value = Math.max(1, match[2] === undefined ? low : Math.round((low + high) / 2));
    const half = /\bhalf\s+(?:a\s+)?$/i.test(text.slice(0, match.index).slice(-8)) || /^half/i.test(match[0]);
    const said = match[0];
    if (unit === "sentences") return result({ sentences: value, said });
    if (unit === "words") return result({ words: Math.max(low, high), said });
    if (unit === "characters") return result({ characters: Math.max(low, high), said });
    if (unit === "bullets") {
      bullets = true;
      return result({ sentences: value, said });
    }
    if (unit === "paragraphs") return result({ sentences: value * PARAGRAPH_SENTENCES, said });
    if (unit === "pages") return result({ words: Math.round(value * PAGE_WORDS * (half ? 0.5 : 1)), said });
    return result({ sentences: value, said });
  }
  if (/\bhalf\s+a\s+page\b|\beine\s+halbe\s+seite\b/i.test(text)) {
    return result({ words: PAGE_WORDS / 2, said: "half a page" });
  }
  if (/\btweet\b/i.test(text)) return result({ characters: 280, said: "a tweet" });
  const single = text.match(/\btl;?\s?dr\b|\bone[\s-]liner\b|\bin\s+a\s+nutshell\b|\bheadline\b/i);
  if (single) return result({ sentences: 1, said: single[0] });
  const short = text.match(
    /\b(?:brief(?:ly)?|short(?:ly)?|concise(?:ly)?|quick(?:ly)?|terse(?:ly)?|kurz|knapp|brièvement|brevemente|en\s+bref)\b/i,
  );
  if (short) return result({ factor: 0.5, said: short[0] });
  const long = text.match(
    /\b(?:detailed|in\s+detail|thorough(?:ly)?|comprehensive(?:ly)?|extensive(?:ly)?|long|ausführlich|détaillé|detallado)\b/i,
  );
  if (long) return result({ factor: 2, said: long[0] });
  return result({ said: "" });
}

/** Sentences that a text gets by itself: more for longer texts, ever fewer a page. */
export function naturalLength(sentences: number): number {
  if (sentences <= 2) return sentences;
  return Math.max(1, Math.min(20, Math.round(0.85 * sentences ** 0.58)));
}
