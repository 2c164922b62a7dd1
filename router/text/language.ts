/**
 * Whether a task is in English, the one language that the model was trained on. By scripts and by the little words that
 * every sentence has; a few foreign words inside an English task do not count.
 * @module
 */
import type { Token } from "./tokens.ts";

const english = new Set(
  ("the a an and of to in on for with it is from by at this that then my our your you i all do not be are how what which as " +
    "me please or if into before after should could can we us they them their its his her no any").split(" "),
);

/** Little words of other languages in Latin script that English does not share. */
const foreign = new Set(
  ("der die das den dem des ein eine einen einem einer und oder nicht mit für auf von zum zur ist im bitte dann danach wenn " +
    "le la les un une des du et ou est dans sur avec pour pas puis ensuite au aux que qui ce cette " +
    "el los las una y o con para por del al es en luego después si se su lo " +
    "il gli di da che e è poi nel nella della sul " +
    "os um uma não em depois ao à são no na dos das " +
    "het een van voor naar niet dan daarna met op te bij " +
    "och ett är på att för med inte sedan som og det til ikke på " +
    "i w na z do nie jest się potem oraz ve bir bu için ile sonra").split(" "),
);
/** Words of both sets, and those that English texts have for other reasons (names, "no", "die", "do"). */
const shared = new Set(
  "do i in no an am so was on to me we us die des of la le el al van von de da e o y w z si es".split(" "),
);

/**
 * Whether the words of a task are mostly not English.
 * @param isKnown whether a word in lower case, or its base form, is in the lexicon
 */
export function isForeign(tokens: readonly Token[], isKnown: (word: string) => boolean): boolean {
  let letters = 0, otherScript = 0, ours = 0, theirs = 0, doubtful = 0, plain = 0, unknown = 0;
  for (const { text, word } of tokens) {
    if (!word || !/\p{L}/u.test(text)) continue;
    letters += text.length;
    if (!/\p{Script=Latin}/u.test(text)) otherScript += text.length;
    const lower = text.toLowerCase();
    if (shared.has(lower)) {
      if (foreign.has(lower)) doubtful++;
      else if (english.has(lower)) ours++;
    } else if (english.has(lower)) ours++;
    else if (foreign.has(lower)) theirs++;
    else if (/^\p{L}{3,}$/u.test(text) && text.slice(1) === lower.slice(1)) {
      plain++;
      if (!isKnown(lower)) unknown++;
    }
  }
  if (letters > 0 && otherScript > letters / 2) return true;
  if (ours === 0 && unknown >= 3 && unknown > plain / 2) return true;
  return theirs > 0 && theirs + doubtful >= 2 && theirs + doubtful > 2 * ours;
}
