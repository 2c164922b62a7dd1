/**
 * A multivariate tree-structured Parzen estimator (Bergstra et al. 2011; Falkner et al. 2018) on a mixed space: one
 * kernel an observation, a density of the good ones and one of the others, and candidates ranked by their ratio.
 * Failures count as bad and, beside that, weigh a candidate by the share of failures around it, so that a region that
 * fails is left alone even if it lies next to the best (as in c-TPE, arXiv:2211.14411). Candidates are good observations
 * with one or two coordinates or about half of them redrawn: with tens of constants and tens of experiments, redrawing
 * all of them at once loses more than it finds.
 * @module
 */
import type { MixedSpace } from "./mixed.ts";
import type { Random } from "./random.ts";

/** What is known of one configuration. */
export interface Observation {
  /** Coordinates, as `MixedSpace.encode` gives them. */
  readonly point: Float64Array;
  /** Score, lower is better; null for a failure. */
  readonly loss: number | null;
}

/** Settings of the estimator. */
export interface ParzenOptions {
  /** Observations that count as good: this times the square root of their number. */
  readonly goodFactor: number;
  /** Width of a kernel for one observation, in units of the axis. */
  readonly bandwidth: number;
  /** Candidates that are ranked. */
  readonly candidates: number;
  /** Share of candidates that redraw few coordinates. */
  readonly localShare: number;
  /** Share of the coordinates that the other candidates redraw. */
  readonly wideShare: number;
}

/** Chosen on synthetic mixed functions, four of which are in `tests/search_test.ts`. */
export const parzenDefaults: ParzenOptions = {
  goodFactor: 0.5,
  bandwidth: 0.12,
  candidates: 32,
  localShare: 0.3,
  wideShare: 0.5,
};

/** Normal distribution function (Abramowitz & Stegun 7.1.26, absolute error below 1.5e-7). */
function normalCdf(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * z);
  const polynomial = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const erf = 1 - polynomial * Math.exp(-z * z);
  return x < 0 ? (1 - erf) / 2 : (1 + erf) / 2;
}

/** Log of a sum of exponentials. */
function logSum(logs: readonly number[]): number {
  const top = Math.max(...logs);
  return Number.isFinite(top) ? top + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - top), 0)) : top;
}

/** A mixture of one product kernel an observation, and of the uniform density with weight `prior`. */
class Density {
  readonly #space: MixedSpace;
  readonly #points: readonly Float64Array[];
  readonly #logWeights: readonly number[];
  readonly #widths: readonly number[];

  constructor(
    space: MixedSpace,
    points: readonly Float64Array[],
    weights: readonly number[],
    prior: number,
    bandwidth: number,
  ) {
    this.#space = space;
    this.#points = points;
    const total = weights.reduce((sum, weight) => sum + weight, prior);
    this.#logWeights = [...weights, prior].map((weight) => Math.log(weight / total));
    const shrunk = bandwidth * Math.max(1, points.length) ** -0.2; // Scott's rule in one dimension
    this.#widths = space.axes.map((axis) => {
      if (!axis.ordered) return Math.min(0.5, 2 * bandwidth);
      return Math.max(shrunk, Number.isFinite(axis.count) ? 0.5 / (axis.count - 1) : 0.01);
    });
  }

  #logKernel(i: number, center: number, x: number): number {
    const axis = this.#space.axes[i];
    const width = this.#widths[i];
    if (!axis.ordered) return Math.log((x === center ? 1 - width : 0) + width / axis.count);
    const mass = normalCdf((1 - center) / width) - normalCdf(-center / width);
    return -(((x - center) / width) ** 2) / 2 - Math.log(width * Math.sqrt(2 * Math.PI) * mass);
  }

  /** Log density of a point. */
  log(x: Float64Array): number {
    const logs = this.#points.map((point, k) => {
      let sum = this.#logWeights[k];
      for (let i = 0; i < x.length; i++) sum += this.#logKernel(i, point[i], x[i]);
      return sum;
    });
    let uniform = this.#logWeights[this.#points.length];
    for (const axis of this.#space.axes) if (!axis.ordered) uniform -= Math.log(axis.count);
    return logSum([...logs, uniform]);
  }

  /** A coordinate near `center`, or anywhere with a small probability. */
  draw(i: number, center: number, random: Random): number {
    const axis = this.#space.axes[i];
    const width = this.#widths[i];
    if (!axis.ordered) return random.uniform() < width ? random.below(axis.count) : center;
    for (let attempt = 0; attempt < 20; attempt++) {
      const x = center + width * random.normal();
      if (x >= 0 && x <= 1) return x;
    }
    return center;
  }

  /** A coordinate anywhere. */
  anywhere(i: number, random: Random): number {
    const axis = this.#space.axes[i];
    return axis.ordered ? random.uniform() : random.below(axis.count);
  }
}

