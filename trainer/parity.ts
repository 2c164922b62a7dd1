/**
 * `deno task parity FILE`: holds the model and optimizers of `train.ts` against a golden file, computed elsewhere from
 * the same formulas. Any model size that the file's metadata names; forward, backward and every optimizer step. How such
 * a file is made and what its tensors mean is written in `tests/data/README.md`.
 * @module
 */
import { parseArgs } from "node:util";
import { openDevice } from "../cuda/device.ts";
import { library } from "../cuda/lib.ts";
import { backward, withoutTape } from "./autograd.ts";
import { floatsOf } from "./nn.ts";
import { reasonOf } from "./data/error.ts";
import { readSafetensors, type SafeTensor, type Safetensors, SafetensorsError } from "./safetensors.ts";
import { sameShape, scope, showShape, Tensor } from "./tensor.ts";
import { config as baseline, createModel, createOptimizer, type Gpt, type GptConfig } from "./train.ts";

/** Which optimizer trains a weight: AdamW moves weights whose gradients are almost zero by full steps, Muon does not. */
type Trainer = "adamw" | "muon";

/** Largest ‖a−b‖₂/‖b‖₂ of each line; of gradients and parameters by what trains the tensor. */
export interface Tolerances {
  readonly logits: number;
  /** Of each step's loss. */
  readonly losses: number;
  readonly gradients: Readonly<Record<Trainer, number>>;
  readonly parameters: Readonly<Record<Trainer, number>>;
}

/** The type of activations, and what is asked of it. */
export interface Precision {
  readonly dtype: "f32" | "bf16";
  readonly tolerances: Tolerances;
}

/**
 * What an implementation in float32 reaches: sums in another order cost about 1e-6 in the forward pass and ten times
 * that backward; the orthogonalisation amplifies rounding, so parameters get 1e-3.
 */
export const float32: Precision = {
  dtype: "f32",
  tolerances: {
    logits: 1e-5,
    losses: 1e-5,
    gradients: { adamw: 1e-4, muon: 1e-4 },
    parameters: { adamw: 1e-3, muon: 1e-3 },
  },
};

/**
 * bfloat16 activations: twice the errors of a naive bfloat16 version against the same golden file. They depend on the
 * model's size and weights, so each golden file has its own, in the file beside it (`tests/data/README.md` says how they
 * were measured).
 * @param naive that file: JSON of the shape of `Tolerances`
 * @param name for the message
 * @throws ParityError in one sentence
 */
export function bfloat16(naive: string, name = "the naive version's errors"): Precision {
  let errors: { [key: string]: unknown };
  try {
    errors = Object(JSON.parse(naive));
  } catch (cause) {
    throw new ParityError(`${name}: no JSON`, { cause });
  }
  const twice = (value: unknown, key: string): number => {
    if (typeof value === "number" && value > 0 && value < 1) return 2 * value;
    throw new ParityError(`${name}: ${key} must be a number between 0 and 1, got ${JSON.stringify(value)}`);
  };
  const pair = (key: string): Record<Trainer, number> => {
    const { adamw, muon } = Object(errors[key]);
    return { adamw: twice(adamw, `${key}.adamw`), muon: twice(muon, `${key}.muon`) };
  };
  return {
    dtype: "bf16",
    tolerances: {
      logits: twice(errors.logits, "logits"),
      losses: twice(errors.losses, "losses"),
      gradients: pair("gradients"),
      parameters: pair("parameters"),
    },
  };
}

/** One line of the outcome. */
export interface ParityLine {
  readonly name: keyof Tolerances;
  /** Relative error; of gradients and parameters that of the tensor that is worst against its tolerance. */
  readonly error: number;
  readonly tolerance: number;
  readonly ok: boolean;
  /** Where the worst error is. */
  readonly worst: string;
}

/** A golden file that cannot be used; the message is one sentence. */
export class ParityError extends Error {
  override name = "ParityError";
}

