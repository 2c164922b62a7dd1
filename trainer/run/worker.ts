/**
 * The process that trains: opens the library, gives up `ffi`, imports `train.ts` by the URL it was sent, gives up
 * reading code, builds the model, trains, saves the weights. It holds no secret and is believed nothing, for the
 * code under test runs in this realm; what counts is kept by the supervisor (clock, rows) and the evaluator (score).
 *
 * Must not be imported: it is the main module of its process. Has no npm package in its graph.
 * @module
 */
import { check, library, openLibrary } from "../../cuda/lib.ts";
import type { Batch, Config, Run, TrainModule } from "../contract.ts";
import { inputsAndTargets } from "../data/evaluate.ts";
import { saveWeights } from "../nn.ts";
import { keep, repeatable, scope, ShapeError, Tensor } from "../tensor.ts";
import { encodeFrame, encodeJson, Frame, type FrameKind, readFrameSync, writeAllSync } from "./protocol.ts";
import type { WorkerSetup } from "./setups.ts";

// Taken before train.ts is imported, so that a file that replaces them only harms itself.
const readStdin = Deno.stdin.readSync.bind(Deno.stdin);
const writeStdout = Deno.stdout.writeSync.bind(Deno.stdout);
const exit: (code: number) => never = Deno.exit;
const revoke = Deno.permissions.revokeSync.bind(Deno.permissions);
const { writeFileSync, renameSync } = Deno;
const parent = Deno.ppid;

function send(kind: FrameKind, payload: Uint8Array | null = null): void {
  try {
    writeAllSync(writeStdout, encodeFrame(kind, payload));
  } catch {
    exit(1); // The supervisor is gone: nobody waits for this run.
  }
}

/** Constants that `valid` of `train.ts` turns down. */
class InvalidConfig extends Error {
  override name = "InvalidConfig";
}

/** The harness's side of the contract, as the code under test sees it. */
class WorkerRun implements Run {
  readonly seed: number;
  readonly vocabSize: number;
  readonly sequenceLength: number;
  readonly dtype: "f32" | "bf16";
  readonly config: Config;
  readonly #trainingRows: number;
  #progress = 0;
  #epochs = 0;
  #rows = 0;
  /** Whether the next batch is the first of a step. */
  #fresh = true;
  #inStep = false;
  #batches: Tensor[] = [];
  #pending: { step: number; loss: Tensor } | null = null;

  constructor(setup: WorkerSetup, config: Config) {
    this.seed = setup.seed;
    this.vocabSize = setup.vocabSize;
    this.sequenceLength = setup.sequenceLength;
    this.dtype = setup.dtype;
    this.config = config;
    this.#trainingRows = setup.trainingRows;
  }

  nextBatch(rows: number): Batch | null {
    if (!Number.isInteger(rows) || rows < 1) throw new ShapeError("nextBatch", `rows must be 1 or more, got ${rows}`);
    const request = new Uint8Array(5);
    new DataView(request.buffer).setUint32(0, rows, true);
    const first = this.#fresh || !this.#inStep;
    request[4] = first ? 1 : 0;
    this.#fresh = false;
    send(Frame.batchRequest, request);
    const frame = readFrameSync(readStdin);
    if (frame === null) exit(1);
    if (frame.kind === Frame.end) return null;
    this.#progress = new DataView(frame.payload.buffer).getFloat64(0, true);
    if (first) this.#epochs = this.#rows / this.#trainingRows;
    this.#rows += rows;
    return this.#upload(new Uint16Array(frame.payload.buffer, 8), rows);
  }

