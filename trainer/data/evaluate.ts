/**
 * Bits per byte of a model on rows of a data set. The kernels take the cross entropy from logits; the model's code never
 * sees targets or sums. Logits come from a callback, so that they may be computed in another realm.
 * @module
 */
import { check, library } from "../../cuda/lib.ts";

/**
 * Computes logits of `rows` rows.
 * @param tokens i32 `[rows, T]`, the inputs
 * @returns handle of an f32 tensor `[rows, T, V]`; it is read before the next call and stays the callback's to free
 */
export type LogitsOf = (tokens: Int32Array, rows: number) => number | Promise<number>;

/** Scores of single positions. */
export interface PositionScores {
  /** Cross entropy in nats, `[rows · T]`; 0 where the target is −1. */
  readonly nats: Float32Array;
  /** Keyed hash of the bits of each position's logits, `[rows · T]`. */
  readonly hashes: BigUint64Array;
}

/** Bytes of the key of `scoreLogits`. */
export const HASH_KEY_BYTES = 16;

/**
 * Scores logits that are on the device.
 * @param logits handle of f32 `[n, V]` @param targets i32 `[n]`, −1 is ignored @param vocabSize V
 * @param key 16 bytes; hashes under one key can be compared. Where the model's code is not trusted it must not learn the
 * key, or it can make different logits with equal hashes
 */
export function scoreLogits(
  logits: number,
  targets: Int32Array,
  vocabSize: number,
  key: Uint8Array<ArrayBuffer>,
): PositionScores {
  const n = targets.length;
  const nats = new Float32Array(n);
  const hashes = new BigUint64Array(n);
  check(
    library().symbols.rs_score_logits(
      nats,
      nats.byteLength,
      hashes,
      hashes.byteLength,
      targets,
      targets.byteLength,
      key,
      key.byteLength,
      logits,
      n,
      vocabSize,
    ),
    "rs_score_logits",
  );
  return { nats, hashes };
}

/** Σ nats and Σ bytes of targets that are text (special tokens and −1 count in neither). */
export interface BitSums {
  /** Σ of the cross entropies, in nats. */
  readonly nats: number;
  /** Σ of the targets' UTF-8 bytes. */
  readonly bytes: number;
}

/** Sums over positions. @param tokenBytes uint16 `[V]` */
export function bitSums(nats: Float32Array, targets: Int32Array, tokenBytes: Uint16Array): BitSums {
  const out = new Float64Array(2);
  check(
    library().symbols.rs_bits_per_byte_sums(
      out,
      out.byteLength,
      nats,
      nats.byteLength,
      targets,
      targets.byteLength,
      tokenBytes,
      tokenBytes.byteLength,
      targets.length,
      tokenBytes.length,
    ),
    "rs_bits_per_byte_sums",
  );
  return { nats: out[0], bytes: out[1] };
}

/** Bits per byte of sums. @throws RangeError when no target is text */
export function bitsPerByte({ nats, bytes }: BitSums): number {
  if (!(bytes > 0)) throw new RangeError("bits per byte are undefined: no target is text");
  return nats / (Math.LN2 * bytes);
}

/** Splits rows of T+1 tokens into inputs and targets, i32 `[rows, T]` each. */
export function inputsAndTargets(
  rows: Uint16Array,
  sequenceLength: number,
): { inputs: Int32Array; targets: Int32Array } {
  const length = sequenceLength + 1;
  const count = rows.length / length;
  if (!Number.isInteger(count)) throw new RangeError(`${rows.length} tokens are not whole rows of ${length}`);
  const inputs = new Int32Array(count * sequenceLength);
  const targets = new Int32Array(count * sequenceLength);
  for (let row = 0; row < count; row++) {
    inputs.set(rows.subarray(row * length, row * length + sequenceLength), row * sequenceLength);
    targets.set(rows.subarray(row * length + 1, (row + 1) * length), row * sequenceLength);
  }
  return { inputs, targets };
}

/** What `evaluateBpb` needs to know of the data. */
export interface EvaluateOptions {
  /** T. */
  readonly sequenceLength: number;
  /** uint16 `[V]`. */
  readonly tokenBytes: Uint16Array;
  /** Rows a batch, at most. */
  readonly batchRows: number;
  /** Called after each batch. */
  readonly onProgress?: (rowsDone: number, rows: number) => void;
}

/** The score of a set of rows. */
export interface BpbResult extends BitSums {
  /** Σ nats / (ln 2 · Σ bytes). */
  readonly bitsPerByte: number;
  /** Sums of each row. */
  readonly rows: readonly BitSums[];
  /** Hash of each position's logits under a key of zeros, `[rows · T]`. */
  readonly hashes: BigUint64Array;
}

/**
 * val_bpb = Σ nats / (ln 2 · Σ UTF-8 bytes of the targets), special tokens out of both sums. Sums are taken row by row,
 * so that the result does not depend on how the rows are batched.
 * @param logitsOf the model
 * @param rows rows of T+1 tokens, one after another
 */
export async function evaluateBpb(logitsOf: LogitsOf, rows: Uint16Array, options: EvaluateOptions): Promise<BpbResult> {
  const { sequenceLength: t, tokenBytes, batchRows, onProgress } = options;
  const { inputs, targets } = inputsAndTargets(rows, t);
  const count = inputs.length / t;
  const perRow: BitSums[] = [];
  const hashes = new BigUint64Array(inputs.length);
  const key = new Uint8Array(HASH_KEY_BYTES);
  for (let row = 0; row < count; row += batchRows) {
    const end = Math.min(count, row + batchRows);
    const logits = await logitsOf(inputs.slice(row * t, end * t), end - row);
    const scores = scoreLogits(logits, targets.slice(row * t, end * t), tokenBytes.length, key);
    hashes.set(scores.hashes, row * t);
    for (let r = row; r < end; r++) {
      const nats = scores.nats.slice((r - row) * t, (r - row + 1) * t);
      perRow.push(bitSums(nats, targets.slice(r * t, (r + 1) * t), tokenBytes));
    }
    onProgress?.(end, count);
  }
  const nats = perRow.reduce((sum, one) => sum + one.nats, 0);
  const bytes = perRow.reduce((sum, one) => sum + one.bytes, 0);
  return { nats, bytes, bitsPerByte: bitsPerByte({ nats, bytes }), rows: perRow, hashes };
}
