/**
 * The harness's side of `train.ts` for benchmarks and tuning: batches from a source in this process, a clock, no score.
 * Losses are read one step late, as the worker of a run does, so that a GPU never waits for the host.
 * @module
 */
import { check, library } from "../../cuda/lib.ts";
import type { Run, Setup } from "../contract.ts";
import { repeatable, scope, Tensor } from "../tensor.ts";
import type { GptConfig } from "../train.ts";
import type { BatchSource } from "./rows.ts";

/** One step's loss and when it was read. */
export interface Point {
  /** Since the first batch. */
  readonly seconds: number;
  /** Mean loss in nats. */
  readonly loss: number;
}

/** Steps until the time or their number is used up. */
export class BenchRun implements Run<GptConfig> {
  readonly seed: number;
  readonly vocabSize: number;
  readonly sequenceLength: number;
  readonly dtype: "f32" | "bf16";
  readonly config: GptConfig;
  /** The losses, complete after `finish`. */
  readonly curve: Point[] = [];
  /** Tokens trained on. */
  tokens = 0;
  #start: number | null = null;
  #steps = 0;
  #inStep = false;
  #progress = 0;
  #epochs = 0;
  #pending: { step: number; loss: Tensor } | null = null;

  /**
   * Creates one.
   * @param limit what ends the training
   */
  constructor(
    setup: Setup<GptConfig>,
    readonly source: BatchSource,
    readonly limit: { readonly steps: number } | { readonly seconds: number },
  ) {
    ({ seed: this.seed, vocabSize: this.vocabSize, sequenceLength: this.sequenceLength } = setup);
    ({ dtype: this.dtype, config: this.config } = setup);
  }

  /** Seconds since the first batch. */
  get seconds(): number {
    return this.#start === null ? 0 : (performance.now() - this.#start) / 1000;
  }

  nextBatch(rows: number) {
    if (!this.#inStep) {
      this.#start ??= performance.now();
      this.#progress = "steps" in this.limit ? this.#steps / this.limit.steps : this.seconds / this.limit.seconds;
      if (this.#progress >= 1) return null;
      this.#epochs = this.tokens / this.sequenceLength / this.source.rowCount;
    }
    this.tokens += rows * this.sequenceLength;
    return this.source.next(rows);
  }

  progress(): number {
    return this.#progress;
  }

  epochs(): number {
    return this.#epochs;
  }

  step(fn: () => void): void {
    this.#inStep = true;
    try {
      repeatable(() => scope(fn));
    } finally {
      this.ended();
    }
  }

  /** Ends a step. */
  ended(): void {
    this.#inStep = false;
    this.#steps++;
    this.source.release();
  }

  log(step: number, loss: Tensor): void {
    this.#flush();
    const copy = Tensor.untracked([]);
    check(library().symbols.rs_tensor_copy(copy.handle, loss.handle), "log");
    this.#pending = { step, loss: copy };
  }

  /**
   * Waits for the last step.
   * @returns seconds of the whole training
   * @throws Error when a loss is not a number
   */
  finish(): number {
    this.#flush();
    check(library().symbols.rs_sync(), "sync");
    return this.seconds;
  }

  #flush(): void {
    if (this.#pending === null) return;
    const { step, loss } = this.#pending;
    this.#pending = null;
    const value = loss.item();
    loss.dispose();
    if (!Number.isFinite(value)) throw new Error(`the loss of step ${step} is not a number`);
    this.curve.push({ seconds: this.seconds, loss: value });
  }
}
