/**
 * What a session shows while it works: on a terminal one line that is written over, elsewhere a line for each experiment
 * when it is decided.
 * @module
 */
import type { ExperimentRow } from "../../memory/mod.ts";
import { describeShortly } from "./ledger.ts";
import type { SessionEvents } from "./loop.ts";

const encoder = new TextEncoder();

/** Milliseconds between two versions of the line. */
const INTERVAL = 200;

/** Number and change: `exp_001  batchTokens 4096 → 2048` */
function titleOf(experiment: ExperimentRow): string {
  const name = experiment.parent === null ? "baseline" : `exp_${String(experiment.id).padStart(3, "0")}`;
  return `${name}  ${describeShortly(experiment)}`;
}

/** A line on stderr that replaces the last one. */
export class Progress implements SessionEvents {
  readonly #terminal = Deno.stderr.isTerminal();
  readonly #warned = new Set<string>();
  #shown = false;
  #last = 0;

  #line(text: string): void {
    if (!this.#terminal) return;
    let width = 100;
    try {
      width = Deno.consoleSize().columns - 1;
    } catch {
      // Not a terminal that tells its size.
    }
    Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${text.slice(0, width)}`));
    this.#shown = true;
  }

  /** Removes the line, so that something else can be printed. */
  clear(): void {
    if (this.#shown) Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
    this.#shown = false;
  }

  /** Follows one run. */
  started(experiment: ExperimentRow): ReturnType<NonNullable<SessionEvents["started"]>> {
    const title = titleOf(experiment);
    this.#line(`${title} · starting`);
    return {
      phase: (phase) => this.#line(`${title} · ${phase}`),
      step: ({ step, loss, seconds, tokens, share }) => {
        const now = performance.now();
        if (now - this.#last < INTERVAL) return;
        this.#last = now;
        const rate = seconds > 0 ? Math.round(tokens / seconds) : 0;
        const left = share > 0 ? Math.max(0, seconds / share - seconds) : 0;
        this.#line(`${title} · step ${step} · loss ${loss.toFixed(4)} · ${rate} tokens/s · ${left.toFixed(0)} s left`);
      },
      scored: (share) => this.#line(`${title} · scoring ${(100 * share).toFixed(0)} %`),
    };
  }

  /** Says how an experiment ended. */
  decided(experiment: ExperimentRow): void {
    this.clear();
    const { state, valBpb, reason } = experiment;
    const scored = state === "kept" || state === "discarded";
    const score = scored ? `val_bpb ${valBpb?.toFixed(6)}` : reason;
    if (this.#terminal) console.error(`${state.padEnd(9)}  ${describeShortly(experiment)}  ${score}`);
    else {
      const outcome = scored ? `${score}  ${state}` : `${state}: ${reason.replaceAll(/\s+/g, " ")}`;
      console.error(`${titleOf(experiment)}  ${outcome}`);
    }
  }

  /** Prints a warning, on any stderr; what stays as it is is said once. */
  warning(sentence: string): void {
    if (this.#warned.has(sentence)) return;
    this.#warned.add(sentence);
    this.clear();
    console.error(`warning: ${sentence}`);
  }
}
