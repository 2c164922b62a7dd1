/**
 * Prepares text for training: once per source and setting, a folder with packed rows, tokenizer and hashes. The fixed
 * part of the harness; also `deno task prepare`. A folder is complete or absent: it is made under a temporary name and
 * renamed, so two that prepare at once do not disturb each other, and a kill leaves nothing that looks finished.
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureLibrary } from "../cuda/build.ts";
import { openLibrary } from "../cuda/lib.ts";
import { FORMAT, openDataset } from "./data/dataset.ts";
import { DataError, reasonOf, requirePermissions } from "./data/error.ts";
import { resolveHome } from "./data/home.ts";
import { sourceOf } from "./data/source.ts";
import { type DatasetSettings, writeDataset } from "./data/write_dataset.ts";
import { defaultPreset, type PresetName, presetOf, presets } from "./presets.ts";

export { type Dataset, type Manifest, openDataset, type SplitCounts } from "./data/dataset.ts";
export { DataError } from "./data/error.ts";
export { RowOrder } from "./data/order.ts";

/** What to prepare; whatever is absent comes from the preset. */
export interface PrepareOptions {
  /** The home folder, see `resolveHome()`. */
  readonly home: string;
  /** Default: `cpu`. */
  readonly preset?: PresetName;
  /** `sotu` or `files:<pattern>`. */
  readonly source?: string;
  /** `files:<pattern>` of the validation split; absent: cut from the source. */
  readonly validation?: string;
  /** Default `bpe`; `bytes` has 256 entries and the special ones, whatever `vocabSize` says. */
  readonly tokenizer?: "bpe" | "bytes";
  /** Entries of the tokenizer, special tokens included; at most 65,536, as rows are 16 bits. */
  readonly vocabSize?: number;
  /** T. */
  readonly sequenceLength?: number;
  /** A built library; absent: it is looked for, and built if need be. */
  readonly libraryPath?: string;
  /** Takes lines of progress. */
  readonly onProgress?: (line: string) => void;
}

/** UTF-8 bytes a token, on the high side for the vocabularies of the presets: sizes the validation split. */
const BYTES_PER_TOKEN = 4.5;
/** Temporary folders of a process that was killed are removed after this time. */
const STALE_MILLISECONDS = 24 * 3600 * 1000;

function resolveSettings(options: PrepareOptions): DatasetSettings {
  const preset = presets[options.preset ?? defaultPreset("cpu")];
  const vocabSize = options.vocabSize ?? preset.vocabSize;
  const sequenceLength = options.sequenceLength ?? preset.sequenceLength;
  if (!(Number.isInteger(vocabSize) && vocabSize >= 257 && vocabSize <= 65536)) {
    throw new DataError(`the vocabulary size must be a whole number of 257…65536, got ${vocabSize}`);
  }
  if (!(Number.isInteger(sequenceLength) && sequenceLength >= 2 && sequenceLength <= 1 << 20)) {
    throw new DataError(`the sequence length must be a whole number of 2…1048576, got ${sequenceLength}`);
  }
  return {
    source: sourceOf(options.source ?? preset.source),
    validation: options.validation === undefined ? null : sourceOf(options.validation),
    tokenizer: options.tokenizer ?? "bpe",
    vocabSize,
    sequenceLength,
    validationBytes: preset.evaluationRows * sequenceLength * BYTES_PER_TOKEN,
  };
}

function keyOf(settings: DatasetSettings): string {
  const { source, validation, tokenizer, vocabSize, sequenceLength, validationBytes } = settings;
  const parts = [
    FORMAT,
    source.identity,
    validation?.identity ?? null,
    tokenizer,
    tokenizer === "bytes" ? 0 : vocabSize,
  ];
  return createHash("sha256").update(JSON.stringify([...parts, sequenceLength, validationBytes])).digest("hex");
}

/** Where the data set of settings belongs, and the hash that its manifest must carry. */
function placeOf(home: string, settings: DatasetSettings): { root: string; name: string; key: string } {
  const key = keyOf(settings);
  const vocabulary = settings.tokenizer === "bytes" ? "bytes" : `v${settings.vocabSize}`;
  const source = settings.source.name.split(":")[0];
  return {
    root: join(home, "data"),
    name: `${source}-${vocabulary}-t${settings.sequenceLength}-${key.slice(0, 12)}`,
    key,
  };
}

