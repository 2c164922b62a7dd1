/**
 * Makes a plan of a classified task: steps in an order that respects what waits for what, what is still open, what shows
 * that a part was done. Plans only: nothing here acts, reads a file or claims that anything happened.
 * @module
 */
import { evidenceOf } from "./handoff_rules.ts";
import { digitalCheck, humanCheck, openQuestions } from "./plan_checks.ts";
import { dependencies, executionOrder } from "./plan_order.ts";
import type { Classification, Domain } from "./types.ts";

/** One step of a plan: one part of the task. */
export interface PlanStep {
  /** 1, 2, 3 … in order of execution. */
  readonly step: number;
  /** Index of the part in `Classification.segments`. */
  readonly part: number;
  /** The words of the part, as they stand in the task. */
  readonly action: string;
  /** Who does it. */
  readonly by: "software" | "person";
  /** Steps that come first. */
  readonly after: readonly number[];
  /** Whether a person has to be done before this can begin; for a digital step it means that it must not run now. */
  readonly waitsForPerson: boolean;
}

/** What is to be done, in which order, and how one sees that it was done. */
export interface Plan {
  /** What the router does with the task: perceive, understand, plan, execute, escalate, verify, remember. */
  readonly cognitiveFunctions: readonly string[];
  /** Steps in order of execution. */
  readonly steps: readonly PlanStep[];
  /** What is missing. */
  readonly openQuestions: readonly string[];
  /** One for each part, and one for the whole where a person is needed. */
  readonly verificationTargets: readonly string[];
  /** What to do next, in one sentence. */
  readonly recommendedAction: string;
  /** Numbers of the memory entries that were laid beside the task. */
  readonly context: readonly number[];
}

/** What a plan can know beside the classification. */
export interface PlanOptions {
  /** How many files or texts came with the task. */
  readonly givenFiles?: number;
}

const recommended: Readonly<Record<Domain, string>> = {
  "text-based": "Execute the task digitally and verify the result before reporting it.",
  "human-action": "Hand the task to a person as a checklist, and keep it open until there is evidence for every item.",
  hybrid:
    "Complete the digital portion now, isolate the physical/manual portion, and create an explicit handoff boundary.",
  unknown: "Ask what is to be done before anything is planned or run.",
};

/** What to do next with a task of this domain, in one sentence. */
export function recommendedAction(domain: Domain): string {
  return recommended[domain];
}

const functions: Readonly<Record<Domain, readonly string[]>> = {
  "text-based": ["perceive", "understand", "plan", "execute", "verify", "remember"],
  "human-action": ["perceive", "understand", "plan", "escalate", "verify", "remember"],
  hybrid: ["perceive", "understand", "plan", "execute", "escalate", "verify", "remember"],
  unknown: ["perceive", "understand", "escalate", "remember"],
};

/** Steps of a task in order of execution. */
export function planSteps({ task, segments }: Classification): PlanStep[] {
  const waits = dependencies(task, segments);
  const order = executionOrder(segments.length, waits);
  const stepOf = new Map(order.map((part, i) => [part, i + 1]));
  const before = new Map<number, number[]>();
  for (const { part, on } of waits) before.set(part, [...before.get(part) ?? [], stepOf.get(on)!]);
  const blocked = new Set<number>();
  return order.map((part, i) => {
    const step = i + 1;
    // Words that contradict themselves ("before A, B; before B, A") leave a step that would wait for a later one.
    const after = (before.get(part) ?? []).filter((other) => other < step).sort((a, b) => a - b);
    const waitsForPerson = after.some((other) =>
      segments[order[other - 1]].domain === "human-action" || blocked.has(other)
    );
    if (waitsForPerson) blocked.add(step);
    const by = segments[part].domain === "human-action" ? "person" : "software";
    return { step, part, action: segments[part].text, by, after, waitsForPerson };
  });
}

/**
 * Makes the plan of a task.
 * @param context entries of the memory that are relevant to the task
 * @example
 * ```ts
 * import { classify } from "./classify.ts";
 * const { steps, recommendedAction } = makePlan(
 *   classify("Summarize the training logs and then physically restart the server"),
 * );
 * if (steps.length !== 2 || steps[0].by !== "software" || steps[1].by !== "person") throw new Error("unexpected");
 * if (!recommendedAction.includes("handoff boundary")) throw new Error("unexpected");
 * ```
 */
export function makePlan(
  classification: Classification,
  context: readonly { readonly id: number }[] = [],
  options: PlanOptions = {},
): Plan {
  const { domain, segments } = classification;
  const known = domain !== "unknown";
  const steps = known ? planSteps(classification) : [];
  const targets = steps.map(({ part }) => {
    const segment = segments[part];
    return segment.domain === "human-action" ? humanCheck(segment, evidenceOf(segment.text)) : digitalCheck(segment);
  });
  if (domain === "hybrid") {
    targets.push("The whole: the digital portion is verified at once, completion is held until the evidence is there.");
  } else if (domain === "human-action") {
    targets.push("The whole: nothing is reported as done before every item of the handoff has its evidence.");
  } else if (!known) {
    targets.push("Nothing can be verified before it is clear what is to be done.");
  }
  return {
    cognitiveFunctions: functions[domain],
    steps,
    openQuestions: openQuestions(classification, options.givenFiles ?? 0),
    verificationTargets: targets,
    recommendedAction: recommended[domain],
    context: context.map(({ id }) => id),
  };
}
