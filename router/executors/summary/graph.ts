/**
 * Which sentences stand for the others: LexRank (Erkan and Radev, 2004, arXiv 1109.2128) over cosine similarities, and
 * the distance from the centre of the text. Knows numbers only.
 * @module
 */

/** One sentence as weighted terms, sorted by term, with length 1 (or no terms at all). */
export interface TermVector {
  /** Numbers of the terms, ascending. */
  readonly terms: Int32Array;
  /** Their weights. */
  readonly weights: Float64Array;
}

/** A vector of length 1 from counts. @param weightOf weight of a term that occurs once */
export function termVector(counts: ReadonlyMap<number, number>, weightOf: (term: number) => number): TermVector {
  const terms = Int32Array.from(counts.keys()).sort();
  const weights = Float64Array.from(terms, (term) => counts.get(term)! * weightOf(term));
  const norm = Math.sqrt(weights.reduce((sum, weight) => sum + weight * weight, 0));
  if (norm > 0) { for (let at = 0; at < weights.length; at++) weights[at] /= norm; }
  return { terms, weights };
}

/** Cosine of two vectors, 0 to 1. */
export function cosine(a: TermVector, b: TermVector): number {
  let sum = 0;
  for (let i = 0, j = 0; i < a.terms.length && j < b.terms.length;) {
    if (a.terms[i] === b.terms[j]) sum += a.weights[i++] * b.weights[j++];
    else if (a.terms[i] < b.terms[j]) i++;
    else j++;
  }
  return sum;
}

/** The sum of vectors, with length 1. @param scale weight of each vector */
export function centroid(vectors: readonly TermVector[], scale: (index: number) => number = () => 1): TermVector {
  const sums = new Map<number, number>();
  vectors.forEach(({ terms, weights }, index) => {
    const factor = scale(index);
    for (let at = 0; at < terms.length; at++) sums.set(terms[at], (sums.get(terms[at]) ?? 0) + factor * weights[at]);
  });
  return termVector(sums, () => 1);
}

/** All cosines of n vectors, row by row, found through the terms that they share. */
export function similarities(vectors: readonly TermVector[]): Float64Array {
  const n = vectors.length;
  const matrix = new Float64Array(n * n);
  const postings = new Map<number, { index: number; weight: number }[]>();
  for (let row = 0; row < n; row++) {
    const { terms, weights } = vectors[row];
    for (let at = 0; at < terms.length; at++) {
      const list = postings.get(terms[at]) ?? [];
      for (const { index, weight } of list) matrix[row * n + index] += weight * weights[at];
      list.push({ index: row, weight: weights[at] });
      postings.set(terms[at], list);
    }
  }
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < row; column++) matrix[column * n + row] = matrix[row * n + column];
    matrix[row * n + row] = 1;
  }
  return matrix;
}

/** Share of a walk that jumps anywhere, as in the paper. */
const DAMPING = 0.15;

/**
 * The stationary distribution of a walk from sentence to similar sentence, scaled so that its largest value is 1.
 * @param bias where jumps lead, such as a preference for the beginning; any positive weights
 */
export function lexRank(matrix: Float64Array, n: number, bias?: readonly number[]): Float64Array {
  const jump = Float64Array.from({ length: n }, (_, index) => bias?.[index] ?? 1);
  const total = jump.reduce((sum, value) => sum + value, 0) || 1;
  for (let index = 0; index < n; index++) jump[index] /= total;
  const out = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < n; column++) if (column !== row) out[row] += matrix[row * n + column];
  }
  let rank = jump.slice();
  for (let round = 0; round < 60; round++) {
    const next = new Float64Array(n);
    let loose = 0;
    for (let row = 0; row < n; row++) {
      if (out[row] === 0) {
        loose += rank[row];
        continue;
      }
      const flow = rank[row] / out[row];
      for (let column = 0; column < n; column++) {
        if (column !== row) next[column] += flow * matrix[row * n + column];
      }
    }
    let change = 0;
    for (let index = 0; index < n; index++) {
      next[index] = DAMPING * jump[index] + (1 - DAMPING) * (next[index] + loose * jump[index]);
      change += Math.abs(next[index] - rank[index]);
    }
    rank = next;
    if (change < 1e-6) break;
  }
  const highest = rank.reduce((high, value) => Math.max(high, value), 0) || 1;
  return rank.map((value) => value / highest);
}
