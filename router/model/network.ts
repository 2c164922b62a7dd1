/**
 * The forward pass of the model: embeddings, gated convolutions over the tokens, and two heads, one for where parts begin
 * and end, one for how much each token speaks for a person. The arithmetic is the kernel's, see `product.ts`; weights and
 * activations live in its memory. Knows nothing of words or of decoding.
 * @module
 */
import { affixBuckets, flagCount, type TokenFeatures } from "./features.ts";
import { Kernel } from "./product.ts";

/** Parts of speech that the model tells apart (Universal Dependencies' names, in lower case). */
export const partsOfSpeech = [
  "noun",
  "propn",
  "verb",
  "aux",
  "adj",
  "adv",
  "pron",
  "det",
  "adp",
  "conj",
  "part",
  "num",
  "intj",
  "punct",
  "sym",
  "x",
] as const;

/** A part of speech. */
export type PartOfSpeech = (typeof partsOfSpeech)[number];

/** Sizes of a model. */
export interface NetworkSizes {
  /** Dimensions of a word's vector. */
  readonly lexicon: number;
  /** Dimensions of the vectors of beginnings and endings. */
  readonly affix: number;
  /** Width of the residual stream. */
  readonly width: number;
  /** Distance between the taps of each convolution, block after block. */
  readonly dilations: readonly number[];
}

/** Names and shapes of the weights of a model, in the order in which they are stored. */
export function weightShapes(sizes: NetworkSizes): Map<string, readonly number[]> {
  const { lexicon, affix, width, dilations } = sizes;
  return new Map<string, readonly number[]>([
    ["prefix", [affixBuckets, affix]],
    ["suffix", [affixBuckets, affix]],
    ["input", [width, lexicon + affix]],
    ["flags", [flagCount, width]],
    ["inputBias", [1, width]],
    ...dilations.flatMap((_, block): [string, readonly number[]][] => [
      [`conv${block}`, [2 * width, 3 * width]],
      [`convBias${block}`, [1, 2 * width]],
    ]),
    ["global", [width, width]],
    ["tags", [3, width]],
    ["tagsBias", [1, 3]],
    ["speech", [partsOfSpeech.length, width]],
    ["speechBias", [1, partsOfSpeech.length]],
    ["value", [2, width]],
    ["gate", [1, width]],
    ["gateBias", [1, 1]],
    ["partBias", [1, 2]],
  ]);
}

/** A matrix of 8-bit numbers, row after row: each stands for its distance from 128 times its row's scale. */
export interface QuantizedMatrix {
  /** A scale a row. */
  readonly scales: Float32Array;
  /** The numbers. */
  readonly bytes: Uint8Array;
}

/** Weights by name, row after row; they are copied into the kernel's memory. */
export type Weights = ReadonlyMap<string, Float32Array | QuantizedMatrix>;

/** Where vectors of words come from. */
export interface WordVectors {
  /** Adds a word's vector, times `share`, to the beginning of `to`. */
  addVector(entry: number, share: number, to: Float32Array): void;
}

/** What the model says of each token. */
export interface Reading {
  /** Log-probabilities of outside, begin, inside; three numbers a token. */
  readonly tags: Float32Array;
  /** How much each token adds to the log-odds that its part needs a person, in nats. */
  readonly votes: Float32Array;
  /** Log-odds against the surest answer to whether anything is asked for at all; below zero. */
  readonly doubt: number;
  /** The likeliest part of speech of each token. */
  readonly speech: readonly PartOfSpeech[];
}

/** A model that is ready to read. */
export class Network {
  readonly #sizes: NetworkSizes;
  readonly #kernel = new Kernel();
  /** Addresses in the kernel's memory. */
  readonly #weights = new Map<string, number>();
  readonly #lexicon: WordVectors;
  /** Log-odds of a person before any token has spoken. */
  readonly partBias: number;

