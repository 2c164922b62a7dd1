/**
 * One training of the model: batches of varied tasks, losses, AdamW with a warm-down, and the weights at the end.
 * @module
 */
import { backward } from "../../trainer/autograd.ts";
import { Optimizer } from "../../trainer/optim.ts";
import { scope } from "../../trainer/tensor.ts";
import type { Lookup } from "../text/resolve.ts";
import { describe, type TokenFeatures } from "../model/features.ts";
import { frequentBit } from "../model/classes.ts";
import type { NetworkSizes } from "../model/network.ts";
import { type Example, toExample, vary } from "./dataset.ts";
import { Draws } from "./draws.ts";
import type { Trained } from "./export.ts";
import { type Described, Graph, makeBatch } from "./graph.ts";
import type { MarkedTask } from "./markup.ts";
import { nearest } from "./neighbours.ts";
import type { Words } from "./words.ts";

/** Numbers of a training. */
export interface TrainerOptions {
  /** Of weights, order, variation and dropout. */
  readonly seed: number;
  /** Rate of dropout. */
  readonly drop: number;
  /** Highest learning rate. */
  readonly rate: number;
  /** Chance that another task is joined to a task. */
  readonly joins: number;
  /** Share of the words that a neighbour in meaning stands in for. */
  readonly swap: number;
  /** Rate of dropout of what is known of a word. */
  readonly blur: number;
  /** Share of the words, in half of the tasks, that are treated as if the lexicon lacked them. */
  readonly forget: number;
}

/** Parts of speech of a task's tokens, by their place in `partsOfSpeech`; −1 where they are not known. */
export type Tagger = (task: string, example: Example) => number[];

/** Most tokens in a batch, padding included. */
const tokensPerBatch = 1600;
const warmUpSteps = 100;
/** Part of the training at the highest rate; then it falls in a straight line. */
const plateau = 0.3;
/** Learning rates of the groups below as shares of the highest. */
const rateShares = [1, 1, 0.5, 0.33];

/** A model in training. */
export class Trainer {
  readonly #words: Words;
  readonly #graph: Graph;
  readonly #optimizer: Optimizer;
  readonly #options: TrainerOptions;
  readonly #draws: Draws;
  readonly #lookup: Lookup;
  readonly #tagSpeech: Tagger;
  readonly #neighbours: ReadonlyMap<number, readonly number[]>;
  #steps = 0;

