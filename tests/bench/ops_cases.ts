/**
 * What `bench ops` runs: every op of the ABI at least once, at the shapes of the preset `cpu` (16 rows of 256 tokens,
 * width 256, two heads, vocabulary 2048) and of the step that it takes.
 * @module
 */
import { enums } from "../../cuda/symbols.gen.ts";
import type { OpName } from "../ops/case.ts";

/** An argument of the ABI in its order; a buffer stands for two parameters, itself and its bytes. */
export type BenchArgument =
  | number
  | null
  /** A tensor of f32, with what the op does to it: written and read counts as two passes over memory. */
  | { readonly floats: number; readonly use: "read" | "write" | "update"; readonly weight?: true; readonly low: number }
  /** A tensor of i32 in 0 … below − 1. */
  | { readonly ids: number; readonly below: number }
  /** The tensor of the argument at this index. */
  | { readonly same: number }
  /** Memory of the caller. */
  | { readonly buffer: ArrayBufferView<ArrayBuffer> }
  /** An optimizer's table of tensors and offsets. */
  | { readonly rows: BenchArgument[][] }
  /** A small tensor of numbers, such as learning rates. */
  | { readonly numbers: number[] };

/** One call to time. */
export interface BenchCase {
  /** The shape in words. */
  readonly label: string;
  readonly args: BenchArgument[];
}

const read = (floats: number): BenchArgument => ({ floats, use: "read", low: -1 });
const positive = (floats: number): BenchArgument => ({ floats, use: "read", low: 0.5 });
const weight = (floats: number): BenchArgument => ({ floats, use: "read", low: -1, weight: true });
const write = (floats: number): BenchArgument => ({ floats, use: "write", low: -1 });
const update = (floats: number): BenchArgument => ({ floats, use: "update", low: -1 });
const ids = (count: number, below: number): BenchArgument => ({ ids: count, below });
const targets = (count: number, below: number) => Int32Array.from({ length: count }, (_, i) => (i * 7919) % below);

const B = 16, T = 256, C = 256, H = 2, D = 128, V = 2048, N = B * T, F = 4 * C;
const eps = 1e-6, elements = N * C, wide = N * F;

function linear(n: number, k: number, epilogue: number = enums.RS_EPILOGUE_NONE): BenchCase {
  const aux = epilogue === enums.RS_EPILOGUE_ADD_AUX ? read(N * n) : null;
  const words = ["", " relu²", "", " + aux"][epilogue];
  return {
    label: `x[${N},${k}]·w[${n},${k}]ᵀ${words}`,
    args: [write(N * n), read(N * k), weight(n * k), aux, 1, N, n, k, 0, 1, 0, epilogue],
  };
}

function linearInputGradient(n: number, k: number, epilogue: number = enums.RS_EPILOGUE_NONE): BenchCase {
  const aux = epilogue === enums.RS_EPILOGUE_NONE ? null : positive(N * n);
  return {
    label: `dy[${N},${k}]·w[${k},${n}]${aux ? " relu²'" : ""}`,
    args: [write(N * n), read(N * k), weight(n * k), aux, 1, N, n, k, 0, 0, 0, epilogue],
  };
}

function linearWeightGradient(m: number, n: number): BenchCase {
  return {
    label: `dy[${N},${m}]ᵀ·x[${N},${n}]`,
    args: [write(m * n), read(N * m), read(N * n), null, 1, m, n, N, 1, 0, 0, enums.RS_EPILOGUE_NONE],
  };
}

function muon(count: number, rows: number, cols: number): BenchCase {
  const size = rows * cols;
  const row = () => [update(size), read(size), update(size), update(Math.max(rows, cols))];
  return {
    label: `${count} × [${rows},${cols}]`,
    args: [{ rows: Array.from({ length: count }, row) }, count, rows, cols, 5, enums.RS_F32, {
      numbers: [0.02, 0.95, 0.95, 0.1],
    }, 0],
  };
}