  /**
   * Lays the weights into the kernel's memory.
   * @param sizes its sizes
   * @param weights by `weightShapes`
   * @param lexicon adds a word's vector, times a share, to an array
   * @throws Error for a matrix that is absent or of another size
   */
  constructor(sizes: NetworkSizes, weights: Weights, lexicon: WordVectors) {
    const kernel = this.#kernel;
    const shapes = weightShapes(sizes);
    for (const [name, [rows, columns]] of shapes) {
      const weight = weights.get(name);
      const numbers = weight instanceof Float32Array ? weight : weight?.bytes;
      if (numbers?.length !== rows * columns) throw new Error(`the router's model lacks ${name} [${rows},${columns}]`);
      this.#weights.set(name, kernel.take(rows * columns));
    }
    const mark = kernel.mark;
    for (const [name, [rows, columns]] of shapes) {
      const weight = weights.get(name)!, to = this.#weight(name);
      if (weight instanceof Float32Array) kernel.floats(to, rows * columns).set(weight);
      else {
        const scales = kernel.take(rows), bytes = kernel.take(Math.ceil(rows * columns / 4));
        kernel.floats(scales, rows).set(weight.scales);
        kernel.bytes(bytes, rows * columns).set(weight.bytes);
        kernel.dequantize(to, bytes, scales, rows, columns);
        kernel.release(mark);
      }
    }
    this.#sizes = sizes;
    this.#lexicon = lexicon;
    const bias = kernel.floats(this.#weight("partBias"), 2);
    this.partBias = bias[1] - bias[0];
  }

  #weight(name: string): number {
    return this.#weights.get(name)!;
  }

  /** Reads the tokens of a task. @param features one for each token */
  read(features: readonly TokenFeatures[]): Reading {
    const kernel = this.#kernel;
    const mark = kernel.mark;
    try {
      const { width, dilations } = this.#sizes;
      const count = features.length;
      const x = this.#embed(features);
      const normal = kernel.take(count * width);
      const both = kernel.take(count * 2 * width);
      for (const [block, dilation] of dilations.entries()) {
        if (block === dilations.length - 1) this.#addGlobal(x, normal, count);
        kernel.normalize(normal, x, count, width);
        this.#convolve(both, normal, count, dilation, block);
        kernel.gate(x, both, count, width);
      }
      kernel.normalize(normal, x, count, width);
      return this.#heads(normal, count);
    } finally {
      kernel.release(mark);
    }
  }

