/**
 * The order in which a run sees the rows: a function of its seed and of the number of rows, of nothing else.
 *
 * Epoch e of seed s is a Fisher–Yates shuffle of 0 … rows−1, driven by xoshiro128** (Blackman and Vigna, 2018) whose four
 * words are the first outputs of splitmix32 from s ⊕ (e · 0x9e3779b9). An index below n is ⌊u·n⌋ with u of 53 bits.
 */

/** A generator of 32-bit words: xoshiro128** seeded through splitmix32. */
export function xoshiro128(seed: number): () => number {
  const state = new Uint32Array(4);
  for (let i = 0, s = seed >>> 0; i < 4; i++) {
    s = (s + 0x9e3779b9) >>> 0;
    let z = s;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    state[i] = z ^ (z >>> 16);
  }
  const rotate = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  return () => {
    const result = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
    const t = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 11);
    return result;
  };
}

/** 0 … n−1 in the order of a seed. */
export function permutation(n: number, seed: number): Uint32Array<ArrayBuffer> {
  const next = xoshiro128(seed);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const u = (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53;
    const j = Math.floor(u * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Rows in a seed's order, epoch after epoch, from any position on. */
export class RowOrder {
  #epoch = -1;
  #order = new Uint32Array(0);

  /**
   * Creates one.
   * @param rows number of rows, at least 1
   * @param seed unsigned 32-bit number
   */
  constructor(readonly rows: number, readonly seed: number) {
    if (!Number.isSafeInteger(rows) || rows < 1) throw new RangeError(`an order needs one row or more, got ${rows}`);
  }

  /** The row at a position; position p is in epoch ⌊p / rows⌋. */
  at(position: number): number {
    const epoch = Math.floor(position / this.rows);
    if (epoch !== this.#epoch) {
      this.#order = permutation(this.rows, (this.seed ^ Math.imul(epoch, 0x9e3779b9)) >>> 0);
      this.#epoch = epoch;
    }
    return this.#order[position - epoch * this.rows];
  }

  /** The rows at `count` positions from `position` on. */
  slice(position: number, count: number): number[] {
    return Array.from({ length: count }, (_, i) => this.at(position + i));
  }
}
