/**
 * The postmortem: a draft from the record of a night or from a log.
 * @module
 */
import { defineExecutor } from "./define.ts";
import { fromVerb, isOthersWork, namesFile, pointsAtInput, speaksOfRecord } from "./match.ts";
import type { Executor } from "./types.ts";

const asked =
  /\bpost[\s-]?mortems?\b|\bincident (?:report|review|analysis|summary)\b|\broot[\s-]cause\b|\bRCA\b|\bafter[\s-]action (?:report|review)\b|\bfailure (?:analysis|report)\b|\bwhat went wrong\b|\bwhy (?:did|do|does) (?:the|our|my|last|yesterday)[^?]{0,60}\b(?:runs?|sessions?|experiments?|training)\b[^?]{0,40}\b(?:fail|crash|stop|die|abort)\w*/i;
/** How a part begins that asks for one. */
const begins =
  /^(?:draft|write|create|prepare|generate|produce|compose|compile|make|do|give|put|assemble|start|begin|find|figure|work out|explain|analy[sz]e|determine|identify|investigate|look|tell|an?|the|post[\s-]?mortems?|incident|root|rca|what|why|after|failure|have|get|i|we|run)\b/i;
/** A subject of its own: "a postmortem of the product launch". */
const subject = /\bpost[\s-]?mortems?\s+(?:of|about|on|for|regarding|covering|from)\s+(.{2,})/i;

/** Drafts a postmortem from sessions, tables of results or logs. */
export const postmortem: Executor = defineExecutor({
  name: "postmortem",
  purpose:
    "Drafts a postmortem from the record of a session or from a log: timeline, failures, causes as recorded, follow-ups.",
  effect: "read",
  match(segment, task, hasInput) {
    if (isOthersWork(segment) || !asked.test(segment) || !begins.test(fromVerb(segment))) return 0;
    if (hasInput || namesFile(segment)) return 0.95;
    if (speaksOfRecord(segment)) return 0.95;
    const about = segment.match(subject)?.[1];
    if (about === undefined) return speaksOfRecord(task) ? 0.9 : 0.6;
    return /\b(?:runs?|sessions?|logs?|night|training|experiments?|it|that|yesterday)\b/i.test(about) ||
        pointsAtInput(about)
      ? 0.85
      : 0.1;
  },
  steps: (context) => [
    context.input === undefined
      ? "Find the sessions that the task means, or read the log that it names"
      : `Read ${context.input.name}`,
    "Put what happened in order: beginnings, ends, failures, silences",
    "Count what failed by kind and reason, and what it cost",
    "Quote the causes that the record states; guess none",
    "List follow-ups to consider",
  ],
  work: async (context, work) => (await import("./sessions/postmortem.ts")).writePostmortem(context, work),
});
