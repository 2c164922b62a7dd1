/**
 * A task's report as text for people. Every word that came from a task, a file or an executor is made visible first.
 * @module
 */
import { cutNotice } from "./classify.ts";
import { checklistText } from "./handoff.ts";
import { type Paint, visible, visibleLine } from "./output.ts";
import type { TaskReport } from "./task_report.ts";

/** What a status means, in words. */
const meanings: Readonly<Record<TaskReport["status"], string>> = {
  planned: "planned; not everything was run",
  done: "done",
  "awaiting-human": "awaiting a person; not complete before the evidence is there",
  "needs-clarification": "needs an answer first",
  failed: "failed",
};

/** The report. */
export function renderTask(report: TaskReport, paint: Paint): string {
  const { classification, status, plan, states, executions, handoff, memory } = report;
  const blocks: string[] = [];
  const block = (title: string, lines: readonly string[]) => {
    if (lines.length > 0) blocks.push(`${paint.bold(title)}\n${lines.join("\n")}`);
  };
  const sure = `(${Math.floor(100 * classification.confidence)} %)`;
  blocks.push(
    `${paint.bold(classification.domain)} ${paint.dim(sure)}: ${meanings[status]}\n${plan.recommendedAction}` +
      (classification.truncated ? `\nNote: ${cutNotice}.` : ""),
  );
  block(
    "Steps",
    plan.steps.map(({ step, by, action, after }, i) => {
      const waits = after.length === 0 ? "" : paint.dim(` (after ${after.join(", ")})`);
      return `  ${step}. [${by}, ${states[i]}] ${visibleLine(action)}${waits}`;
    }),
  );
  for (const { executor, result } of executions) {
    const text = result.text === ""
      ? result.steps.map((step) => `  - ${visibleLine(step)}`).join("\n")
      : visible(result.text);
    const used = result.used.length === 0 ? "" : `\n${paint.dim(`used: ${result.used.map(visibleLine).join(", ")}`)}`;
    const head = `${paint.bold(visibleLine(result.title))} ${paint.dim(`[${executor}, ${result.status}]`)}`;
    blocks.push(`${head}\n${text}${used}`);
  }
  if (handoff !== null) {
    const title = handoff.id === null ? "Handoff (not kept)" : `Handoff ${handoff.id}`;
    blocks.push(`${paint.bold(title)}\n${checklistText(handoff.items, paint)}`);
    if (handoff.id !== null) {
      blocks.push(paint.dim(`close it with: cli.ts handoff done ${handoff.id} --evidence TEXT|FILE`));
    }
  }
  block("Open questions", plan.openQuestions.map((question) => `  - ${visibleLine(question)}`));
  block("To verify", plan.verificationTargets.map((target) => `  - ${visibleLine(target)}`));
  const context = memory.context.length === 0 ? "no earlier entry" : `entries ${memory.context.join(", ")}`;
  const entry = memory.entry === null
    ? "not remembered"
    : memory.stored
    ? `entry ${memory.entry}`
    : `as entry ${memory.entry} already`;
  blocks.push(paint.dim(`memory: ${entry}; context: ${context}`));
  return blocks.join("\n\n");
}
