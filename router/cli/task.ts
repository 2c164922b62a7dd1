/**
 * `cli.ts "<task>"`, in order: read, classify, let a judge look, find context in the memory, plan, do what only reads,
 * hand over what needs a person, remember, print. Nothing here reports a person's part as done.
 * @module
 */
import type { Handoff } from "../../memory/mod.ts";
import { classify } from "../classify.ts";
import type { ExecutorStatus } from "../executors/types.ts";
import { type Checklist, makeHandoff } from "../handoff.ts";
import { makePlan, type Plan } from "../plan.ts";
import { openQuestions } from "../plan_checks.ts";
import type { Classification } from "../types.ts";
import type { Arguments } from "./arguments.ts";
import { fiveFields, rounded } from "./classify.ts";
import { type Execution, executorsFor, runDigital, type StepState, stepStates } from "./digital.ts";
import { exit, usageError } from "./errors.ts";
import { readInputs, readTask } from "./input.ts";
import type { Output } from "./output.ts";
import { type OpenedMemory, openForTask, placeOf } from "./place.ts";
import { renderTask } from "./render.ts";
import type { Wiring } from "./wiring.ts";

/** Entries of the memory that are laid beside a task. */
const CONTEXT_ENTRIES = 5;
/** Characters of a task that go into an entry of the memory. */
const REMEMBERED = 4000;
/** Characters of an executor's text that go into it. */
const REMEMBERED_OUTPUT = 600;

/** How sessions are found; which folder it is cannot be known without the environment. */
const SESSIONS =
  "sessions are looked for with --allow-env=RESEARCHSWARM_HOME,XDG_CACHE_HOME,HOME and --allow-read of the folder that these " +
  "name (~/.cache/researchswarm), before the name of the script";

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

/** How a task stands: with a person's part never done, however much software did. */
function statusOf({ domain }: Classification, plan: Plan, states: readonly StepState[]): TaskStatus {
  if (domain === "unknown") return "needs-clarification";
  if (states.some((state) => state === "failed" || state === "refused")) return "failed";
  if (plan.steps.some(({ by }) => by === "person")) return "awaiting-human";
  return states.length > 0 && states.every((state) => state === "done") ? "done" : "planned";
}

