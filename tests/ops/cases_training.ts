/**
 * Cases of attention, losses, optimizers and scoring.
 * @module
 */
import { angles, type Argument, type Case, f32, Random, steps, summed } from "./case.ts";
import { ropeRmsNorm, ropeRmsNormGradient } from "./reference.ts";
import * as reference from "./reference_training.ts";

// Batch, time, heads, key/value heads, head dimension, window: rows and keys beside the blocks, windows that begin
// inside a block, at its edge and beyond the start, heads in groups of equal and of different sizes.
const attentions = [
  [1, 1, 1, 1, 1, 0],
  [2, 5, 4, 2, 3, 5],
  [1, 17, 2, 2, 16, 0],
  [2, 33, 3, 1, 8, 1],
  [1, 64, 5, 3, 20, 15],
  [1, 65, 2, 1, 64, 16],
  [1, 100, 2, 2, 128, 100],
  [1, 131, 4, 2, 17, 64],
  [2, 129, 1, 1, 32, 31],
  [1, 300, 2, 1, 6, 1000],
  [1, 200, 1, 1, 5, 7],
  [0, 4, 2, 2, 8, 4],
].map(([b, t, h, g, d, window]) => {
  const random = new Random(2000 + t + d), shape = { b, t, h, g, d, window, scale: 1 / Math.sqrt(d) };
  return {
    name: `B${b} T${t} H${h} G${g} D${d} window ${window}`,
    shape,
    sizes: [b, t, h, g, d, window, shape.scale],
    q: random.normal(b * t * h * d, 1.5),
    k: random.normal(b * t * g * d, 1.5),
    v: random.normal(b * t * g * d),
    dy: random.normal(b * t * h * d),
  };
});

const losses = [[1, 1, 0], [5, 3, 15], [40, 100, 0], [65, 257, 15], [33, 1000, 30], [130, 17, 0], [0, 9, 0]].map(
  ([n, v, cap], index) => {
    const random = new Random(2100 + index), targets = random.ids(n, v);
    for (let i = 2; i < n; i += 7) targets[i] = -1;
    return {
      name: `${n}×${v}${cap ? ` cap ${cap}` : ""}`,
      n,
      v,
      cap,
      targets,
      logits: random.normal(n * v, cap ? 20 : 5),
    };
  },
);
const allIgnored = {
  name: "every target ignored",
  n: 3,
  v: 5,
  cap: 0,
  targets: new Int32Array(3).fill(-1),
  logits: new Random(1).normal(15),
};

const heads = [
  [1, 1, 1, 0],
  [5, 3, 4, 15],
  [40, 24, 70, 15],
  [130, 33, 517, 15],
  [300, 16, 65, 0],
  [600, 8, 40, 5],
  [150, 40, 416, 15], // whole groups of 32 entries and of 8 columns, a part of a last tile
].map(([n, c, v, cap], index) => {
  const random = new Random(2200 + index), targets = random.ids(n, v);
  for (let i = 1; i < n; i += 5) targets[i] = -1;
  return {
    name: `${n}×${c}, ${v} entries, cap ${cap}`,
    n,
    c,
    v,
    cap,
    targets,
    x: random.normal(n * c),
    w: random.normal(v * c),
  };
});

const adamSizes = [[1], [17, 5, 16385], [33000, 64]];
const adamCases = adamSizes.map((sizes, index): Case => {
  const random = new Random(2300 + index);
  const scalars = f32([9, ...sizes.flatMap((_, i) => [0.01 * (i + 1), 0.8, 0.95, 1e-8, 0.1 * i, 3 + i])]);
  const rows = sizes.map((n, i) => ({
    p: random.normal(n),
    g: random.normal(n, 0.1),
    m: random.normal(n, 0.1),
    v: random.uniform(n, 0, 0.02),
    offset: 1 + 6 * i,
  }));
  return {
    name: `${sizes.join(", ")} elements`,
    args: [
      { rows: rows.map(({ p, g, m, v, offset }) => [{ inout: p }, { in: g }, { inout: m }, { inout: v }, offset]) },
      rows.length,
      { in: scalars },
    ],
    expected: () =>
      rows.flatMap(({ p, g, m, v, offset }) =>
        reference.adamw(p, g, m, v, Array.from(scalars.subarray(offset, offset + 6)))
      ),
    tolerance: steps(24),
  };
});

