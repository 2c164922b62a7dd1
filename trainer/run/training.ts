/**
 * The supervisor's half of the training: serves rows, owns the clock, watches the losses and ends the worker. Believes
 * nothing that the worker says: times are taken when a frame arrives, the weights are read from the file.
 * @module
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { type Budget, freeSetupSeconds, killAfter, latestReturn, latestSave, StepClock } from "./clock.ts";
import { describeExit, Ending, failureStatus, GONE, interrupted, seconds } from "./ending.ts";
import { Child, nextFrame, type Waited } from "./processes.ts";
import { decodeFailure, decodeJson, encodeJson, Frame, ProtocolError, type ReceivedFrame } from "./protocol.ts";
import { RowFeed, type RowSource } from "./row_feed.ts";
import type { WorkerSetup } from "./setups.ts";
import type { CurvePoint, RunEvents, RunStatus } from "./types.ts";

/** File names inside a run folder. */
export const checkpointName = "checkpoint.safetensors";

/** What the training is given. */
export interface TrainingOptions {
  script: string;
  runFolder: string;
  setup: WorkerSetup;
  budget: Budget;
  rows: RowSource;
  stallSeconds: number;
  signal?: AbortSignal;
}

/** What the training came to. */
export interface TrainingOutcome {
  status: RunStatus;
  reason: string;
  trainingSeconds: number;
  clock: number[];
  curve: CurvePoint[];
  tokens: number;
  depth: number | null;
  peakBytes: number;
  operations: number;
  /** Operations a second that the machine could do, 0 when it was not measured. */
  peakRate: number;
  stderr: string;
}

/** A number that a worker told, 0 where it is none. */
const told = (value: unknown): number => typeof value === "number" && value >= 0 && Number.isFinite(value) ? value : 0;

/** Longest payload that a worker has reason to send. */
const WORKER_FRAME_BYTES = 2 ** 16;
/** Rows of one request, at most. */
const MAX_ROWS = 2 ** 16;
/** Steps after which a loss of `EXPLODED` times that of guessing (ln V), three in a row, ends a run. */
const EXPLODED_FROM_STEP = 20;
const EXPLODED = 2;
const EXPLODED_TIMES = 3;

/** Follows the losses and says when to stop. */
class LossWatch {
  #above = 0;
  constructor(readonly vocabSize: number) {}

  see(step: number, loss: number): void {
    if (!Number.isFinite(loss)) throw new Ending("nan", `the loss of step ${step} is ${loss}`);
    this.#above = step > EXPLODED_FROM_STEP && loss > EXPLODED * Math.log(this.vocabSize) ? this.#above + 1 : 0;
    if (this.#above >= EXPLODED_TIMES) {
      const guess = Math.log(this.vocabSize).toFixed(2);
      throw new Ending("exploded", `the loss of step ${step} is ${loss.toFixed(2)} nats; guessing has ${guess}`);
    }
  }
}

/** One training, from the worker's start to its end. */
class Training {
  readonly #clock: StepClock;
  readonly #feed: RowFeed;
  readonly #watch: LossWatch;
  readonly #child: Child;
  /** When training began; until then the moment at which set-up begins to be charged. */
  #origin: number;
  #setupStart: number;
  #firstBatch = false;
  #ended = false;
  #returnedAt: number | null = null;
  readonly outcome: TrainingOutcome;

