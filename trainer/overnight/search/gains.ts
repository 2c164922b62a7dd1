/**
 * Changes that are known to have helped, from the public record of a 126-experiment night on one H100 with a 5-minute
 * budget (karpathy/autoresearch, branch exp/H100/mar8), largest gain first. Each is tried once as a change of the best
 * configuration: ratios for learning rates and sizes, plain values elsewhere. On a small machine the order holds even
 * more: fewer tokens fit the budget, so a step over fewer of them is the first thing that pays.
 * @module
 */
import type { Config } from "../../contract.ts";

/** What the current best run looks like. */
export interface GainContext {
  /** The constants of the best file. */
  readonly config: Config;
  /** Optimizer steps that its run made; null if unknown. */
  readonly steps: number | null;
}

/** One published gain. */
export interface Gain {
  /** Key in the record. */
  readonly name: string;
  /** What is expected and why. */
  readonly hypothesis: string;
  /** How often it may be tried: again only as long as it was kept. */
  readonly times: number;
  /** New values, or null where it does not apply. */
  apply(context: GainContext): Config | null;
}

/** A change of one number, by a function of its present value. */
function change(
  name: string,
  constant: string,
  next: (value: number, context: GainContext) => number | null,
  hypothesis: string,
  times = 1,
): Gain {
  return {
    name,
    hypothesis,
    times,
    apply(context) {
      const value = context.config[constant];
      if (typeof value !== "number") return null;
      const changed = next(value, context);
      return changed === null || changed === value ? null : { [constant]: changed };
    },
  };
}

const ratio = (factor: number) => (value: number) => Number((value * factor).toPrecision(3));
const upTo = (target: number) => (value: number) => value < target ? target : null;

/** Steps below which a larger model is not tried: it would see too few updates. */
const STEPS_FOR_A_LARGER_MODEL = 500;

/** The gains in the order in which they are tried. */
export const publishedGains: readonly Gain[] = [
  change(
    "half-batch",
    "batchTokens",
    (value) => Math.round(value / 2),
    "Half the tokens a step: more steps fit the budget (published: 2^19 → 2^18, −0.0119)",
    4,
  ),
  change(
    "embedding-rate",
    "embeddingLearningRate",
    ratio(4 / 3),
    "Embeddings learn faster (published: 0.6 → 0.8, −0.0033)",
    2,
  ),
  change(
    "momentum-steps",
    "muonMomentumSteps",
    (value, { steps }) => Math.round(steps !== null && steps < value ? value / 3 : value * 2 / 3),
    "Muon reaches its full momentum earlier (published: 300 → 200 steps, −0.0003)",
  ),
  change(
    "unembedding-rate",
    "unembeddingLearningRate",
    ratio(1.5),
    "The head learns faster (published: 0.004 → 0.006, −0.0010)",
  ),
  change(
    "warm-down",
    "warmDown",
    (value) => value < 0.7 ? 0.7 : null,
    "Longer warm-down (published: 0.5 → 0.7, −0.0006)",
  ),
  change(
    "x0-lambda",
    "x0LambdaInit",
    ratio(0.5),
    "Less of the first residual stream at the start (published: 0.1 → 0.05, −0.0008)",
  ),
  {
    name: "one-layer-more",
    hypothesis: "One layer more (published: depth 8 → 9 and wider, −0.0042)",
    times: 1,
    apply({ config, steps }) {
      if (typeof config.depth !== "number" || steps === null || steps < STEPS_FOR_A_LARGER_MODEL) return null;
      return { depth: config.depth + 1 };
    },
  },
  change("rope-base", "ropeBase", ratio(20), "Slower rotary positions (published: 10K → 200K, −0.0012)"),
  {
    name: "more-short-windows",
    hypothesis: "Four short windows for each long one (published: SSSL → SSSSL, −0.0003)",
    times: 1,
    apply: ({ config }) => config.windowPattern === "SSSL" ? { windowPattern: "SSSSL" } : null,
  },
  {
    name: "shorter-windows",
    hypothesis: "Short windows of 1/8 of the context (published: 1/2 → 1/8, −0.0009)",
    times: 1,
    apply: ({ config }) => String(config.windowPattern).includes("S") ? { shortWindow: 0.125 } : null,
  },
  change(
    "final-rate",
    "finalLearningRateFraction",
    upTo(0.05),
    "The learning rate does not end at zero (published: 0 → 0.05, −0.0006)",
  ),
  change(
    "value-decay",
    "valueEmbeddingWeightDecay",
    upTo(0.003),
    "Decay of value embeddings (published: 0.003, −0.0016)",
  ),
  change("init-scale", "initScale", ratio(0.8), "Smaller initial matrices (published: ×0.8, then ×0.7, −0.0006)", 2),
  change("head-decay", "headWeightDecay", upTo(0.01), "Decay of the head (published: 0.01, −0.0001)"),
  change("embedding-decay", "embeddingWeightDecay", upTo(0.001), "Decay of embeddings (published: 0.001, −0.0001)"),
];
