/**
 * What shows that a part was done, and what is not known yet: the tables behind `verification_targets` and
 * `open_questions` of a plan. Reads words only; asks nobody and claims nothing.
 * @module
 */
import { headOf } from "./imperative.ts";
import type { Classification, Segment } from "./types.ts";

/** Open questions of a plan, at most: more than a few are not answered. */
const MAX_QUESTIONS = 6;
/** Below this the router asks instead of trusting itself. */
const UNSURE = 0.7;

/** The words of a part in quotation marks, short enough for a sentence. */
export function quote(text: string, limit = 72): string {
  const flat = text.replace(/\s+/g, " ").trim();
  // Cut between code points, so that no half of a pair is left.
  const points = Array.from(flat.slice(0, 2 * limit));
  return `"${
    points.length > limit || flat.length > 2 * limit ? `${points.slice(0, limit - 1).join("").trimEnd()}…` : flat
  }"`;
}

/** What to look at after a digital part, by its verb; the first that fits. */
const checksByVerb: readonly [RegExp, string][] = [
  [
    /\b(?:e-?mail|mail|send|forward|post|publish|notify|message|slack|tweet|invite|reply)\b/i,
    "the service's answer confirms delivery, and the recipients are the ones named",
  ],
  [
    /\b(?:delete|remove|purge|wipe|prune|drop|clean up|clear|rm)\b/i,
    "a listing before and after shows that only what was named is gone, and a copy exists",
  ],
  [
    /\b(?:back ?up|snapshot|archive|mirror|copy|move|rename|sync|upload|download|fetch|migrate|transfer|grab|pull|push)\b/i,
    "count, size and checksum of the files agree on both sides",
  ],
  [
    /\b(?:restart|reload|start|stop|enable|disable|deploy|roll out|roll back|scale|drain|evacuate|switch|turn)\b/i,
    "the service reports the wanted state and answers a request",
  ],
  [
    /\b(?:install|upgrade|update|downgrade|pin|apt|pip|npm|conda)\b/i,
    "the program prints the wanted version and its own test passes",
  ],
  [
    /\b(?:train|fine-?tune|sweep|pre-?train)\b/i,
    "the run ended with exit code 0, and its score stands in the record beside seed and configuration",
  ],
  [
    /\b(?:benchmark|profile|time|measure|evaluate|score|compare)\b/i,
    "the numbers come from more than one run and stand beside the command and the machine",
  ],
  [
    /\b(?:fix|patch|refactor|implement|code|add|rewrite|port|debug|lint|replace|adjust|bury|bolt|script|program|fuzz|optimi[sz]e)\b/i,
    "the tests pass, a new one fails without the change, and the diff touches nothing else",
  ],
  [
    /\b(?:convert|export|import|parse|encode|decode|transcode|resize|compress|render|typeset|format|split|merge|stream)\b/i,
    "the result opens in its format and holds as many records, pages or frames as the source",
  ],
  [
    /\b(?:plot|chart|graph|draw|tabulate)\b/i,
    "axes, units and sources are named, and a sample of the points agrees with the data",
  ],
  [
    /\b(?:summari[sz]e|digest|recap|condense)\b/i,
    "every number, name and date in the text stands in its sources, and the sources are listed",
  ],
  [
    /\b(?:translate|transcribe|subtitle|caption|proofread|edit|rephrase|shorten)\b/i,
    "names, numbers and negations agree with the original, sentence by sentence",
  ],
  [
    /\b(?:analy[sz]e|count|compute|calculate|estimate|correlate|cluster|classify|detect|find|search|query|identify|spot|which|how|what|why|when|where|who|is|are|does|do|did|has|have)\b/i,
    "the answer names its source and can be computed again with the same command",
  ],
  [/\b(?:schedule|remind|book|reserve)\b/i, "the entry is there with the right date, time zone and people"],
];

/** The same by what is to come out of it, where the verb says nothing: "draft a postmortem". */
const checksByResult: readonly [RegExp, string][] = [
  [
    /\bprepare?\b.{0,160}\b(?:data(?: ?set)?|corpus|tokeni[sz]er|training text)\b/i,
    "the hashes of the manifest agree, and the validation split is apart from the training rows",
  ],
  [
    /\b(?:e-?mail|newsletter|reply to)\b/i,
    "the service's answer confirms delivery where it is to be sent, and the recipients are the ones named",
  ],
  [
    /\b(?:summary|digest|abstract|post-?mortem|report|minutes|recap|write-up)\b/i,
    "every number, name and date in the text stands in its sources, and the sources are listed",
  ],
  [
    /\b(?:plot|chart|graph|histogram|diagram|figure|table|dashboard)s?\b/i,
    "axes, units and sources are named, and a sample of the points agrees with the data",
  ],
  [
    /\b(?:tests?|function|script|parser|class|docstrings?|regex|code|pull request|patch)\b/i,
    "the tests pass, a new one fails without the change, and the diff touches nothing else",
  ],
  [
    /\b(?:training|experiments?|baseline|hyperparameters?)\b/i,
    "the run ended with exit code 0, and its score stands in the record beside seed and configuration",
  ],
  [/\b(?:cron|calendar|reminder)\b/i, "the entry is there with the right date, time zone and people"],
  [
    /\b(?:draft|write|compose|prepare|document|describe|explain|list|outline|letter|instructions|checklist|guide|plan)\b/i,
    "the text covers each point asked for and claims nothing that was not checked",
  ],
];

