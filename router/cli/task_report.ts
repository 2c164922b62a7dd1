/**
 * What is known of a task at the end, as JSON for programs and as an entry for the memory.
 * @module
 */
import type { Handoff } from "../../memory/mod.ts";
import type { ExecutorStatus } from "../executors/types.ts";
import type { Plan } from "../plan.ts";
import type { Classification } from "../types.ts";
import { fiveFields, rounded } from "./classify.ts";
import type { Execution, StepState } from "./digital.ts";
import type { OpenedMemory } from "./place.ts";

/** Characters of a task that go into an entry of the memory. */
export const REMEMBERED = 4000;
/** Characters of an executor's text that go into it. */
const REMEMBERED_OUTPUT = 600;

/** How a whole task stands. */
export type TaskStatus = "planned" | "done" | "awaiting-human" | "needs-clarification" | "failed";

/** A handoff of this task; without a number where no file keeps it. */
export interface TaskHandoff {
  /** Its number in the memory. */
  readonly id: number | null;
  /** Whether it is kept. */
  readonly stored: boolean;
  /** Its items. */
  readonly items: Handoff["items"];
}

/** Everything that is known at the end; what is printed. */
export interface TaskReport {
  /** What the router said, after the judge. */
  readonly classification: Classification;
  /** How the task stands. */
  readonly status: TaskStatus;
  /** Its plan. */
  readonly plan: Plan;
  /** How each step stands. */
  readonly states: readonly StepState[];
  /** What was tried. */
  readonly executions: readonly Execution[];
  /** What a person has to do. */
  readonly handoff: TaskHandoff | null;
  /** Entry of the memory, and what was read from it. */
  readonly memory: { kind: OpenedMemory["kind"]; entry: number | null; stored: boolean; context: Plan["context"] };
}

/** What is remembered of a task: its words first, for they are what a search looks for. */
export function contentOf(report: Omit<TaskReport, "handoff" | "memory">): string {
  const { classification, status, plan, executions } = report;
  const { task, domain, confidence } = classification;
  const cut = task.length > REMEMBERED ? `${task.slice(0, REMEMBERED)}…` : task;
  const lines = [`instruction: ${cut}`, `domain: ${domain}`, `status: ${status}`, `confidence: ${rounded(confidence)}`];
  for (const { executor, result } of executions) {
    lines.push(`${executor}: ${result.title}`);
    if (result.status === "done" && result.text !== "") lines.push(result.text.slice(0, REMEMBERED_OUTPUT));
  }
  lines.push(`next_action: ${plan.recommendedAction}`);
  return lines.join("\n").toWellFormed();
}

/** Whether an executor's text is a result, not the reason why there is none. */
const isOutput = (status: ExecutorStatus): boolean => status === "done" || status === "planned";

/** The report as the JSON object of the command line: the five fields of the original first. */
export function reportJson(report: TaskReport, notices: readonly string[]): Record<string, unknown> {
  const { classification, status, plan, states, executions, handoff, memory } = report;
  const texts = executions.filter(({ result: { status, text } }) => text !== "" && isOutput(status)).map(({ result }) =>
    result.text
  );
  return {
    ...fiveFields(classification),
    status,
    segments: classification.segments.map(({ text, domain, confidence, start, end, signals }) => ({
      text,
      domain,
      confidence: rounded(confidence),
      start,
      end,
      signals: signals.map(({ kind, text, towards, weight }) => ({ kind, text, towards, weight: rounded(weight) })),
    })),
    excluded: classification.excluded.map(({ kind, text }) => ({ kind, text })),
    reasons: classification.reasons,
    truncated: classification.truncated,
    plan: {
      cognitive_functions: plan.cognitiveFunctions,
      steps: plan.steps.map(({ step, action, by, after }, i) => ({ step, action, by, after, state: states[i] })),
      open_questions: plan.openQuestions,
      verification_targets: plan.verificationTargets,
    },
    executor: executions[0]?.executor ?? null,
    executions: executions.map(({ steps, executor, effect, ran, result }) => ({
      steps,
      executor,
      effect,
      status: result.status,
      title: result.title,
      used: result.used,
      did: ran ? result.steps : [],
      would_do: ran ? [] : result.steps,
      message: isOutput(result.status) ? null : result.text,
    })),
    output: texts.length === 0 ? null : texts.join("\n\n"),
    handoff: handoff === null ? null : {
      id: handoff.id,
      stored: handoff.stored,
      items: handoff.items.map(({ item, action, safety, evidence, state }) => ({
        item,
        state,
        action,
        safety,
        evidence,
      })),
    },
    memory,
    notices,
  };
}
