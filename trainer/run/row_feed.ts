/**
 * The rows of one training in the order of its seed, read ahead of their request.
 * @module
 */
import { RowOrder } from "../data/order.ts";

/** Rows to train on; the harness's `Dataset` is one. */
export interface RowSource {
  readonly vocabSize: number;
  readonly sequenceLength: number;
  /** UTF-8 bytes of each token, 0 for special ones. */
  readonly tokenBytes: Uint16Array;
  rowCount(split: "train" | "val"): number;
  /** Tokens of whole rows of T+1. */
  readRows(split: "train" | "val", rows: ArrayLike<number>): Uint16Array;
}

/** Rows ahead of their request, so that the worker does not wait for the disk. */
export class RowFeed {
  #order: RowOrder;
  #position = 0;
  #next: Uint16Array | null = null;
  #nextRows = 0;

  constructor(readonly source: RowSource, seed: number) {
    this.#order = new RowOrder(source.rowCount("train"), seed);
  }

  #read(rows: number): Uint16Array {
    const numbers = this.#order.slice(this.#position, rows);
    this.#position += rows;
    return this.source.readRows("train", numbers);
  }

  take(rows: number): Uint16Array {
    const width = this.source.sequenceLength + 1;
    if (this.#next === null) return this.#read(rows);
    const ready = this.#next;
    const readyRows = this.#nextRows;
    this.#next = null;
    if (readyRows === rows) return ready;
    if (readyRows > rows) {
      this.#next = ready.slice(rows * width);
      this.#nextRows = readyRows - rows;
      return ready.slice(0, rows * width);
    }
    const rest = this.#read(rows - readyRows);
    const joined = new Uint16Array(rows * width);
    joined.set(ready);
    joined.set(rest, readyRows * width);
    return joined;
  }

  /** Reads ahead what will probably be asked for next. */
  prefetch(rows: number): void {
    if (this.#next !== null) return;
    this.#next = this.#read(rows);
    this.#nextRows = rows;
  }
}
