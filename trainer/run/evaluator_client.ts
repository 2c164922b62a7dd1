/**
 * The supervisor's end of one evaluator process: questions in order, answers with the secret.
 * @module
 */
import { Ending, failureStatus, GONE, seconds } from "./ending.ts";
import { Child, nextFrame } from "./processes.ts";
import { decodeFailure, encodeJson, Frame, ProtocolError, type ReceivedFrame } from "./protocol.ts";
import type { ChildSetup, EvaluatorFirstFrame } from "./setups.ts";

/** What the scoring is given. */
export interface ScoringOptions {
  script: string;
  setup: ChildSetup;
  /** Tokens of whole rows of T+1. */
  tokens: Uint16Array;
  /** UTF-8 bytes of each token, 0 for special ones. */
  tokenBytes: Uint16Array;
  /** For one answer, and for all of it. */
  stallSeconds: number;
  limitSeconds: number;
  /** Logits of one batch, at most; a row is scored in any case. */
  batchElements: number;
  signal?: AbortSignal;
  /** Share done so far. */
  progress?(share: number): void;
}

const SECRET_BYTES = 32;
/** Rows of one question, at most. */
export const BATCH_ROWS = 32;
/** Seconds until the model must be rebuilt. */
const LOAD_SECONDS = 120;

/** Answer to one batch. */
export interface Scored {
  nats: Float32Array;
  hashes: BigUint64Array;
}

/** Names of errors that a reason may repeat; any other is an Error. */
const ERROR_NAMES = ["TypeError", "RangeError", "ReferenceError", "SyntaxError", "KernelError", "DisposedError"];

/**
 * A fixed sentence for an error of code that has seen validation rows. Its own words would be a way out for them: the
 * reason of a run is read by whoever writes the next `train.ts`.
 */
export function tellFailure(name: string, message: string): string {
  const access = /Requires (read|write|net|env|run|sys|ffi|import) access/.exec(message)?.[1];
  if (access !== undefined) return `logits: it asked for ${access} access`;
  if (name === "ShapeError") {
    return "logits: a ShapeError; it must return an f32 tensor [rows, T, V] and give the operations fitting shapes";
  }
  return `logits: ${
    ERROR_NAMES.includes(name) ? name : "Error"
  } (its message could hold validation rows and is not told)`;
}

/** One evaluator process. */
export class Evaluator {
  readonly child: Child;
  /** Stands before every answer; sent once, before the code under test is there. */
  readonly #secret = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  /** Stands before every question, where the code under test may read it: another one, good for nothing else. */
  readonly #mark = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
  #sequence = 0;

  /**
   * @param hashKey of the hashes of logits; drawn for each scoring and unknown to the code under test, which could make
   * different logits with equal hashes if it knew
   */
  constructor(readonly options: ScoringOptions, readonly deadline: number, readonly hashKey: Uint8Array) {
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
      hashKey: Array.from(this.hashKey),
    };
    await this.child.send(Frame.setup, encodeJson(setup));
    await this.#receive(Frame.ready, LOAD_SECONDS, "did not rebuild the model");
  }

  /** The next frame, if it is of `kind` and comes from the realm that holds the secret. */
  async #receive(kind: number, patience: number, what: string): Promise<ReceivedFrame> {
    const left = Math.min(patience, this.deadline - seconds());
    const waited = await nextFrame(this.child, left, this.options.signal);
    if ("aborted" in waited) throw new Ending("aborted", "stopped by the caller");
    if ("late" in waited) {
      throw new Ending("timeout", `scoring: an evaluator ${what} within ${Math.max(0, left).toFixed(0)} s`);
    }
    if (waited.frame === null) throw new Ending("crash", GONE);
    const { payload } = waited.frame;
    // Compared in full: the code under test writes to the same stdout and may guess for as long as it likes.
    let differences = payload.length < SECRET_BYTES ? 1 : 0;
    for (let index = 0; index < SECRET_BYTES; index++) differences |= (payload[index] ?? 0) ^ this.#secret[index];
    if (differences !== 0) throw new ProtocolError("an answer came without the secret: the code wrote to stdout");
    const body = payload.slice(SECRET_BYTES);
    if (waited.frame.kind === Frame.failed) {
      const { phase, name, message } = decodeFailure(body);
      const broken = phase === "score" || ["Mismatch", "ProtocolError", "ShapeError"].includes(name);
      // Before the first question no validation row was there to be told.
      const what = this.#sequence === 0 || phase === "score" ? `${phase}: ${message}` : tellFailure(name, message);
      throw new Ending(broken ? "void" : failureStatus(name, message), `scoring: ${what}`);
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
