/**
 * The supervisor's half of the score. Two evaluator processes, so that none ever sees both forms of a row:
 *
 * 1. each row as it is, to one of the two at random: cross entropies, and a hash of the logits of each position, under a
 *    key that is drawn for this scoring and that the model's realm never sees;
 * 2. each row with all tokens after a random cut replaced, to the other one, in a new random order and among other
 *    rows: up to the cut the hashes must be the same, or the model looks ahead, keeps state or mixes rows.
 *
 * Half of the cuts are uniform, half are drawn by exp(−nats): where a loss is low, looking ahead would have paid.
 * @module
 */
import { bitsPerByte, HASH_KEY_BYTES } from "../data/evaluate.ts";
import { describeExit, Ending, GONE, interrupted, seconds } from "./ending.ts";
import { BATCH_ROWS, Evaluator, type ScoringOptions } from "./evaluator_client.ts";
import { ProtocolError } from "./protocol.ts";
import type { RunStatus } from "./types.ts";

/** What the scoring came to. */
export interface ScoringOutcome {
  status: RunStatus;
  reason: string;
  valBpb: number | null;
  forwardSeconds: number;
  /** The last of what the evaluators wrote there. Code that saw validation rows wrote it: nothing for agents. */
  stderr: string;
}

/** A whole number from 0 to `below` − 1 that nobody can foresee. */
function randomBelow(below: number): number {
  return Math.floor(crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32 * below);
}