const muonShapes = [[1, 1, 5, 1], [5, 3, 1, 2], [16, 40, 5, 3], [40, 16, 5, 2], [33, 33, 3, 1], [70, 130, 5, 2]];
const muonCases = muonShapes.flatMap(([rows, cols, iterations, tensors], index) =>
  [0.95, 0].map((beta2): Case => {
    const random = new Random(2400 + index), n = rows * cols;
    const scalars = f32([7, 7, 0.3, 0.9, beta2, 0.05]);
    const table = Array.from({ length: tensors }, () => ({
      p: random.normal(n),
      g: random.normal(n, 0.1),
      momentum: random.normal(n, 0.1),
      second: random.uniform(rows >= cols ? rows : cols, 0, 0.1),
    }));
    return {
      name: `${tensors} of ${rows}×${cols}, ${iterations} iterations, beta2 ${beta2}`,
      args: [
        {
          rows: table.map(({ p, g, momentum, second }): Argument[] => [
            { inout: p },
            { in: g },
            { inout: momentum },
            { inout: second },
          ]),
        },
        tensors,
        rows,
        cols,
        iterations,
        0,
        { in: scalars },
        2,
      ],
      expected: () =>
        table.flatMap(({ p, g, momentum, second }) =>
          reference.muon(p, g, momentum, second, rows, cols, iterations, Array.from(scalars.subarray(2)))
        ),
      // The five polynomials multiply the smallest singular values, and their rounding, by up to 8·4·4·3·2.
      tolerance: steps(800),
    };
  })
);

/** The same gradient through the RoPE and norm that q and k came from. */
function throughRope(
  plain: Case,
  { b, t, h, g, d, ...rest }: (typeof attentions)[number]["shape"],
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  dy: Float32Array,
): Case {
  const { cos, sin } = angles(t, d), eps = 1e-6, shape = { b, t, h, g, d, ...rest };
  const [query, queryRstd] = ropeRmsNorm(q, cos, sin, [b, t, h, d], eps).map(f32);
  const [key, keyRstd] = ropeRmsNorm(k, cos, sin, [b, t, g, d], eps).map(f32);
  const [y, lse] = reference.attention(query, key, v, shape);
  return {
    ...plain,
    name: `${plain.name} through RoPE and norm`,
    args: [
      ...plain.args.slice(0, 4),
      ...[y, lse, query, key, v, queryRstd, keyRstd, cos, sin].map((data) => ({ in: f32(data) })),
      ...plain.args.slice(13),
    ],
    expected: () => {
      const [dq, dk, dv] = reference.attentionGradient(dy, query, key, v, shape);
      return [
        ropeRmsNormGradient(dq, q, cos, sin, [b, t, h, d], eps),
        ropeRmsNormGradient(dk, k, cos, sin, [b, t, g, d], eps),
        dv,
      ];
    },
    // 1/RMS of the input multiplies the errors.
    tolerance: 4 * plain.tolerance,
  };
}

