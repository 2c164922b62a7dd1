/**
 * The file that an agent edits: a small GPT, its optimizers, its schedule and its training loop. Everything in here is
 * fair game; what the harness calls (`config`, `valid`, `createModel`, `train`) keeps its name and meaning.
 *
 * What is outside: the clock, the rows, the score (bits per byte from `Model.logits`) and the weights' way to disk
 * (every tensor of `Model.parameters()`, by name). Read sizes from `setup`, never from the exported `config`: a caller
 * may have overridden some. The same seed and the same clock must give the same weights: draw random numbers from
 * `Random` alone. Logits at position t may depend on tokens 0 … t of their own row and on nothing else.
 *
 * The model: tokens → embedding → norm → layers → norm → head → soft cap. A layer mixes the residual stream with the
 * first one (two learned numbers), adds causal attention with rotary positions, normalised queries and keys and, in
 * every second layer, gated value embeddings (arXiv:2410.17897), then adds an MLP. Matrices are trained with Muon,
 * everything else with AdamW. The tensor layer's manual is `ops/mod.ts`; each op states its shapes.
 * @module
 */
import type { Batch, Model, Run, Setup } from "./contract.ts";
import { backward } from "./autograd.ts";
import { Parameters, Random, ropeTables } from "./nn.ts";
import {
  embedding,
  gatedValueEmbedding,
  gelu,
  linear,
  linearCrossEntropy,
  mixRmsNorm,
  reluSquaredMlp,
  reshape,
  rmsNorm,
  rotaryAttention,
  scale,
  slice,
  softcap,
  swiglu,
} from "./ops/mod.ts";
import { type Group, Optimizer } from "./optim.ts";
import { decayToZero, learningRateFactor, ramp, rereadFactor } from "./schedule.ts";
import { keep, Tensor } from "./tensor.ts";

/** The numbers of this model and its training; one constant a line, with the range that a search may use. */
export const config = {
  // #space
  depth: 4, // int 2..12; layers
  width: 256, // of 128 192 256 320 384 448 512; C, a multiple of headDim
  headDim: 128, // of 32 64 128; D
  keyValueShare: 1, // of 0.25 0.5 1; key/value heads a query head
  windowPattern: "L", // of L SL SSL SSSL SSSSL; S is a short window; repeated over layers, the last one is always L
  shortWindow: 0.5, // of 0.125 0.25 0.5; of T
  mlpRatio: 4, // int 2..8; width of the MLP over C
  activation: "relu2", // of relu2 gelu swiglu
  valueEmbeddings: true, // of true false
  tiedEmbeddings: false, // of true false; one table for embedding and head
  ropeBase: 10000, // log 1000..1000000
  softCap: 15, // log 5..60; of the logits
  batchTokens: 4096, // logint 512..524288; tokens an optimizer step, rounded to whole micro-batches
  microBatchRows: 16, // fixed; rows a forward pass, at most: memory
  matrixLearningRate: 0.04, // log 0.005..0.2; Muon
  embeddingLearningRate: 0.6, // log 0.05..3; token and value embeddings
  unembeddingLearningRate: 0.004, // log 0.0005..0.05; head
  scalarLearningRate: 0.5, // log 0.05..2; mixing of the residual stream
  adamBeta1: 0.8, // linear 0.5..0.95
  adamBeta2: 0.95, // linear 0.8..0.999
  weightDecay: 0.2, // linear 0..0.8; of matrices, falls to 0 with progress
  embeddingWeightDecay: 0, // linear 0..0.01
  valueEmbeddingWeightDecay: 0, // linear 0..0.01
  headWeightDecay: 0, // linear 0..0.05
  rereadWeightDecay: 0.1, // linear 0..0.3; × REREAD_SHARES, added to these three once rows are read again
  muonMomentum: 0.95, // linear 0.85..0.99
  muonMomentumStart: 0.85, // linear 0.7..0.95
  muonMomentumSteps: 300, // logint 20..1000; steps from start to end
  muonBeta2: 0.95, // linear 0.8..0.99; of the variance normalisation
  muonIterations: 5, // int 3..5; of the orthogonalisation
  warmUp: 0, // linear 0..0.3; share of the budget
  warmDown: 0.5, // linear 0.1..1; share of the budget
  warmDownShape: "linear", // of linear cosine
  finalLearningRateFraction: 0, // linear 0..0.2
  initScale: 1, // log 0.3..2; of the matrices
  embeddingInitStd: 1, // log 0.1..2
  headInitStd: 0.001, // log 0.0001..0.1
  x0LambdaInit: 0.1, // linear 0..0.5; share of the first residual stream
  // #end
};