/**
 * Points to try next, best first; none of them in `taken`.
 * @param observations what was tried; with none that has a score, all candidates are drawn evenly
 * @param random decides everything that is drawn: equal seeds and observations give equal points
 * @param taken keys (`MixedSpace.key`) of configurations not to be proposed
 */
export function rankedCandidates(
  space: MixedSpace,
  observations: readonly Observation[],
  random: Random,
  taken: ReadonlySet<string>,
  options: Partial<ParzenOptions> = {},
): Float64Array[] {
  const { goodFactor, bandwidth, candidates, localShare, wideShare } = { ...parzenDefaults, ...options };
  const scored = observations.filter(({ loss }) => loss !== null).sort((a, b) => a.loss! - b.loss!);
  const failed = observations.filter(({ loss }) => loss === null).map(({ point }) => point);
  const goodCount = Math.min(scored.length, Math.max(1, Math.ceil(goodFactor * Math.sqrt(scored.length))));
  const good = scored.slice(0, goodCount).map(({ point }) => point);
  const bad = [...scored.slice(goodCount).map(({ point }) => point), ...failed];
  // Ranks weigh the good ones: the best counts goodCount times as much as the last of them.
  const ranks = good.map((_, i) => goodCount - i);
  const rankSum = ranks.reduce((sum, rank) => sum + rank, 0);
  const ones = (points: readonly unknown[]) => points.map(() => 1);
  const density = new Density(space, good, ranks.map((rank) => rank / rankSum * goodCount), 1, bandwidth);
  const others = new Density(space, bad, ones(bad), 1, bandwidth);
  const allScored = scored.map(({ point }) => point);
  const working = new Density(space, allScored, ones(allScored), 1e-9, 1.5 * bandwidth);
  const failing = new Density(space, failed, ones(failed), 1e-9, 1.5 * bandwidth);

  const seen = new Set(taken);
  const ranked: { point: Float64Array; score: number }[] = [];
  // A second round, drawn evenly, where the first found nothing new: a small space is searched to its end.
  for (let c = 0; c < 2 * candidates && (c < candidates || ranked.length === 0); c++) {
    let point: Float64Array;
    if (good.length === 0 || c >= candidates) {
      point = new Float64Array(space.axes.map((_, i) => density.anywhere(i, random)));
    } else {
      point = good[random.weighted(ranks)].slice();
      if (random.uniform() < localShare) {
        let changes = 1;
        while (changes < point.length && random.uniform() < 0.5) changes++;
        for (; changes > 0; changes--) {
          const i = random.below(point.length);
          const near = space.axes[i].ordered && random.uniform() < 0.7;
          point[i] = near ? density.draw(i, point[i], random) : density.anywhere(i, random);
        }
      } else {
        for (let i = 0; i < point.length; i++) {
          if (random.uniform() < wideShare) point[i] = density.draw(i, point[i], random);
        }
      }
    }
    const config = space.decode(point);
    const key = space.key(config);
    if (seen.has(key)) continue;
    seen.add(key);
    point = space.encode(config)!; // rounded as it will be tried
    let score = density.log(point) - others.log(point);
    if (failed.length > 0) {
      // Twice the log probability of not failing, by the share of the two densities here.
      const odds = Math.log(failed.length) + failing.log(point) - Math.log(scored.length + 1) - working.log(point);
      score -= 2 * Math.log1p(Math.exp(Math.min(50, odds)));
    }
    ranked.push({ point, score });
  }
  return ranked.sort((a, b) => b.score - a.score).map(({ point }) => point);
}
