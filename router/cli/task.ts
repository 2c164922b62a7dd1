/**
 * `cli.ts "<task>"`, in order: read, classify, let a judge look, find context in the memory, plan, do what only reads,
 * hand over what needs a person, remember, print. Nothing here reports a person's part as done.
 * @module
 */
import type { Handoff, Memory, NewHandoff } from "../../memory/mod.ts";
import { classify, longestTask, shippedModel } from "../classify.ts";
import { redactSecrets } from "../executors/secrets.ts";
import { type Checklist, makeHandoff } from "../handoff.ts";
import { makePlan, type Plan } from "../plan.ts";
import { openQuestions } from "../plan_checks.ts";
import type { Classification } from "../types.ts";
import type { Arguments } from "./arguments.ts";
import { fiveFields } from "./classify.ts";
import { executorsFor, runDigital, type StepState, stepStates } from "./digital.ts";
import { exit, usageError } from "./errors.ts";
import { readInputs, readTask } from "./input.ts";
import type { Output } from "./output.ts";
import { type OpenedMemory, openForTask, placeOf } from "./place.ts";
import { renderTask } from "./render.ts";
import {
  contentOf,
  REMEMBERED,
  reportJson,
  type TaskHandoff,
  type TaskReport,
  type TaskStatus,
} from "./task_report.ts";
import type { Wiring } from "./wiring.ts";

/** Entries of the memory that are laid beside a task. */
const CONTEXT_ENTRIES = 5;
/** How sessions are found; which folder it is cannot be known without the environment. */
const SESSIONS =
  "sessions are looked for with --allow-env=RESEARCHSWARM_HOME,XDG_CACHE_HOME,HOME and --allow-read of the folder that these " +
  "name (~/.cache/researchswarm), before the name of the script";

/** How a task stands: with a person's part never done, however much software did. */
function statusOf({ domain }: Classification, plan: Plan, states: readonly StepState[]): TaskStatus {
  if (domain === "unknown") return "needs-clarification";
  if (states.some((state) => state === "failed" || state === "refused")) return "failed";
  if (plan.steps.some(({ by }) => by === "person")) return "awaiting-human";
  return states.length > 0 && states.every((state) => state === "done") ? "done" : "planned";
}

/** Words for telling whether two are the same: the memory keeps no control characters and no megabytes. */
const comparable = (words: string): string =>
  words.slice(0, REMEMBERED).toWellFormed().replace(/(?![\t\n\r])\p{Cc}/gu, "").replace(/\s+/g, " ").trim();

/** Whether a handoff is about the same task and the same things to do; the beginning of a long task is not enough. */
const isSameWork = (a: Checklist, b: Checklist): boolean =>
  comparable(a.task) === comparable(b.task) && a.items.length === b.items.length &&
  a.items.every(({ action }, i) => comparable(action) === comparable(b.items[i].action));

/** A checklist as it may be kept: without keys and passwords that stand in the task. */
const withoutSecrets = ({ task, domain, items }: Checklist): Checklist => ({
  task: redactSecrets(task.slice(0, longestTask)),
  domain,
  items: items.map((item) => ({ ...item, action: redactSecrets(item.action) })),
});

/** A checklist as a handoff that nothing keeps. */
function looseHandoff(checklist: Checklist | undefined): TaskHandoff | null {
  if (checklist === undefined) return null;
  const items = checklist.items.map((item, i) => ({ ...item, item: i + 1, state: "open" as const }));
  return { id: null, stored: false, items };
}

/**
 * Opens a handoff. The same task again is the same work: a second list would let one of them be forgotten.
 * @returns its number, or that of the older one that is open for the same work
 */
function openHandoff(memory: Memory, handoff: NewHandoff): { id: number; older?: Handoff } {
  const oldest = () => memory.handoffs.list({ state: "open" }).find((other) => isSameWork(other, handoff));
  let older = oldest();
  if (older !== undefined) return { id: older.id, older };
  const id = memory.handoffs.create(handoff);
  // Another process may have looked at the same moment: the younger handoff gives way.
  older = oldest();
  if (older === undefined || older.id >= id) return { id };
  memory.handoffs.cancel(id, `handoff ${older.id} is for the same task`);
  return { id: older.id, older };
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
    content: redactSecrets(contentOf(report)),
    phase: "route",
    progressStatus: status,
    metadata: {
      domain,
      status,
      confidence: fields.confidence,
      digital_work: fields.digital_segments.slice(0, 50).map(redactSecrets),
      human_handoff: fields.human_segments.slice(0, 50).map(redactSecrets),
      next_action: fields.recommended_action,
      memory_context: context,
      executors: executions.map(({ executor, result }) => ({
        executor,
        status: result.status,
        used: result.used.slice(0, 50),
      })),
    },
  });
  if (kept && redactSecrets(task.slice(0, longestTask)) !== task.slice(0, longestTask)) {
    output.notice("what looks like a key or a password in the task is not remembered");
  }
  if (kept && added.stored && added.notice !== undefined) output.notice(added.notice.replace(/\.$/, ""));
  const entry = added.id;
  const noted = { kind, entry: kept ? entry : null, stored: kept && added.stored, context };
  if (checklist === undefined || !kept) {
    if (checklist !== undefined) output.notice("the handoff is shown only: no memory keeps it");
    return { handoff: loose, memory: noted };
  }
  const { id, older } = openHandoff(memory, {
    ...withoutSecrets(checklist),
    ...(entry !== null && { entryId: entry }),
  });
  if (older === undefined) return { handoff: { ...loose!, id, stored: true }, memory: noted };
  output.notice(`handoff ${id} is open for this task already; no second one was made`);
  return { handoff: { id, stored: true, items: older.items }, memory: noted };
}

/** Runs a task. @returns the exit code */
export async function runTask(args: Arguments, wiring: Wiring, output: Output): Promise<number> {
  const { positionals, values, files, near } = args;
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
  // A word that there is, such as "handle", was hardly meant to be a command.
  if (near !== undefined && shippedModel().lexicon.find(positionals[0].toLowerCase()) < 0) {
    output.notice(`"${positionals[0]}" was taken as the beginning of a task; did you mean "${near}"?`);
  }
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
