/**
 * The model of `router/model/network.ts` on the project's own tensor layer, with gradients: what is trained here is what
 * the router computes.
 * @module
 */
import { parameter, Tensor } from "../../trainer/tensor.ts";
import { Random } from "../../trainer/nn.ts";
import {
  add,
  concat,
  crossEntropy,
  dropout,
  embedding,
  linear,
  matmul,
  multiply,
  reshape,
  rmsNorm,
  scale,
  sigmoid,
  slice,
  swiglu,
} from "../../trainer/ops/mod.ts";
import { affixBuckets, flagCount, type TokenFeatures } from "../model/features.ts";
import { type NetworkSizes, weightShapes } from "../model/network.ts";
import type { Example } from "./dataset.ts";

/** What a training step reads, as tensors. B tasks of up to T tokens, U distinct tokens, S parts. */
export interface Batch {
  /** [B, T] row of each token in `wordFeatures`; the last row is zero. */
  readonly ids: Tensor;
  /** [U + 1, F] what is known of each distinct token. */
  readonly wordFeatures: Tensor;
  /** [U + 1] entry of the lexicon for the trained part of its vector; the last entry of the table is unused and zero. */
  readonly entries: Tensor;
  /** [B·T] buckets; `affixBuckets` is a row of zeros. */
  readonly prefix: Tensor;
  /** As `prefix`. */
  readonly suffix: Tensor;
  /** [B, T, flagCount] zeros and ones. */
  readonly flags: Tensor;
  /** [B, T, 1] one where a token is. */
  readonly mask: Tensor;
  /** [B, 1, T] 1/length where a token is. */
  readonly mean: Tensor;
  /** [B·T] tag, −1 beyond the end. */
  readonly tags: Tensor;
  /** [B·T] 1 in a human part, 0 in a digital part, −1 elsewhere. */
  readonly kinds: Tensor;
  /** [B·T] part of speech, −1 where it is not known. */
  readonly speech: Tensor;
  /** [S, B·T] one where a token belongs to a part. */
  readonly membership: Tensor;
  /** [S] 1 for a human part. */
  readonly targets: Tensor;
  /** B and T. */
  readonly shape: readonly [number, number];
}

/** One task with its features. */
export interface Described {
  /** Tokens and marks. */
  readonly example: Example;
  /** Features of its tokens. */
  readonly features: readonly TokenFeatures[];
  /** Part of speech of each token, −1 where it is not known. */
  readonly speech: readonly number[];
}

/** Builds the tensors of a step. @param wordSize F @param fill writes the features of a token's entries */
export function makeBatch(
  tasks: readonly Described[],
  wordSize: number,
  words: number,
  fill: (to: Float32Array, entries: readonly number[]) => void,
): Batch {
  const b = tasks.length;
  const t = Math.max(4, ...tasks.map(({ example }) => example.tokens.length));
  const distinct = new Map<string, number>();
  const ids = new Int32Array(b * t).fill(-1);
  const prefix = new Int32Array(b * t).fill(affixBuckets), suffix = new Int32Array(b * t).fill(affixBuckets);
  const flags = new Float32Array(b * t * flagCount), mask = new Float32Array(b * t), mean = new Float32Array(b * t);
  const tags = new Int32Array(b * t).fill(-1), kinds = new Int32Array(b * t).fill(-1);
  const speech = new Int32Array(b * t).fill(-1);
  const parts: { at: number; from: number; to: number; human: boolean }[] = [];
  const lists: (readonly number[])[] = [];
  tasks.forEach(({ example, features, speech: known }, row) => {
    features.forEach((feature, column) => {
      const at = row * t + column;
      const { entries } = feature.resolved;
      if (entries.length > 0) {
        const key = entries.join(",");
        let id = distinct.get(key);
        if (id === undefined) distinct.set(key, id = lists.push(entries) - 1);
        ids[at] = id;
      }
      if (feature.prefix >= 0) [prefix[at], suffix[at]] = [feature.prefix, feature.suffix];
      for (const flag of feature.flags) flags[at * flagCount + flag] = 1;
      mask[at] = 1;
      mean[at] = 1 / features.length;
      tags[at] = example.tags[column];
      speech[at] = known[column];
    });
    for (const part of example.parts) {
      parts.push({ at: row * t, ...part });
      for (let i = part.from; i < part.to; i++) kinds[row * t + i] = Number(part.human);
    }
  });
  const u = lists.length;
  for (let i = 0; i < ids.length; i++) if (ids[i] < 0) ids[i] = u;
  const wordFeatures = new Float32Array((u + 1) * wordSize);
  const entries = new Int32Array(u + 1).fill(words);
  lists.forEach((list, i) => {
    fill(wordFeatures.subarray(i * wordSize, (i + 1) * wordSize), list);
    if (list.length === 1) entries[i] = list[0];
  });
  const s = Math.max(1, parts.length);
  const membership = new Float32Array(s * b * t);
  const targets = new Int32Array(s).fill(-1);
  parts.forEach(({ at, from, to, human }, i) => {
    membership.fill(1, i * b * t + at + from, i * b * t + at + to);
    targets[i] = Number(human);
  });
  return {
    ids: Tensor.from(ids, [b, t]),
    wordFeatures: Tensor.from(wordFeatures, [u + 1, wordSize]),
    entries: Tensor.from(entries, [u + 1]),
    prefix: Tensor.from(prefix, [b * t]),
    suffix: Tensor.from(suffix, [b * t]),
    flags: Tensor.from(flags, [b, t, flagCount]),
    mask: Tensor.from(mask, [b, t, 1]),
    mean: Tensor.from(mean, [b, 1, t]),
    tags: Tensor.from(tags, [b * t]),
    kinds: Tensor.from(kinds, [b * t]),
    speech: Tensor.from(speech, [b * t]),
    membership: Tensor.from(membership, [s, b * t]),
    targets: Tensor.from(targets, [s]),
    shape: [b, t],
  };
}

