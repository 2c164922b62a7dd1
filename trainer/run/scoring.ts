/**
 * The supervisor's half of the score. Two evaluator processes, so that none ever sees both forms of a row:
 *
 * 1. each row as it is, to one of the two at random: cross entropies, and a hash of the logits of each position;
 * 2. each row with all tokens after a random cut replaced, to the other one, in a new random order and among other
 *    rows: up to the cut the hashes must be the same, or the model looks ahead, keeps state or mixes rows.
 *
 * Half of the cuts are uniform, half are drawn by exp(−nats): where a loss is low, looking ahead would have paid.
 * @module
 */
import type { Config } from "../contract.ts";
import { bitsPerByte } from "../data/evaluate.ts";
import { Child, nextFrame } from "./processes.ts";
import { decodeFailure, encodeJson, Frame, ProtocolError, type ReceivedFrame } from "./protocol.ts";
import { describeExit, failureStatus, interrupted, seconds } from "./training.ts";
import type { RunStatus } from "./types.ts";

/** What an evaluator is told. */
export interface EvaluatorSetup {
  libraryPath: string;
  threads: number;
  trainUrl: string;
  codeFolders: string[];
  checkpoint: string;
  seed: number;
  vocabSize: number;
  sequenceLength: number;
  dtype: "f32" | "bf16";
  overrides: Config;
}

/** The first frame that an evaluator gets. */
export interface EvaluatorFirstFrame {
  setup: EvaluatorSetup;
  /** What its answers must begin with. */
  secret: number[];
  /** What the questions begin with. */
  mark: number[];
}

/** What the scoring is given. */
export interface ScoringOptions {
  script: string;
  setup: EvaluatorSetup;
  /** Tokens of whole rows of T+1. */
  tokens: Uint16Array;
  /** UTF-8 bytes of each token, 0 for special ones. */
  tokenBytes: Uint16Array;
  /** For one answer, and for all of it. */
  stallSeconds: number;
  limitSeconds: number;
  signal?: AbortSignal;
  /** Share done so far. */
  progress?(share: number): void;
}

/** What the scoring came to. */
export interface ScoringOutcome {
  status: RunStatus;
  reason: string;
  valBpb: number | null;
  forwardSeconds: number;
  stderr: string;
}

/** The end of a scoring without a score. */
class Refusal extends Error {
  constructor(readonly status: RunStatus, reason: string) {
    super(reason);
  }
}

/** Stands for the reason until the exit status is known. */
const GONE = "scoring: an evaluator ended";
const SECRET_BYTES = 32;
/** Logits of one batch, at most; a row is scored in any case. */
const BATCH_ELEMENTS = 2 ** 25;
const BATCH_ROWS = 32;
/** Seconds until the model must be rebuilt. */
const LOAD_SECONDS = 120;

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

/** Answer to one batch. */
interface Scored {
  nats: Float32Array;
  hashes: BigUint64Array;
}

/** One evaluator process. */
class Evaluator {
  readonly child: Child;
  /** Stands before every answer; sent once, before the code under test is there. */
  readonly #secret = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  /** Stands before every question, where the code under test may read it: another one, good for nothing else. */
  readonly #mark = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  #sequence = 0;

  constructor(readonly options: ScoringOptions, readonly deadline: number) {
    const { setup } = options;
    const positions = BATCH_ROWS * setup.sequenceLength;
    this.child = new Child(options.script, {
      ffi: setup.libraryPath,
      read: [...setup.codeFolders, setup.checkpoint],
      write: [],
      workerOptions: true,
    }, SECRET_BYTES + 2 ** 16 + 12 * positions);
  }

