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
import type { Model, Run, Setup } from "./contract.ts";
import { backward } from "./autograd.ts";
import { Parameters, Random, ropeTables } from "./nn.ts";
import {
  attention,
  embedding,
  gatedValueEmbedding,
  gelu,
  linear,
  linearCrossEntropy,
  mixRmsNorm,
  reluSquaredMlp,
  reshape,
  rmsNorm,
  ropeRmsNorm,
  scale,
  slice,
  softcap,
  swiglu,
} from "./ops/mod.ts";
import { type Group, Optimizer } from "./optim.ts";
import { decayToZero, learningRateFactor, ramp } from "./schedule.ts";
import { Tensor } from "./tensor.ts";

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