interface Golden {
  readonly config: GptConfig;
  readonly vocabSize: number;
  readonly sequenceLength: number;
  readonly batch: number;
  readonly steps: number;
  readonly eps: number;
  readonly tensors: Safetensors["tensors"];
}

/** JSON of the metadata as an object of numbers, strings and lists. */
function metadataOf(file: Safetensors, key: string): Record<string, unknown> {
  const text = file.metadata[key];
  if (text === undefined) throw new ParityError(`the file's metadata has no ${key}`);
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch { /* said below */ }
  throw new ParityError(`the file's metadata: ${key} is no JSON object`);
}

function sizeOf(object: Record<string, unknown>, key: string): number {
  const value = object[key];
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
  throw new ParityError(`the file's metadata: ${key} must be a positive whole number, got ${JSON.stringify(value)}`);
}

function numberOf(object: Record<string, unknown>, key: string): number {
  const value = object[key];
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new ParityError(`the file's metadata: ${key} must be a number, got ${JSON.stringify(value)}`);
}

/** The file's model as a configuration of `train.ts`; nothing of the present literals matters. */
function readGolden(bytes: Uint8Array): Golden {
  const file = readSafetensors(bytes);
  const c = metadataOf(file, "config");
  const h = metadataOf(file, "hyperparameters");
  const betas = h.adam_betas;
  if (!Array.isArray(betas) || betas.length !== 2 || !betas.every((beta) => typeof beta === "number")) {
    throw new ParityError(`the file's metadata: adam_betas must be two numbers, got ${JSON.stringify(betas)}`);
  }
  const pattern = c.window_pattern;
  if (typeof pattern !== "string" || !/^[SL]+$/.test(pattern)) {
    throw new ParityError(`the file's metadata: window_pattern must be of S and L, got ${JSON.stringify(pattern)}`);
  }
  const [width, heads] = [sizeOf(c, "n_embd"), sizeOf(c, "n_head")];
  if (width % heads !== 0) {
    throw new ParityError(`the file's metadata: n_embd ${width} is no multiple of n_head ${heads}`);
  }
  const keyValueHeads = c.n_kv_head === undefined ? heads : sizeOf(c, "n_kv_head");
  const config: GptConfig = {
    ...baseline,
    depth: sizeOf(c, "n_layer"),
    width,
    headDim: width / heads,
    keyValueShare: keyValueHeads / heads,
    windowPattern: pattern,
    shortWindow: 0.5,
    mlpRatio: 4,
    activation: "relu2",
    valueEmbeddings: true,
    tiedEmbeddings: false,
    ropeBase: 10000,
    softCap: 15,
    matrixLearningRate: numberOf(h, "matrix_lr"),
    embeddingLearningRate: numberOf(h, "embedding_lr"),
    unembeddingLearningRate: numberOf(h, "unembedding_lr"),
    scalarLearningRate: numberOf(h, "scalar_lr"),
    adamBeta1: betas[0],
    adamBeta2: betas[1],
    weightDecay: numberOf(h, "weight_decay"),
    embeddingWeightDecay: 0,
    valueEmbeddingWeightDecay: 0,
    headWeightDecay: 0,
    rereadWeightDecay: 0,
    muonMomentum: numberOf(h, "muon_momentum"),
    muonBeta2: numberOf(h, "muon_beta2"),
    muonIterations: sizeOf(h, "ns_steps"),
  };
  return {
    config,
    vocabSize: sizeOf(c, "vocab_size"),
    sequenceLength: sizeOf(c, "sequence_len"),
    batch: sizeOf(c, "batch"),
    steps: sizeOf(c, "steps"),
    eps: numberOf(h, "adam_eps"),
    tensors: file.tensors,
  };
}

function entry(golden: Golden, key: string, dtype: string, shape: readonly number[]): SafeTensor {
  const found = golden.tensors.get(key);
  if (!found) throw new ParityError(`the file has no ${key}`);
  if (found.dtype !== dtype || !sameShape(found.shape, shape)) {
    const got = `${found.dtype} ${showShape(found.shape)}`;
    throw new ParityError(`the file's ${key} must be ${dtype} ${showShape(shape)}, got ${got}`);
  }
  return found;
}

