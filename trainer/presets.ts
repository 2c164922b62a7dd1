/**
 * The five presets: which text, how it is cut into tokens and rows, and the sizes that `train.ts` starts from. Data only.
 * @module
 */
import type { Config } from "./contract.ts";

/** Names of the presets, smallest machine last. */
export const presetNames = ["h100", "upstream", "gpu-small", "cpu", "cpu-tiny"] as const;

/** Name of a preset. */
export type PresetName = (typeof presetNames)[number];

/** What a preset fixes. */
export interface Preset {
  /** What the preset is called. */
  readonly name: PresetName;
  /** Where its text comes from unless the caller says otherwise: `sotu` or `files:<glob>`. */
  readonly source: string;
  /** Entries of the tokenizer, special tokens included. */
  readonly vocabSize: number;
  /** T: tokens a row holds as inputs; a packed row has T+1. */
  readonly sequenceLength: number;
  /** Rows that are scored, at most. */
  readonly evaluationRows: number;
  /** Training time of a run. */
  readonly budgetSeconds: number;
  /**
   * Literals of the `#space` block of `train.ts`. `batchTokens` is a whole multiple of `microBatchRows`·T, `width` one
   * of `headDim`.
   */
  readonly config: Readonly<Config> & {
    readonly depth: number;
    readonly width: number;
    readonly headDim: number;
    readonly windowPattern: string;
    readonly batchTokens: number;
    readonly microBatchRows: number;
  };
}

/** The presets by name. `upstream` has the sizes of autoresearch, the yardstick of timings; the others are starting points. */
export const presets: { readonly [name in PresetName]: Preset } = {
  h100: {
    name: "h100",
    source: "sotu",
    vocabSize: 8192,
    sequenceLength: 1024,
    evaluationRows: 4096,
    budgetSeconds: 300,
    config: { depth: 8, width: 512, headDim: 128, windowPattern: "SSSL", batchTokens: 2 ** 17, microBatchRows: 128 },
  },
  upstream: {
    name: "upstream",
    source: "sotu",
    vocabSize: 8192,
    sequenceLength: 2048,
    evaluationRows: 2048,
    budgetSeconds: 300,
    config: { depth: 8, width: 512, headDim: 128, windowPattern: "SSSL", batchTokens: 2 ** 19, microBatchRows: 128 },
  },
  "gpu-small": {
    name: "gpu-small",
    source: "sotu",
    vocabSize: 4096,
    sequenceLength: 512,
    evaluationRows: 4096,
    budgetSeconds: 300,
    config: { depth: 4, width: 256, headDim: 128, windowPattern: "L", batchTokens: 2 ** 14, microBatchRows: 32 },
  },
  cpu: {
    name: "cpu",
    source: "sotu",
    vocabSize: 2048,
    sequenceLength: 256,
    evaluationRows: 256,
    budgetSeconds: 300,
    config: { depth: 4, width: 256, headDim: 128, windowPattern: "L", batchTokens: 2 ** 12, microBatchRows: 16 },
  },
  "cpu-tiny": {
    name: "cpu-tiny",
    source: "sotu",
    vocabSize: 1024,
    sequenceLength: 128,
    evaluationRows: 512,
    budgetSeconds: 15,
    config: { depth: 3, width: 128, headDim: 64, windowPattern: "L", batchTokens: 2 ** 12, microBatchRows: 32 },
  },
};

/** The preset that is used where none is named. */
export function defaultPreset(device: "cpu" | "cuda"): PresetName {
  return device === "cuda" ? "h100" : "cpu";
}

/**
 * The preset of a name typed by a user.
 * @throws Error with the list of names when there is no such preset
 */
export function presetOf(name: string): Preset {
  const known = presetNames.find((candidate) => candidate === name);
  if (!known) throw new Error(`there is no preset "${name}"; there are ${presetNames.join(", ")}`);
  return presets[known];
}