  /** Takes `[rows, outputs]` numbers, of which each row is a bias. */
  #biased(name: string, rows: number, outputs: number): number {
    const y = this.#kernel.take(rows * outputs);
    this.#kernel.floats(y, rows * outputs).fill(0);
    this.#kernel.add(y, outputs, this.#weight(name), 0, rows, outputs);
    return y;
  }

  /** Vectors of the tokens before any of them has seen another. */
  #embed(features: readonly TokenFeatures[]): number {
    const { lexicon, affix, width } = this.#sizes;
    const kernel = this.#kernel;
    const count = features.length, size = lexicon + affix;
    const [prefix, suffix, flagRows] = [this.#weight("prefix"), this.#weight("suffix"), this.#weight("flags")];
    const x = this.#biased("inputBias", count, width);
    const own = kernel.take(count * size);
    const vectors = kernel.floats(own, count * size).fill(0);
    for (let t = 0; t < count; t++) {
      const { flags, prefix: head, suffix: tail, resolved: { entries } } = features[t];
      if (entries.length > 0) {
        const to = vectors.subarray(t * size, t * size + lexicon);
        for (const entry of entries) this.#lexicon.addVector(entry, 1 / entries.length, to);
      }
      if (head >= 0) {
        const to = own + 4 * (t * size + lexicon);
        kernel.add(to, 0, prefix + 4 * head * affix, 0, 1, affix);
        kernel.add(to, 0, suffix + 4 * tail * affix, 0, 1, affix);
      }
      for (const flag of flags) kernel.add(x + 4 * t * width, 0, flagRows + 4 * flag * width, 0, 1, width);
    }
    kernel.product(x, own, this.#weight("input"), count, width, size, size);
    return x;
  }

  /** Adds to every token what the task as a whole says. @param normal room for as many numbers as `x` has */
  #addGlobal(x: number, normal: number, count: number): void {
    const { width } = this.#sizes;
    const kernel = this.#kernel;
    kernel.normalize(normal, x, count, width);
    const mean = kernel.take(width), added = kernel.take(width);
    const means = kernel.floats(mean, width).fill(0);
    kernel.floats(added, width).fill(0);
    kernel.add(mean, 0, normal, width, count, width);
    for (let i = 0; i < width; i++) means[i] /= count;
    kernel.product(added, mean, this.#weight("global"), 1, width, width, width);
    kernel.add(x, width, added, 0, count, width);
  }

  /** A convolution of the rows over three taps; zeros stand beyond the ends, so a tap skips the rows that reach there. */
  #convolve(both: number, normal: number, count: number, dilation: number, block: number): void {
    const { width } = this.#sizes;
    const kernel = this.#kernel;
    const weight = this.#weight(`conv${block}`);
    kernel.floats(both, count * 2 * width).fill(0);
    kernel.add(both, 2 * width, this.#weight(`convBias${block}`), 0, count, 2 * width);
    for (let tap = 0; tap < 3; tap++) {
      const shift = (tap - 1) * dilation;
      const to = both + 4 * Math.max(0, -shift) * 2 * width, from = normal + 4 * Math.max(0, shift) * width;
      kernel.product(to, from, weight + 4 * tap * width, count - Math.abs(shift), 2 * width, width, 3 * width);
    }
  }

  #heads(x: number, count: number): Reading {
    const { width } = this.#sizes;
    const kernel = this.#kernel;
    const classes = partsOfSpeech.length;
    const head = (name: string, outputs: number, y: number) => {
      kernel.product(y, x, this.#weight(name), count, outputs, width, width);
      return y;
    };
    const tagsAt = head("tags", 3, this.#biased("tagsBias", count, 3));
    const speechAt = head("speech", classes, this.#biased("speechBias", count, classes));
    const gateAt = head("gate", 1, this.#biased("gateBias", count, 1));
    const valueAt = kernel.take(count * 2);
    kernel.floats(valueAt, count * 2).fill(0);
    head("value", 2, valueAt);
    const [tagLogits, speechLogits] = [kernel.floats(tagsAt, count * 3), kernel.floats(speechAt, count * classes)];
    const [gates, values] = [kernel.floats(gateAt, count), kernel.floats(valueAt, count * 2)];
    const tags = new Float32Array(count * 3);
    const votes = new Float32Array(count);
    const speech: PartOfSpeech[] = [];
    // log(p / (1 − p)) of "a part begins somewhere", by the token that is the likeliest to begin one.
    let begin = -Infinity;
    for (let t = 0; t < count; t++) {
      const a = tagLogits[t * 3], b = tagLogits[t * 3 + 1], c = tagLogits[t * 3 + 2];
      const top = Math.max(a, b, c);
      const total = top + Math.log(Math.exp(a - top) + Math.exp(b - top) + Math.exp(c - top));
      tags[t * 3] = a - total;
      tags[t * 3 + 1] = b - total;
      tags[t * 3 + 2] = c - total;
      begin = Math.max(begin, tags[t * 3 + 1]);
      votes[t] = (values[t * 2 + 1] - values[t * 2]) / (1 + Math.exp(-gates[t]));
      let best = t * classes;
      for (let i = best; i < (t + 1) * classes; i++) if (speechLogits[i] > speechLogits[best]) best = i;
      speech.push(partsOfSpeech[best - t * classes]);
    }
    const asked = begin - Math.log1p(-Math.min(Math.exp(begin), 1 - 1e-6));
    return { tags, votes, speech, doubt: -Math.abs(asked) };
  }
}