/** The cases, by op. */
export const trainingCases = {
  rs_attention_forward: attentions.map(({ name, shape, sizes, q, k, v }): Case => ({
    name,
    args: [{ out: q.length }, { out: shape.b * shape.h * shape.t }, { in: q }, { in: k }, { in: v }, ...sizes],
    expected: () => reference.attention(q, k, v, shape),
    // A score is a sum over D, and exp turns its error into a relative one; then a sum over the keys.
    tolerance: 4 * summed(shape.d) + summed(shape.t),
  })),
  rs_attention_backward: attentions.flatMap(({ name, shape, sizes, q, k, v, dy }): Case[] => {
    const [y, lse] = reference.attention(q, k, v, shape);
    const plain: Case = {
      name,
      args: [
        { out: q.length },
        { out: k.length },
        { out: v.length },
        { in: dy },
        { in: f32(y) },
        { in: f32(lse) },
        { in: q },
        { in: k },
        { in: v },
        ...[null, null, null, null],
        ...sizes,
      ],
      expected: () => reference.attentionGradient(dy, q, k, v, shape),
      tolerance: 8 * summed(shape.d) + summed(shape.t),
      // A query that sees one key has no gradient: what is left of dy·v − delta is rounding of terms of that size.
      floor: 1,
    };
    return shape.d % 2 === 0 ? [plain, throughRope(plain, shape, q, k, v, dy)] : [plain];
  }),
  rs_cross_entropy_forward: [...losses, allIgnored].map(({ name, n, v, cap, targets, logits }): Case => ({
    name,
    args: [{ out: 2 }, { out: n }, { out: n }, { in: logits }, { in: targets }, n, v, cap],
    expected: () => reference.crossEntropy(logits, targets, n, v, cap),
    tolerance: steps(16) + summed(v),
  })),
  rs_cross_entropy_backward: losses.flatMap(({ name, n, v, cap, targets, logits }): Case[] => {
    const [mean, , lse] = reference.crossEntropy(logits, targets, n, v, cap);
    const inputs: Argument[] = [{ in: Float32Array.of(0.7) }, { in: f32(mean) }, { in: f32(lse) }];
    const rest: Argument[] = [{ in: targets }, n, v, cap];
    const common = {
      expected: () => [reference.crossEntropyGradient(Math.fround(0.7), logits, targets, n, v, cap)],
      // exp of a difference of logits, which reach 60, each off by one rounding.
      tolerance: steps(120),
    };
    return [
      { name, args: [{ out: n * v }, ...inputs, { in: logits }, ...rest], ...common },
      { name: `${name} in place`, args: [{ inout: logits }, ...inputs, { same: 0 }, ...rest], ...common },
    ];
  }),
  rs_linear_cross_entropy: heads.flatMap(({ name, n, c, v, cap, targets, x, w }): Case[] => {
    const [mean, each, dx, dw] = reference.linearCrossEntropy(x, w, targets, n, c, v, cap);
    const inputs: Argument[] = [{ in: x }, { in: w }, { in: targets }, n, c, v, cap];
    const tolerance = 8 * summed(c) + summed(v) + summed(n);
    return [
      {
        name,
        args: [{ out: 2 }, { out: n }, { out: n * c }, { out: v * c }, ...inputs],
        expected: () => [mean, each, dx, dw],
        tolerance,
      },
      {
        name: `${name}, loss alone`,
        args: [{ out: 2 }, { out: n }, null, null, ...inputs],
        expected: () => [mean, each],
        tolerance,
      },
    ];
  }),
  rs_adamw_step: adamCases,
  rs_muon_step: muonCases,
  rs_score_logits: losses.map(({ name, n, v, targets, logits }): Case => ({
    name,
    args: [
      { buffer: new Float32Array(n), written: true },
      { buffer: new BigUint64Array(n), written: true },
      { buffer: targets },
      { buffer: new Uint8Array(16).fill(7) },
      { in: logits },
      n,
      v,
    ],
    expected: () => [reference.scoreLogits(logits, targets, n, v), null],
    tolerance: steps(16) + summed(v),
  })),
  rs_bits_per_byte_sums: [1, 50, 3000].map((n): Case => {
    const random = new Random(2500 + n), targets = random.ids(n, 40), nats = random.uniform(n, 0, 9);
    const tokenBytes = Uint16Array.from({ length: 40 }, (_, i) => i < 3 ? 0 : i);
    targets.fill(-1, Math.floor(n / 2), Math.floor(n / 2) + 3);
    return {
      name: `${n} targets`,
      args: [
        { buffer: new Float64Array(2), written: true },
        { buffer: nats },
        { buffer: targets },
        { buffer: tokenBytes },
        n,
        40,
      ],
      expected: () => [reference.bitsPerByteSums(nats, targets, tokenBytes)],
      // Added in float64.
      tolerance: 1e-12,
    };
  }),
};