/** Whether a folder holds the finished data set of `key`; says why not when one is there and is no good. */
function isComplete(folder: string, key: string, onProgress: (line: string) => void): boolean {
  try {
    Deno.statSync(folder);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw new DataError(`${folder} cannot be read: ${reasonOf(error)}`);
  }
  try {
    using dataset = openDataset(folder);
    if (dataset.manifest.key === key) return true;
    onProgress(`${folder} was made for other settings; it is replaced`);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    onProgress(`${error.message.replace(/; delete the folder.*$/, "")}; it is replaced`);
  }
  return false;
}

/**
 * The folder of a finished data set for these options, or null when it has to be prepared. Needs no FFI.
 * @throws DataError for options that are wrong
 */
export function findDataset(options: PrepareOptions): string | null {
  const { root, name, key } = placeOf(options.home, resolveSettings(options));
  const folder = join(root, name);
  return isComplete(folder, key, () => {}) ? folder : null;
}

/** Removes what killed processes left behind long ago. */
function removeStale(root: string): void {
  for (const { name } of Deno.readDirSync(root)) {
    if (!name.startsWith(".") || !name.endsWith(".tmp")) continue;
    const path = join(root, name);
    try {
      const { mtime } = Deno.statSync(path);
      if (mtime && Date.now() - mtime.getTime() > STALE_MILLISECONDS) Deno.removeSync(path, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // somebody else removed it
    }
  }
}

/** Moves a finished temporary folder to its name; another one that finished first stays. */
function moveIntoPlace(temporary: string, folder: string, key: string, onProgress: (line: string) => void): void {
  for (let attempt = 0;; attempt++) {
    try {
      Deno.renameSync(temporary, folder);
      return;
    } catch (error) {
      if (isComplete(folder, key, onProgress)) return;
      if (attempt === 3) throw new DataError(`${folder} cannot be put in place: ${reasonOf(error)}`);
    }
    try {
      Deno.renameSync(folder, `${temporary.slice(0, -4)}-${attempt}.old.tmp`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/**
 * Makes the data set of these options, or finds the one that is there.
 * @returns its folder, for `openDataset`
 * @throws DataError, one sentence, for wrong options, bad, damaged or too little text, no space, no permission; what
 * `ensureLibrary` throws
 */
export async function prepare(options: PrepareOptions): Promise<string> {
  const onProgress = options.onProgress ?? (() => {});
  const settings = resolveSettings(options);
  const { root, name, key } = placeOf(options.home, settings);
  const folder = join(root, name);
  if (isComplete(folder, key, onProgress)) return folder;
  // A download and the compiler get on well with each other. Its failure is reported when the source is read.
  const warm = Promise.all([settings.source.warmUp(), settings.validation?.warmUp()]).catch(() => {});
  openLibrary(options.libraryPath ?? await ensureLibrary(options.home, { onProgress }));
  await warm;
  const prefix = `.${name}.${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
  const temporary = join(root, `${prefix}.tmp`);
  try {
    Deno.mkdirSync(temporary, { recursive: true });
    removeStale(root);
    await writeDataset(temporary, key, settings, onProgress);
    moveIntoPlace(temporary, folder, key, onProgress);
  } catch (error) {
    // What the system refused (no space, read-only …) says its code but not always where.
    if (typeof (error as { code?: unknown })?.code !== "string") throw error;
    throw new DataError(`${folder} cannot be prepared: ${reasonOf(error)}`);
  } finally {
    for (const { name: left } of readDirectory(root)) {
      if (left.startsWith(prefix)) Deno.removeSync(join(root, left), { recursive: true });
    }
  }
  return folder;
}

function readDirectory(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch {
    return [];
  }
}

/** Options of a command line that name a data set, in the form of `node:util` parseArgs. */
export const prepareFlags = {
  preset: { type: "string" },
  source: { type: "string" },
  validation: { type: "string" },
  tokenizer: { type: "string" },
  "vocab-size": { type: "string" },
  "sequence-length": { type: "string" },
} as const;

/** Manual of `prepareFlags`. */
export const prepareFlagsHelp = `  --preset NAME          ${Object.keys(presets).join(" | ")} (default: ${
  defaultPreset("cpu")
})
  --source SOURCE        sotu, or files:PATTERN of .txt, .md and .jsonl files (a "text" field), plain, .gz or .xz
  --validation SOURCE    files:PATTERN of the validation split (default: 4 % of the source, chosen by hash)
  --tokenizer KIND       bpe | bytes (default: bpe)
  --vocab-size N         entries of the tokenizer, special ones included (default: the preset's)
  --sequence-length N    tokens a row (default: the preset's)`;

/**
 * Reads the values of `prepareFlags`.
 * @throws DataError for a preset, tokenizer or number that there is not
 */
export function prepareOptionsOf(
  values: { [name in keyof typeof prepareFlags]?: string },
): Omit<PrepareOptions, "home"> {
  const number = (name: "vocab-size" | "sequence-length") => {
    const text = values[name];
    if (text === undefined) return undefined;
    if (!/^\d+$/.test(text)) throw new DataError(`--${name} needs a whole number, got "${text}"`);
    return Number(text);
  };
  const { preset, tokenizer } = values;
  if (tokenizer !== undefined && tokenizer !== "bpe" && tokenizer !== "bytes") {
    throw new DataError(`--tokenizer must be bpe or bytes, got "${tokenizer}"`);
  }
  try {
    return {
      ...(preset !== undefined && { preset: presetOf(preset).name }),
      source: values.source,
      validation: values.validation,
      tokenizer,
      vocabSize: number("vocab-size"),
      sequenceLength: number("sequence-length"),
    };
  } catch (error) {
    throw error instanceof DataError ? error : new DataError(reasonOf(error));
  }
}

/**
 * Shows lines of progress on stderr, each in the place of the one before; an empty one clears it. Quiet where stderr is
 * no terminal.
 */
export function terminalProgress(): (line: string) => void {
  if (!Deno.stderr.isTerminal()) return () => {};
  return (line) => {
    const { columns } = Deno.consoleSize();
    Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[2K${line.slice(0, columns - 1)}`));
  };
}

const usage =
  `Prepares text for training: tokenizer, packed rows, validation split. Does nothing when it is done already.

usage: deno task prepare [options]

${prepareFlagsHelp}
  --verify               compare every file with its hash
  --help                 this text

The data set goes to RESEARCHSWARM_HOME (default: the user's cache folder, researchswarm/), below data/.`;

async function main(args: string[]): Promise<void> {
  const { values } = (() => {
    try {
      const flags = { ...prepareFlags, verify: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
      return parseArgs({ args, options: flags, strict: true, allowPositionals: false });
    } catch (error) {
      throw new DataError(`${reasonOf(error).split(/\.\s/)[0]}; see --help`);
    }
  })();
  if (values.help) return console.log(usage);
  const start = performance.now();
  const home = resolveHome();
  requirePermissions("prepare", [
    { name: "read", value: home },
    { name: "write", value: home },
    { name: "ffi", value: join(home, "lib") },
  ]);
  const onProgress = terminalProgress();
  const folder = await prepare({ ...prepareOptionsOf(values), home, onProgress }).finally(() => onProgress(""));
  using dataset = openDataset(folder);
  if (values.verify) dataset.verify();
  const { manifest } = dataset;
  const { train, val, sealed } = manifest.splits;
  console.log(`dataset: ${folder}`);
  console.log(`source: ${manifest.source}${manifest.validation ? `, validation ${manifest.validation}` : ""}`);
  console.log(`documents: ${train.documents} train, ${val.documents} val, ${sealed.documents} sealed`);
  console.log(`duplicates: ${manifest.duplicates}`);
  console.log(`vocab_size: ${manifest.vocabSize}`);
  console.log(`sequence_length: ${manifest.sequenceLength}`);
  console.log(`rows: ${train.rows} train, ${val.rows} val, ${sealed.rows} sealed`);
  console.log(`train_tokens_M: ${(train.tokens / 1e6).toFixed(2)}`);
  console.log(`bytes_per_token: ${(val.bytes / val.tokens).toFixed(3)}`);
  if (values.verify) console.log(`verified_files: ${Object.keys(manifest.files).length}`);
  console.log(`seconds: ${((performance.now() - start) / 1000).toFixed(1)}`);
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(`prepare: ${error instanceof Error ? error.message : error}`);
    const details = (error as { details?: unknown })?.details;
    if (typeof details === "string" && details !== "") console.error(details);
    Deno.exit(1);
  }
}
