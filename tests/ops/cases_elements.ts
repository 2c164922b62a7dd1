/**
 * Cases of the ops that move and combine elements. Sizes lie beside multiples of 4, 8 and 16 (vectors) and beyond the
 * pieces that threads take.
 * @module
 */
import { enums } from "../../cuda/symbols.gen.ts";
import { type Case, f32, Random, steps, summed } from "./case.ts";
import * as reference from "./reference.ts";

const counts = [1, 4, 15, 17, 33, 127, 16385, 33000];

const unaryKinds = {
  RS_RELU: [-3, 3],
  RS_RELU2: [-3, 3],
  RS_GELU: [-6, 6],
  RS_SILU: [-30, 30],
  RS_SIGMOID: [-80, 30],
  RS_TANH: [-12, 12],
  RS_SOFTCAP: [-60, 60],
  RS_EXP: [-80, 80],
  RS_LOG: [1e-3, 50],
  RS_SQRT: [0, 50],
  RS_SQUARE: [-9, 9],
  RS_NEGATE: [-9, 9],
} as const;
const edges = Float32Array.of(NaN, Infinity, -Infinity, 0, -0, 1e-30, -1e-30, 89, -104, 3e38, -3e38, 1);

/** Softened slope of gelu and softcap: near their zeros 1 − tanh² cancels, so errors there are absolute. */
const unaryFloor = (kind: number): number => kind === enums.RS_EXP || kind === enums.RS_SIGMOID ? 1e-37 : 0.1;

const unaryForward: Case[] = Object.entries(unaryKinds).flatMap(([name, [low, high]], index) => {
  const kind = enums[name as keyof typeof unaryKinds], p = kind === enums.RS_SOFTCAP ? 15 : 0;
  const call = (x: Float32Array<ArrayBuffer>, what: string, inPlace: boolean): Case => ({
    name: `${name} ${what}`,
    args: inPlace ? [{ inout: x }, { same: 0 }, kind, p] : [{ out: x.length }, { in: x }, kind, p],
    expected: () => [f64(x).map((value) => reference.unaryAt(kind, value, p))],
    tolerance: steps(8),
    floor: unaryFloor(kind),
  });
  const random = new Random(100 + index);
  return [
    ...[1, 17, index % 2 ? 16385 : 127].map((n) => call(random.uniform(n, low, high), `of ${n}`, n === 17)),
    call(edges, "at the edges", false),
  ].map((one) => ({ ...one, expected: () => one.expected().map(saturate) }));
});

const unaryBackward: Case[] = Object.entries(unaryKinds).flatMap(([name, [low, high]], index) => {
  const kind = enums[name as keyof typeof unaryKinds], p = kind === enums.RS_SOFTCAP ? 15 : 0;
  return [5, 67, 16401].map((n): Case => {
    const random = new Random(200 + index + n);
    const x = random.uniform(n, kind === enums.RS_SQRT ? 0.01 : low, high), dy = random.normal(n);
    const y = f32(f64(x).map((value) => reference.unaryAt(kind, value, p)));
    return {
      name: `${name} of ${n}${n === 67 ? " in place" : ""}`,
      args: n === 67
        ? [{ inout: dy }, { same: 0 }, { in: x }, { in: y }, kind, p]
        : [{ out: n }, { in: dy }, { in: x }, { in: y }, kind, p],
      expected: () => [f64(dy).map((g, i) => g * reference.unarySlope(kind, x[i], p))],
      tolerance: steps(16),
      // From y, the slopes of tanh and sigmoid cancel at their ends: errors there are absolute, for dy of size 1.
      floor: kind === enums.RS_EXP ? 1e-30 : 1,
    };
  });
});