  /** Rebuilds the model there. */
  async load(): Promise<void> {
    const setup: EvaluatorFirstFrame = {
      setup: this.options.setup,
      secret: Array.from(this.#secret),
      mark: Array.from(this.#mark),
    };
    await this.child.send(Frame.setup, encodeJson(setup));
    await this.#receive(Frame.ready, LOAD_SECONDS, "did not rebuild the model");
  }

  /** The next frame, if it is of `kind` and comes from the realm that holds the secret. */
  async #receive(kind: number, patience: number, what: string): Promise<ReceivedFrame> {
    const left = Math.min(patience, this.deadline - seconds());
    const waited = await nextFrame(this.child, left, this.options.signal);
    if ("aborted" in waited) throw new Refusal("aborted", "stopped by the caller");
    if ("late" in waited) {
      throw new Refusal("timeout", `scoring: an evaluator ${what} within ${Math.max(0, left).toFixed(0)} s`);
    }
    if (waited.frame === null) {
      throw new Refusal("crash", GONE);
    }
    const { payload } = waited.frame;
    // Compared in full: the code under test writes to the same stdout and may guess for as long as it likes.
    let differences = payload.length < SECRET_BYTES ? 1 : 0;
    for (let index = 0; index < SECRET_BYTES; index++) differences |= (payload[index] ?? 0) ^ this.#secret[index];
    if (differences !== 0) throw new ProtocolError("an answer came without the secret: the code wrote to stdout");
    const body = payload.slice(SECRET_BYTES);
    if (waited.frame.kind === Frame.failed) {
      const { phase, name, message } = decodeFailure(body);
      const broken = phase === "score" || ["Mismatch", "ProtocolError", "ShapeError"].includes(name);
      throw new Refusal(broken ? "void" : failureStatus(name, message), `scoring: ${phase}: ${message}`);
    }
    if (waited.frame.kind !== kind) throw new ProtocolError(`a frame of kind ${waited.frame.kind} came`);
    return { kind, payload: body };
  }

  /** Cross entropies and hashes of `rows` rows. */
  async score(tokens: Uint16Array, rows: number): Promise<Scored> {
    const number = this.#sequence++;
    const payload = new Uint8Array(8 + tokens.byteLength);
    new DataView(payload.buffer).setUint32(0, number, true);
    new DataView(payload.buffer).setUint32(4, rows, true);
    payload.set(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength), 8);
    await this.child.send(Frame.score, payload, this.#mark);
    const answer = (await this.#receive(Frame.scored, this.options.stallSeconds, "did not answer")).payload;
    const positions = rows * this.options.setup.sequenceLength;
    if (answer.length !== 4 + 12 * positions || new DataView(answer.buffer).getUint32(0, true) !== number) {
      throw new ProtocolError("an answer belongs to other rows");
    }
    return {
      nats: new Float32Array(answer.buffer.slice(4, 4 + 4 * positions)),
      hashes: new BigUint64Array(answer.buffer.slice(4 + 4 * positions)),
    };
  }
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
    const { tokens, setup } = options;
    this.#length = setup.sequenceLength;
    this.#width = this.#length + 1;
    this.#rows = tokens.length / this.#width;
    this.#nats = new Float32Array(this.#rows * this.#length);
    this.#hashes = new BigUint64Array(this.#rows * this.#length);
    this.#owner = new Uint8Array(this.#rows);
    const fitting = Math.floor(BATCH_ELEMENTS / (this.#length * setup.vocabSize));
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
      if (wrong >= 0) throw new Refusal("void", `non-finite logits at position ${wrong} of a validation row`);
      this.#nats.set(nats, row * this.#length);
      this.#hashes.set(hashes, row * this.#length);
    };
    await Promise.all(
      [order.slice(0, half), order.slice(half)].map((queue, index) =>
        this.#pass(this.evaluators[index], queue, (row, target) => target.set(this.#row(row)), keep)
      ),
    );
  }

  /** The last position of row `row` whose logits may not change. */
  #drawCut(row: number): number {
    const positions = this.#length - 1;
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
    const [first, again, cut] = [await alone(this.#row(row)), await alone(this.#row(row)), await alone(cutRow)];
    const where = `the logits of position ${at} of a validation row`;
    if (first !== again) throw new Refusal("void", `stateful: ${where} change when the same row comes again`);
    if (first !== cut) {
      throw new Refusal("void", `non-causal: ${where} change with the tokens after position ${cuts[row]}`);
    }
    throw new Refusal("void", `row-leaking or stateful: ${where} depend on the rows beside or before it`);
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
  const evaluators = [new Evaluator(options, deadline), new Evaluator(options, deadline)];
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
    if (error instanceof Refusal) [outcome.status, outcome.reason] = [error.status, error.message];
    else if (error instanceof ProtocolError) [outcome.status, outcome.reason] = ["void", `protocol: ${error.message}`];
    else unexpected = error;
  }
  for (const { child } of evaluators) {
    const exit = await child.kill();
    // The one that ended by itself, not the one that was ended for it.
    if (outcome.reason === GONE && interrupted(exit)) [outcome.status, outcome.reason] = ["aborted", "interrupted"];
    if (outcome.reason === GONE && exit.signal !== "SIGKILL") {
      outcome.reason = `scoring: an evaluator ${describeExit(exit, child.stderrTail)}`;
    }
    outcome.stderr += child.stderrLog;
  }
  if (unexpected !== null) throw unexpected;
  return outcome;
}