/** ‖a−b‖₂/‖b‖₂ in float64; where b is all zero, ‖a‖₂. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0, norm = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(difference) / (norm > 0 ? Math.sqrt(norm) : 1);
}

/** The worst error of one line so far, each measured against its tolerance. */
class Worst {
  #line: ParityLine;
  constructor(readonly name: keyof Tolerances, tolerance: number) {
    this.#line = { name, error: 0, tolerance, ok: true, worst: "" };
  }
  add(error: number, tolerance: number, worst: string): void {
    const { error: before, tolerance: allowed } = this.#line;
    if (error / tolerance <= before / allowed) return; // not a number is worse than any
    const number = Number.isNaN(error) ? Infinity : error;
    this.#line = { name: this.name, error: number, tolerance, ok: number <= tolerance, worst };
  }
  line(): ParityLine {
    return this.#line;
  }
}

/**
 * Runs a golden file through `createModel` and `createOptimizer` of `train.ts`. The library must be open.
 * @param bytes the file
 * @returns lines for logits, losses, gradients and parameters
 * @throws ParityError or SafetensorsError, in one sentence, for a file that is none, and for bfloat16 on the CPU
 */
export function parity(bytes: Uint8Array, { dtype, tolerances }: Precision = float32): ParityLine[] {
  const golden = readGolden(bytes);
  if (dtype === "bf16" && library().device !== "cuda") {
    throw new ParityError("bf16 needs a GPU, and what computes here is the CPU");
  }
  const { config, vocabSize, sequenceLength, batch, steps } = golden;
  const model = createModel({ seed: 0, vocabSize, sequenceLength, dtype, config });
  const parameters = model.parameters();
  try {
    for (const key of golden.tensors.keys()) {
      const name = key.match(/^(?:init|step\d+\.(?:grad|param))\.(.+)$/)?.[1];
      if (name && !parameters.has(name)) throw new ParityError(`the file's ${key} is no weight of the model`);
    }
    for (const [name, tensor] of parameters) {
      tensor.upload(floatsOf(entry(golden, `init.${name}`, "F32", tensor.shape)));
    }
    return compare(golden, model, parameters, [batch, sequenceLength, vocabSize], steps, tolerances);
  } finally {
    for (const tensor of parameters.values()) tensor.dispose();
  }
}

function compare(
  golden: Golden,
  model: Gpt,
  parameters: Map<string, Tensor>,
  [batch, t, v]: [number, number, number],
  steps: number,
  tolerances: Tolerances,
): ParityLine[] {
  using optimizer = createOptimizer(model);
  for (const group of optimizer.groups) if (group.kind === "adamw") group.eps = golden.eps;
  const ids = (key: string) =>
    Tensor.from(new Int32Array(entry(golden, key, "I32", [batch, t]).bytes.slice().buffer), [batch, t]);
  const expectedLosses = floatsOf(entry(golden, "losses", "F32", [steps]));
  const matrices = new Set(model.matrices());
  const trainer = (weight: Tensor): Trainer => matrices.has(weight) ? "muon" : "adamw";
  const logits = new Worst("logits", tolerances.logits), losses = new Worst("losses", tolerances.losses);
  const gradients = new Worst("gradients", tolerances.gradients.muon);
  const weights = new Worst("parameters", tolerances.parameters.muon);
  for (let step = 0; step < steps; step++) {
    scope(() => {
      const inputs = ids(`step${step}.inputs`);
      if (step === 0) {
        const computed = withoutTape(() => model.logits(inputs).data());
        const expected = floatsOf(entry(golden, "step0.logits", "F32", [batch, t, v]));
        logits.add(relativeError(computed, expected), tolerances.logits, "step 0");
      }
      const loss = model.loss(inputs, ids(`step${step}.targets`));
      losses.add(relativeError([loss.item()], [expectedLosses[step]]), tolerances.losses, `step ${step}`);
      backward(loss);
      for (const [name, tensor] of step === 0 ? parameters : []) {
        const expected = floatsOf(entry(golden, `step0.grad.${name}`, "F32", tensor.shape));
        const error = tensor.grad ? relativeError(tensor.grad.data(), expected) : Infinity;
        gradients.add(error, tolerances.gradients[trainer(tensor)], name);
      }
      optimizer.step();
      for (const [name, tensor] of parameters) {
        const expected = floatsOf(entry(golden, `step${step}.param.${name}`, "F32", tensor.shape));
        const tolerance = tolerances.parameters[trainer(tensor)];
        weights.add(relativeError(tensor.data(), expected), tolerance, `${name} after step ${step}`);
      }
    });
  }
  return [logits, losses, gradients, weights].map((worst) => worst.line());
}