/** What shows that a digital part was done. */
export function digitalCheck(segment: Segment): string {
  const head = headOf(segment.text);
  const check = (checksByVerb.find(([pattern]) => pattern.test(head)) ??
    checksByResult.find(([pattern]) => pattern.test(segment.text)))?.[1] ??
    "its result exists and does what these words ask";
  return `Digital: ${quote(segment.text)} is checked at once: ${check}.`;
}

/** What shows that a person did a part. @param evidence what was asked for */
export function humanCheck(segment: Segment, evidence: string): string {
  return `Person: ${quote(segment.text)} counts as done only with evidence: ${evidence}.`;
}

const named = /\d|\b[A-Z]{2,}\b|\b(?!GPU|CPU|UPS|PSU|RAM|SSD)\p{Lu}[\p{L}-]+/u;
const instant =
  /\b(?:today|tonight|tomorrow|now|noon|midnight|morning|afternoon|evening|monday|tuesday|wednesday|thursday|friday|saturday|sunday|week|month|lunch|before|after|when|once|at|on|until|by|\d)\b/i;

/** What a part leaves open, by its words. */
function questionsOf(segment: Segment, givenFiles: number): string[] {
  const { text, domain, confidence } = segment;
  const head = headOf(text, 3);
  const questions: string[] = [];
  if (confidence < UNSURE) {
    questions.push(
      domain === "text-based"
        ? `Can ${quote(text)} really be done in software alone, or is a person needed?`
        : `Does ${quote(text)} need a person, or is there an interface through which software can do it?`,
    );
  }
  const pointed =
    /\b(?:this|that|these|those|the (?:attached|given|enclosed|following|above)) (?:(?:log|text|data|CSV|JSON) )?(?:files?|documents?|texts?|papers?|articles?|logs?|spreadsheets?|tables?|code|scripts?|folders?|PDFs?|data ?sets?|reports?|images?)\b/i
      .exec(text)?.[0] ?? /\b(?:attachments?|attached)\b/i.exec(text)?.[0];
  if (domain === "text-based" && pointed !== undefined && givenFiles === 0) {
    questions.push(`Which file is meant by ${quote(pointed)}? Name it with --file.`);
  }
  if (
    domain === "text-based" &&
    /\b(?:e-?mail|mail|message|letter) (?:to )?(?:him|her|them|everyone|the team)\b/i.test(text)
  ) {
    questions.push(`Who receives ${quote(text)}, at which address?`);
  }
  if (domain === "text-based" && /\b(?:delete|purge|wipe|drop|overwrite|force-?push)\b/i.test(text)) {
    questions.push(`Is there a copy of what ${quote(text)} takes away?`);
  }
  if (domain === "human-action") {
    const machine =
      /\bthe (?:\p{L}+ )?(server|machine|node|computer|workstation|router|switch|rack|GPU|printer|robot|instrument|kiosk)s?\b(?! (?:room|closet|hall|rack|park|cupboard)\b)/iu
        .exec(text);
    const rest = machine === null ? "" : text.slice(0, machine.index) + text.slice(machine.index + machine[0].length);
    if (machine !== null && !named.test(rest.replace(/^\p{L}+/u, ""))) {
      questions.push(`Which ${machine[1]} is meant in ${quote(text)}: name, place or serial number?`);
    }
    if (/\b(?:buy|purchase|pay|order|deposit|rent|hire|donate|tip)\b/i.test(text) && !/[€$£¥]|\b\d+/.test(text)) {
      questions.push(`What may ${quote(text)} cost, and who bears it?`);
    }
    if (/\b(?:sign|countersign|approve|authori[sz]e|certify|swear|notari[sz]e|consent)\b/i.test(text)) {
      questions.push(`Who is entitled to do this: ${quote(text)}?`);
    }
    if (
      /\b(?:meet|interview|call(?! (?:it|them) )|phone|visit|greet|rehearse)\b/i.test(head) && !instant.test(text)
    ) {
      questions.push(`When is this to happen: ${quote(text)}?`);
    }
    if (
      /\b(?:carry|move|bring|deliver|haul|ship|transport)\b/i.test(head) &&
      !/\b(?:to|into|onto|on|up|down|over|out|home|here|back|over|from|under|inside|beside)\b/i.test(text)
    ) {
      questions.push(`Where does this end: ${quote(text)}?`);
    }
  }
  return questions;
}

/** What has to be asked when nobody can tell what is to be done. */
function unknownQuestions(task: string): string[] {
  if (task.trim() === "") return ["The task is empty: what is to be done?"];
  const letters = task.match(/\p{L}/gu)?.length ?? 0;
  if (letters * 2 < task.replace(/\s/g, "").length) {
    return ["The text is no sentence that can be read: what is to be done?"];
  }
  const questions = [`What is to be done? ${quote(task)} names no action that can be planned.`];
  if (/\b(?:it|this|that|thing|things|stuff|these|those|one|same|usual|above|attached|attachment)\b/i.test(task)) {
    questions.push("What do the words point to: which file, machine, person or earlier task?");
  }
  questions.push("How would one see that it is done?");
  return questions;
}

/**
 * What has to be answered before the work, or by whoever does it.
 * @param givenFiles how many files or texts came with the task
 * @param done indices of parts that were done meanwhile, about which nothing is open
 */
export function openQuestions(
  classification: Classification,
  givenFiles: number,
  done: ReadonlySet<number> = new Set(),
): string[] {
  const { task, domain, segments, truncated } = classification;
  const questions = domain === "unknown"
    ? unknownQuestions(task)
    : segments.slice(0, 64).flatMap((segment, i) => done.has(i) ? [] : questionsOf(segment, givenFiles));
  if (truncated) questions.unshift("Only the beginning of the task was read: what of the rest is still to be done?");
  return [...new Set(questions)].slice(0, MAX_QUESTIONS);
}