const binaryKinds = ["RS_ADD", "RS_SUBTRACT", "RS_MULTIPLY", "RS_DIVIDE"] as const;
const binaryShapes = ["RS_FULL", "RS_ROW", "RS_COLUMN", "RS_SCALAR"] as const;
const binaryCases = binaryKinds.flatMap((kindName) =>
  binaryShapes.flatMap((shapeName, shapeIndex) =>
    [[1, 1], [7, 33], [70, 17], [3, 5001], [shapeIndex, 16]].map(([n, c]) => {
      const kind = enums[kindName], shape = enums[shapeName];
      const random = new Random(300 + kind * 40 + shape * 10 + n);
      const size = [n * c, c, n, 1][shape];
      // Divisors keep away from 0.
      const b = random.uniform(size, 0.5, 2).map((value) => random.next() < 0.5 ? -value : value);
      return { name: `${kindName} ${shapeName} ${n}×${c}`, kind, shape, n, c, a: random.normal(n * c), b, random };
    })
  )
);

const binaryForward: Case[] = binaryCases.map(({ name, kind, shape, n, c, a, b }) => ({
  name,
  args: n === 7
    ? [{ inout: a }, { same: 0 }, { in: b }, kind, shape, n, c]
    : [{ out: n * c }, { in: a }, { in: b }, kind, shape, n, c],
  expected: () => [reference.binary(a, b, kind, shape, n, c)],
  tolerance: steps(1),
}));

const binaryBackward: Case[] = binaryCases.flatMap(({ name, kind, shape, n, c, a, b, random }) => {
  const dy = random.normal(n * c);
  const [da, db] = reference.binaryGradient(dy, a, b, kind, shape, n, c);
  const inputs = [{ in: dy }, { in: a }, { in: b }, kind, shape, n, c];
  const tolerance = summed(n * c / Math.max(1, b.length));
  const both: Case = {
    name,
    args: [{ out: n * c }, { out: b.length }, ...inputs],
    expected: () => [da, db],
    tolerance,
  };
  if (n !== 7) return [both];
  return [
    both,
    { name: `${name}, da alone`, args: [{ out: n * c }, null, ...inputs], expected: () => [da], tolerance },
    { name: `${name}, db alone`, args: [null, { out: b.length }, ...inputs], expected: () => [db], tolerance },
  ];
});

const rowShapes = [[1, 1], [5, 3], [33, 64], [65, 127], [4, 8200], [1030, 17], [0, 5]];

const swigluData = rowShapes.map(([n, c]) => {
  const random = new Random(400 + n + c);
  return { name: `${n}×${c}`, n, c, x: random.normal(2 * n * c, 3), dy: random.normal(n * c) };
});

const sumData = rowShapes.flatMap(([n, c]) =>
  [0, 1, 2].map((axis) => {
    const random = new Random(500 + n + c + axis), size = [c, n, 1][axis];
    return {
      name: `${n}×${c} axis ${axis}`,
      n,
      c,
      axis,
      size,
      scale: axis === 1 ? 1 : -0.75,
      x: random.normal(n * c),
      dy: random.normal(size),
    };
  })
);

const softmaxData = rowShapes.map(([n, c], index) => {
  const random = new Random(600 + index);
  // Far from 0 in one case: without the row's maximum taken off, exp would overflow.
  const x = random.normal(n * c, 4).map((value) => value + (index === 2 ? 500 : 0));
  if (index === 3) x.fill(-Infinity, 2, 100);
  return { name: `${n}×${c}`, n, c, x, dy: random.normal(n * c) };
});

