/**
 * The research workflow: prepare the data, train a baseline, experiment. It plans; it runs only what `cli.ts` hands in,
 * which happens with `--run-prepare` and `--run-train` alone. Knows nothing of the trainer.
 * @module
 */
import { defineExecutor } from "./define.ts";
import { fromVerb, isOthersWork } from "./match.ts";
import { inlineCode, oneLine } from "./safe_text.ts";
import type { Executor } from "./types.ts";

/** What a task asks the workflow for. */
export interface ResearchRequest {
  /** Prepare the data. */
  readonly prepare: boolean;
  /** Train and score once. */
  readonly baseline: boolean;
  /** A session of experiments. */
  readonly session: boolean;
  /** Hours of the session. */
  readonly hours?: number;
  /** Experiments after the baseline. */
  readonly experiments?: number;
  /** Name of a preset. */
  readonly preset?: string;
  /** Text source, such as `files:texts/*.txt`. */
  readonly source?: string;
  /** Training time of a run. */
  readonly seconds?: number;
  /** Name of the session. */
  readonly tag?: string;
}

/** One thing that the workflow may really do. @returns what happened, in Markdown @throws with one sentence */
export type ResearchAction = (request: ResearchRequest, signal?: AbortSignal) => Promise<string>;

/** What `cli.ts` hands in; what is absent is only planned. */
export interface ResearchActions {
  /** What the command line says; it goes before what the task's words say. */
  readonly given?: Partial<ResearchRequest>;
  /** Prepares the data (`--run-prepare`). */
  readonly prepare?: ResearchAction;
  /** Trains: one run, or a session where the request asks for one (`--run-train`). */
  readonly train?: ResearchAction;
}

const numbers: Readonly<Record<string, number>> = {
  one: 1,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  seven: 7,
  eight: 8,
  nine: 9,
  ten: 10,
  twelve: 12,
  twenty: 20,
  a: 1,
  an: 1,
};
const numeral = String.raw`(\d{1,4}(?:\.\d+)?|${Object.keys(numbers).join("|")})`;
const value = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : numbers[text.toLowerCase()] ?? Number(text);