  /** Rows of T+1 tokens as inputs and targets. */
  #upload(tokens: Uint16Array, rows: number): Batch {
    const { inputs, targets } = inputsAndTargets(tokens, this.sequenceLength);
    const batch = {
      inputs: keep(Tensor.from(inputs, [rows, this.sequenceLength])),
      targets: keep(Tensor.from(targets, [rows, this.sequenceLength])),
    };
    this.#batches.push(batch.inputs, batch.targets);
    return batch;
  }

  progress(): number {
    return this.#progress;
  }

  epochs(): number {
    return this.#epochs;
  }

  step(fn: () => void): void {
    if (Deno.ppid !== parent) exit(1);
    this.#inStep = true;
    try {
      repeatable(() => scope(fn));
    } finally {
      this.#inStep = false;
      this.#fresh = true;
      for (const tensor of this.#batches) tensor.dispose();
      this.#batches = [];
    }
  }

  log(step: number, loss: Tensor): void {
    if (loss.size !== 1) throw new ShapeError("log", `needs the loss as one number, got [${loss.shape.join(", ")}]`);
    this.flush();
    const copy = Tensor.untracked([]);
    check(library().symbols.rs_tensor_copy(copy.handle, loss.handle), "log");
    this.#pending = { step, loss: copy };
  }

  /** Sends the loss that was logged last: read one step late, so that the device need not be waited for. */
  flush(): void {
    if (this.#pending === null) return;
    const { step, loss } = this.#pending;
    this.#pending = null;
    const payload = new Uint8Array(12);
    const view = new DataView(payload.buffer);
    view.setUint32(0, step, true);
    view.setFloat64(4, loss.item(), true);
    loss.dispose();
    send(Frame.log, payload);
  }
}

/** The two numbers of `rs_counters` that a run reports. */
function counters(): { peakBytes: number; operations: number } {
  const values = new Float64Array(8);
  check(library().symbols.rs_counters(values, values.byteLength), "counters");
  return { peakBytes: values[1], operations: values[5] };
}

/** Operations a second of the device, measured for a moment; 0 where that fails, on a GPU without room, say. */
function measurePeakRate(): number {
  const values = new Float64Array(2), { symbols } = library();
  const measured = symbols.rs_measure_peaks(values, values.byteLength, 0.2) === 0;
  check(symbols.rs_memory_trim(), "memory_trim");
  check(symbols.rs_memory_reset_peak(), "memory_reset_peak");
  return measured ? values[0] * 1e9 : 0;
}

/** Writes the weights under a temporary name and gives them their final one. */
function save(weights: Map<string, Tensor>, path: string): void {
  writeFileSync(`${path}.tmp`, saveWeights(weights));
  renameSync(`${path}.tmp`, path);
}

function checkModule(module: Partial<TrainModule>): asserts module is TrainModule {
  for (const name of ["createModel", "train"] as const) {
    if (typeof module[name] !== "function") throw new TypeError(`train.ts exports no function ${name}`);
  }
  if (typeof module.config !== "object" || module.config === null) {
    throw new TypeError("train.ts exports no object config");
  }
}

function checkConfig(module: TrainModule, config: Config): void {
  const answer = module.valid?.(config) ?? true;
  if (answer !== true) throw new InvalidConfig(String(answer));
}

let phase = "library";
try {
  for (const name of ["log", "info", "debug", "table", "dir", "group"] as const) console[name] = console.error;
  const frame = readFrameSync(readStdin);
  if (frame?.kind !== Frame.setup) exit(1);
  const setup: WorkerSetup = JSON.parse(new TextDecoder().decode(frame.payload));
  openLibrary(setup.libraryPath, { threads: setup.threads, device: setup.device, plans: setup.plans });
  // A file that hangs cannot notice that nobody waits for it. Where the system has no such thing, step() still looks.
  library().symbols.rs_end_with_parent();
  revoke({ name: "ffi" });
  send(Frame.hello, encodeJson({ peakRate: setup.measurePeak ? measurePeakRate() : 0 }));

  phase = "import";
  const module: Partial<TrainModule> = await import(setup.trainUrl);
  for (const path of setup.codeFolders) revoke({ name: "read", path });
  checkModule(module);

  phase = "setup";
  const run = new WorkerRun(setup, { ...module.config, ...setup.overrides });
  checkConfig(module, run.config);
  const model = module.createModel(run);
  send(Frame.ready, encodeJson({ depth: run.config.depth }));

  phase = "train";
  await module.train(run, model);
  run.flush();
  // A training that has returned computes no more, and has named its weights.
  const weights = new Map(model.parameters());
  check(library().symbols.rs_sync(), "sync");
  send(Frame.returned, encodeJson(counters()));

  phase = "save";
  save(weights, setup.checkpoint);
  send(Frame.saved);
} catch (error) {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  console.error(stack ?? message);
  send(Frame.failed, encodeJson({ phase, name, message }));
}
exit(0);
