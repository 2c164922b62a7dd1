/**
 * Packs documents into rows of T+1 tokens: each row begins with the BOS token, each document (or what is left of one)
 * with one too, and no token is padding. Best fit: a row takes the longest piece that fits until it is full; where none
 * fits, the longest piece is cut to fill it and its rest, with a BOS of its own, waits for another row. No text is
 * dropped but what is left of the last row. The same documents in the same order give the same rows.
 */

/** Pieces that wait at most; with this many nearly every gap finds a piece of its very length. */
const POOL = 8192;

/** The packer: add documents, then finish; rows arrive at the callback. */
export class Packer {
  readonly #length: number;
  readonly #row: Uint16Array;
  /** Waiting pieces by length, BOS included: 2 … T. A stack each. */
  readonly #pieces: Uint16Array[][];
  /** One bit a length: whether pieces of it wait. */
  readonly #present: Uint32Array;
  #waiting = 0;
  #waitingTokens = 0;
  /** Rows written. */
  rows = 0;

  /**
   * @param sequenceLength T, at least 1
   * @param bos id of the BOS token
   * @param write takes a finished row of T+1 tokens; the array is reused, so copy it
   */
  constructor(
    sequenceLength: number,
    private readonly bos: number,
    private readonly write: (row: Uint16Array) => void,
  ) {
    this.#length = sequenceLength + 1;
    this.#row = new Uint16Array(this.#length);
    this.#pieces = Array.from({ length: this.#length + 1 }, () => []);
    this.#present = new Uint32Array((this.#length >>> 5) + 1);
  }

  /** Adds a document. @param tokens its tokens, without BOS */
  add(tokens: ArrayLike<number>): void {
    const body = this.#length - 1;
    let start = 0;
    for (; tokens.length - start >= body; start += body) {
      this.#row[0] = this.bos;
      for (let i = 0; i < body; i++) this.#row[i + 1] = tokens[start + i];
      this.#emit();
    }
    if (start === tokens.length) return;
    const piece = new Uint16Array(tokens.length - start + 1);
    piece[0] = this.bos;
    for (let i = start; i < tokens.length; i++) piece[i - start + 1] = tokens[i];
    this.#put(piece);
    while (this.#waiting > POOL) this.#fill();
  }

  /** Writes the rows that the waiting pieces fill; what does not fill a row is dropped. */
  finish(): void {
    while (this.#waitingTokens >= this.#length) this.#fill();
  }

  #emit(): void {
    this.rows++;
    this.write(this.#row);
  }

  #put(piece: Uint16Array): void {
    this.#pieces[piece.length].push(piece);
    this.#present[piece.length >>> 5] |= 1 << (piece.length & 31);
    this.#waiting++;
    this.#waitingTokens += piece.length;
  }

  #take(length: number): Uint16Array {
    const piece = this.#pieces[length].pop()!;
    if (this.#pieces[length].length === 0) this.#present[length >>> 5] &= ~(1 << (length & 31));
    this.#waiting--;
    this.#waitingTokens -= length;
    return piece;
  }

  /** Length of the longest waiting piece of at most `limit` tokens, or 0. */
  #longest(limit: number): number {
    let word = limit >>> 5;
    let bits = this.#present[word] & (0xffffffff >>> (31 - (limit & 31)));
    while (bits === 0 && word > 0) bits = this.#present[--word];
    return bits === 0 ? 0 : word * 32 + 31 - Math.clz32(bits);
  }

  /** Fills one row; at least T+1 tokens wait. */
  #fill(): void {
    let filled = 0;
    while (filled < this.#length) {
      const space = this.#length - filled;
      const fits = this.#longest(space);
      const piece = this.#take(fits || this.#longest(this.#length));
      if (fits) {
        this.#row.set(piece, filled);
        filled += fits;
        continue;
      }
      this.#row.set(piece.subarray(0, space), filled);
      filled += space;
      // The rest begins with a BOS again, in the place of the last token that was used.
      const rest = piece.slice(space - 1);
      rest[0] = this.bos;
      this.#put(rest);
    }
    this.#emit();
  }
}
