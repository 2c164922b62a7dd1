/**
 * The forward pass of the model in plain TypeScript: embeddings, gated convolutions over the tokens, and two heads, one for
 * where parts begin and end, one for how much each token speaks for a person. Knows nothing of words or of decoding.
 * @module
 */
import { affixBuckets, flagCount, type TokenFeatures } from "./features.ts";

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

/** Weights by name, row after row. */
export type Weights = ReadonlyMap<string, Float32Array>;

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

// As the tensor layer has it.
const eps = 2 ** -23;

/** A model that is ready to read. */
export class Network {
  readonly #sizes: NetworkSizes;
  readonly #weights: Weights;
  readonly #lexicon: WordVectors;
  /** Log-odds of a person before any token has spoken. */
  readonly partBias: number;

  /** @param sizes its sizes @param weights by `weightShapes` @param lexicon adds a word's vector, times a share, to an array */
  constructor(sizes: NetworkSizes, weights: Weights, lexicon: WordVectors) {
    for (const [name, shape] of weightShapes(sizes)) {
      const size = shape.reduce((a, b) => a * b, 1);
      if (weights.get(name)?.length !== size) throw new Error(`the router's model lacks ${name} [${shape}]`);
    }
    this.#sizes = sizes;
    this.#weights = weights;
    this.#lexicon = lexicon;
    const bias = weights.get("partBias")!;
    this.partBias = bias[1] - bias[0];
  }

