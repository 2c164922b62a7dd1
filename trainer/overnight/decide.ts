/**
 * The rule by which an experiment is kept. There is one so far: `greedy` keeps whatever scored lower than the best, from
 * one run each with the session's seed. A gain below the spread between seeds is kept too, which the table says.
 * @module
 */

/** What a decision is made from. */
export interface Evidence {
  /** Score of the best kept experiment. */
  readonly best: number;
  /** Score of the candidate. */
  readonly candidate: number;
}

/** A decision and its reason. */
export interface Decision {
  /** Whether the experiment becomes the new best. */
  readonly keep: boolean;
  /** Why, in a few words. */
  readonly reason: string;
}

/** A rule and what the table says about it. */
export interface DecisionRule {
  /** What `--decide` calls it. */
  readonly name: string;
  /** What the table says about it. */
  readonly note: string;
  /** Keeps the experiment, or not, and says why. */
  decide(evidence: Evidence): Decision;
}

/** The rules by name. */
export const decisionRules: Readonly<Record<string, DecisionRule>> = {
  greedy: {
    name: "greedy",
    note: "kept by --decide greedy: any lower val_bpb, one run each, same seed; small gains may be chance",
    decide({ best, candidate }) {
      const difference = candidate - best;
      const size = Math.abs(difference).toFixed(6);
      return candidate < best
        ? { keep: true, reason: `val_bpb is ${size} lower than the best` }
        : { keep: false, reason: difference === 0 ? "val_bpb equals the best" : `val_bpb is ${size} above the best` };
    },
  },
};