/** What `setup.config` holds. */
export type GptConfig = typeof config;

/** What embeddings and head take of `rereadWeightDecay`; tried in tests/bench/results.md. */
const REREAD_SHARES = { tokenEmbedding: 0.3, valueEmbedding: 1, head: 3 };

/** Channels of a layer's input that open the gates of its value embedding. */
const GATE_CHANNELS = 32;

/** Says what is wrong with a combination of constants that each lie in their range. */
export function valid(c: GptConfig): true | string {
  if (c.width % c.headDim !== 0) return `width ${c.width} is no multiple of headDim ${c.headDim}`;
  if (c.headDim % 2 !== 0) return `headDim ${c.headDim} is odd`;
  if (!/^[SL]+$/.test(c.windowPattern)) return `windowPattern "${c.windowPattern}" has letters other than S and L`;
  if (!["relu2", "gelu", "swiglu"].includes(c.activation)) return `there is no activation "${c.activation}"`;
  if (c.batchTokens > 4096 * c.microBatchRows) {
    return `batchTokens ${c.batchTokens} takes too many micro-batches a step`;
  }
  return true;
}

/** Weights of one layer. */
interface Layer {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly attentionOut: Tensor;
  readonly up: Tensor;
  readonly down: Tensor;
  /** Value embedding [V, G·D] and its gates [G, 32], in every second layer. */
  readonly valueEmbedding: Tensor | null;
  readonly gate: Tensor | null;
  /** Position t sees t − window … t. */
  readonly window: number;
}

/** The model. Weight names are those of `tests/data/gpt-small.safetensors`. */
export class Gpt implements Model {
  readonly config: GptConfig;
  /** Element type of the activations; weights are f32. */
  readonly dtype: "f32" | "bf16";
  readonly #parameters = new Parameters();
  readonly #keyValueHeads: number;
  readonly #cos: Tensor;
  readonly #sin: Tensor;
  readonly #layers: readonly Layer[];
  /** [V, C] */
  readonly tokenEmbedding: Tensor;
  /** [V, C]; the same tensor as `tokenEmbedding` where they are tied. */
  readonly head: Tensor;
  /** [depth]: what a layer keeps of the residual stream. */
  readonly residLambdas: Tensor;
  /** [depth]: what a layer takes of the first residual stream. */
  readonly x0Lambdas: Tensor;

  /** @throws Error for a combination that `valid` refuses */
  constructor(setup: Setup<GptConfig>) {
    const { config: c, vocabSize, sequenceLength } = setup;
    const complaint = valid(c);
    if (complaint !== true) throw new Error(complaint);
    this.config = c;
    this.dtype = setup.dtype;
    this.#keyValueHeads = Math.max(1, Math.round(c.width / c.headDim * c.keyValueShare));
    const random = new Random(setup.seed);
    const parameters = this.#parameters;
    const ropes = ropeTables(sequenceLength, c.headDim, c.ropeBase);
    this.#cos = keep(ropes.cos);
    this.#sin = keep(ropes.sin);
    const embeddingStd = c.tiedEmbeddings ? c.headInitStd : c.embeddingInitStd;
    const table = random.normal([vocabSize, c.width], 0, embeddingStd);
    this.tokenEmbedding = parameters.add("transformer.wte.weight", table);
    this.#layers = Array.from({ length: c.depth }, (_, i) => this.#createLayer(i, setup, random));
    this.residLambdas = parameters.add("resid_lambdas", Tensor.zeros([c.depth]).fill(1));
    this.x0Lambdas = parameters.add("x0_lambdas", Tensor.zeros([c.depth]).fill(c.x0LambdaInit));
    this.head = c.tiedEmbeddings
      ? this.tokenEmbedding
      : parameters.add("lm_head.weight", random.normal([vocabSize, c.width], 0, c.headInitStd));
  }