  #weight(name: string): Float32Array {
    return this.#weights.get(name)!;
  }

  /** Reads the tokens of a task. @param features one for each token, at least one */
  read(features: readonly TokenFeatures[]): Reading {
    const { width, dilations } = this.#sizes;
    const count = features.length;
    let x = this.#embed(features);
    for (const [block, dilation] of dilations.entries()) {
      if (block === dilations.length - 1) this.#addGlobal(x, count);
      x = convolve(x, count, width, dilation, this.#weight(`conv${block}`), this.#weight(`convBias${block}`));
    }
    return this.#heads(normalize(x, count, width), count);
  }

  /** Vectors of the tokens before any of them has seen another. */
  #embed(features: readonly TokenFeatures[]): Float32Array {
    const { lexicon, affix, width } = this.#sizes;
    const [prefix, suffix, input] = [this.#weight("prefix"), this.#weight("suffix"), this.#weight("input")];
    const [flagRows, bias] = [this.#weight("flags"), this.#weight("inputBias")];
    const x = new Float32Array(features.length * width);
    const own = new Float32Array(lexicon + affix);
    for (let t = 0; t < features.length; t++) {
      const { flags, prefix: head, suffix: tail, resolved: { entries } } = features[t];
      own.fill(0);
      for (const entry of entries) this.#lexicon.addVector(entry, 1 / entries.length, own);
      if (head >= 0) {
        for (let i = 0; i < affix; i++) own[lexicon + i] = prefix[head * affix + i] + suffix[tail * affix + i];
      }
      product(x, t * width, input, own, 0, width, own.length);
      for (let i = 0; i < width; i++) x[t * width + i] += bias[i];
      for (const flag of flags) for (let i = 0; i < width; i++) x[t * width + i] += flagRows[flag * width + i];
    }
    return x;
  }

  /** Adds to every token what the task as a whole says. */
  #addGlobal(x: Float32Array, count: number): void {
    const { width } = this.#sizes;
    const normal = normalize(x, count, width);
    const mean = new Float32Array(width);
    for (let t = 0; t < count; t++) for (let i = 0; i < width; i++) mean[i] += normal[t * width + i] / count;
    const added = new Float32Array(width);
    product(added, 0, this.#weight("global"), mean, 0, width, width);
    for (let t = 0; t < count; t++) for (let i = 0; i < width; i++) x[t * width + i] += added[i];
  }

  #heads(x: Float32Array, count: number): Reading {
    const { width } = this.#sizes;
    const [tagRows, tagBias, value, gate] = ["tags", "tagsBias", "value", "gate"].map((name) => this.#weight(name));
    const [gateBias] = this.#weight("gateBias");
    const tags = new Float32Array(count * 3);
    const votes = new Float32Array(count);
    const speech: PartOfSpeech[] = [];
    const [speechRows, speechBias] = [this.#weight("speech"), this.#weight("speechBias")];
    const out = new Float32Array(partsOfSpeech.length);
    for (let t = 0; t < count; t++) {
      product(out, 0, tagRows, x, t * width, 3, width);
      for (let i = 0; i < 3; i++) out[i] += tagBias[i];
      const top = Math.max(out[0], out[1], out[2]);
      const total = top + Math.log(Math.exp(out[0] - top) + Math.exp(out[1] - top) + Math.exp(out[2] - top));
      for (let i = 0; i < 3; i++) tags[t * 3 + i] = out[i] - total;
      product(out, 0, value, x, t * width, 2, width);
      const vote = out[1] - out[0];
      product(out, 0, gate, x, t * width, 1, width);
      votes[t] = vote / (1 + Math.exp(-out[0] - gateBias));
      product(out, 0, speechRows, x, t * width, out.length, width);
      let best = 0;
      for (let i = 0; i < out.length; i++) if (out[i] + speechBias[i] > out[best] + speechBias[best]) best = i;
      speech.push(partsOfSpeech[best]);
    }
    let begin = -Infinity;
    for (let t = 0; t < count; t++) begin = Math.max(begin, tags[t * 3 + 1]);
    // log(p / (1 − p)) of "a part begins somewhere", by the token that is the likeliest to begin one.
    const asked = begin - Math.log1p(-Math.min(Math.exp(begin), 1 - 1e-6));
    return { tags, votes, speech, doubt: -Math.abs(asked) };
  }
}

/** y[at + o] = Σ weight[o, i]·x[from + i]; four sums side by side keep the processor's adders busy. */
function product(
  y: Float32Array,
  at: number,
  weight: Float32Array,
  x: Float32Array,
  from: number,
  outputs: number,
  inputs: number,
): void {
  for (let o = 0; o < outputs; o++) {
    const row = o * inputs;
    let a = 0, b = 0, c = 0, d = 0;
    for (let i = 0; i < inputs; i += 4) {
      a += weight[row + i] * x[from + i];
      b += weight[row + i + 1] * x[from + i + 1];
      c += weight[row + i + 2] * x[from + i + 2];
      d += weight[row + i + 3] * x[from + i + 3];
    }
    y[at + o] = a + b + c + d;
  }
}

/** Each row divided by its root mean square. */
function normalize(x: Float32Array, count: number, width: number): Float32Array {
  const y = new Float32Array(x.length);
  for (let t = 0; t < count; t++) {
    let squares = 0;
    for (let i = t * width; i < (t + 1) * width; i++) squares += x[i] * x[i];
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = t * width; i < (t + 1) * width; i++) y[i] = x[i] * scale;
  }
  return y;
}

/** x + silu(a)·b, where [a | b] is a convolution of the normalised rows over three taps; zeros stand beyond the ends. */
function convolve(
  x: Float32Array,
  count: number,
  width: number,
  dilation: number,
  weight: Float32Array,
  bias: Float32Array,
): Float32Array {
  // Rows of zeros on both sides, so that every window is one contiguous copy of three rows.
  const normal = normalize(x, count, width);
  const window = new Float32Array(3 * width);
  const both = new Float32Array(2 * width);
  const y = x.slice();
  for (let t = 0; t < count; t++) {
    for (let tap = 0; tap < 3; tap++) {
      const at = t + (tap - 1) * dilation;
      if (at < 0 || at >= count) window.fill(0, tap * width, (tap + 1) * width);
      else window.set(normal.subarray(at * width, (at + 1) * width), tap * width);
    }
    product(both, 0, weight, window, 0, 2 * width, 3 * width);
    for (let i = 0; i < width; i++) {
      const a = both[i] + bias[i];
      y[t * width + i] += a / (1 + Math.exp(-a)) * (both[width + i] + bias[width + i]);
    }
  }
  return y;
}
