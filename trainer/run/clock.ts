/**
 * How long a training may take and how far it is: by time, by steps, or as a recorded run was. Pure arithmetic; the
 * caller brings the seconds, from its own clock.
 * @module
 */

/** What ends a training: seconds, a number of steps, or the progress of each step of an earlier run. */
export type Budget = { readonly seconds: number } | { readonly steps: number } | { readonly clock: readonly number[] };

/** The one of the three that is given. @throws Error when it is none or more than one, or out of range */
export function budgetOf(given: { budgetSeconds?: number; steps?: number; clock?: readonly number[] }): Budget {
  const { budgetSeconds: seconds, steps, clock } = given;
  if ([seconds, steps, clock].filter((part) => part !== undefined).length !== 1) {
    throw new Error("a run needs one of seconds, steps and a recorded clock");
  }
  if (clock !== undefined) return { clock };
  if (steps !== undefined) {
    if (!Number.isSafeInteger(steps) || steps < 1) {
      throw new Error(`steps must be a whole number from 1 on, got ${steps}`);
    }
    return { steps };
  }
  if (!(seconds! > 0 && seconds! < 1e6)) throw new Error(`seconds must be above 0 and below a million, got ${seconds}`);
  return { seconds: seconds! };
}

/** Seconds of set-up (import, `createModel`) that are free: beyond that it is training time. */
export function freeSetupSeconds(budget: Budget): number {
  return "seconds" in budget ? Math.min(60, budget.seconds / 4) : 60;
}

/** What a slow disk takes a second. */
const SAVED_BYTES_A_SECOND = 100e6;
/** What saving may take at most, in seconds and of the budget: the code under test runs until it is over. */
const MOST_SAVING_SECONDS = 5;
const MOST_SAVING_SHARE = 0.1;

/** The latest second, counted from the start of training, at which a training may return. */
export function latestReturn(budget: Budget): number {
  return "seconds" in budget ? budget.seconds + Math.max(1, 0.02 * budget.seconds) : Infinity;
}

/**
 * The latest second at which a file of weights of that size may be there. A large one is not written in one second; from
 * 300 s on the 2 % in which a training may return are room enough, and saving is part of them.
 */
export function latestSave(budget: Budget, bytes: number): number {
  if (!("seconds" in budget)) return Infinity;
  const saving = Math.min(bytes / SAVED_BYTES_A_SECOND, MOST_SAVING_SECONDS, MOST_SAVING_SHARE * budget.seconds);
  return Math.max(budget.seconds + 1 + saving, latestReturn(budget));
}

/** The second at which the worker is killed. */
export function killAfter(budget: Budget): number {
  return "seconds" in budget ? 2 * budget.seconds : Infinity;
}

/** Steps before the running one whose length says how long the next one may take. */
const RECENT_STEPS = 3;

/** Batches of one step, at most: where no time ends a run, a file could train within a single step for ever. */
const MAX_STEP_BATCHES = 4096;
/** Times as many batches as any step before, at most, in the last of a number of steps: one may grow, but not have no end. */
const LAST_STEP_GROWTH = 2;

/** Progress of the steps of one run. */
export class StepClock {
  /** Progress of each step so far, one number a step. */
  readonly recorded: number[] = [];
  /** When the last steps began. */
  #begins: number[] = [];
  /** Batches and rows of the running step, and the most that a step before it had. */
  #batches = 0;
  #rows = 0;
  #mostBatches = 0;
  #mostRows = 0;

  constructor(readonly budget: Budget) {}

  /**
   * Progress of a step that begins now, fixed until the next one. A step that, going by the last ones, would end too
   * late for its weights to count is not begun: on a slow machine the deadline comes that much earlier.
   * @param seconds training time so far
   * @returns null when the budget is used up
   */
  begin(seconds: number): number | null {
    const progress = this.#progress(this.recorded.length, seconds);
    if (progress === null) return null;
    this.#mostBatches = Math.max(this.#mostBatches, this.#batches);
    this.#mostRows = Math.max(this.#mostRows, this.#rows);
    this.#batches = this.#rows = 0;
    this.recorded.push(progress);
    this.#begins = [...this.#begins.slice(-RECENT_STEPS), seconds];
    return progress;
  }

  /**
   * Whether the running step gets a batch of `rows` rows, which it then has. Where a step begins is the word of the code
   * under test: after the deadline a step gets no more rows than one before it had, which all gradient accumulation is
   * content with, and the last of a number of steps not many more batches.
   * @param seconds training time so far
   */
  serves(seconds: number, rows: number): boolean {
    const { budget } = this;
    const batches = this.#batches + 1;
    if (this.recorded.length === 0 || batches > MAX_STEP_BATCHES || seconds > latestReturn(budget)) return false;
    // The first batch of a step was granted with the step.
    if (batches > 1) {
      if ("seconds" in budget && seconds >= budget.seconds && this.#rows + rows > this.#mostRows) return false;
      const steps = "clock" in budget ? budget.clock.length : "steps" in budget ? budget.steps : Infinity;
      const last = steps > 1 && this.recorded.length >= steps;
      if (last && batches > LAST_STEP_GROWTH * this.#mostBatches) return false;
    }
    this.#batches = batches;
    this.#rows += rows;
    return true;
  }

  #progress(step: number, seconds: number): number | null {
    const { budget } = this;
    if ("clock" in budget) return budget.clock[step] ?? null;
    if ("steps" in budget) return step < budget.steps ? step / budget.steps : null;
    const steps = this.#begins.map((begin, index) => (this.#begins[index + 1] ?? seconds) - begin);
    const end = seconds + 1.2 * Math.max(0, ...steps);
    return seconds < budget.seconds && end < latestReturn(budget) ? seconds / budget.seconds : null;
  }

  /** Share of the budget that is used up, for a display. */
  share(seconds: number): number {
    const { budget } = this;
    if ("clock" in budget) return budget.clock.length === 0 ? 1 : this.recorded.length / budget.clock.length;
    if ("steps" in budget) return budget.steps === 0 ? 1 : this.recorded.length / budget.steps;
    return Math.min(1, seconds / budget.seconds);
  }
}

/**
 * Reads a recorded clock: a JSON array of numbers from 0 to 1 that never fall.
 * @throws Error that says what is wrong
 */
export function parseClock(text: string): number[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("the clock is no JSON");
  }
  if (!Array.isArray(value) || value.length === 0) throw new Error("a clock is an array with a number for each step");
  value.forEach((item, step) => {
    if (typeof item !== "number" || !(item >= 0 && item <= 1) || (step > 0 && item < value[step - 1])) {
      throw new Error(`entry ${step} of the clock must be a number from 0 to 1, not below the one before`);
    }
  });
  return value;
}
