/**
 * Runs the digital steps of a plan that may run now: those with an executor that only reads, and those that train where
 * the user asked for it. What waits for a person is left.
 * @module
 */
import type { Executor, ExecutorContext, ExecutorInput, ExecutorResult } from "../executors/types.ts";
import type { Plan, PlanStep } from "../plan.ts";
import type { Classification } from "../types.ts";
import { gatedFiles } from "./input.ts";
import type { Wiring } from "./wiring.ts";

/** How a step stands. Nothing but an executor's own result, or evidence in a handoff, makes it `done`. */
export type StepState = "done" | "planned" | "waiting" | "handed-over" | "needs-input" | "refused" | "failed";

/** One piece of digital work that was tried. */
export interface Execution {
  /** Steps of the plan that it is for. */
  readonly steps: readonly number[];
  /** Name of the executor. */
  readonly executor: string;
  /** Whether it only reads. */
  readonly effect: Executor["effect"];
  /** Whether it was run; else the result's steps are what it would do. */
  readonly ran: boolean;
  /** What came of it. */
  readonly result: ExecutorResult;
}

/** What a user allows and brings. */
export interface DigitalOptions {
  /** Files and texts that came along. */
  readonly inputs: readonly ExecutorInput[];
  /** Plans only. */
  readonly routeOnly: boolean;
  /** Executors in the order in which they are asked. */
  readonly executors: readonly Executor[];
  /** Whether something that trains may run. */
  readonly mayTrain: boolean;
  /** Folder of data, libraries and sessions. */
  readonly home?: string;
  /** Called where a step of training waits for a person. */
  readonly notice: (text: string) => void;
}

/** The executors, the one that trains with its real actions. */
export async function executorsFor(
  wiring: Wiring,
  run: { prepare: boolean; train: boolean },
  options: Parameters<Wiring["research"]>[1],
): Promise<Executor[]> {
  const { executors, researchWorkflow } = await import("../executors/mod.ts");
  if (!run.prepare && !run.train) return [...executors];
  const real = researchWorkflow(wiring.research(run, options));
  return [real, ...executors.filter(({ name }) => name !== real.name)];
}

interface Job {
  executor: Executor;
  steps: PlanStep[];
}

/** Which executor does which steps; the one that trains does all of its steps at once, in their order. */
async function jobsOf(
  { task }: Classification,
  plan: Plan,
  { inputs, executors, mayTrain, notice }: DigitalOptions,
): Promise<Job[]> {
  const { chooseExecutor } = await import("../executors/mod.ts");
  const jobs: Job[] = [];
  for (const step of plan.steps) {
    if (step.by !== "software") continue;
    const executor = chooseExecutor(step.action, task, inputs.length > 0, executors);
    if (executor === undefined) continue;
    if (step.waitsForPerson) {
      if (executor.effect === "train" && mayTrain) notice(`step ${step.step} waits for a person and was not run`);
      continue;
    }
    const same = executor.effect === "train" ? jobs.find((job) => job.executor === executor) : undefined;
    if (same === undefined) jobs.push({ executor, steps: [step] });
    else same.steps.push(step);
  }
  return jobs;
}

/** Does what may be done now. */
export async function runDigital(
  classification: Classification,
  plan: Plan,
  options: DigitalOptions,
): Promise<Execution[]> {
  const { routeOnly, inputs, home } = options;
  const { localFiles } = await import("../executors/files.ts");
  const files = gatedFiles(localFiles());
  const now = new Date();
  const executions: Execution[] = [];
  const seen = new Set<string>();
  for (const { executor, steps } of await jobsOf(classification, plan, options)) {
    const context: ExecutorContext = {
      ...files,
      task: classification.task,
      segment: steps.map(({ action }) => action).join("\n"),
      home,
      sessionsFolder: home === undefined ? undefined : `${home}/sessions`,
      now,
    };
    const numbers = steps.map(({ step }) => step);
    if (routeOnly) {
      const result: ExecutorResult = {
        status: "planned",
        title: executor.purpose,
        text: "",
        used: [],
        steps: executor.steps(context),
      };
      executions.push({ steps: numbers, executor: executor.name, effect: executor.effect, ran: false, result });
      continue;
    }
    // One file after the other: an executor takes one text.
    for (const input of inputs.length > 0 ? inputs : [undefined]) {
      const result = await executor.run({ ...context, input });
      // Two parts of a task may ask for the same: "analyze this file and list its headings".
      const same = `${executor.name}\n${result.text}`;
      executions.push({
        steps: numbers,
        executor: executor.name,
        effect: executor.effect,
        ran: true,
        result: seen.has(same) ? { ...result, text: "" } : result,
      });
      seen.add(same);
      if (executor.effect === "train") break;
    }
  }
  return executions;
}

/** The worst of some states decides. */
const worst: readonly StepState[] = ["failed", "refused", "needs-input", "planned", "done"];

/** How each step of a plan stands after the work. */
export function stepStates(plan: Plan, executions: readonly Execution[]): StepState[] {
  return plan.steps.map(({ step, by, waitsForPerson }) => {
    if (by === "person") return "handed-over";
    if (waitsForPerson) return "waiting";
    const states = executions.filter(({ steps }) => steps.includes(step)).map(({ result }) =>
      result.status as StepState
    );
    return worst.find((state) => states.includes(state)) ?? "planned";
  });
}