  #createLayer(i: number, { config: c, vocabSize, sequenceLength }: Setup<GptConfig>, random: Random): Layer {
    const keyValueWidth = this.#keyValueHeads * c.headDim;
    // SwiGLU has a third matrix; two thirds of the width make it as large as the others.
    const gated = c.activation === "swiglu";
    const hidden = gated ? 8 * Math.round(c.mlpRatio * c.width / 12) : c.mlpRatio * c.width;
    const add = (name: string, tensor: Tensor) => this.#parameters.add(`transformer.h.${i}.${name}.weight`, tensor);
    const matrix = (outputs: number) => random.matrix(outputs, c.width, c.initScale);
    const hasValueEmbedding = c.valueEmbeddings && i % 2 === (c.depth - 1) % 2;
    const short = c.windowPattern[i % c.windowPattern.length] === "S" && i !== c.depth - 1;
    return {
      query: add("attn.c_q", matrix(c.width)),
      key: add("attn.c_k", matrix(keyValueWidth)),
      value: add("attn.c_v", matrix(keyValueWidth)),
      // Outputs start at zero: at first a layer leaves the residual stream as it is.
      attentionOut: add("attn.c_proj", Tensor.zeros([c.width, c.width])),
      up: add("mlp.c_fc", matrix(gated ? 2 * hidden : hidden)),
      down: add("mlp.c_proj", Tensor.zeros([c.width, hidden])),
      valueEmbedding: hasValueEmbedding
        ? this.#parameters.add(`value_embeds.${i}.weight`, valueTable(random, vocabSize, keyValueWidth, c))
        : null,
      gate: hasValueEmbedding
        ? add("attn.ve_gate", Tensor.zeros([this.#keyValueHeads, Math.min(GATE_CHANNELS, c.width)]))
        : null,
      window: short ? Math.floor(sequenceLength * c.shortWindow) : sequenceLength,
    };
  }

  parameters(): Map<string, Tensor> {
    return this.#parameters.map();
  }

  /** Matrices of the layers, which Muon trains. */
  matrices(): Tensor[] {
    return this.#layers.flatMap((l) => [l.query, l.key, l.value, l.attentionOut, l.up, l.down, ...optional(l.gate)]);
  }

  /** Tables of value embeddings. */
  valueEmbeddings(): Tensor[] {
    return this.#layers.flatMap((l) => optional(l.valueEmbedding));
  }

  logits(tokens: Tensor): Tensor {
    return softcap(linear(this.#trunk(tokens), this.head, { dtype: "f32" }), this.config.softCap);
  }

  /** Mean cross entropy in nats, a scalar; the logits never exist as a whole. */
  loss(tokens: Tensor, targets: Tensor): Tensor {
    return linearCrossEntropy(this.#trunk(tokens), this.head, targets, { softCap: this.config.softCap });
  }

  /** Tokens [B, T] → what the head reads, [B, T, C]. */
  #trunk(tokens: Tensor): Tensor {
    const x0 = rmsNorm(embedding(this.tokenEmbedding, tokens, { dtype: this.dtype }));
    let x = x0;
    for (const [i, layer] of this.#layers.entries()) {
      const { mixed, normed } = mixRmsNorm(x, x0, this.residLambdas, this.x0Lambdas, i);
      x = linear(this.#attend(layer, normed, tokens), layer.attentionOut, { residual: mixed });
      mixed.dispose();
      x = this.#mlp(layer, rmsNorm(x), x);
    }
    return rmsNorm(x);
  }

  /** h [B, T, C] → [B, T, C], before the output matrix. */
  #attend(layer: Layer, h: Tensor, tokens: Tensor): Tensor {
    const [b, t, width] = h.shape;
    const gate = layer.gate && linear(slice(h, 2, 0, layer.gate.shape[1]), layer.gate);
    let v = linear(h, layer.value, { heads: this.#keyValueHeads });
    if (gate && layer.valueEmbedding) {
      // What no gradient reads is given back at once, by `using` or dispose(); the tape holds what it needs.
      using plainValue = v;
      v = gatedValueEmbedding(plainValue, layer.valueEmbedding, tokens, gate);
    }
    const y = rotaryAttention(h, layer.query, layer.key, v, this.#cos, this.#sin, { window: layer.window });
    return reshape(y, [b, t, width]);
  }

  /** residual + MLP(h). */
  #mlp({ up, down }: Layer, h: Tensor, residual: Tensor): Tensor {
    switch (this.config.activation) {
      case "relu2":
        return reluSquaredMlp(h, up, down, residual);
      case "gelu":
        return linear(gelu(linear(h, up)), down, { residual });
      default:
        return linear(swiglu(linear(h, up)), down, { residual });
    }
  }
}

function optional(tensor: Tensor | null): Tensor[] {
  return tensor ? [tensor] : [];
}

function valueTable(random: Random, vocabSize: number, width: number, c: GptConfig): Tensor {
  const bound = c.initScale * Math.sqrt(3 / c.width);
  return random.uniform([vocabSize, width], -bound, bound);
}

/** Builds the model with its initial weights. */
export function createModel(setup: Setup<GptConfig>): Gpt {
  return new Gpt(setup);
}

/** The optimizer with the learning rates, momenta and decays that a run's schedule starts from. */
export function createOptimizer(model: Gpt): Optimizer {
  const c = model.config;
  // Learning rates were tuned at width 768.
  const s = (c.width / 768) ** -0.5;
  const betas = [c.adamBeta1, c.adamBeta2] as const;
  const adamw = (parameters: Tensor[], learningRate: number, weightDecay: number, b = betas): Group => {
    return { kind: "adamw", parameters, learningRate, betas: b, eps: 1e-10, weightDecay };
  };
  return new Optimizer([
    adamw([model.head], c.unembeddingLearningRate * s, c.headWeightDecay),
    ...c.tiedEmbeddings ? [] : [adamw([model.tokenEmbedding], c.embeddingLearningRate * s, c.embeddingWeightDecay)],
    adamw(model.valueEmbeddings(), c.embeddingLearningRate * s, c.valueEmbeddingWeightDecay),
    adamw([model.residLambdas], c.scalarLearningRate * 0.01, 0),
    adamw([model.x0Lambdas], c.scalarLearningRate, 0, [0.96, 0.95]),
    {
      kind: "muon",
      parameters: model.matrices(),
      learningRate: c.matrixLearningRate,
      momentum: c.muonMomentum,
      beta2: c.muonBeta2,
      weightDecay: c.weightDecay,
      iterations: c.muonIterations,
      dtype: model.dtype,
    },
  ]);
}

/** Trains until the harness has no more batches. */
export function train(run: Run<GptConfig>, model: Model): void {
  const gpt = model as Gpt;
  const c = run.config;
  const rows = Math.max(1, Math.min(c.microBatchRows, Math.floor(c.batchTokens / run.sequenceLength)));
  const microBatches = Math.max(1, Math.round(c.batchTokens / (rows * run.sequenceLength)));
  const optimizer = createOptimizer(gpt);
  const learningRates = optimizer.groups.map((group) => group.learningRate);
  const decays = optimizer.groups.map((group) => group.weightDecay ?? 0);
  const shares = new Map([
    [gpt.tokenEmbedding, REREAD_SHARES.tokenEmbedding],
    ...gpt.valueEmbeddings().map((table) => [table, REREAD_SHARES.valueEmbedding] as const),
    [gpt.head, REREAD_SHARES.head], // last: it is the token embedding, too, where they are tied
  ]);
  const rereadShares = optimizer.groups.map(({ parameters }) => shares.get(parameters[0]) ?? 0);
  const schedule = {
    warmUp: c.warmUp,
    warmDown: c.warmDown,
    finalFraction: c.finalLearningRateFraction,
    shape: c.warmDownShape as "linear" | "cosine",
  };
  /** Adds a micro-batch's share to the gradients and returns its loss. */
  const accumulate = ({ inputs, targets }: Batch): Tensor => {
    const loss = gpt.loss(inputs, targets);
    backward(microBatches > 1 ? scale(loss, 1 / microBatches) : loss);
    return loss;
  };
  for (let step = 0;; step++) {
    const first = run.nextBatch(rows);
    if (first === null) break;
    run.step(() => {
      let loss = accumulate(first);
      for (let micro = 1; micro < microBatches; micro++) {
        const batch = run.nextBatch(rows);
        if (batch === null) return;
        loss = accumulate(batch);
      }
      const progress = run.progress();
      const factor = learningRateFactor(progress, schedule);
      const reread = c.rereadWeightDecay * rereadFactor(run.epochs());
      for (const [i, group] of optimizer.groups.entries()) {
        group.learningRate = learningRates[i] * factor;
        group.weightDecay = decays[i] + reread * rereadShares[i];
        if (group.kind !== "muon") continue;
        group.momentum = ramp(step + 1, c.muonMomentumStart, c.muonMomentum, c.muonMomentumSteps);
        group.weightDecay = decayToZero(c.weightDecay, progress);
      }
      optimizer.step();
      run.log(step, loss);
    });
  }
  optimizer.dispose();
}