/** The cases, by op. */
export const elementCases = {
  rs_tensor_fill: [1, 17, 16385].map((n): Case => ({
    name: `${n} elements`,
    args: [{ out: n }, -2.5],
    expected: () => [new Float64Array(n).fill(-2.5)],
    tolerance: 0,
  })),
  rs_tensor_copy: [
    ...counts.map((n): Case => {
      const x = new Random(n).normal(n);
      return { name: `${n} elements`, args: [{ out: n }, { in: x }], expected: () => [x], tolerance: 0 };
    }),
    ...[7, 100].flatMap((n): Case[] => {
      // A tie goes to the even neighbour: 1 + 2⁻⁸ to 1, 1 + 3·2⁻⁸ to 1 + 2⁻⁶.
      const x = Float32Array.from([1 + 2 ** -8, 1 + 3 * 2 ** -8, -Infinity, 3e38, ...new Random(n).normal(n - 4)]);
      const bits = toBf16(x), back = fromBf16(bits);
      return [
        {
          name: `${n} f32 to bf16`,
          args: [{ out: n, dtype: "bf16" }, { in: x }],
          expected: () => [bits],
          tolerance: 0,
        },
        { name: `${n} bf16 to f32`, args: [{ out: n }, { in: bits }], expected: () => [back], tolerance: 0 },
      ];
    }),
  ],
  rs_random_uniform: [1, 17, 1000, 5000].map((n, i): Case => ({
    name: `${n} elements`,
    args: [{ out: n }, -2, 3, 12345 + i, 0xdeadbeef],
    expected: () => [reference.make(n, (j) => -2 + 5 * reference.uniformAt(j, 12345 + i, 0xdeadbeef))],
    tolerance: steps(2),
  })),
  rs_random_normal: [1, 18, 1001, 5000].map((n, i): Case => ({
    name: `${n} elements`,
    args: [{ out: n }, 0.5, 0.02, 0xffffffff, i],
    expected: () => [reference.make(n, (j) => 0.5 + 0.02 * reference.normalAt(j, 0xffffffff, i))],
    tolerance: steps(2),
  })),
  rs_copy_block: [
    [3, 5, 9, 2, 7, 1],
    [17, 33, 64, 31, 33, 0],
    [1, 1, 1, 0, 1, 0],
    [600, 64, 64, 0, 192, 128],
    [0, 4, 4, 0, 4, 0],
  ].flatMap(([n, width, yStride, yOffset, xStride, xOffset]) =>
    ([["f32", 0], ["f32", 1], ["i32", 0]] as const).map(([dtype, accumulate]): Case => {
      const random = new Random(700 + n + accumulate);
      const data = (count: number) => dtype === "f32" ? random.normal(count) : random.ids(count, 1 << 30);
      const y = data(n * yStride), x = data(n * xStride), expected = y.slice();
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < width; j++) {
          const value = x[i * xStride + xOffset + j];
          expected[i * yStride + yOffset + j] = value + (accumulate ? y[i * yStride + yOffset + j] : 0);
        }
      }
      return {
        name: `${n} rows of ${width}, ${dtype}${accumulate ? ", added" : ""}`,
        args: [{ inout: y }, { in: x }, n, width, yStride, yOffset, xStride, xOffset, accumulate],
        expected: () => [expected],
        tolerance: 0,
      };
    })
  ),
  rs_transpose: [[1, 1, 1, 1], [2, 3, 5, 1], [1, 70, 33, 1], [3, 17, 9, 20], [1, 257, 300, 1], [2, 5, 6, 64], [
    0,
    2,
    2,
    2,
  ]]
    .map(
      ([batch, rows, cols, inner]): Case => {
        const x = new Random(rows * cols).normal(batch * rows * cols * inner);
        const expected = x.slice();
        for (let i = 0; i < x.length; i++) {
          const b = Math.floor(i / (rows * cols * inner)), row = Math.floor(i / (cols * inner)) % rows;
          const col = Math.floor(i / inner) % cols;
          expected[((b * cols + col) * rows + row) * inner + i % inner] = x[i];
        }
        return {
          name: `${batch}×${rows}×${cols}×${inner}`,
          args: [{ out: x.length }, { in: x }, batch, rows, cols, inner],
          expected: () => [expected],
          tolerance: 0,
        };
      },
    ),
  rs_axpby: [
    ...counts.flatMap((n) =>
      [[2, -0.5], [-1.5, 0], [0, 3]].map(([alpha, beta]): Case => {
        const random = new Random(n), x = random.normal(n), y = random.normal(n);
        return {
          name: `${n} elements, ${alpha}·x + ${beta}·y`,
          // beta 0 must not read y, which may hold anything.
          args: [beta === 0 ? { out: n } : { inout: y }, { in: x }, alpha, beta],
          expected: () => [reference.make(n, (i) => alpha * x[i] + (beta === 0 ? 0 : beta * y[i]))],
          tolerance: steps(3),
        };
      })
    ),
    {
      name: "y is x",
      args: [{ inout: Float32Array.of(1, -2, 3) }, { same: 0 }, 2, 0.5],
      expected: () => [[2.5, -5, 7.5]],
      tolerance: 0,
    },
  ],
  rs_scale_by: counts.map((n): Case => {
    const random = new Random(n), x = random.normal(n), scale = random.normal(1);
    return {
      name: `${n} elements${n === 17 ? " in place" : ""}`,
      args: n === 17 ? [{ inout: x }, { same: 0 }, { in: scale }] : [{ out: n }, { in: x }, { in: scale }],
      expected: () => [f64(x).map((value) => value * scale[0])],
      tolerance: steps(1),
    };
  }),
  rs_binary_forward: binaryForward,
  rs_binary_backward: binaryBackward,
  rs_unary_forward: unaryForward,
  rs_unary_backward: unaryBackward,
  rs_swiglu_forward: swigluData.map(({ name, n, c, x }): Case => ({
    name,
    args: [{ out: n * c }, { in: x }, n, c],
    expected: () => [reference.swiglu(x, n, c)],
    tolerance: steps(8),
  })),
  rs_swiglu_backward: swigluData.map(({ name, n, c, x, dy }): Case => ({
    name,
    args: [{ out: 2 * n * c }, { in: dy }, { in: x }, n, c],
    expected: () => [reference.swigluGradient(dy, x, n, c)],
    tolerance: steps(16),
  })),
  rs_sum_forward: sumData.map(({ name, n, c, axis, size, scale, x }): Case => ({
    name,
    args: [{ out: size }, { in: x }, n, c, axis, scale],
    expected: () => [reference.sum(x, n, c, axis, scale)],
    tolerance: summed(n * c / Math.max(1, size)),
  })),
  rs_sum_backward: sumData.map(({ name, n, c, axis, scale, dy }): Case => ({
    name,
    args: [{ out: n * c }, { in: dy }, n, c, axis, scale],
    expected: () => [reference.sumGradient(dy, n, c, axis, scale)],
    tolerance: steps(1),
  })),
  rs_softmax_forward: softmaxData.map(({ name, n, c, x }): Case => ({
    name,
    args: [{ out: n * c }, { in: x }, n, c],
    expected: () => [reference.softmax(x, n, c)],
    // A difference of 500 from the maximum would be off by 500 roundings; here differences stay below 40.
    tolerance: steps(40) + summed(c),
  })),
  rs_softmax_backward: softmaxData.map(({ name, n, c, x, dy }): Case => {
    const y = reference.softmax(x, n, c);
    return {
      name,
      args: [{ out: n * c }, { in: dy }, { in: f32(y) }, n, c],
      expected: () => [reference.softmaxGradient(dy, y, n, c)],
      tolerance: summed(c),
      // Where one entry has nearly all the weight, dy minus the mean of dy cancels; dy is of size 1.
      floor: 1,
    };
  }),
  rs_dropout: [[1, 0.5], [17, 0.1], [5003, 0.3], [64, 0], [40000, 0.9]].map(([n, rate]): Case => {
    const x = new Random(n).normal(n);
    return {
      name: `${n} elements at rate ${rate}`,
      args: [{ out: n }, { in: x }, rate, 0x9e3779b9, 0xfffffff0],
      expected: () => [n > 10000 ? null : reference.dropout(x, rate, 0x9e3779b9, 0xfffffff0)],
      tolerance: steps(3),
    };
  }),
};

function f64(x: ArrayLike<number>): Float64Array {
  return Float64Array.from(x);
}

/** Beyond float32's range is infinity, below its normal range an op may give 0. */
function saturate(values: ArrayLike<number> | null): Float64Array {
  return f64(values!).map((value) => Math.abs(value) > 3.4028235e38 ? Math.sign(value) * Infinity : value);
}

/** Rounds to the nearest bf16, ties to even. */
function toBf16(x: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(x.slice().buffer);
  return Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16);
}
function fromBf16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer);
}