  constructor(readonly options: TrainingOptions, readonly events: RunEvents) {
    const { budget, rows, setup } = options;
    this.#clock = new StepClock(budget);
    this.#feed = new RowFeed(rows, setup.seed);
    this.#watch = new LossWatch(rows.vocabSize);
    this.#setupStart = seconds();
    this.#origin = Infinity;
    this.outcome = {
      status: "ok",
      reason: "",
      trainingSeconds: 0,
      clock: this.#clock.recorded,
      curve: [],
      tokens: 0,
      depth: null,
      peakBytes: 0,
      operations: 0,
      peakRate: 0,
      stderr: "",
    };
    this.#child = new Child(options.script, {
      ffi: setup.libraryPath,
      read: [...setup.codeFolders, options.runFolder],
      write: [options.runFolder],
    }, WORKER_FRAME_BYTES);
  }

  async run(): Promise<TrainingOutcome> {
    const { outcome } = this;
    try {
      await this.#serve();
    } catch (error) {
      if (!(error instanceof Ending || error instanceof ProtocolError)) {
        await this.#child.kill();
        throw error;
      }
      outcome.status = error instanceof Ending ? error.status : "void";
      outcome.reason = error instanceof Ending ? error.message : `protocol: ${error.message}`;
    }
    const exit = await this.#child.kill();
    if (outcome.reason === GONE && interrupted(exit)) [outcome.status, outcome.reason] = ["aborted", "interrupted"];
    if (outcome.reason === GONE) outcome.reason = `the worker ${describeExit(exit, this.#child.stderrTail)}`;
    outcome.stderr = this.#child.stderrLog;
    const stop = this.#returnedAt ?? seconds();
    if (this.#firstBatch) outcome.trainingSeconds = stop - this.#origin;
    return outcome;
  }

  async #serve(): Promise<void> {
    await this.#child.send(Frame.setup, encodeJson(this.options.setup));
    this.events.phase?.("setup");
    const hello = await this.#next(60, "did not open the kernel library");
    this.#expect(hello, Frame.hello);
    this.outcome.peakRate = told((decodeJson(hello.payload) as { peakRate?: unknown } | null)?.peakRate);
    const free = freeSetupSeconds(this.options.budget);
    this.#setupStart = seconds();
    this.#origin = this.#setupStart + free;
    for (;;) {
      const frame = await this.#next(this.#patience(), "");
      if (await this.#answer(frame)) return;
    }
  }

  /** Seconds until the worker is killed when it keeps silent. */
  #patience(): number {
    const { budget, stallSeconds } = this.options;
    if (!("seconds" in budget)) return stallSeconds;
    // Nothing can come of a run that has asked for no batch when its budget is over.
    const limit = this.#firstBatch ? killAfter(budget) : latestReturn(budget);
    return this.#origin + limit - seconds();
  }

  async #next(patience: number, what: string): Promise<ReceivedFrame> {
    const waited: Waited = await nextFrame(this.#child, patience, this.options.signal);
    if ("aborted" in waited) throw new Ending("aborted", "stopped by the caller");
    if ("late" in waited) throw new Ending("timeout", what === "" ? this.#stuck() : `the worker ${what}`);
    if (waited.frame === null) throw new Ending("crash", GONE);
    return waited.frame;
  }

  #stuck(): string {
    const since = (start: number) => `${(seconds() - start).toFixed(1)} s`;
    if (!this.#firstBatch) return `set-up was not over after ${since(this.#setupStart)}`;
    if (!("seconds" in this.options.budget)) return `the worker was silent for ${this.options.stallSeconds} s`;
    if (this.#returnedAt !== null) return `the weights were not saved ${since(this.#returnedAt)} after the return`;
    return `training was not over ${since(this.#origin)} after its first batch`;
  }

  #expect(frame: ReceivedFrame, kind: number): void {
    if (frame.kind === Frame.failed) this.#fail(frame);
    if (frame.kind !== kind) throw new ProtocolError(`a frame of kind ${frame.kind} came instead of ${kind}`);
  }

  #fail(frame: ReceivedFrame): never {
    const { phase, name, message } = decodeFailure(frame.payload);
    throw new Ending(failureStatus(name, message), `${phase}: ${name}: ${message}`);
  }

  /** @returns whether that was the last frame */
  async #answer({ kind, payload }: ReceivedFrame): Promise<boolean> {
    const view = new DataView(payload.buffer);
    const size = (bytes: number) => {
      if (payload.length !== bytes) throw new ProtocolError(`a frame of kind ${kind} has ${payload.length} bytes`);
    };
    if (this.#returnedAt !== null && kind !== Frame.saved && kind !== Frame.failed) {
      throw new ProtocolError(`a frame of kind ${kind} came after the return`);
    }
    switch (kind) {
      case Frame.ready: {
        const depth = (decodeJson(payload) as { depth?: unknown } | null)?.depth;
        this.outcome.depth = typeof depth === "number" && Number.isFinite(depth) ? depth : null;
        return false;
      }
      case Frame.batchRequest:
        size(5);
        await this.#serveBatch(view.getUint32(0, true), view.getUint8(4) === 1);
        return false;
      case Frame.log:
        size(12);
        this.#log(view.getUint32(0, true), view.getFloat64(4, true));
        return false;
      case Frame.returned: {
        const counters = decodeJson(payload) as { peakBytes?: unknown; operations?: unknown } | null;
        this.outcome.peakBytes = told(counters?.peakBytes);
        this.outcome.operations = told(counters?.operations);
        this.#returned();
        return false;
      }
      case Frame.saved:
        this.#saved();
        return true;
      case Frame.failed:
        return this.#fail({ kind, payload });
      default:
        throw new ProtocolError(`there is no frame of kind ${kind}`);
    }
  }

  async #serveBatch(rows: number, first: boolean): Promise<void> {
    if (rows < 1 || rows > MAX_ROWS) {
      throw new Ending("crash", `nextBatch: ${rows} rows asked for, 1 to ${MAX_ROWS} allowed`);
    }
    const now = seconds();
    if (!this.#firstBatch) {
      this.#firstBatch = true;
      this.#origin = Math.min(this.#origin, now);
      this.events.phase?.("training");
    }
    if (first && !this.#ended && this.#clock.begin(now - this.#origin) === null) this.#ended = true;
    // A step that was begun gets its batches, or its replay could not repeat it; its end is still due in time.
    const { recorded } = this.#clock;
    if (this.#ended || !this.#clock.serves(now - this.#origin, rows)) {
      this.#ended = true;
      await this.#child.send(Frame.end);
      return;
    }
    const tokens = this.#feed.take(rows);
    const payload = new Uint8Array(8 + tokens.byteLength);
    new DataView(payload.buffer).setFloat64(0, recorded[recorded.length - 1], true);
    payload.set(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength), 8);
    await this.#child.send(Frame.batch, payload);
    this.outcome.tokens += rows * this.options.rows.sequenceLength;
    this.#feed.prefetch(rows);
  }

  #log(step: number, loss: number): void {
    if (!this.#firstBatch) throw new ProtocolError("a loss came before any batch");
    const point: CurvePoint = { step, loss, seconds: seconds() - this.#origin };
    this.#watch.see(step, loss);
    if (this.outcome.curve.length < 1_000_000) this.outcome.curve.push(point);
    this.events.step?.({ ...point, tokens: this.outcome.tokens, share: this.#clock.share(point.seconds) });
  }

  #returned(): void {
    if (this.#returnedAt !== null) return;
    this.#returnedAt = seconds();
    this.#punctual("returned", latestReturn(this.options.budget));
  }

  #saved(): void {
    if (!this.#firstBatch) throw new Ending("crash", "train() returned without asking for a batch");
    this.#returned();
    const { budget, setup } = this.options;
    const bytes = statSync(setup.checkpoint, { throwIfNoEntry: false })?.size ?? 0;
    this.#punctual("saved its weights", latestSave(budget, bytes));
  }

  #punctual(what: string, latest: number): void {
    const { budget } = this.options, now = seconds() - this.#origin;
    if ("seconds" in budget && now > latest) {
      throw new Ending("void", `${what} ${(now - budget.seconds).toFixed(1)} s late`);
    }
  }
}

/** Where the worker leaves the weights. */
export const checkpointOf = (runFolder: string): string => join(runFolder, checkpointName);

/** Trains and waits for the end, whatever it is. The worker is gone when this returns. */
export function superviseTraining(options: TrainingOptions, events: RunEvents = {}): Promise<TrainingOutcome> {
  return new Training(options, events).run();
}
