/**
 * The frame around every executor: it keeps the account of what was read and done, stops at the signal, turns errors
 * into sentences and cleans everything that goes out. An executor's own code holds no such care.
 * @module
 */
import { InputError } from "./files.ts";
import { pathsIn } from "./paths.ts";
import { inlineCode, oneLine, safeText } from "./safe_text.ts";
import { redactSecrets } from "./secrets.ts";
import type { Executor, ExecutorContext, ExecutorResult, ExecutorStatus } from "./types.ts";

/** Characters of a result at most: more than a person reads, little enough for one JSON line. */
const LONGEST = 100_000;
/** Milliseconds of work between two looks at the signal. */
const SLICE = 12;

/** The account of one piece of work. */
export class Work {
  /** What was really read. */
  readonly used: string[] = [];
  /** What was really done. */
  readonly steps: string[] = [];
  #last = performance.now();

  /** Keeps the account for a context. @param context what the executor was given */
  constructor(readonly context: ExecutorContext) {}

  /** Notes something that was read. */
  read(name: string): void {
    if (!this.used.includes(name)) this.used.push(name);
  }

  /** Notes something that was done. */
  did(step: string): void {
    this.steps.push(step);
  }

  /** Lets others run when it is time, so that the signal can come. To be called in long loops. @throws the signal's reason */
  async pause(): Promise<void> {
    if (performance.now() - this.#last < SLICE) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#last = performance.now();
    this.context.signal?.throwIfAborted();
  }
}

/** What an executor's own code gives back; the account comes from the frame. */
export interface Outcome {
  /** How it ended; `done` where it is left out. */
  readonly status?: ExecutorStatus;
  /** One line. */
  readonly title: string;
  /** Markdown. */
  readonly text: string;
}

/** An executor before its frame. */
export interface ExecutorSpec extends Omit<Executor, "run"> {
  /** Does the work. @throws {InputError} something is missing or must not be read */
  work(context: ExecutorContext, work: Work): Promise<Outcome>;
}

/** What may be shown, wherever it came from. */
const clean = (text: string): string => redactSecrets(safeText(text));

/** A promise that only ever rejects: when the signal comes. */
function aborted(signal: AbortSignal | undefined): { promise: Promise<never>; release(): void } {
  let stop = () => {};
  const promise = new Promise<never>((_, reject) => {
    if (signal === undefined) return;
    stop = () => reject(signal.reason ?? new DOMException("aborted", "AbortError"));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  promise.catch(() => {});
  return { promise, release: () => signal?.removeEventListener("abort", stop) };
}

/** Puts the frame around an executor. */
export function defineExecutor(spec: ExecutorSpec): Executor {
  const { name, purpose, effect } = spec;
  return {
    name,
    purpose,
    effect,
    match: (segment, task, hasInput) => Math.min(1, Math.max(0, spec.match(segment, task, hasInput))),
    steps: (context) => spec.steps(context).map((step) => clean(oneLine(step, 300))),
    async run(context) {
      const work = new Work(context);
      const end = (outcome: Outcome): ExecutorResult => {
        const cut = outcome.text.length > LONGEST
          ? `${outcome.text.slice(0, LONGEST)}\n\n_Cut here: the result has ${outcome.text.length} characters._`
          : outcome.text;
        const target = outcome.status === undefined || outcome.status === "done"
          ? pathsIn(context.segment).find((path) => path.target)?.path
          : undefined;
        const note = target === undefined
          ? ""
          : `\n\n_Nothing was written to ${inlineCode(target)}: executors only read. This is the text._`;
        return {
          status: outcome.status ?? "done",
          title: clean(oneLine(outcome.title)),
          text: clean(cut + note).trim(),
          used: work.used.map((one) => clean(oneLine(one, 400))),
          steps: work.steps.map((one) => clean(oneLine(one, 400))),
        };
      };
      const stop = aborted(context.signal);
      try {
        context.signal?.throwIfAborted();
        return end(await Promise.race([spec.work(context, work), stop.promise]));
      } catch (error) {
        if (context.signal?.aborted) {
          const text = "The work was stopped before its end; there is no result.";
          return end({ status: "failed", title: `${name}: stopped`, text });
        }
        if (error instanceof InputError) {
          const titles = { "needs-input": "something is missing", refused: "refused", failed: "cannot be read" };
          return end({ status: error.status, title: `${name}: ${titles[error.status]}`, text: error.message });
        }
        const reason = error instanceof Error ? error.message : String(error);
        return end({ status: "failed", title: `${name}: failed`, text: `It failed: ${oneLine(reason, 500)}` });
      } finally {
        stop.release();
      }
    },
  };
}