  /** @param words the lexicon @param sizes of the network @param options numbers */
  constructor(words: Words, sizes: NetworkSizes, options: TrainerOptions, speech: Tagger) {
    this.#words = words;
    this.#options = options;
    this.#tagSpeech = speech;
    this.#neighbours = options.swap > 0 ? nearest(words, 6) : new Map();
    this.#draws = new Draws(options.seed);
    const graph = this.#graph = new Graph(sizes, words.size, words.words.length, options.seed);
    const named = [...graph.weights];
    const adamw = (parameters: typeof graph.own[], weightDecay: number) =>
      ({ kind: "adamw", parameters, learningRate: 0, betas: [0.9, 0.99], eps: 1e-8, weightDecay }) as const;
    this.#optimizer = new Optimizer([
      adamw(named.filter(([name]) => !name.includes("Bias")).map(([, weight]) => weight), 0.02),
      adamw(named.filter(([name]) => name.includes("Bias")).map(([, weight]) => weight), 0),
      adamw([graph.projection], 0.05),
      adamw([graph.own], 0.1),
    ]);
    const numbers = new Map(words.words.map((word, index) => [word, index]));
    this.#lookup = {
      find: (word) => numbers.get(word) ?? -1,
      frequent: (entry) => (words.classes[entry] & frequentBit) !== 0,
    };
  }

  /** The features with some words' entries exchanged for a neighbour's. */
  #swap(features: readonly TokenFeatures[]): TokenFeatures[] {
    return features.map((feature) => {
      const { entries } = feature.resolved;
      const near = entries.length === 1 ? this.#neighbours.get(entries[0]) : undefined;
      if (near === undefined || this.#draws.float() >= this.#options.swap) return feature;
      const entry = near[Math.floor(this.#draws.float() * near.length)];
      return { ...feature, resolved: { ...feature.resolved, entries: [entry] } };
    });
  }

  #describe(task: MarkedTask): Described {
    const example = toExample(task);
    const forgotten: Lookup = {
      find: (word) => this.#draws.float() < this.#options.forget ? -1 : this.#lookup.find(word),
      frequent: () => false,
    };
    return {
      example,
      features: this.#swap(describe(
        example.tokens,
        this.#options.forget > 0 && this.#draws.float() < 0.5 ? forgotten : this.#lookup,
      )),
      speech: this.#tagSpeech(task.task, example),
    };
  }

  /** Batches of one epoch: tasks of like length share one, in random order. */
  #batches(tasks: readonly MarkedTask[]): Described[][] {
    const varied = this.#draws.shuffle(
      tasks.map((task) => this.#describe(vary(task, tasks, this.#draws, this.#options.joins))),
    );
    const batches: Described[][] = [];
    for (let from = 0; from < varied.length; from += 800) {
      const stretch = varied.slice(from, from + 800).sort((a, b) => a.features.length - b.features.length);
      let batch: Described[] = [];
      for (const task of stretch) {
        if ((batch.length + 1) * task.features.length > tokensPerBatch && batch.length > 0) {
          batches.push(batch);
          batch = [];
        }
        batch.push(task);
      }
      if (batch.length > 0) batches.push(batch);
    }
    return this.#draws.shuffle(batches);
  }

  /** Trains on every task once. @returns mean losses in nats */
  epoch(tasks: readonly MarkedTask[], epoch: number, epochs: number): { tags: number; parts: number } {
    const { rate, drop } = this.#options;
    const { features, size, words } = this.#words;
    const fill = (to: Float32Array, entries: readonly number[]) => {
      for (const entry of entries) {
        for (let i = 0; i < size; i++) to[i] += features[entry * size + i] / entries.length;
      }
    };
    const batches = this.#batches(tasks);
    const losses = { tags: 0, parts: 0 };
    for (const [index, described] of batches.entries()) {
      const progress = (epoch + index / batches.length) / epochs;
      const warmDown = progress < plateau ? 1 : Math.max(0.01, (1 - progress) / (1 - plateau));
      const now = rate * Math.min(1, ++this.#steps / warmUpSteps) * warmDown;
      this.#optimizer.groups.forEach((group, i) => group.learningRate = now * rateShares[i]);
      scope(() => {
        const batch = makeBatch(described, size, words.length, fill);
        const { total, tags, parts } = this.#graph.loss(
          batch,
          drop,
          this.#options.blur,
          () => [this.#draws.bits(), this.#draws.bits()],
        );
        backward(total);
        losses.tags += tags.item() / batches.length;
        losses.parts += parts.item() / batches.length;
        this.#optimizer.step();
      });
    }
    return losses;
  }

  /** The weights as the router uses them. */
  result(): Trained {
    const { sizes } = this.#graph;
    const { words, size, features, classes } = this.#words;
    const weights = new Map([...this.#graph.weights].map(([name, tensor]) => [name, Float32Array.from(tensor.data())]));
    const projection = this.#graph.projection.data(), own = this.#graph.own.data();
    const vectors = Float32Array.from(own.subarray(0, words.length * sizes.lexicon));
    for (let word = 0; word < words.length; word++) {
      for (let o = 0; o < sizes.lexicon; o++) {
        let sum = 0;
        for (let i = 0; i < size; i++) sum += projection[o * size + i] * features[word * size + i];
        vectors[word * sizes.lexicon + o] += sum;
      }
    }
    // Until it is fitted to the validation tasks.
    const calibration = { threshold: 0, temperature: 1, bias: 0, slope: 1 };
    return { sizes, words, classes, vectors, weights, calibration };
  }
}
