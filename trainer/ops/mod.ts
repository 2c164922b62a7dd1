/**
 * All ops with gradients. Shapes are row-major; `[..., C]` stands for any leading axes. An op checks its arguments and
 * throws a ShapeError that names op, rule and what it got; its output belongs to the running `scope()`.
 *
 * | products | `linear` `reluSquaredMlp` `matmul` |
 * | --- | --- |
 * | embeddings | `embedding` `gatedValueEmbedding` |
 * | norms and positions | `rmsNorm` `layerNorm` `mixRmsNorm` `rope` `ropeRmsNorm` |
 * | attention | `attention` `rotaryAttention` |
 * | elementwise | `relu` `relu2` `gelu` `silu` `swiglu` `sigmoid` `tanh` `softcap` `exp` `log` `sqrt` `square` `negate` `scale` `add` `subtract` `multiply` `divide` `dropout` |
 * | over an axis | `sum` `mean` `softmax` |
 * | shapes | `reshape` `detach` `transpose` `slice` `split` `concat` |
 * | losses | `crossEntropy` `linearCrossEntropy` |
 * @module
 */
export { attention, type AttentionOptions } from "./attention.ts";
export { add, divide, multiply, subtract } from "./binary.ts";
export { concat, slice, split } from "./copy_block.ts";
export { crossEntropy, type CrossEntropyOptions } from "./cross_entropy.ts";
export { dropout } from "./dropout.ts";
export { embedding, type EmbeddingOptions } from "./embedding.ts";
export { gatedValueEmbedding } from "./gated_embedding.ts";
export { layerNorm, type LayerNormOptions } from "./layer_norm.ts";
export { linear, type LinearOptions } from "./linear.ts";
export { linearCrossEntropy } from "./linear_cross_entropy.ts";
export { matmul, type MatmulOptions } from "./matmul.ts";
export { type MixRmsNorm, mixRmsNorm } from "./mix_rms_norm.ts";
export { reluSquaredMlp } from "./relu_squared_mlp.ts";
export { detach, reshape } from "./reshape.ts";
export { rmsNorm, type RmsNormOptions } from "./rms_norm.ts";
export { rope } from "./rope.ts";
export { ropeRmsNorm } from "./rope_rms_norm.ts";
export { rotaryAttention, type RotaryAttentionOptions } from "./rotary_attention.ts";
export { scale } from "./scale.ts";
export { softmax } from "./softmax.ts";
export { mean, sum } from "./sum.ts";
export { swiglu } from "./swiglu.ts";
export { transpose } from "./transpose.ts";
export { exp, gelu, log, negate, relu, relu2, sigmoid, silu, softcap, sqrt, square, tanh } from "./unary.ts";