/** What is remembered of a task: its words first, for they are what a search looks for. */
function contentOf(report: Omit<TaskReport, "handoff" | "memory">): string {
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

/** A task's words, for telling whether two tasks are the same: the memory keeps no control characters and no megabytes. */
const comparable = (task: string): string =>
  task.slice(0, REMEMBERED).toWellFormed().replace(/[\p{Cc}\s]+/gu, " ").trim();

/** A checklist as a handoff that nothing keeps. */
function looseHandoff(checklist: Checklist | undefined): TaskHandoff | null {
  if (checklist === undefined) return null;
  const items = checklist.items.map((item, i) => ({ ...item, item: i + 1, state: "open" as const }));
  return { id: null, stored: false, items };
}

/** Keeps the task, and its checklist beside it. */
function remember(
  { memory, kind }: OpenedMemory,
  report: Omit<TaskReport, "handoff" | "memory">,
  checklist: Checklist | undefined,
  output: Output,
): Pick<TaskReport, "handoff" | "memory"> {
  const { classification, status, plan, executions } = report;
  const { task, domain } = classification;
  const kept = kind === "file";
  const loose = looseHandoff(checklist);
  const context = plan.context;
  if (kind === "read-only") return { handoff: loose, memory: { kind, entry: null, stored: false, context } };
  const fields = fiveFields(classification);
  const added = memory.append({
    fileType: "DECISION",
    tag: `ROUTE:${domain}:${status}`,
    content: contentOf(report),
    phase: "route",
    progressStatus: status,
    metadata: {
      domain,
      status,
      confidence: fields.confidence,
      digital_work: fields.digital_segments.slice(0, 50),
      human_handoff: fields.human_segments.slice(0, 50),
      next_action: fields.recommended_action,
      memory_context: context,
      executors: executions.map(({ executor, result }) => ({
        executor,
        status: result.status,
        used: result.used.slice(0, 50),
      })),
    },
  });
  if (kept && added.stored && added.notice !== undefined) output.notice(added.notice.replace(/\.$/, ""));
  const entry = added.id;
  const noted = { kind, entry: kept ? entry : null, stored: kept && added.stored, context };
  if (checklist === undefined || !kept) {
    if (checklist !== undefined) output.notice("the handoff is shown only: no memory keeps it");
    return { handoff: loose, memory: noted };
  }
  // The same task again is the same work: a second list would let one of them be forgotten.
  const same = comparable(task);
  const open = memory.handoffs.list({ state: "open" }).find((handoff) => comparable(handoff.task) === same);
  if (open !== undefined) {
    output.notice(`handoff ${open.id} is open for this task already; no second one was made`);
    return { handoff: { id: open.id, stored: true, items: open.items }, memory: noted };
  }
  const number = memory.handoffs.create({ ...checklist, ...(entry !== null && { entryId: entry }) });
  return { handoff: { ...loose!, id: number, stored: true }, memory: noted };
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

/** Runs a task. @returns the exit code */
export async function runTask(args: Arguments, wiring: Wiring, output: Output): Promise<number> {
  const { positionals, values, files } = args;
  const run = { prepare: values["run-prepare"] === true, train: values["run-train"] === true };
  const { preset, source, seconds, hours, experiments } = values;
  const research = { preset, source, seconds, hours, experiments };
  const lonely = Object.entries(research).find(([, value]) => value !== undefined);
  if (!run.prepare && !run.train && lonely !== undefined) {
    throw usageError(`--${lonely[0]} needs --run-prepare or --run-train`);
  }
  if (values["route-only"] && (run.prepare || run.train)) {
    throw usageError("--route-only and --run-… exclude each other");
  }
  // Everything that can be missing is asked for before any work.
  const judging = values.judge === undefined ? null : await import("./judging.ts");
  const judge = judging?.judgeOptions(values.judge!);
  const executors = await executorsFor(wiring, run, research);
  const fromStandardInput = positionals.length === 1 && positionals[0] === "-";
  const task = await readTask(positionals);
  const inputs = await readInputs(files, values["input-text"], fromStandardInput);
  using opened = await openForTask(placeOf(values.db, wiring.memoryPath), output);

  let classification = classify(task);
  if (judging !== null) classification = await judging.askJudge(judge!, classification, output);
  const context = opened.memory.context(task.slice(0, REMEMBERED), CONTEXT_ENTRIES);
  const planned = makePlan(classification, context);
  const home = await wiring.home();
  const executions = await runDigital(classification, planned, {
    inputs,
    routeOnly: values["route-only"] === true,
    executors,
    mayTrain: run.train || run.prepare,
    home,
    notice: (text) => output.notice(text),
  });
  if ((run.prepare || run.train) && !executions.some(({ effect }) => effect === "train")) {
    output.notice("nothing of this task prepares or trains, so nothing was run");
  }
  if (home === undefined && executions.some(({ result }) => result.text.includes("RESEARCHSWARM_HOME"))) {
    output.notice(SESSIONS);
  }
  const states = stepStates(planned, executions);
  const done = new Set(planned.steps.filter((_, i) => states[i] === "done").map(({ part }) => part));
  const plan: Plan = { ...planned, openQuestions: openQuestions(classification, inputs.length, done) };
  const status = statusOf(classification, plan, states);
  const known = { classification, status, plan, states, executions };
  const checklist = makeHandoff(classification);
  let code: number = status === "failed" ? exit.failed : exit.done;
  let kept: ReturnType<typeof remember>;
  try {
    kept = remember(opened, known, checklist, output);
  } catch (error) {
    // What was worked out is shown all the same; that it is not kept makes the command fail.
    output.notice(`nothing was remembered: ${error instanceof Error ? error.message.replace(/\.$/, "") : error}`);
    kept = {
      handoff: looseHandoff(checklist),
      memory: { kind: opened.kind, entry: null, stored: false, context: plan.context },
    };
    code = exit.failed;
  }
  const report = { ...known, ...kept };
  output.result(reportJson(report, output.notices), (paint) => renderTask(report, paint));
  return code;
}
