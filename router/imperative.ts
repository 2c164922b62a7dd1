/**
 * Turns the words of a part into a line of a checklist: "Could you let the electrician in at six" becomes "Let the
 * electrician in at six". Only what stands before the verb is taken away; where the form is not clear the words stay as
 * they are. Knows nothing of domains.
 * @module
 */

/** Ways of asking that say nothing of what is to be done. Tried in turn until none fits. */
const openers: readonly RegExp[] = [
  /^(?:please|pls|plz|kindly|also|just|simply|now|then|finally|next|afterwards?|first|second|third|lastly)\b,?\s+/i,
  /^(?:hi|hello|hey|yo|ok|okay|dear \w+)\b[,!.]?\s+/i,
  /^(?:would|do) you mind (?=\w+ing\b)/i,
  /^(?:could|can|would|will) (?:you|someone|somebody|anyone|anybody|one of you|we|i) (?:please |kindly |maybe |just )?/i,
  /^who(?:'d|'ll| could| can| would| will) /i,
  /^(?:i|we|you|someone|somebody|anyone|one of us|one of you) (?:really |also |still |just )?(?:need|needs|have|has|ought|want|wants) to /i,
  /^(?:i|we|you|someone|somebody|one of us|one of you) (?:should|must|could|shall|will|would have to|had better) /i,
  /^(?:i'd|i would|we'd|we would) (?:like|love) (?:you |someone |somebody )?to /i,
  /^(?:i|we) (?:need|want) (?:you|someone|somebody|a person) to /i,
  /^(?:any|is there any) chance (?:that )?(?:we|you|someone|somebody) (?:could |can )?/i,
  /^(?:let us|let's|lets) /i,
  /^(?:it is|it's) time to /i,
  /^(?:remember|don't forget|do not forget|make sure|be sure|try) to /i,
];

/** Verbs in -ing whose stem a rule would get wrong. */
const irregular: Readonly<Record<string, string>> = {
  being: "be",
  dying: "die",
  lying: "lie",
  tying: "tie",
  untying: "untie",
  dyeing: "dye",
  seeing: "see",
  fleeing: "flee",
  freeing: "free",
  agreeing: "agree",
  using: "use",
  reusing: "reuse",
  pausing: "pause",
  closing: "close",
  focusing: "focus",
  adding: "add",
  singeing: "singe",
  tasting: "taste",
  pasting: "paste",
  wasting: "waste",
  queuing: "queue",
  ageing: "age",
  monitoring: "monitor",
  anchoring: "anchor",
  visiting: "visit",
  editing: "edit",
  depositing: "deposit",
  developing: "develop",
  sharpening: "sharpen",
};

/** Nouns and others that end in -ing. */
const notGerund =
  /^(?:thing|things|nothing|something|anything|everything|ring|king|string|spring|wing|sling|ceiling|evening|morning|during|ping|bing)$/i;

/** Whether a verb without its final e would have to write it: "mov", "tak", "calibrat". */
function wantsE(stem: string): boolean {
  if (/ng$/.test(stem)) {
    return /(?:chang|rang|plung|hing|ting|ling)$/.test(stem) && !/(?:^|[^a])r?sling$|cling$|fling$/.test(stem);
  }
  if (/[cvuz]$/.test(stem)) return !/(?:zz)$/.test(stem);
  if (/(?:dg|rg|lg)$/.test(stem)) return true;
  if (/(?:[bcdfgkptz]l)$/.test(stem)) return true; // dismantl, handl, cycl, coupl
  if (/s$/.test(stem)) return !/ss$/.test(stem) && /(?:[nrl]s|[aeiou]s)$/.test(stem);
  const vowels = stem.match(/[aeiouy]+/g)?.length ?? 0;
  if (vowels === 1) return /[^aeiou][aeiou][bdfgklmnprt]$|^[aeiou][bdfgklmnprt]$/.test(stem);
  return /(?:[^aeiou]at|[^aeiou]ut|[^aeiou]ag|[^o]id|ul|[^aeiou]il|[^aeiou]ir|[^aeiou]ur|plor|stor|[^aeiou]ar|bin|min|gin|fin|[^aeiou]iz|pos|quir|[^aeiou]ob|vit|cit|nit)$/
    .test(stem);
}

/** The plain form of a verb in -ing; null where the word is none. */
export function plainVerb(gerund: string): string | null {
  const word = gerund.toLowerCase();
  if (irregular[word] !== undefined) return irregular[word];
  if (!/^[a-z-]{2,}ing$/.test(word) || notGerund.test(word) || !/[aeiouy]/.test(word.slice(0, -3))) return null;
  const stem = word.slice(0, -3);
  const doubled = /([bdgkmnprt])\1$/.test(stem) ||
    (/ll$/.test(stem) && /(?:travell|labell|levell|cancell|fuell|modell|signall|towell)$/.test(stem));
  if (doubled) return stem.slice(0, -1);
  return wantsE(stem) ? `${stem}e` : stem;
}

/**
 * The words of a part as an order to a person.
 * @returns the words without their polite opening, with a capital letter, without a final period
 * @example
 * ```ts
 * if (imperative("Could you let the electrician in at six") !== "Let the electrician in at six") throw new Error();
 * if (imperative("dismantling the stall") !== "Dismantle the stall") throw new Error();
 * ```
 */
export function imperative(words: string): string {
  let text = words.replace(/\s+/g, " ").trim().replace(/[\s.,;:!?]+$/, "");
  for (let pass = 0; pass < 4; pass++) {
    const opener = openers.find((pattern) => pattern.test(text) && text.replace(pattern, "").length > 0);
    if (opener === undefined) break;
    text = text.replace(opener, "");
  }
  const first = /^[A-Za-z-]+/.exec(text)?.[0];
  const verb = first === undefined ? null : plainVerb(first);
  // A verb in -ing that opens a part has an object behind it; "Wiring diagrams on the door" has none of its own.
  if (
    first !== undefined && verb !== null &&
    /^[A-Za-z-]+ (?:the|a|an|my|our|your|his|her|its|their|this|that|these|those|it|them|all|both|every|each|some|any|up|out|off|on|down|away|back|in|over|to|with|at|for)\b/i
      .test(text)
  ) {
    text = verb + text.slice(first.length);
  }
  return text.replace(/^\p{Ll}/u, (letter) => letter.toUpperCase());
}

/** Words that open a condition, which ends at the first comma. */
const condition =
  /^(?:if|when|whenever|unless|should|once|in case|in the event|as soon as|as long as|provided|assuming|except|after|before|while)\b[^,]*,\s*/i;

/**
 * The first words of what is to be done, without a condition in front: where the verb stands.
 * @param count how many words
 */
export function headOf(words: string, count = 2): string {
  return imperative(imperative(words).replace(condition, "")).split(" ", count).join(" ");
}