/** `logits 4.1e-07 (1e-05) ok` */
export function showLine({ name, error, tolerance, ok, worst }: ParityLine): string {
  const short = (value: number, digits?: number) => value.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
  return `${name} ${short(error, 1)} (${short(tolerance)}) ${ok ? "ok" : `above, at ${worst}`}`;
}

const usage = `Compares model, gradients and optimizers of trainer/train.ts with a golden file.

usage: deno task parity [options] FILE.safetensors

  --dtype TYPE      f32 (default) or bf16: of activations; bf16 needs a GPU, and FILE.bf16.json beside the golden file:
                    the errors of a naive bfloat16 version, twice which are its tolerances
  --device DEVICE   auto | cpu | cuda | cuda:N (default: RESEARCHSWARM_DEVICE, else auto)
  --help            this text

The repository's golden file is tests/data/gpt-small.safetensors.
Prints a line each for logits, losses, gradients and parameters: the relative error and its tolerance, of the worst.
Exit status 1 when one lies above its tolerance or the file cannot be used.`;

/** What is asked of bfloat16 for a golden file: from `<name>.bf16.json` beside it. */
async function besideGolden(file: string): Promise<Precision> {
  const path = `${file.replace(/\.safetensors$/, "")}.bf16.json`;
  const text = await Deno.readTextFile(path).catch((cause) => {
    throw new ParityError(`--dtype bf16 needs the errors of a naive bfloat16 version in ${path}: ${reasonOf(cause)}`, {
      cause,
    });
  });
  return bfloat16(text, path);
}

async function main(): Promise<number> {
  let file: string;
  let device: string | undefined;
  let dtype: string;
  try {
    const { values, positionals } = parseArgs({
      args: Deno.args,
      options: { help: { type: "boolean", short: "h" }, device: { type: "string" }, dtype: { type: "string" } },
      allowPositionals: true,
    });
    if (values.help) {
      console.log(usage);
      return 0;
    }
    if (positionals.length !== 1) throw new Error("needs one golden file");
    file = positionals[0];
    ({ device, dtype = "f32" } = values);
    if (dtype !== "f32" && dtype !== "bf16") throw new Error(`--dtype must be f32 or bf16, got "${dtype}"`);
  } catch (error) {
    console.error(`parity: ${(error as Error).message.split(/\.\s/)[0]}; see --help`);
    return 2;
  }
  try {
    const bytes = await Deno.readFile(file).catch((cause) => {
      throw new ParityError(`${file} cannot be read: ${reasonOf(cause)}`, { cause });
    });
    const precision = dtype === "bf16" ? await besideGolden(file) : float32;
    await openDevice(device);
    const lines = parity(bytes, precision);
    for (const line of lines) console.log(showLine(line));
    return lines.every((line) => line.ok) ? 0 : 1;
  } catch (error) {
    const { message } = error as Error;
    const foreign = error instanceof SafetensorsError;
    console.error(`parity: ${foreign ? `${file} is no golden file (${message})` : message}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());