/** The numbers from 0 to `count` − 1 in an order that nobody can foresee. */
function shuffled(count: number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = randomBelow(last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/** All rows through both passes. */
class Scoring {
  readonly #width: number;
  readonly #rows: number;
  readonly #length: number;
  readonly #nats: Float32Array;
  readonly #hashes: BigUint64Array;
  readonly #owner: Uint8Array;
  readonly #batchRows: number;
  #done = 0;

  constructor(readonly options: ScoringOptions, readonly evaluators: Evaluator[]) {
    const { tokens, setup, batchElements } = options;
    if (!(batchElements >= 1)) throw new RangeError(`batchElements must be 1 or more, got ${batchElements}`);
    this.#length = setup.sequenceLength;
    this.#width = this.#length + 1;
    this.#rows = tokens.length / this.#width;
    this.#nats = new Float32Array(this.#rows * this.#length);
    this.#hashes = new BigUint64Array(this.#rows * this.#length);
    this.#owner = new Uint8Array(this.#rows);
    const fitting = Math.floor(batchElements / (this.#length * setup.vocabSize));
    // Two batches a process or more, where there are rows for that: a row must get other neighbours in pass 2.
    const quarter = Math.ceil(this.#rows / 4);
    this.#batchRows = Math.max(1, Math.min(BATCH_ROWS, fitting, quarter));
  }

  #row(row: number): Uint16Array {
    return this.options.tokens.subarray(row * this.#width, (row + 1) * this.#width);
  }

  /** Sends `queue` to an evaluator batch by batch. `form` writes what is sent for a row. */
  async #pass(
    evaluator: Evaluator,
    queue: number[],
    form: (row: number, target: Uint16Array) => void,
    take: (row: number, nats: Float32Array, hashes: BigUint64Array) => void | Promise<void>,
  ): Promise<void> {
    for (let from = 0; from < queue.length; from += this.#batchRows) {
      const batch = queue.slice(from, from + this.#batchRows);
      const tokens = new Uint16Array(batch.length * this.#width);
      batch.forEach((row, index) => form(row, tokens.subarray(index * this.#width, (index + 1) * this.#width)));
      const { nats, hashes } = await evaluator.score(tokens, batch.length);
      for (const [index, row] of batch.entries()) {
        const [first, last] = [index * this.#length, (index + 1) * this.#length];
        await take(row, nats.subarray(first, last), hashes.subarray(first, last));
      }
      this.#done += batch.length;
      this.options.progress?.(this.#done / (2 * this.#rows));
    }
  }

  async asTheyAre(): Promise<void> {
    const order = shuffled(this.#rows);
    const half = Math.ceil(this.#rows / 2);
    order.slice(half).forEach((row) => this.#owner[row] = 1);
    const keep = (row: number, nats: Float32Array, hashes: BigUint64Array) => {
      const wrong = nats.findIndex((value) => !Number.isFinite(value));
      if (wrong >= 0) throw new Ending("void", `non-finite logits at position ${wrong} of a validation row`);
      this.#nats.set(nats, row * this.#length);
      this.#hashes.set(hashes, row * this.#length);
    };
    await Promise.all(
      [order.slice(0, half), order.slice(half)].map((queue, index) =>
        this.#pass(this.evaluators[index], queue, (row, target) => target.set(this.#row(row)), keep)
      ),
    );
  }

  /**
   * The last position of row `row` whose logits may not change, 0 … T−1. The last of them leaves the inputs as they are:
   * the row beside other rows in another process, which is the only probe that position T−1 can have.
   */
  #drawCut(row: number): number {
    const positions = this.#length;
    if (randomBelow(2) === 0) return randomBelow(positions);
    const nats = this.#nats.subarray(row * this.#length, row * this.#length + positions);
    const total = nats.reduce((sum, value) => sum + Math.exp(-value), 0);
    let left = randomBelow(2 ** 32) / 2 ** 32 * total;
    const cut = nats.findIndex((value) => (left -= Math.exp(-value)) < 0);
    return cut < 0 ? positions - 1 : cut;
  }

  /** A row with other tokens after the cut. */
  #cutRow(row: number, cut: number): Uint16Array {
    const tokens = this.#row(row).slice();
    const { vocabSize } = this.options.setup;
    // Never the token that stood there: moved on by 1 … V−1.
    for (let at = cut + 1; at < tokens.length; at++) {
      tokens[at] = (tokens[at] + 1 + randomBelow(vocabSize - 1)) % vocabSize;
    }
    return tokens;
  }

  /** First position up to the cut at which `hashes` differ from those of pass 1, or −1. */
  #firstDifference(row: number, cut: number, hashes: BigUint64Array): number {
    for (let at = 0; at <= cut; at++) if (hashes[at] !== this.#hashes[row * this.#length + at]) return at;
    return -1;
  }

  async cut(): Promise<void> {
    const cuts = Array.from({ length: this.#rows }, (_, row) => this.#drawCut(row));
    const order = shuffled(this.#rows);
    let found: { row: number; at: number; cutRow: Uint16Array } | null = null;
    await Promise.all(this.evaluators.map((evaluator, index) => {
      const forms = new Map<number, Uint16Array>();
      return this.#pass(
        evaluator,
        order.filter((row) => this.#owner[row] !== index),
        (row, target) => {
          forms.set(row, this.#cutRow(row, cuts[row]));
          target.set(forms.get(row)!);
        },
        (row, _nats, hashes) => {
          const at = this.#firstDifference(row, cuts[row], hashes);
          if (at >= 0) found ??= { row, at, cutRow: forms.get(row)! };
          forms.delete(row);
        },
      );
    }));
    if (found !== null) await this.#explain(found, cuts);
  }

  /** Names the rule that was broken, from a few further questions about the row; the verdict stands already. */
  async #explain(found: { row: number; at: number; cutRow: Uint16Array }, cuts: number[]): Promise<never> {
    const { row, at, cutRow } = found;
    const evaluator = this.evaluators[1 - this.#owner[row]];
    const alone = async (tokens: Uint16Array) => (await evaluator.score(tokens, 1)).hashes[at];
    const where = `the logits of position ${at} of a validation row`;
    let first, again, cut;
    try {
      [first, again, cut] = [await alone(this.#row(row)), await alone(this.#row(row)), await alone(cutRow)];
    } catch (cause) {
      throw new Ending("void", `${where} change with later tokens, other rows or earlier calls`, { cause });
    }
    if (first !== again) throw new Ending("void", `stateful: ${where} change when the same row comes again`);
    if (first !== cut) {
      throw new Ending("void", `non-causal: ${where} change with the tokens after position ${cuts[row]}`);
    }
    throw new Ending("void", `row-leaking or stateful: ${where} depend on the rows beside or before it`);
  }

  /** Bits per byte from the first pass, summed row by row as `evaluateBpb` does. */
  bitsPerByte(): number {
    const { tokenBytes } = this.options;
    let nats = 0;
    let bytes = 0;
    for (let row = 0; row < this.#rows; row++) {
      const tokens = this.#row(row);
      let rowNats = 0;
      for (let at = 0; at < this.#length; at++) {
        const size = tokenBytes[tokens[at + 1]];
        if (size === 0) continue;
        rowNats += this.#nats[row * this.#length + at];
        bytes += size;
      }
      nats += rowNats;
    }
    return bitsPerByte({ nats, bytes });
  }
}

/** Scores a checkpoint. The evaluators are gone when this returns. */
export async function superviseScoring(options: ScoringOptions): Promise<ScoringOutcome> {
  const outcome: ScoringOutcome = { status: "ok", reason: "", valBpb: null, forwardSeconds: 0, stderr: "" };
  const deadline = seconds() + options.limitSeconds;
  const hashKey = crypto.getRandomValues(new Uint8Array(HASH_KEY_BYTES));
  const evaluators = [0, 1].map(() => new Evaluator(options, deadline, hashKey));
  let unexpected: unknown = null;
  try {
    await Promise.all(evaluators.map((evaluator) => evaluator.load()));
    const start = seconds();
    const scoring = new Scoring(options, evaluators);
    await scoring.asTheyAre();
    await scoring.cut();
    outcome.forwardSeconds = seconds() - start;
    outcome.valBpb = scoring.bitsPerByte();
  } catch (error) {
    if (error instanceof Ending) [outcome.status, outcome.reason] = [error.status, error.message];
    else if (error instanceof ProtocolError) {
      // Without numbers: they can be the code's, and say something of the validation rows.
      [outcome.status, outcome.reason] = ["void", `protocol: ${error.message.replaceAll(/\d+/g, "…")}`];
    } else unexpected = error;
  }
  for (const { child } of evaluators) {
    const exit = await child.kill();
    if (outcome.reason === GONE && interrupted(exit)) [outcome.status, outcome.reason] = ["aborted", "interrupted"];
    // The one that ended by itself, not the one that was ended for it.
    if (outcome.reason === GONE && exit.signal !== "SIGKILL") {
      outcome.reason = `scoring: an evaluator ${describeExit(exit, "")}`;
    }
    outcome.stderr += child.stderrTail;
  }
  if (unexpected !== null) throw unexpected;
  if (outcome.reason === GONE) outcome.reason = "scoring: an evaluator was killed (by the system, short of memory?)";
  return outcome;
}
