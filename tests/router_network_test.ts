/**
 * The kernel of the router's model against plain TypeScript in float64: sizes that are no multiple of its vectors, no rows,
 * steps; and the model over it: texts of any length, the same numbers twice.
 */
import { deepStrictEqual as equal, ok } from "node:assert/strict";
import { Kernel } from "../router/model/product.ts";
import { classify, longestTask, shippedModel } from "../router/classify.ts";
import { describe } from "../router/model/features.ts";
import { tokenize } from "../router/text/tokens.ts";

/** Numbers of −1 … 1 that are the same in every run. */
function numbers(count: number, seed: number): Float32Array {
  let state = seed * 2654435761 >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const guard = 12345;

/** Puts numbers into the kernel's memory with a guard behind them, so that a write beyond the end is seen. */
function put(kernel: Kernel, values: ArrayLike<number>): number {
  const at = kernel.take(values.length + 4);
  const room = kernel.floats(at, values.length + 4).fill(guard);
  room.set(values);
  return at;
}

function expectClose(kernel: Kernel, at: number, expected: ArrayLike<number>, tolerance: number, label: string) {
  const got = kernel.floats(at, expected.length + 4);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(got[i] - expected[i]);
    ok(error <= tolerance * (1 + Math.abs(expected[i])), `${label} [${i}]: ${got[i]}, not ${expected[i]}`);
  }
  for (let i = 0; i < 4; i++) equal(got[expected.length + i], guard, `${label}: wrote beyond its end`);
}

const rowCounts = [0, 1, 2, 3, 4, 5, 7, 8, 17];
const sizes = [1, 2, 3, 4, 5, 7, 8, 16, 33, 64, 96];

Deno.test("product() adds x·wᵀ to y for every number of rows, outputs and inputs, and for rows of w with a step", () => {
  for (const rows of rowCounts) {
    for (const outputs of [1, 2, 3, 16, 33]) {
      for (const inputs of sizes) {
        for (const step of [inputs, inputs + 3]) {
          const kernel = new Kernel();
          const x = numbers(rows * inputs, 1), w = numbers(outputs * step, 2), before = numbers(rows * outputs, 3);
          const expected = Float64Array.from(before);
          for (let r = 0; r < rows; r++) {
            for (let o = 0; o < outputs; o++) {
              for (let i = 0; i < inputs; i++) expected[r * outputs + o] += x[r * inputs + i] * w[o * step + i];
            }
          }
          const y = put(kernel, before);
          kernel.product(y, put(kernel, x), put(kernel, w), rows, outputs, inputs, step);
          // At most 96 sums of numbers below 1, each rounded at 2⁻²⁴ of a partial sum below 10.
          expectClose(kernel, y, expected, 2e-5, `${rows}×${outputs}×${inputs}, step ${step}`);
        }
      }
    }
  }
});

Deno.test("product() does nothing for a negative number of rows: a tap that reaches beyond both ends", () => {
  const kernel = new Kernel();
  const y = put(kernel, [1, 2, 3]);
  kernel.product(y, y, y, -2, 3, 3, 3);
  expectClose(kernel, y, [1, 2, 3], 0, "negative");
});

Deno.test("product() gives a row the same bits whatever stands beside it", () => {
  for (const inputs of sizes) {
    const kernel = new Kernel();
    const rows = 7, outputs = 5;
    const x = put(kernel, numbers(rows * inputs, 4)), w = put(kernel, numbers(outputs * inputs, 5));
    const together = put(kernel, new Float32Array(rows * outputs)),
      alone = put(kernel, new Float32Array(rows * outputs));
    kernel.product(together, x, w, rows, outputs, inputs, inputs);
    for (let r = 0; r < rows; r++) {
      kernel.product(alone + 4 * r * outputs, x + 4 * r * inputs, w, 1, outputs, inputs, inputs);
    }
    equal(kernel.floats(together, rows * outputs), kernel.floats(alone, rows * outputs));
  }
});

Deno.test("add() adds rows to rows, one row to all, and all rows to one", () => {
  for (const rows of rowCounts) {
    for (const n of sizes) {
      const kernel = new Kernel();
      const a = numbers(rows * n, 6), b = numbers(rows * n, 7), one = numbers(n, 8);
      const each = put(kernel, a), all = put(kernel, a), sum = put(kernel, one);
      const from = put(kernel, b);
      kernel.add(each, n, from, n, rows, n);
      expectClose(kernel, each, a.map((x, i) => x + b[i]), 0, "rows to rows");
      kernel.add(all, n, put(kernel, one), 0, rows, n);
      expectClose(kernel, all, a.map((x, i) => x + one[i % n]), 0, "one row to all");
      kernel.add(sum, 0, from, n, rows, n);
      const expected = Float64Array.from(one, (x, i) => {
        for (let r = 0; r < rows; r++) x += b[r * n + i];
        return x;
      });
      expectClose(kernel, sum, expected, 2e-6, "all rows to one");
    }
  }
});

