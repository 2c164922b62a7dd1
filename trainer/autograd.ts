/**
 * The backward pass: the table of gradient rules, exhaustive over the ops, and the walk back over the tape.
 * @module
 */
import { type Kept, type OpName, OpNode, type Rule, setUnit } from "./tape.ts";
import { isKept, readHeld, ShapeError, showShape, Tensor } from "./tensor.ts";
import { attentionGradient } from "./ops/attention.ts";
import { binaryGradient } from "./ops/binary.ts";
import { concatGradient, sliceGradient, splitGradient } from "./ops/copy_block.ts";
import { crossEntropyGradient } from "./ops/cross_entropy.ts";
import { dropoutGradient } from "./ops/dropout.ts";
import { embeddingGradient } from "./ops/embedding.ts";
import { gatedValueEmbeddingGradient } from "./ops/gated_embedding.ts";
import { layerNormGradient } from "./ops/layer_norm.ts";
import { linearGradient } from "./ops/linear.ts";
import { linearCrossEntropyGradient } from "./ops/linear_cross_entropy.ts";
import { matmulGradient } from "./ops/matmul.ts";
import { mixRmsNormGradient } from "./ops/mix_rms_norm.ts";
import { reluSquaredMlpGradient } from "./ops/relu_squared_mlp.ts";
import { reshapeGradient } from "./ops/reshape.ts";
import { rmsNormGradient } from "./ops/rms_norm.ts";
import { ropeGradient } from "./ops/rope.ts";
import { ropeRmsNormGradient } from "./ops/rope_rms_norm.ts";
import { rotaryAttentionGradient } from "./ops/rotary_attention.ts";
import { scaleGradient } from "./ops/scale.ts";
import { softmaxGradient } from "./ops/softmax.ts";
import { sumGradient } from "./ops/sum.ts";
import { swigluGradient } from "./ops/swiglu.ts";
import { transposeGradient } from "./ops/transpose.ts";
import { unaryGradient } from "./ops/unary.ts";

export { withoutTape } from "./tape.ts";

/** The rule of each op; an op without one does not compile. */
export const gradients: { readonly [K in OpName]: Rule<K> } = {
  attention: attentionGradient,
  binary: binaryGradient,
  concat: concatGradient,
  crossEntropy: crossEntropyGradient,
  dropout: dropoutGradient,
  embedding: embeddingGradient,
  gatedValueEmbedding: gatedValueEmbeddingGradient,
  layerNorm: layerNormGradient,
  linear: linearGradient,
  linearCrossEntropy: linearCrossEntropyGradient,
  matmul: matmulGradient,
  mixRmsNorm: mixRmsNormGradient,
  reluSquaredMlp: reluSquaredMlpGradient,
  reshape: reshapeGradient,
  rmsNorm: rmsNormGradient,
  rope: ropeGradient,
  ropeRmsNorm: ropeRmsNormGradient,
  rotaryAttention: rotaryAttentionGradient,
  scale: scaleGradient,
  slice: sliceGradient,
  softmax: softmaxGradient,
  split: splitGradient,
  sum: sumGradient,
  swiglu: swigluGradient,
  transpose: transposeGradient,
  unary: unaryGradient,
};

/** All records that `root` depends on, the latest first. */
function nodesBehind(root: OpNode): OpNode[] {
  const seen = new Set<OpNode>([root]);
  for (const node of seen) {
    for (const { node: before } of node.inputs) if (before instanceof OpNode) seen.add(before);
  }
  return [...seen].sort((a, b) => b.id - a.id);
}

/** Takes a tensor's gradient away from it. */
function takeGrad(tensor: Tensor): Tensor | null {
  const grad = tensor.grad;
  tensor.grad = null;
  return grad;
}

/**
 * Adds the gradient of `loss` to `grad` of every weight that it depends on; a second call before the optimizer's step
 * adds to the first one's (gradient accumulation).
 *
 * Activations are freed as soon as nothing needs them: after this call only weights, tensors of one element (losses) and
 * those given to `keep()` can be read.
 * @param loss a tensor of one element
 * @throws ShapeError when it has more; Error when it depends on no weight, or when its tape was used already
 */
export function backward(loss: Tensor): void {
  if (loss.size !== 1) throw new ShapeError("backward", `needs one element, got ${showShape(loss.shape)}`);
  const root = loss.node;
  if (!(root instanceof OpNode)) throw new Error("backward: the loss depends on no weight, or was not recorded");
  const nodes = nodesBehind(root);
  if (nodes.some((node) => node.released)) {
    throw new Error("backward: a part of the computation was freed by an earlier backward(); add the losses instead");
  }
  loss.grad = setUnit(Tensor.untracked(loss.shape).fill(1));
  try {
    for (const node of nodes) step(node);
  } finally {
    // After an error gradients of activations would otherwise outlive them.
    for (const node of nodes) for (const output of node.outputs) takeGrad(output)?.dispose();
  }
}

/** Runs one rule and frees what was needed for it. */
function step<K extends OpName>(node: OpNode): void {
  const dys = node.outputs.map(takeGrad);
  try {
    if (dys.some((dy) => dy !== null)) {
      const rule = gradients[node.op as K];
      readHeld(() => rule(node.kept as Kept[K], dys[0]!, dys));
    }
  } finally {
    for (const dy of dys) dy?.dispose();
    node.release();
  }
  for (const output of node.outputs) {
    if (output.size > 1 && !isKept(output)) output.dispose();
  }
}
