/**
 * Schedules: numbers that follow the run's progress (0 … 1, fixed once a step) or its step count. Pure functions.
 * @module
 */

/** Shape of the learning rate over a run. */
export interface LearningRateSchedule {
  /** Share of the budget over which it rises from 0. */
  readonly warmUp: number;
  /** Share of the budget, at the end, over which it falls to `finalFraction`. */
  readonly warmDown: number;
  /** What is left of it at the end. */
  readonly finalFraction: number;
  /** How it falls; linear by default. */
  readonly shape?: "linear" | "cosine";
}

/**
 * Factor of all learning rates: rises linearly from 0 to 1 over `warmUp`, stays 1, falls to `finalFraction`.
 * @param progress 0 … 1
 * @example
 * ```ts
 * import { learningRateFactor } from "./schedule.ts";
 * const schedule = { warmUp: 0, warmDown: 0.5, finalFraction: 0 };
 * if (learningRateFactor(0.75, schedule) !== 0.5) throw new Error("unexpected");
 * ```
 */
export function learningRateFactor(progress: number, schedule: LearningRateSchedule): number {
  const { warmUp, warmDown, finalFraction, shape = "linear" } = schedule;
  if (progress < warmUp) return progress / warmUp;
  const left = warmDown > 0 ? Math.max(0, 1 - progress) / warmDown : 1;
  if (left >= 1) return 1;
  const fall = shape === "cosine" ? (1 - Math.cos(Math.PI * left)) / 2 : left;
  return finalFraction + (1 - finalFraction) * fall;
}

/**
 * Goes linearly from `start` to `end` over `steps` steps and stays there: Muon's momentum.
 * @param step optimizer steps done, this one included
 */
export function ramp(step: number, start: number, end: number, steps: number): number {
  return start + (end - start) * (steps > 0 ? Math.min(1, step / steps) : 1);
}

/** Falls linearly to 0 with progress: Muon's weight decay. */
export function decayToZero(value: number, progress: number): number {
  return value * Math.max(0, 1 - progress);
}

/**
 * 0 while rows are read for the first time, 1 when they have been read twice: of a decay against learning them by heart.
 * @param epochs how often each row was read so far
 */
export function rereadFactor(epochs: number): number {
  return Math.min(1, Math.max(0, epochs - 1));
}