/** The cases by op; an op of the ABI without one does not compile. */
export const benchCases: { readonly [K in OpName]: readonly BenchCase[] } = {
  rs_matmul: [
    linear(C, C),
    linear(C, C, enums.RS_EPILOGUE_ADD_AUX),
    linear(F, C, enums.RS_EPILOGUE_RELU2),
    linear(C, F, enums.RS_EPILOGUE_ADD_AUX),
    linear(V, C),
    linear(2, 32),
    linearInputGradient(C, C),
    linearInputGradient(F, C, enums.RS_EPILOGUE_RELU2_BACKWARD),
    linearInputGradient(C, F),
    linearInputGradient(C, V),
    linearInputGradient(32, 2),
    linearWeightGradient(C, C),
    linearWeightGradient(F, C),
    linearWeightGradient(C, F),
    linearWeightGradient(V, C),
    linearWeightGradient(2, 32),
  ],
  rs_matmul_sum: [{
    label: `dy[${N},${C}]·w[${C},${C}], two of them`,
    args: [
      write(N * C),
      { rows: Array.from({ length: 2 }, () => [read(N * C), weight(C * C), C]) },
      ...[2, N, C, 0],
    ],
  }],
  rs_linear_rope_rms_norm_forward: [{
    label: `x[${N},${C}]·w[${H * D},${C}]ᵀ`,
    args: [
      ...[write(N * H * D), write(N * H), read(N * C), weight(H * D * C), read(T * D / 2), read(T * D / 2)],
      ...[B, T, H, D, C, eps],
    ],
  }],
  rs_linear_cross_entropy: [
    {
      label: `x[${N},${C}]·w[${V},${C}]ᵀ, gradients`,
      args: [
        ...[write(2), write(N), write(elements), write(V * C), read(elements), weight(V * C), ids(N, V)],
        ...[N, C, V, 15],
      ],
    },
    {
      label: `x[${N},${C}]·w[${V},${C}]ᵀ, loss only`,
      args: [write(2), write(N), null, null, read(elements), weight(V * C), ids(N, V), N, C, V, 15],
    },
  ],
  rs_muon_step: [muon(16, C, C), muon(4, F, C), muon(4, C, F), muon(2, H, 32)],
  rs_adamw_step: [{
    label: `4 × [${V},${C}]`,
    args: [
      {
        rows: Array.from({ length: 4 }, () => [
          update(V * C),
          read(V * C),
          update(V * C),
          { floats: V * C, use: "update", low: 0.5 } as const,
          0,
        ]),
      },
      4,
      { numbers: [0.01, 0.8, 0.95, 1e-10, 0, 1] },
    ],
  }],
  rs_attention_forward: [{
    label: `[${B},${T},${H},${D}]`,
    args: [
      ...[write(elements), write(B * H * T), read(elements), read(elements), read(elements)],
      ...[B, T, H, H, D, T, D ** -0.5],
    ],
  }, {
    label: `[${B},${T},${H},${D}], window ${T / 2}`,
    args: [
      ...[write(elements), write(B * H * T), read(elements), read(elements), read(elements)],
      ...[B, T, H, H, D, T / 2, D ** -0.5],
    ],
  }],
  rs_attention_backward: [{
    label: `[${B},${T},${H},${D}]`,
    args: [
      ...[write(elements), write(elements), write(elements), read(elements), read(elements)],
      ...[positive(B * H * T), read(elements), read(elements), read(elements), 0, 0, 0, 0],
      ...[B, T, H, H, D, T, D ** -0.5],
    ],
  }],
  rs_cross_entropy_forward: [{
    label: `[${N},${V}], soft cap`,
    args: [write(2), write(N), write(N), read(N * V), ids(N, V), N, V, 15],
  }],
  rs_cross_entropy_backward: [{
    label: `[${N},${V}], soft cap`,
    args: [write(N * V), { numbers: [1] }, { numbers: [8, N] }, positive(N), read(N * V), ids(N, V), N, V, 15],
  }],
  rs_score_logits: [{
    label: `[${N},${V}]`,
    args: [
      { buffer: new Float32Array(N) },
      { buffer: new BigUint64Array(N) },
      { buffer: targets(N, V) },
      { buffer: new Uint8Array(16) },
      read(N * V),
      N,
      V,
    ],
  }],
  rs_bits_per_byte_sums: [{
    label: `[${N}]`,
    args: [
      { buffer: new Float64Array(2) },
      { buffer: new Float32Array(N).fill(2) },
      { buffer: targets(N, V) },
      { buffer: new Uint16Array(V).fill(3) },
      N,
      V,
    ],
  }],
  rs_embedding_forward: [{
    label: `[${N}] of [${V},${C}]`,
    args: [write(elements), read(V * C), ids(N, V), N, C, V],
  }],
  rs_embedding_backward: [{
    label: `[${N}] of [${V},${C}]`,
    args: [update(V * C), read(elements), ids(N, V), N, C, V],
  }],
  rs_gated_embedding_forward: [{
    label: `[${N},${H},${D}]`,
    args: [write(elements), read(elements), read(V * C), ids(N, V), read(N * H), N, H, D, V],
  }],
  rs_gated_embedding_backward: [{
    label: `[${N},${H},${D}]`,
    args: [write(N * H), update(V * C), read(elements), read(V * C), ids(N, V), read(N * H), N, H, D, V],
  }],
  rs_rms_norm_forward: [{
    label: `[${N},${C}]`,
    args: [write(elements), write(N), read(elements), null, N, C, eps],
  }],
  rs_rms_norm_backward: [{
    label: `[${N},${C}] + residual`,
    args: [write(elements), null, read(elements), read(elements), positive(N), null, read(elements), N, C, eps],
  }],
  rs_layer_norm_forward: [{
    label: `[${N},${C}]`,
    args: [write(elements), write(N), write(N), read(elements), read(C), read(C), N, C, eps],
  }],
  rs_layer_norm_backward: [{
    label: `[${N},${C}]`,
    args: [
      ...[write(elements), write(C), write(C), read(elements), read(elements), read(N), positive(N), read(C)],
      ...[N, C],
    ],
  }],
  rs_mix_rms_norm_forward: [{
    label: `[${N},${C}]`,
    args: [
      ...[write(elements), write(elements), write(N), read(elements), read(elements)],
      ...[{ numbers: [1] }, { numbers: [0.1] }, 0, N, C, eps],
    ],
  }],
  rs_mix_rms_norm_backward: [{
    label: `[${N},${C}]`,
    args: [
      ...[write(elements), update(elements), update(1), update(1), read(elements), read(elements), read(elements)],
      ...[positive(N), read(elements), read(elements), { numbers: [1] }, { numbers: [0.1] }, 0, N, C],
    ],
  }],
  rs_rope: [{
    label: `[${B},${T},${H},${D}]`,
    args: [write(elements), read(elements), read(T * D / 2), read(T * D / 2), B, T, H, D, 0],
  }],
  rs_rope_rms_norm_forward: [{
    label: `[${B},${T},${H},${D}]`,
    args: [
      ...[write(elements), write(N * H), read(elements), read(T * D / 2), read(T * D / 2)],
      ...[B, T, H, D, eps],
    ],
  }],
  rs_rope_rms_norm_backward: [{
    label: `[${B},${T},${H},${D}]`,
    args: [
      ...[write(elements), read(elements), read(elements), positive(N * H), read(T * D / 2), read(T * D / 2)],
      ...[B, T, H, D],
    ],
  }],
  rs_swiglu_forward: [{ label: `[${N},${F}]`, args: [write(wide), read(2 * wide), N, F] }],
  rs_swiglu_backward: [{ label: `[${N},${F}]`, args: [write(2 * wide), read(wide), read(2 * wide), N, F] }],
  rs_unary_forward: [
    { label: `relu² [${N},${F}]`, args: [write(wide), read(wide), enums.RS_RELU2, 0] },
    { label: `gelu [${N},${F}]`, args: [write(wide), read(wide), enums.RS_GELU, 0] },
    { label: `soft cap [${N},${V}]`, args: [write(N * V), read(N * V), enums.RS_SOFTCAP, 15] },
  ],
  rs_unary_backward: [
    { label: `relu² [${N},${F}]`, args: [write(wide), read(wide), read(wide), read(wide), enums.RS_RELU2, 0] },
    { label: `gelu [${N},${F}]`, args: [write(wide), read(wide), read(wide), read(wide), enums.RS_GELU, 0] },
  ],
  rs_binary_forward: [
    {
      label: `multiply [${N},${C}] by itself`,
      args: [write(elements), read(elements), read(elements), enums.RS_MULTIPLY, enums.RS_FULL, N, C],
    },
    {
      label: `add a row to [${N},${C}]`,
      args: [write(elements), read(elements), read(C), enums.RS_ADD, enums.RS_ROW, N, C],
    },
  ],
  rs_binary_backward: [{
    label: `multiply [${N},${C}] by a row`,
    args: [
      ...[write(elements), write(C), read(elements), read(elements), read(C)],
      ...[enums.RS_MULTIPLY, enums.RS_ROW, N, C],
    ],
  }],
  rs_softmax_forward: [{ label: `[${N},${F}]`, args: [write(wide), read(wide), N, F] }],
  rs_softmax_backward: [{ label: `[${N},${F}]`, args: [write(wide), read(wide), read(wide), N, F] }],
  rs_sum_forward: [
    { label: `[${N},${C}] over rows`, args: [write(C), read(elements), N, C, 0, 1] },
    { label: `[${N},${C}] over all`, args: [write(1), read(elements), N, C, 2, 1] },
  ],
  rs_sum_backward: [{ label: `[${N},${C}] from rows`, args: [write(elements), read(C), N, C, 0, 1] }],
  rs_dropout: [{ label: `[${N},${C}]`, args: [write(elements), read(elements), 0.1, 1, 2] }],
  rs_random_uniform: [{ label: `[${elements}]`, args: [write(elements), -1, 1, 1, 2] }],
  rs_random_normal: [{ label: `[${elements}]`, args: [write(elements), 0, 1, 1, 2] }],
  rs_tensor_fill: [{ label: `[${wide}]`, args: [write(wide), 1] }],
  rs_tensor_copy: [{ label: `[${wide}]`, args: [write(wide), read(wide)] }],
  rs_axpby: [{ label: `[${wide}]`, args: [update(wide), read(wide), 0.5, 1] }],
  rs_scale_by: [{ label: `[${wide}]`, args: [write(wide), read(wide), { numbers: [0.5] }] }],
  rs_copy_block: [{
    label: `32 of [${N},${C}]`,
    args: [write(N * 32), read(N * 32 * 1), N, 32, 32, 0, 32, 0, 0],
  }],
  rs_transpose: [{ label: `[${B},${T},${H},${D}]`, args: [write(elements), read(elements), B, T, H, D] }],
};
