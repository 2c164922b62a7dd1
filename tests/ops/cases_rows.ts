/**
 * Cases of products, embeddings, norms and positions.
 * @module
 */
import { enums } from "../../cuda/symbols.gen.ts";
import { angles, type Argument, type Case, f32, Random, steps, summed } from "./case.ts";
import * as reference from "./reference.ts";

const epilogues = [
  enums.RS_EPILOGUE_NONE,
  enums.RS_EPILOGUE_RELU2,
  enums.RS_EPILOGUE_RELU2_BACKWARD,
  enums.RS_EPILOGUE_ADD_AUX,
];

function product(p: reference.Product, seed: number, inPlace = false): Case {
  const random = new Random(seed), { batch, m, n, k, epilogue = 0 } = p, count = batch * m * n;
  const a = random.normal(batch * m * k), b = random.normal((p.batchB ? batch : 1) * k * n);
  const needsAux = epilogue === enums.RS_EPILOGUE_RELU2_BACKWARD || epilogue === enums.RS_EPILOGUE_ADD_AUX;
  const aux = !needsAux
    ? null
    : epilogue === enums.RS_EPILOGUE_ADD_AUX
    ? random.normal(count)
    : random.uniform(count, 0, 4);
  const flags = [p.transA, p.transB, p.batchB].map((flag) => flag ? 1 : 0);
  return {
    name: `${batch}×(${m}×${k}·${k}×${n}) transposed ${flags[0]}${flags[1]} batch_b ${flags[2]} epilogue ${epilogue}${
      inPlace ? " aux is c" : ""
    }`,
    args: [
      inPlace ? { inout: aux! } : { out: count },
      { in: a },
      { in: b },
      inPlace ? { same: 0 } : aux && { in: aux },
      batch,
      m,
      n,
      k,
      ...flags,
      epilogue,
    ],
    expected: () => [reference.matmul(a, b, aux, p)],
    // The square doubles the error.
    tolerance: 2 * summed(k),
  };
}

/** NaN and infinity come through every epilogue: a run that diverges must not look healthy. */
function notFinite(epilogue: number): Case {
  const a = new Random(840).normal(20 * 9), [nan, infinite] = [3, 11];
  a[nan * 9] = NaN;
  a[infinite * 9 + 4] = Infinity;
  const b = new Random(841).uniform(9 * 18, 0.5, 1), aux = new Random(842).uniform(20 * 18, 1, 2);
  const p = { batch: 1, m: 20, n: 18, k: 9, epilogue };
  const needsAux = epilogue === enums.RS_EPILOGUE_RELU2_BACKWARD || epilogue === enums.RS_EPILOGUE_ADD_AUX;
  return {
    name: `NaN and infinity, epilogue ${epilogue}`,
    args: [{ out: 20 * 18 }, { in: a }, { in: b }, needsAux ? { in: aux } : null, 1, 20, 18, 9, 0, 0, 0, epilogue],
    expected: () => [reference.matmul(a, b, aux, p)],
    tolerance: 2 * summed(9),
  };
}

const flags = [false, true];
const productShapes = [[1, 1, 1], [1, 17, 5], [5, 1, 33], [7, 16, 64], [15, 31, 1], [33, 65, 129], [100, 70, 37]];
const products: Case[] = [
  ...productShapes.flatMap(([m, n, k], i) =>
    flags.flatMap((transA) =>
      flags.map((transB, j) =>
        product({ batch: 1, m, n, k, transA, transB, epilogue: epilogues[(i + j + Number(transA)) % 4] }, 800 + i)
      )
    )
  ),
  // Wider than one block of rows, of columns and of k.
  ...flags.flatMap((transA) =>
    flags.flatMap((transB) => [
      product({ batch: 1, m: 37, n: 29, k: 1103, transA, transB }, 820),
      product({ batch: 1, m: 26, n: 1301, k: 19, transA, transB, epilogue: enums.RS_EPILOGUE_RELU2 }, 821),
      product({ batch: 1, m: 611, n: 35, k: 23, transA, transB, epilogue: enums.RS_EPILOGUE_ADD_AUX }, 822),
      product({ batch: 3, m: 19, n: 33, k: 40, transA, transB, batchB: true }, 823),
      product({ batch: 3, m: 19, n: 33, k: 40, transA, transB, epilogue: enums.RS_EPILOGUE_RELU2_BACKWARD }, 824),
    ])
  ),
  product({ batch: 1, m: 45, n: 50, k: 31, epilogue: enums.RS_EPILOGUE_ADD_AUX }, 830, true),
  product({ batch: 2, m: 9, n: 70, k: 600, transB: true, epilogue: enums.RS_EPILOGUE_ADD_AUX }, 831, true),
  ...epilogues.map(notFinite),
  product({ batch: 1, m: 0, n: 5, k: 3 }, 832),
  product({ batch: 1, m: 3, n: 5, k: 0 }, 833),
  product({ batch: 1, m: 3, n: 5, k: 0, epilogue: enums.RS_EPILOGUE_ADD_AUX }, 834),
];

