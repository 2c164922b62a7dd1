/**
 * The report on runs: what a session tried, kept and cost, or what a log comes to.
 * @module
 */
import { defineExecutor } from "./define.ts";
import { fromVerb, isOthersWork, namesFile, speaksOfRecord } from "./match.ts";
import type { Executor } from "./types.ts";

const asked =
  /\breports?\b|\bsummar(?:y|ies|i[sz]\w*)\b|\boverview\b|\brecap\b|\brun-?down\b|\bdigest\b|\bstatus\b|\bhow (?:did|was|were|is|are|has|have)\b|\bwhat (?:happened|did|was|were|has|have|came)\b|\bwhich (?:experiments?|changes?|runs?)\b|\b(?:show|list|review|go through|look at|look into|analy[sz]e|examine|inspect|read|check|describe|tell me about|write up|evaluate|compare)\b|\bbest (?:experiment|run|model|result)\b/i;
/** A report as what is to come out. */
const reportWord =
  /^(?:report\b(?!s? (?:to|card))|(?:write|draft|make|create|prepare|generate|produce|compile|give|put)\b(?:\s+\S+){0,4}?\s+(?:report|write[\s-]?up)\b|(?:an?|the)\s+(?:\w+\s+){0,3}?report\s+(?:on|of|from|about)\b)/i;

/** Reports on sessions, tables of results or logs. */
export const report: Executor = defineExecutor({
  name: "report",
  purpose: "Reports on training sessions or on a log: what was tried, what helped, what failed, time and memory.",
  effect: "read",
  match(segment, task, hasInput) {
    if (isOthersWork(segment) || !asked.test(segment)) return 0;
    // Starting something is no report, whatever it is called.
    if (/^(?:run|start|launch|train|prepare|begin|continue|resume|kick off|execute)\b/i.test(fromVerb(segment))) {
      return 0;
    }
    if (speaksOfRecord(segment)) return hasInput ? 0.7 : 0.8;
    if (!reportWord.test(fromVerb(segment))) return 0;
    if (hasInput || namesFile(segment)) return 0.75;
    return /^\W*(?:write|draft|make|create|prepare|generate|give me|produce)?\s*(?:a|the|me a)?\s*(?:short|brief|full|detailed)?\s*report\W*$/i
        .test(fromVerb(segment)) &&
        speaksOfRecord(task)
      ? 0.7
      : 0;
  },
  steps: (context) => [
    context.input === undefined
      ? "Find the sessions that the task means, or read the log that it names"
      : `Read ${context.input.name}`,
    "Count what was tried, kept, discarded and what failed",
    "Compare the best with the baseline and list the gains",
    "Sum up time, speed and memory",
  ],
  work: async (context, work) => (await import("./sessions/report.ts")).writeReport(context, work),
});