Deno.test("normalize() divides each row by its root mean square; a row of zeros stays", () => {
  for (const rows of rowCounts) {
    for (const n of sizes) {
      const kernel = new Kernel();
      const x = numbers(rows * n, 9);
      if (rows > 1) x.fill(0, n, 2 * n);
      const expected = Float64Array.from(x, (value, i) => {
        const row = x.subarray(i - i % n, i - i % n + n);
        return value / Math.sqrt(row.reduce((sum, y) => sum + y * y, 0) / n + 2 ** -23);
      });
      const y = put(kernel, new Float32Array(rows * n));
      kernel.normalize(y, put(kernel, x), rows, n);
      expectClose(kernel, y, expected, 2e-6, `normalize ${rows}×${n}`);
    }
  }
});

Deno.test("gate() adds silu(a)·b, from the smallest to the largest a", () => {
  for (const rows of rowCounts) {
    for (const n of sizes) {
      const kernel = new Kernel();
      // a from −200 to 200: beyond what e^a can hold on both sides.
      const x = numbers(rows * 2 * n, 10).map((value, i) => i % (2 * n) < n ? 200 * value ** 5 : value);
      const before = numbers(rows * n, 11);
      const expected = Float64Array.from(before, (value, i) => {
        const at = Math.floor(i / n) * 2 * n + i % n;
        return value + x[at] / (1 + Math.exp(-x[at])) * x[at + n];
      });
      const y = put(kernel, before);
      kernel.gate(y, put(kernel, x), rows, n);
      expectClose(kernel, y, expected, 5e-7, `gate ${rows}×${n}`);
    }
  }
});

Deno.test("gate()'s silu is right to four roundings everywhere between −80 and 80", () => {
  const n = 20_481;
  const kernel = new Kernel();
  const x = Float32Array.from({ length: 2 * n }, (_, i) => i < n ? (i - n / 2) / 128 : 1);
  const y = put(kernel, new Float32Array(n));
  kernel.gate(y, put(kernel, x), 1, n);
  kernel.floats(y, n).forEach((got, i) => {
    const expected = x[i] / (1 + Math.exp(-x[i]));
    // Four units in the last place: the sum 1 + e^−a, the quotient, and two in e^−a itself.
    ok(Math.abs(got - expected) <= 2 ** -22 * Math.abs(expected), `silu(${x[i]}): ${got}, not ${expected}`);
  });
});

Deno.test("dequantize() gives (q − 128)·scale, bit for bit", () => {
  for (const rows of rowCounts) {
    for (const columns of sizes) {
      const kernel = new Kernel();
      const scales = numbers(rows, 12);
      const q = Uint8Array.from({ length: rows * columns }, (_, i) => (i * 37 + 11) & 255);
      const at = kernel.take(Math.ceil(q.length / 4));
      kernel.bytes(at, q.length).set(q);
      const y = put(kernel, new Float32Array(q.length));
      kernel.dequantize(y, at, put(kernel, scales), rows, columns);
      const expected = Float32Array.from(q, (value, i) => (value - 128) * scales[Math.floor(i / columns)]);
      expectClose(kernel, y, expected, 0, `dequantize ${rows}×${columns}`);
    }
  }
});

Deno.test("a model reads no tokens and one token, and gives the same numbers twice", () => {
  const { network, lexicon } = shippedModel();
  equal(network.read([]).tags.length, 0);
  equal(network.read([]).votes.length, 0);
  const short = describe(tokenize("Stop"), lexicon);
  const long = describe(tokenize("Restart the server by hand, then mail me the log. ".repeat(30)), lexicon);
  const first = network.read(short), firstLong = network.read(long);
  for (let i = 0; i < 3; i++) {
    equal(network.read(long), firstLong);
    equal(network.read(short), first);
  }
  ok(firstLong.votes.every(Number.isFinite) && firstLong.tags.every(Number.isFinite));
});

Deno.test("classify() reads the longest text in bounded time, one of unknown words and one without spaces too", () => {
  const texts = {
    sentences: "Restart the server by hand, then mail me the log of the last run. ",
    "unknown words": "put the qxwvtzkrplm on the jxqzvkwptrs and ",
    "no spaces": "a-b_c/",
    marks: "(.,;:!?)",
  };
  for (const [name, text] of Object.entries(texts)) {
    const task = text.repeat(Math.ceil(longestTask / text.length)).slice(0, longestTask);
    const start = performance.now();
    equal(classify(task).truncated, false);
    const elapsed = performance.now() - start;
    // It takes 0.1 s; what is to be seen is time that grows with the square of the length, on any machine.
    ok(elapsed < 2000, `${name}: ${elapsed} ms`);
  }
});
