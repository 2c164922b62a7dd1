/**
 * Words near in meaning, by what is known of them: a task stays right, mostly, when one stands in for the other.
 * @module
 */
import { scope, Tensor } from "../../trainer/tensor.ts";
import { matmul } from "../../trainer/ops/mod.ts";
import { withoutTape } from "../../trainer/autograd.ts";
import { wordClassesAt, type Words } from "./words.ts";

/** Least cosine of neighbours. */
const near = 0.6;
const rowsAtOnce = 512;

/** The nearest words of each word that has any. @param most neighbours of a word */
export function nearest({ features, size, words }: Words, most: number): Map<number, number[]> {
  const count = words.length;
  const unit = Float32Array.from(features);
  const known = new Uint8Array(count);
  for (let w = 0; w < count; w++) {
    const row = unit.subarray(w * size, (w + 1) * size);
    // A word of no class is none that WordNet knows: a name or a little word, which nothing stands in for.
    known[w] = Number(row.subarray(wordClassesAt, wordClassesAt + 4).some((share) => share > 0));
    const length = Math.hypot(...row) || 1;
    for (let i = 0; i < size; i++) row[i] /= length;
  }
  const result = new Map<number, number[]>();
  withoutTape(() =>
    scope(() => {
      const all = Tensor.from(unit, [count, size]);
      for (let from = 0; from < count; from += rowsAtOnce) {
        const rows = Math.min(rowsAtOnce, count - from);
        const cosines = scope(() => {
          const some = Tensor.from(unit.slice(from * size, (from + rows) * size), [rows, size]);
          return matmul(some, all, { transposeB: true }).data() as Float32Array;
        });
        for (let r = 0; r < rows; r++) {
          if (!known[from + r]) continue;
          const found: { word: number; cosine: number }[] = [];
          for (let w = 0; w < count; w++) {
            const cosine = cosines[r * count + w];
            if (cosine > near && w !== from + r && known[w]) found.push({ word: w, cosine });
          }
          found.sort((a, b) => b.cosine - a.cosine);
          if (found.length > 0) result.set(from + r, found.slice(0, most).map(({ word }) => word));
        }
      }
    })
  );
  return result;
}
