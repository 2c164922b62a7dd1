/**
 * Writes the model file: the lexicon's vectors as 4-bit numbers, the network's weights as 8-bit numbers.
 * @module
 */
import { hashWord } from "../model/lexicon.ts";
import { type Calibration, type ModelFile, modelFormat } from "../model/file.ts";
import { type NetworkSizes, weightShapes } from "../model/network.ts";

/** What goes into a model file. */
export interface Trained {
  /** Sizes of the network. */
  readonly sizes: NetworkSizes;
  /** Words by their hash. */
  readonly words: readonly string[];
  /** Kinds of each word. */
  readonly classes: Uint8Array;
  /** A vector a word, row after row. */
  readonly vectors: Float32Array;
  /** Weights by name. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** See `ModelFile`. */
  readonly calibration: Calibration;
}

/** The step that gives the least squared error when numbers are rounded to −8 … 7 steps. */
function bestStep(numbers: Float32Array): number {
  const sample = numbers.filter((_, i) => i % 7 === 0);
  const deviation = Math.sqrt(sample.reduce((sum, x) => sum + x * x, 0) / sample.length) || 1;
  let best = deviation, least = Infinity;
  for (let step = deviation * 0.15; step < deviation * 0.8; step *= 1.04) {
    let error = 0;
    for (const x of sample) error += (x - step * Math.max(-8, Math.min(7, Math.round(x / step)))) ** 2;
    if (error < least) [least, best] = [error, step];
  }
  return best;
}

/** Vectors as 4-bit numbers with a scale a dimension. */
export function packVectors(vectors: Float32Array, dimensions: number): { nibbles: Uint8Array; scales: Float32Array } {
  const count = vectors.length / dimensions;
  const scales = new Float32Array(dimensions);
  for (let d = 0; d < dimensions; d++) {
    scales[d] = bestStep(Float32Array.from({ length: count }, (_, w) => vectors[w * dimensions + d]));
  }
  const nibbles = new Uint8Array(vectors.length / 2);
  const code = (i: number) => Math.max(-8, Math.min(7, Math.round(vectors[i] / scales[i % dimensions]))) + 8;
  for (let i = 0; i < vectors.length; i += 2) nibbles[i / 2] = code(i) | (code(i + 1) << 4);
  return { nibbles, scales };
}

/** The model file. */
export function exportModel({ sizes, words, classes, vectors, weights, calibration }: Trained): ModelFile {
  const parts: Uint8Array[] = [];
  let length = 0;
  const put = (part: ArrayBufferView) => {
    const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    padded.set(bytes);
    parts.push(padded);
    length += padded.length;
  };
  put(Uint32Array.from(words, hashWord));
  put(classes);
  const { nibbles, scales } = packVectors(vectors, sizes.lexicon);
  put(nibbles);
  put(scales);
  for (const [name, [rows, columns]] of weightShapes(sizes)) {
    const weight = weights.get(name)!;
    const rowScales = new Float32Array(rows);
    const quantized = new Uint8Array(weight.length);
    for (let r = 0; r < rows; r++) {
      const row = weight.subarray(r * columns, (r + 1) * columns);
      rowScales[r] = row.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-9) / 127;
      row.forEach((x, i) => quantized[r * columns + i] = Math.round(x / rowScales[r]) + 128);
    }
    put(rowScales);
    put(quantized);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) bytes.set(part, at), at += part.length;
  return { format: modelFormat, sizes, words: words.length, calibration, data: bytes.toBase64() };
}