const tables = [[1, 1, 1], [9, 5, 3], [40, 64, 7], [200, 33, 11], [300, 200, 500], [0, 8, 4]].map(([n, c, v]) => {
  const random = new Random(900 + n);
  return {
    name: `${n} ids, table ${v}×${c}`,
    n,
    c,
    v,
    ids: random.ids(n, v),
    table: random.normal(v * c),
    dy: random.normal(n * c),
    before: random.normal(v * c),
  };
});

const gated = [[1, 1, 1, 1], [9, 2, 5, 3], [40, 3, 64, 7], [70, 1, 130, 5], [100, 4, 17, 40], [0, 2, 8, 4]].map(
  ([n, g, d, v]) => {
    const random = new Random(950 + n);
    return {
      name: `${n} ids, ${g} groups of ${d}, ${v} entries`,
      n,
      g,
      d,
      v,
      ids: random.ids(n, v),
      x: random.normal(n * g * d),
      table: random.normal(v * g * d),
      gate: random.normal(n * g, 2),
      dy: random.normal(n * g * d),
      before: random.normal(v * g * d),
    };
  },
);

const normShapes = [[1, 1], [3, 5], [33, 64], [40, 127], [65, 257], [2, 5000], [0, 6]];
const eps = 1e-5;
/** Roundings of a norm: a sum over a row, its root, and a few products; the gradient cancels, so it is held to the RMS. */
const normTolerance = (n: number, c: number): number => summed(Math.max(n, c)) + steps(16);

const norms = normShapes.flatMap(([n, c], index) =>
  flags.map((weighted) => {
    const random = new Random(1000 + index);
    return {
      name: `${n}×${c}${weighted ? " weighted" : ""}`,
      n,
      c,
      x: random.normal(n * c, 3),
      dy: random.normal(n * c),
      weight: weighted ? random.normal(c) : null,
      bias: weighted ? random.normal(c) : null,
      residual: index % 2 ? random.normal(n * c) : null,
    };
  })
);
const optional = (data: Float32Array<ArrayBuffer> | null): Argument => data && { in: data };

const positions = [[1, 1, 1, 2], [2, 5, 3, 6], [1, 33, 2, 64], [3, 17, 1, 34], [2, 40, 2, 128], [0, 3, 1, 4]].map(
  (shape) => {
    const [b, t, h, d] = shape, random = new Random(1100 + t), count = b * t * h * d;
    return {
      name: shape.join("×"),
      shape,
      count,
      rows: b * t * h,
      x: random.normal(count, 2),
      dy: random.normal(count),
      ...angles(t, d),
    };
  },
);

