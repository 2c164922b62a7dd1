/**
 * What the executors' `match` functions share: which verbs they leave to others, and whether a task speaks of the record
 * of training runs. Words only; no model.
 * @module
 */
import { pathsIn } from "./paths.ts";

/** Politeness and joining words before the verb. */
const opening =
  /^(?:(?:please|kindly|just|simply|also|then|now|next|finally|first|ok(?:ay)?|hey|hi)[,\s]+|(?:can|could|would|will) (?:you|someone|somebody) (?:please )?|(?:i|we)(?:['’]d| would) like (?:you )?to (?:have )?|(?:i|we) (?:need|want) (?:you )?(?:to )?|(?:you )?(?:should|must) |let['’]?s |go ahead and |help (?:me|us) (?:to )?|try to |(?:if|when|once|unless|in case) [^,]{1,120},\s*)+/i;

/** Verbs of work that reading does not do, however much the rest of the part sounds like it. */
const othersVerbs =
  /^(?:send|e-?mail|mail|message|post|publish|upload|share|forward|submit|translate|delete|remove|erase|rename|move|copy|print|attach|proofread|fix|implement|build|compile|deploy|install|uninstall|refactor|rewrite|schedule|archive|tweet|commit|push|pull|merge|encrypt|decrypt|compress|zip|unzip|convert|download|fetch|scrape|crawl|call|phone|buy|order|book|notify|tell|ask|remind|invite|plot|draw|render|format|sort|merge|mount|mute|restart|reboot|stop|kill|configure|set|enable|disable|add|insert|replace|update|upgrade|patch|debug|test|verify|validate|backup|back up|restore|sync|clone|fork|tag|close|reopen|assign)\b/i;

/** The part from its verb on. */
export function fromVerb(segment: string): string {
  return segment.trim().replace(opening, "").trim();
}

/** Whether the part's verb is one that only others can serve. */
export function isOthersWork(segment: string): boolean {
  return othersVerbs.test(fromVerb(segment));
}

/** Words for the record of training runs, sessions and nights. */
const record =
  /\b(?:training|train|run|runs|session|sessions|experiments?|overnight|nightly|night['’]?s?|sweep|trials?|agent)\b[^.;]{0,40}\b(?:logs?|results?|records?|outcomes?|session|sessions|experiments?|runs?|progress|history|go|went|happen\w*|tried|kept|did)\b|\b(?:logs?|results?|outcome|record|history)\b[^.;]{0,20}\b(?:of|from|for)\b[^.;]{0,30}\b(?:training|runs?|sessions?|experiments?|night|overnight)\b|\b(?:last|yesterday['’]?s?|previous|latest|tonight['’]?s?|this morning['’]?s?)\s+(?:overnight\s+|training\s+)?(?:night|session|run|runs|experiments?)\b|\bresults\.tsv\b|\bsession\.db\b|\bval_bpb\b|\bovernight\b[^.;]{0,30}\b(?:experiments?|session|run|training)\b|\brun logs?\b|\btraining logs?\b|\bthe logs?\b\s*$|\byesterday['’]s logs?\b|\b(?:of|on|about|from|for)\s+(?:the\s+|our\s+|my\s+)?(?:training\s+|overnight\s+|research\s+)?session\b(?!\s+(?:at|in|with|about|on|chairs?|cookies?|keys?|tokens?|ids?|storage|timeouts?|management|data|handling|minutes|notes)\b)/i;

/** Whether a text speaks of the record of training runs. */
export const speaksOfRecord = (text: string): boolean => record.test(text);

/** Whether a part names a file to read. */
export const namesFile = (segment: string): boolean =>
  pathsIn(segment).some(({ certain, target }) => certain && !target);

/** Whether a part points at something that came along: "this file", "the text", "it". */
export const pointsAtInput = (segment: string): boolean =>
  /\b(?:this|that|these|the (?:attached|given|following|above|enclosed|provided))\b|\bit\b|\bthe (?:file|text|document|article|page|log|input|paste|attachment|table|csv|data)\b/i
    .test(segment);
