/**
 * Makes the checklist for the parts of a task that need a person: what to do, what to look out for, what shows that it
 * was done. Makes it only; the memory keeps it, and only evidence closes it.
 * @module
 */
import { evidenceOf, safetyOf } from "./handoff_rules.ts";
import { imperative } from "./imperative.ts";
import { quote } from "./plan_checks.ts";
import { planSteps } from "./plan.ts";
import type { Classification } from "./types.ts";

/** One line of a checklist. */
export interface ChecklistItem {
  /** What to do, as an order. */
  readonly action: string;
  /** What to look out for, worst first. */
  readonly safety: string[];
  /** What shows that it was done. */
  readonly evidence: string;
}

/** A handoff that nobody has kept yet; what `Memory.handoffs.create` takes. */
export interface Checklist {
  /** The whole task. */
  readonly task: string;
  /** Whether digital parts belong to it. */
  readonly domain: "human-action" | "hybrid";
  /** One for each human part, in the order in which they are to be done. */
  readonly items: ChecklistItem[];
}

/** Characters of one order at most. */
const LONGEST = 1000;

const pronoun = /\b(?:it|them|these|those|its|their)\b/i;
const own = /\b(?:the|an?|my|our|your|every|each|all)\s+\p{L}[^,;]*\b(?:it|them|its|their)\b/iu;

/**
 * The checklist of a task.
 * @returns undefined where no part needs a person
 * @example
 * ```ts
 * import { classify } from "./classify.ts";
 * const handoff = makeHandoff(classify("Go to the server room and reseat the GPU power cable"));
 * if (handoff === undefined || handoff.items.length === 0) throw new Error("unexpected");
 * if (makeHandoff(classify("Summarize the training logs")) !== undefined) throw new Error("unexpected");
 * ```
 */
export function makeHandoff(classification: Classification): Checklist | undefined {
  const { task, domain, segments } = classification;
  if (domain !== "human-action" && domain !== "hybrid") return undefined;
  const steps = planSteps(classification);
  const items: ChecklistItem[] = [];
  for (const { part, after } of steps) {
    const { text, domain: needs } = segments[part];
    if (needs !== "human-action") continue;
    // "hang it" says neither what nor how dangerous; the part before may.
    const points = part > 0 && pronoun.test(text) && !own.test(text);
    const before = points ? segments[part - 1].text : "";
    const waits = after.map((step) => steps[step - 1]).filter(({ by }) => by === "software");
    let action = imperative(text.length > LONGEST ? `${text.slice(0, LONGEST).toWellFormed()}…` : text);
    if (waits.length > 0) {
      action += ` (only after ${waits.slice(0, 3).map(({ action }) => quote(action)).join(" and ")})`;
    } else if (points) action += ` (follows ${quote(before)})`;
    action = action.toWellFormed();
    const dangers = points && segments[part - 1].domain === "human-action" ? `${text} ${before}` : text;
    items.push({
      action,
      safety: safetyOf(dangers),
      evidence: evidenceOf(text),
    });
  }
  return items.length === 0 ? undefined : { task, domain, items };
}