/** The weights that are trained; the lexicon's vectors are `words·projectionᵀ + own`. */
export class Graph {
  /** Sizes of the model. */
  readonly sizes: NetworkSizes;
  /** Weights of the network, by the names of `weightShapes`. */
  readonly weights: Map<string, Tensor> = new Map();
  /** [E, F] from what is known of a word to its vector. */
  readonly projection: Tensor;
  /** [words + 1, E] what training adds to single words. */
  readonly own: Tensor;
  readonly #zeroRow: Tensor;

  /** @param wordSize F @param words entries of the lexicon @param seed of the first weights */
  constructor(sizes: NetworkSizes, wordSize: number, words: number, seed: number) {
    const random = new Random(seed);
    this.sizes = sizes;
    for (const [name, [rows, columns]] of weightShapes(sizes)) {
      const zero = /Bias|^tags|^speech|^value|^gate|^global/.test(name);
      const table = /^(prefix|suffix|flags)$/.test(name);
      this.weights.set(
        name,
        parameter(
          zero
            ? Tensor.zeros([rows, columns])
            : table
            ? random.normal([rows, columns], 0, 0.1)
            : random.matrix(rows, columns),
        ),
      );
    }
    this.projection = parameter(random.matrix(sizes.lexicon, wordSize));
    this.own = parameter(Tensor.zeros([words + 1, sizes.lexicon]));
    this.#zeroRow = parameter(Tensor.zeros([1, sizes.affix]));
    this.#zeroRow.requiresGrad = false;
  }

  #weight(name: string): Tensor {
    return this.weights.get(name)!;
  }

  /** Losses of a batch. @param drop rate of dropout @param seeds two words for each of its calls */
  loss(
    batch: Batch,
    drop: number,
    blur: number,
    seeds: () => [number, number],
  ): { total: Tensor; tags: Tensor; parts: Tensor } {
    const { width, dilations, lexicon, affix } = this.sizes;
    const [b, t] = batch.shape;
    const regular = (x: Tensor) => drop > 0 ? dropout(x, drop, seeds()) : x;
    const table = add(
      linear(blur > 0 ? dropout(batch.wordFeatures, blur, seeds()) : batch.wordFeatures, this.projection),
      embedding(this.own, batch.entries),
    );
    const words = reshape(embedding(table, batch.ids), [b * t, lexicon]);
    const affixes = add(
      embedding(concat([this.#weight("prefix"), this.#zeroRow], 0), batch.prefix),
      embedding(concat([this.#weight("suffix"), this.#zeroRow], 0), batch.suffix),
    );
    const own = reshape(regular(concat([words, affixes], 1)), [b, t, lexicon + affix]);
    let x = add(
      add(linear(own, this.#weight("input")), matmul(batch.flags, this.#weight("flags"))),
      this.#weight("inputBias"),
    );
    const zeros = new Map<number, Tensor>();
    for (const [block, dilation] of dilations.entries()) {
      if (block === dilations.length - 1) {
        const mean = matmul(batch.mean, rmsNorm(x)); // [B, 1, width]
        const added = linear(mean, this.#weight("global"));
        x = add(x, matmul(batch.mask, added));
      }
      const normal = multiply(rmsNorm(x), batch.mask);
      const reach = Math.min(dilation, t);
      if (!zeros.has(reach)) zeros.set(reach, Tensor.zeros([b, reach, width]));
      const zero = zeros.get(reach)!;
      const before = reach === t ? zero : concat([zero, slice(normal, 1, 0, t - reach)], 1);
      const after = reach === t ? zero : concat([slice(normal, 1, reach, t), zero], 1);
      const both = add(
        linear(concat([before, normal, after], 2), this.#weight(`conv${block}`)),
        this.#weight(`convBias${block}`),
      );
      x = add(x, regular(swiglu(both)));
    }
    const out = reshape(regular(rmsNorm(x)), [b * t, width]);
    const tags = crossEntropy(add(linear(out, this.#weight("tags")), this.#weight("tagsBias")), batch.tags);
    const gate = sigmoid(add(linear(out, this.#weight("gate")), this.#weight("gateBias")));
    const value = linear(out, this.#weight("value"));
    const single = crossEntropy(value, batch.kinds);
    const parts = crossEntropy(
      add(matmul(batch.membership, multiply(value, gate)), this.#weight("partBias")),
      batch.targets,
    );
    const speech = crossEntropy(add(linear(out, this.#weight("speech")), this.#weight("speechBias")), batch.speech);
    return { total: add(add(tags, parts), scale(add(single, speech), 0.3)), tags, parts };
  }
}
