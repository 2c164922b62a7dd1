/**
 * The router: reads any task, says what of it software can do and what needs a person, plans it, does by itself what only
 * reads, and makes the checklist for the person. Importing it needs no permission, no network and no FFI.
 *
 * ```ts
 * import { classify, makeHandoff, makePlan } from "./mod.ts";
 *
 * const classification = classify("Summarize the training logs and then physically restart the server");
 * const plan = makePlan(classification);
 * const handoff = makeHandoff(classification);
 * if (classification.domain !== "hybrid") throw new Error(classification.domain);
 * if (plan.steps.length !== 2 || handoff?.items.length !== 1) throw new Error("unexpected");
 * ```
 * @module
 */
export type { Classification, Domain, PartDomain, Segment, Signal, SignalKind } from "./types.ts";
export { classify, longestTask } from "./classify.ts";
export { makePlan, type Plan, type PlanOptions, type PlanStep, recommendedAction } from "./plan.ts";
export { type Checklist, type ChecklistItem, makeHandoff } from "./handoff.ts";
export {
  judge,
  judgeAddresses,
  type Judgement,
  type JudgeOptions,
  type Verdict,
  type VerdictSegment,
} from "./judge.ts";
export * from "./executors/mod.ts";
