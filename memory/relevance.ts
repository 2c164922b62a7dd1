/**
 * What of a search's result is relevant to a task. A search always finds something; context has to be silent instead.
 * @module
 */
import { isTaskTerm, type Ranked } from "./rank.ts";

/** Share of the task's weight that an entry must have terms for. */
const COVERED = 0.3;
/** Score of an entry at least, as a share of the best one's. */
const OF_BEST = 0.5;

/** The relevant ones, in their order. */
export function relevant(ranked: readonly Ranked[]): Ranked[] {
  const good = ranked.filter(({ coverage, matched }) =>
    coverage >= COVERED && matched.some((term) => !isTaskTerm(term))
  );
  return good.filter(({ score }) => score >= OF_BEST * good[0].score);
}