/** Reads from a part of a task what it asks for. */
export function readResearch(segment: string): ResearchRequest {
  const text = segment.slice(0, 4000);
  const prepare =
    /\b(?:prepar\w+|tokeni[sz]\w*|pack|pre-?process\w*)\b[^.;]{0,60}\b(?:data\w*|corpus|text|tokeni[sz]er|rows)\b|\bdata (?:preparation|prep)\b|\btrain\w* (?:a|the) tokeni[sz]er\b/i
      .test(text);
  const experiments = value(
    text.match(new RegExp(String.raw`\b${numeral}\s+(?:\w+\s+){0,2}(?:experiments|trials|runs)\b`, "i"))?.[1],
  );
  const hours = value(text.match(new RegExp(String.raw`\b${numeral}\s*(?:-\s*)?(?:hours?|hrs?|h)\b`, "i"))?.[1]);
  const session =
    /\bovernight\b|\ball night\b|\bthrough the night\b|\btonight\b|\bexperiments\b|\b(?:research|training|overnight|search) session\b|\bsweep\b|\bautonomous\w*\b|\bsearch for\b|\b(?:improve|lower|reduce)\b[^.;]{0,40}\b(?:val_bpb|loss|bits per byte|model)\b/i
      .test(text) ||
    (experiments ?? 0) > 1 || hours !== undefined;
  const baseline = session ||
    /\bbaseline\b|\btrain(?:ing)?\b(?! data| text| set)|\b(?:a|one|single) (?:experiment|run)\b|\bexperiment\b/i.test(
      text.replace(/\btrain\w* (?:a|the) tokeni[sz]er\b/gi, ""),
    );
  const preset = text.match(/(?:--preset[= ]|\bpreset\s+)["'`]?([a-z][a-z0-9-]{1,30})/i)?.[1] ??
    text.match(/\b(cpu-tiny|gpu-small|h100|upstream)\b(?: preset)?/i)?.[1]?.toLowerCase();
  return {
    prepare,
    baseline,
    session,
    hours,
    experiments,
    preset,
    source: text.match(/\bfiles:[^\s"'`]+/)?.[0] ?? text.match(/--source[= ]["'`]?([^\s"'`]+)/)?.[1],
    tag: text.match(/(?:--tag[= ]|\b(?:tag|tagged|named|called)\s+)["'`]?([A-Za-z0-9][\w.-]{0,63})/)?.[1],
  };
}

/** One step of the plan. */
interface Step {
  readonly name: "prepare" | "train";
  readonly title: string;
  readonly command: string;
  readonly effect: string;
  readonly check: string;
}

/** A word as a shell takes it. */
const shell = (text: string): string => /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

const flags = (request: ResearchRequest, task: "prepare" | "train" | "overnight"): string =>
  [
    request.preset === undefined ? "" : ` --preset ${shell(request.preset)}`,
    request.source === undefined ? "" : ` --source ${shell(request.source)}`,
    task !== "prepare" && request.seconds !== undefined ? ` --seconds ${request.seconds}` : "",
    task === "overnight" && request.hours !== undefined ? ` --hours ${request.hours}` : "",
    task === "overnight" && request.experiments !== undefined ? ` --experiments ${request.experiments}` : "",
    task === "overnight" && request.tag !== undefined ? ` --tag ${shell(request.tag)}` : "",
  ].join("");

/** What a part of a task asks for, with what the command line says. */
function requestOf(segment: string, given: Partial<ResearchRequest> = {}): ResearchRequest {
  const request = { ...readResearch(segment), ...given };
  const limited = given.hours !== undefined || given.experiments !== undefined;
  return { ...request, session: request.session || (request.baseline && limited) };
}

/** The steps that a request comes to, in order. */
function plan(request: ResearchRequest): Step[] {
  const steps: Step[] = [];
  // Training prepares what is missing by itself, so preparing is a step only where it is asked for.
  if (request.prepare) {
    steps.push({
      name: "prepare",
      title: "Prepare the data: text, tokenizer, packed rows with a pinned validation split",
      command: `deno task prepare${flags(request, "prepare")}`,
      effect: "writes under the home folder; downloads the text where it is not there yet; takes minutes",
      check: "it ends with the folder of the data set; a second call finds it and does nothing",
    });
  }
  if (request.session) {
    const hours = request.hours === undefined && request.experiments === undefined ? " --hours 8" : "";
    steps.push({
      name: "train",
      title: "Run a session: the baseline first, then experiment after experiment, keeping what scores lower",
      command: `deno task overnight${flags(request, "overnight")}${hours}`,
      effect:
        "uses the whole machine; writes sessions/<tag> and a branch researchswarm/<tag>; your checkout is not touched",
      check: "results.tsv begins with the baseline (status keep); kept experiments are commits on the branch",
    });
  } else if (request.baseline) {
    steps.push({
      name: "train",
      title: "Train the baseline once for the fixed time and score it",
      command: `deno task train${flags(request, "train")}`,
      effect: "uses the whole machine for some minutes; writes one run folder",
      check: "it prints val_bpb; status ok",
    });
  }
  return steps;
}

const needs: Readonly<Record<Step["name"], string>> = { prepare: "--run-prepare", train: "--run-train" };

const asked =
  /\b(?:prepar\w+|run|start|launch|train|execute|begin|kick off|continue|resume|do|try|explore|experiment|conduct|perform|set off|improve|lower|reduce|search|find|tune|optimi[sz]e|let)\b/i;
const strong =
  /\bbaseline\b[^.;]{0,40}\b(?:train\w*|experiment|run|model)\b|\b(?:train|run|start|launch|do|kick off)\b[^.;]{0,40}\bbaseline\b|\b(?:training|overnight|research) (?:experiments?|session|run)\b|\bexperiments?\b[^.;]{0,40}\bovernight\b|\bovernight\b[^.;]{0,40}\b(?:train\w*|experiments?|run|session|search)\b|\b(?:train\w*|run)\b[^.;]{0,40}\b(?:overnight|all night|through the night)\b|\bval_bpb\b|\btrainer\/train\.ts\b|\btrain\.ts\b|\bdeno task (?:prepare|train|overnight|demo)\b|\b(?:hyper-?parameter|architecture) (?:search|sweep)\b/i;
const preparing =
  /\bprepar\w+\s+(?:the\s+|our\s+|all\s+(?:the\s+)?|training\s+)*(?:training\s+)?(?:data(?:\s?set)?|corpus|tokeni[sz]er|text)\b(?!\s+(?:cent(?:er|re)|room|hall|sheet|protection|sharing|book|message)s?\b)(?!\s+(?:of|about|on|from|for)\b(?!\s+(?:the\s+|a\s+)?(?:training|baseline|run|experiment|session|overnight|night)))|\btrain\w* (?:a|the) tokeni[sz]er\b/i;

/**
 * Makes the workflow.
 * @param actions what may really be done; without any it only plans
 */
export function researchWorkflow(actions: ResearchActions = {}): Executor {
  return defineExecutor({
    name: "research-workflow",
    purpose: "Plans research on the language model (prepare, baseline, experiments); runs it only with its flags.",
    effect: "train",
    match(segment) {
      if (isOthersWork(segment)) return 0;
      const text = fromVerb(segment);
      // Writing or reading about training is other work.
      if (
        /^(?:summar|report|draft|write|analy|explain|describe|compare|list|review|plot|read|what|which|why|how|show|give|document|estimate|recap|tell|find out|look|investigate|check|diagnose|identify|determine|count|rank)/i
          .test(text)
      ) return 0;
      if (/^plan\b/i.test(text) && strong.test(text)) return 0.85;
      if (!asked.test(text)) {
        return strong.test(text) && /^(?:an?|the|one|another|baseline|overnight|training)\b/i.test(text) ? 0.5 : 0;
      }
      if (/^(?:supervise|watch|monitor|pause|abort)\b/i.test(text)) return 0;
      if (strong.test(text)) return 0.95;
      if (preparing.test(text)) return 0.8;
      return /^(?:train|run|start|continue|resume)\s+(?:the\s+|our\s+|a\s+|an\s+|some\s+)?(?:model|training|experiments?|session|language model)\b\s*(?:for\b.*|tonight|now|again)?$/i
          .test(text)
        ? 0.7
        : 0;
    },
    steps: (context) =>
      plan(requestOf(context.segment, actions.given)).map(({ title, command }) => `${title}: ${command}`),
    async work(context, work) {
      const request = requestOf(context.segment, actions.given);
      const steps = plan(request);
      if (steps.length === 0) {
        return {
          status: "needs-input",
          title: "Research workflow: nothing to plan",
          text: "The task names neither data to prepare nor anything to train.",
        };
      }
      const done: string[] = [];
      const parts: string[] = [];
      let failed: string | null = null;
      for (const [index, step] of steps.entries()) {
        const action = actions[step.name];
        const head = `## ${index + 1}. ${step.title}`;
        if (action === undefined || failed !== null) {
          const why = failed !== null
            ? `Not run, since ${failed} failed.`
            : `Not run: it needs ${inlineCode(needs[step.name])}.`;
          parts.push(
            `${head}\n\n- ${why}\n- Command: ${
              inlineCode(step.command, 400)
            }\n- Effect: ${step.effect}\n- To check: ${step.check}`,
          );
          continue;
        }
        context.signal?.throwIfAborted();
        const begun = performance.now();
        try {
          const happened = await action(request, context.signal);
          const seconds = (performance.now() - begun) / 1000;
          done.push(step.name);
          work.did(`Ran ${step.name} (${seconds.toFixed(1)} s)`);
          parts.push(`${head}\n\nRan in ${seconds.toFixed(1)} s.\n\n${happened.trim()}`);
        } catch (error) {
          if (context.signal?.aborted) throw error;
          failed = step.name;
          const reason = oneLine(error instanceof Error ? error.message : String(error), 600);
          work.did(`Began ${step.name}, which failed: ${reason}`);
          parts.push(`${head}\n\nIt failed: ${reason}\n\n- Command to try by hand: ${inlineCode(step.command, 400)}`);
        }
      }
      const status = failed !== null ? "failed" : done.length === steps.length ? "done" : "planned";
      const summary = failed !== null
        ? `${failed} failed${done.length > 0 ? `; before it, ${done.join(" and ")} was done` : ""}.`
        : done.length === 0
        ? "Nothing was run: this is a plan."
        : done.length === steps.length
        ? "Everything that was asked for was run."
        : `Only ${done.join(" and ")} was run; the rest is a plan.`;
      if (done.length === 0 && failed === null) work.did("Planned; nothing was run");
      return {
        status,
        title: `Research workflow: ${status === "done" ? "done" : status === "failed" ? "failed" : "plan"}`,
        text: `${summary}\n\n${parts.join("\n\n")}`,
      };
    },
  });
}