/** The cases, by op. */
export const rowCases = {
  rs_matmul: products,
  rs_matmul_sum: [[[9, 17, 5]], [[40, 64, 33], [40, 64, 7]], [[65, 72, 64], [65, 72, 8], [65, 72, 40]], [[0, 8, 3]]]
    .flatMap((terms, index) =>
      flags.map((accumulate): Case => {
        const random = new Random(850 + index), [m, n] = terms[0];
        const factors = terms.map(([, , k]) => ({ k, a: random.normal(m * k), b: random.normal(k * n) }));
        const before = random.normal(m * n);
        return {
          name: `${m}×${n} of ${terms.map(([, , k]) => k)}${accumulate ? " added" : ""}`,
          args: [
            accumulate ? { inout: before } : { out: m * n },
            { rows: factors.map(({ a, b, k }) => [{ in: a }, { in: b }, k]) },
            terms.length,
            m,
            n,
            Number(accumulate),
          ],
          expected: () => {
            const products = factors.map(({ a, b, k }) => reference.matmul(a, b, null, { batch: 1, m, n, k }));
            return [
              reference.make(
                m * n,
                (i) => products.reduce((sum, one) => sum + one[i], accumulate ? before[i] : 0),
              ),
            ];
          },
          tolerance: 4 * summed(terms.reduce((sum, [, , k]) => sum + k, 0)),
        };
      })
    ),
  rs_embedding_forward: tables.map(({ name, n, c, v, ids, table }): Case => ({
    name,
    args: [{ out: n * c }, { in: table }, { in: ids }, n, c, v],
    expected: () => [reference.embedding(table, ids, c)],
    tolerance: 0,
  })),
  rs_embedding_backward: tables.map(({ name, n, c, v, ids, dy, before }): Case => ({
    name,
    args: [{ inout: before }, { in: dy }, { in: ids }, n, c, v],
    expected: () => [reference.embeddingGradient(before, dy, ids, c)],
    tolerance: summed(n / v),
  })),
  rs_gated_embedding_forward: gated.map(({ name, n, g, d, v, ids, x, table, gate }): Case => ({
    name,
    args: [{ out: n * g * d }, { in: x }, { in: table }, { in: ids }, { in: gate }, n, g, d, v],
    expected: () => [reference.gatedEmbedding(x, table, ids, gate, g, d)],
    tolerance: steps(8),
  })),
  rs_gated_embedding_backward: gated.map(({ name, n, g, d, v, ids, table, gate, dy, before }): Case => ({
    name,
    args: [
      { out: n * g },
      { inout: before },
      { in: dy },
      { in: table },
      { in: ids },
      { in: gate },
      n,
      g,
      d,
      v,
    ],
    expected: () => reference.gatedEmbeddingGradient(before, dy, table, ids, gate, g, d),
    tolerance: summed(Math.max(d, n / v)) + steps(8),
  })),
  rs_rms_norm_forward: norms.map(({ name, n, c, x, weight }): Case => ({
    name,
    args: [{ out: n * c }, { out: n }, { in: x }, optional(weight), n, c, eps],
    expected: () => reference.rmsNorm(x, weight, n, c, eps),
    tolerance: steps(8) + summed(c),
  })),
  rs_rms_norm_backward: norms.flatMap(({ name, n, c, x, dy, weight, residual }): Case[] => {
    const [dx, dweight] = reference.rmsNormGradient(dy, x, weight, residual, n, c, eps);
    const [, rstd] = reference.rmsNorm(x, null, n, c, eps);
    const call = (what: string, to: Argument, extra: Argument): Case => ({
      name: name + what,
      args: [to, weight && { out: c }, { in: dy }, { in: x }, { in: f32(rstd) }, optional(weight), extra, n, c, eps],
      expected: () => weight ? [dx, dweight] : [dx],
      tolerance: normTolerance(n, c),
      // With one column everything cancels.
      ...(c === 1 ? { floor: 1 } : {}),
    });
    if (!residual) return [call("", { out: n * c }, null)];
    return [
      call(" residual", { out: n * c }, { in: residual }),
      call(" residual is dx", { inout: residual }, { same: 0 }),
    ];
  }),
  rs_layer_norm_forward: norms.map(({ name, n, c, x, weight, bias }, index): Case => {
    // |mean| ≫ std: a variance from E[x²] − E[x]² would lose all digits. What remains is the rounding of x − mean.
    const far = index === 6 ? 1000 : 0, moved = x.map((value) => value + far);
    return {
      name: name + (far ? ` around ${far}` : ""),
      args: [{ out: n * c }, { out: n }, { out: n }, { in: moved }, optional(weight), optional(bias), n, c, eps],
      expected: () => reference.layerNorm(moved, weight, bias, n, c, eps),
      tolerance: normTolerance(n, c) + steps(far),
    };
  }),
  rs_layer_norm_backward: norms.map(({ name, n, c, x, dy, weight }): Case => {
    const [, mean, rstd] = reference.layerNorm(x, null, null, n, c, eps);
    const [dx, dweight, dbias] = reference.layerNormGradient(dy, x, weight, n, c, eps);
    const sums: Argument = weight && { out: c };
    return {
      name,
      args: [
        { out: n * c },
        sums,
        sums,
        { in: dy },
        { in: x },
        { in: f32(mean) },
        { in: f32(rstd) },
        optional(weight),
        n,
        c,
      ],
      expected: () => weight ? [dx, dweight, dbias] : [dx],
      // With one column everything cancels.
      tolerance: normTolerance(n, c),
      ...(c === 1 ? { floor: 1 / Math.sqrt(eps) } : {}),
    };
  }),
  rs_mix_rms_norm_forward: normShapes.map(([n, c], index): Case => {
    const random = new Random(1200 + index), x = random.normal(n * c), x0 = random.normal(n * c);
    const [a, b] = [random.normal(3), random.normal(3)], same = index === 2;
    return {
      name: `${n}×${c}${same ? " x0 is x" : ""}`,
      args: [
        { out: n * c },
        { out: n * c },
        { out: n },
        { in: x },
        same ? { same: 3 } : { in: x0 },
        { in: a },
        { in: b },
        index % 3,
        n,
        c,
        eps,
      ],
      expected: () => reference.mixRmsNorm(x, same ? x : x0, a[index % 3], b[index % 3], n, c, eps),
      tolerance: steps(8) + summed(c),
    };
  }),
  rs_mix_rms_norm_backward: normShapes.flatMap(([n, c], index) =>
    flags.map((other): Case => {
      const random = new Random(1250 + index), at = index % 3, same = index === 2;
      const x = random.normal(n * c), x0 = same ? x : random.normal(n * c), dy = random.normal(n * c);
      const [a, b, da, db] = [random.normal(3), random.normal(3), random.normal(3), random.normal(3)];
      const dmixed = other ? random.normal(n * c) : null, before = random.normal(n * c);
      const [, y, rstd] = reference.mixRmsNorm(x, x0, a[at], b[at], n, c, eps);
      const [dx, dx0, alongX, alongX0] = reference.mixRmsNormGradient(dy, dmixed, x, x0, a[at], b[at], n, c, eps);
      const plus = (values: Float32Array, sum: number) => values.map((value, i) => i === at ? value + sum : value);
      return {
        name: `${n}×${c}${other ? " dmixed" : ""}${same ? " x0 is x" : ""}`,
        args: [
          { out: n * c },
          { inout: before },
          { inout: da },
          { inout: db },
          { in: dy },
          optional(dmixed),
          { in: f32(y) },
          { in: f32(rstd) },
          { in: x },
          same ? { same: 8 } : { in: x0 },
          { in: a },
          { in: b },
          at,
          n,
          c,
        ],
        expected: () => [dx, reference.make(n * c, (i) => before[i] + dx0[i]), plus(da, alongX), plus(db, alongX0)],
        // One column: the norm's gradient is eps-sized after everything cancels.
        tolerance: normTolerance(n * c, c),
        ...(c === 1 ? { floor: 10 } : {}),
      };
    })
  ),
  rs_rope: positions.flatMap(({ name, shape, count, x, cos, sin }) =>
    [0, 1].map((inverse): Case => ({
      name: `${name}${inverse ? " inverse" : ""}`,
      args: [{ out: count }, { in: x }, { in: cos }, { in: sin }, ...shape, inverse],
      expected: () => [reference.rope(x, cos, sin, shape, inverse === 1)],
      tolerance: steps(4),
    }))
  ),
  rs_rope_rms_norm_forward: positions.map(({ name, shape, count, rows, x, cos, sin }): Case => ({
    name,
    args: [{ out: count }, { out: rows }, { in: x }, { in: cos }, { in: sin }, ...shape, eps],
    expected: () => reference.ropeRmsNorm(x, cos, sin, shape, eps),
    tolerance: steps(12) + summed(shape[3]),
  })),
  rs_linear_rope_rms_norm_forward: positions.map(({ name, shape, count, rows, cos, sin }, index): Case => {
    const random = new Random(1400 + index), [b, t, h, d] = shape, c = [5, 33, 64, 128, 130][index % 5];
    const x = random.normal(b * t * c), w = random.normal(h * d * c);
    return {
      name: `${name} from ${c}`,
      args: [{ out: count }, { out: rows }, { in: x }, { in: w }, { in: cos }, { in: sin }, ...shape, c, eps],
      expected: () =>
        reference.ropeRmsNorm(
          reference.matmul(x, w, null, { batch: 1, m: b * t, n: h * d, k: c, transB: true }),
          cos,
          sin,
          shape,
          eps,
        ),
      tolerance: steps(12) + summed(d) + 2 * summed(c),
    };
  }),
  rs_rope_rms_norm_backward: positions.map(({ name, shape, count, x, dy, cos, sin }): Case => {
    const [y, rstd] = reference.ropeRmsNorm(x, cos, sin, shape, eps);
    return {
      name,
      args: [{ out: count }, { in: dy }, { in: f32(y) }, { in: f32(rstd) }, { in: cos }, { in: sin }, ...shape],
      expected: () => [reference.ropeRmsNormGradient(dy, x, cos, sin, shape, eps)],
      tolerance: steps(24) + summed(shape[3]),
      // Two elements to a row: the gradient may cancel to nothing.
      ...(shape[3] === 2 ? { floor: 1 } : {}),
    };
  }),
};
