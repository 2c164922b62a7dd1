/**
 * Batches for `bench train`: random tokens, or rows that `bench export-rows` wrote.
 * @module
 */
import type { Batch } from "../contract.ts";
import { inputsAndTargets } from "../data/evaluate.ts";
import { keep, Tensor } from "../tensor.ts";

/** Gives batches for ever; each lives until `release`. */
export interface BatchSource {
  /** Rows of one pass; Infinity for random tokens: they are for timings, where no row counts as read again. */
  readonly rowCount: number;
  next(rows: number): Batch;
  release(): void;
}

/** A generator of 32-bit numbers (mulberry32), for data alone. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function upload(rows: Uint16Array, sequenceLength: number): Batch {
  const { inputs, targets } = inputsAndTargets(rows, sequenceLength);
  const shape = [inputs.length / sequenceLength, sequenceLength];
  return { inputs: keep(Tensor.from(inputs, shape)), targets: keep(Tensor.from(targets, shape)) };
}

/** Batches that were given out, to be freed at the end of their step. */
class Live {
  readonly #batches: Batch[] = [];

  add(batch: Batch): Batch {
    this.#batches.push(batch);
    return batch;
  }

  release(): void {
    for (const { inputs, targets } of this.#batches.splice(0)) {
      inputs.dispose();
      targets.dispose();
    }
  }
}

/** Four batches of random tokens, over and over, each uploaded as a run's batches are. */
export function randomBatches(seed: number, vocabSize: number, sequenceLength: number): BatchSource {
  const random = generator(seed);
  const pool: Uint16Array[] = [];
  const live = new Live();
  let turn = 0;
  return {
    rowCount: Infinity,
    next(rows) {
      const length = rows * (sequenceLength + 1);
      const at = turn++ % 4;
      if (pool[at]?.length !== length) {
        pool[at] = Uint16Array.from({ length }, () => Math.floor(random() * vocabSize));
      }
      return live.add(upload(pool[at], sequenceLength));
    },
    release: () => live.release(),
  };
}

/** Rows of T+1 tokens in a new random order for each pass over them. */
export function rowBatches(seed: number, data: Uint16Array, sequenceLength: number): BatchSource {
  const random = generator(seed);
  const length = sequenceLength + 1;
  const count = data.length / length;
  let order: number[] = [];
  const live = new Live();
  return {
    rowCount: count,
    next(rows) {
      const tokens = new Uint16Array(rows * length);
      for (let row = 0; row < rows; row++) {
        if (order.length === 0) order = shuffled(count, random);
        const from = order.pop()! * length;
        tokens.set(data.subarray(from, from + length), row * length);
      }
      return live.add(upload(tokens, sequenceLength));
    },
    release: () => live.release(),
  };
}

function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/**
 * Reads a file of little-endian uint16 rows.
 * @throws Error, in one sentence, when it cannot be read, is not whole rows, or has a token beyond the vocabulary
 */
export async function readRows(path: string, sequenceLength: number, vocabSize: number): Promise<Uint16Array> {
  const bytes = await Deno.readFile(path).catch((cause) => {
    throw new Error(`${path} cannot be read: ${cause.message}`, { cause });
  });
  const rowBytes = 2 * (sequenceLength + 1);
  if (bytes.length === 0 || bytes.length % rowBytes !== 0) {
    throw new Error(`${path} is not whole rows of ${sequenceLength + 1} tokens: it has ${bytes.length} bytes`);
  }
  const rows = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const beyond = rows.find((token) => token >= vocabSize);
  if (beyond !== undefined) throw new Error(`${path} has the token ${beyond}, the vocabulary ${vocabSize} entries`);
  return rows;
}
