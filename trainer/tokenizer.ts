/**
 * Text to token ids and back: byte-pair vocabularies trained and applied by the kernel library, and the byte-level one.
 * Knows files and strings; how pieces are cut and merged is in `cuda/tokenizer/`.
 *
 * Every vocabulary has the 256 bytes as its first entries, so all text can be encoded and `decode(encode(text))` is the
 * text (lone surrogates, which UTF-8 cannot carry, come back as U+FFFD). Special tokens have the last ids and never come
 * from plain text, whatever the text says.
 * @module
 */
import { join } from "node:path";
import { check, handle, KernelError, library } from "../cuda/lib.ts";
import {
  checkSpecials,
  type Entries,
  formatHuggingFace,
  formatMeta,
  formatRanks,
  parseMeta,
  parseRanks,
  splitPattern,
  TokenizerFileError,
} from "./tokenizer_files.ts";
import { Utf8Batch } from "./_utf8.ts";

export { TokenizerFileError } from "./tokenizer_files.ts";

/** Token ids: 16 bits where the vocabulary has at most 65,536 tokens, else 32. */
export type TokenIds = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Ids of several documents. */
export interface EncodedBatch {
  /** Ids of all documents, one after another. */
  readonly ids: TokenIds;
  /** Document i is `ids.subarray(i ? ends[i - 1] : 0, ends[i])`. */
  readonly ends: Float64Array<ArrayBuffer>;
}

/** What every way to a tokenizer takes. */
export interface TokenizerOptions {
  /** Special tokens besides `<|bos|>`, each like `<|name|>`; their ids stand before that of `<|bos|>`. */
  readonly specials?: readonly string[];
  /** Threads of the library; 0 (default): all cores. Results do not depend on it. */
  readonly threads?: number;
}

/** How far a training is. */
export interface TokenizerProgress {
  /** Texts are read and counted first, then entries are made. */
  readonly stage: "count" | "merge";
  /** UTF-8 bytes counted so far. */
  readonly bytes: number;
  /** Merges made so far. */
  readonly merges: number;
  /** Merges wanted. */
  readonly mergesWanted: number;
}

/** Options of {@link Tokenizer.train}. */
export interface TokenizerTrainOptions extends TokenizerOptions {
  /** Tokens wanted, the 256 bytes and the special tokens included. */
  readonly vocabSize: number;
  /** Called a few times a second. */
  readonly onProgress?: (progress: TokenizerProgress) => void;
}

const fileNames = { ranks: "tokenizer.tiktoken", huggingFace: "tokenizer.json", meta: "tokenizer_meta.json" } as const;
/** Text that is handed to the library at a time while training, in bytes. */
const trainBatchBytes = 1 << 23;
/** Merges between two looks at the clock. */
const mergesPerStep = 64;

/**
 * A vocabulary that encodes and decodes text. Holds memory of the library until `dispose()` (or the end of a `using`).
 *
 * @example
 * ```ts
 * import { openLibrary } from "../cuda/lib.ts";
 * import { ensureLibrary } from "../cuda/build.ts";
 * import { resolveHome } from "../cuda/home.ts";
 * import { Tokenizer } from "./tokenizer.ts";
 *
 * openLibrary(await ensureLibrary(resolveHome()));
 * using tokenizer = await Tokenizer.train(["the cat and the hat and the bat"], { vocabSize: 260 });
 * const ids = tokenizer.encode("the hat");
 * if (tokenizer.decode(ids) !== "the hat") throw new Error("not a round trip");
 * if (tokenizer.bosId !== 259) throw new Error("<|bos|> has the last id");
 * ```
 */
export class Tokenizer implements Disposable {
  /** `"bpe"`, or `"bytes"` for the 256 bytes alone. */
  readonly kind: "bpe" | "bytes";
  /** Tokens: entries and special tokens. */
  readonly vocabSize: number;
  /** Ids of the special tokens by name. */
  readonly specials: ReadonlyMap<string, number>;
  /** Id of `<|bos|>`: the last one. */
  readonly bosId: number;
  readonly #entries: Entries;
  readonly #specialNames: readonly string[];
  readonly #batch = new Utf8Batch();
  #ids: TokenIds;
  #handle: number;

  private constructor(handle: number, specials: readonly string[]) {
    this.#handle = handle;
    const sizes = new Float64Array(2);
    check(library().symbols.rs_tokenizer_sizes(sizes, sizes.byteLength, handle), "tokenizer");
    const [count, length] = sizes;
    const bytes = new Uint8Array(length), ends = new Float64Array(count);
    check(
      library().symbols.rs_tokenizer_entries(bytes, bytes.byteLength, ends, ends.byteLength, handle),
      "tokenizer",
    );
    this.#entries = { bytes, ends };
    this.kind = count === 256 ? "bytes" : "bpe";
    this.vocabSize = count + specials.length;
    this.#specialNames = specials;
    this.specials = new Map(specials.map((special, i) => [special, count + i]));
    this.bosId = this.vocabSize - 1;
    this.#ids = this.vocabSize <= 65536 ? new Uint16Array(0) : new Uint32Array(0);
  }

  /** The 256 bytes and the special tokens: one id a byte. */
  static byteLevel(options: TokenizerOptions = {}): Tokenizer {
    const specials = specialsOf(options);
    const bytes = Uint8Array.from({ length: 256 }, (_, b) => b);
    return create({ bytes, ends: Float64Array.from(bytes, (b) => b + 1) }, options, (h) => new Tokenizer(h, specials));
  }

  /**
   * Trains a vocabulary on texts. Of pairs with equal counts the one with the lower first id is merged first, then the one
   * with the lower second id, so the result depends on the texts alone, not on their order nor on the threads.
   *
   * @param texts the documents; tokens never cross from one into the next
   * @param options vocabulary size, special tokens, threads, progress
   * @returns a tokenizer with exactly `options.vocabSize` tokens
   * @throws {RangeError} when the texts are too small for that many tokens; the message names the largest possible size
   */
  static async train(
    texts: Iterable<string> | AsyncIterable<string>,
    options: TokenizerTrainOptions,
  ): Promise<Tokenizer> {
    const specials = specialsOf(options);
    const { vocabSize, onProgress = () => {}, threads = 0 } = options;
    const least = 256 + specials.length;
    if (!Number.isSafeInteger(vocabSize) || vocabSize < least || vocabSize > 2 ** 24) {
      throw new RangeError(
        `vocabSize must be an integer of at least ${least} (256 bytes and ${specials.length} special) and at most ` +
          `16777216, is ${vocabSize}`,
      );
    }
    const mergesWanted = vocabSize - least;
    const { symbols } = library();
    const trainer = handle(symbols.rs_bpe_trainer_create(threads), "tokenizer training");
    try {
      const batch = new Utf8Batch();
      let bytes = 0;
      const flush = () => {
        const { bytes: text, ends } = batch;
        check(symbols.rs_bpe_trainer_add(trainer, text, text.byteLength, ends, ends.byteLength), "tokenizer training");
        bytes += batch.length;
        batch.clear();
        onProgress({ stage: "count", bytes, merges: 0, mergesWanted });
      };
      for await (const text of texts) {
        batch.push(text);
        if (batch.length >= trainBatchBytes) flush();
      }
      flush();
      check(symbols.rs_bpe_trainer_begin(trainer), "tokenizer training");
      const state = new Float64Array(2);
      let shown = performance.now();
      for (let merges = 0; merges < mergesWanted; merges = state[0]) {
        const step = Math.min(mergesPerStep, mergesWanted - merges);
        check(symbols.rs_bpe_trainer_step(state, state.byteLength, trainer, step), "tokenizer training");
        if (state[1] === 1 && state[0] < mergesWanted) {
          throw new RangeError(
            `${bytes} bytes of text give a vocabulary of at most ${least + state[0]} tokens, ${vocabSize} are wanted`,
          );
        }
        if (performance.now() - shown > 200 || state[0] === mergesWanted) {
          shown = performance.now();
          onProgress({ stage: "merge", bytes, merges: state[0], mergesWanted });
        }
      }
      return new Tokenizer(
        handle(symbols.rs_tokenizer_create_trained(trainer, threads), "tokenizer training"),
        specials,
      );
    } finally {
      check(symbols.rs_bpe_trainer_destroy(trainer), "tokenizer training");
    }
  }

  /**
   * Reads a tokenizer that `save` wrote.
   *
   * @param folder where it is
   * @param options threads only; special tokens are those of the files
   * @throws {TokenizerFileError} naming the file and what is wrong with it, when one is missing or damaged
   */
  static async load(folder: string, options: Pick<TokenizerOptions, "threads"> = {}): Promise<Tokenizer> {
    const meta = await readFile(folder, fileNames.meta, parseMeta);
    const entries = await readFile(folder, fileNames.ranks, parseRanks);
    const wanted = meta.vocabSize - meta.specials.length;
    const fail = (rule: string, cause?: unknown) =>
      new TokenizerFileError(`${join(folder, fileNames.ranks)}: ${rule}`, { cause });
    if (entries.ends.length !== wanted) throw fail(`it has ${entries.ends.length} entries, ${wanted} are wanted`);
    if ((meta.kind === "bytes") !== (wanted === 256)) throw fail(`${wanted} entries cannot be of kind ${meta.kind}`);
    try {
      return create(entries, options, (h) => new Tokenizer(h, meta.specials));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      throw fail(error.message, error);
    }
  }

  /**
   * Writes `tokenizer.tiktoken` (ranks), `tokenizer.json` (Hugging Face) and `tokenizer_meta.json` into a folder, which is
   * made if absent. Each is written under a temporary name first, and the one that `load` asks for first comes last.
   */
  async save(folder: string): Promise<void> {
    const merges = new Uint32Array(2 * (this.#entries.ends.length - 256));
    check(library().symbols.rs_tokenizer_merges(merges, merges.byteLength, this.#open()), "tokenizer");
    const specials = this.#specialNames;
    const { kind, vocabSize } = this;
    const texts: [string, string][] = [
      [fileNames.ranks, formatRanks(this.#entries)],
      [fileNames.huggingFace, formatHuggingFace(this.#entries, merges, specials)],
      [fileNames.meta, formatMeta({ format: 1, kind, vocabSize, specials, pattern: splitPattern })],
    ];
    await Deno.mkdir(folder, { recursive: true });
    const temporary = (name: string) => join(folder, `.${name}.tmp`);
    try {
      for (const [name, text] of texts) await Deno.writeTextFile(temporary(name), text);
      for (const [name] of texts) await Deno.rename(temporary(name), join(folder, name));
    } catch (error) {
      for (const [name] of texts) await Deno.remove(temporary(name)).catch(() => {});
      throw error;
    }
  }

  /** Ids of a text. Special tokens are not looked for and not added. */
  encode(text: string): TokenIds {
    return this.encodeBatch([text]).ids;
  }

  /** Ids of many documents by one call, on all threads. */
  encodeBatch(texts: readonly string[]): EncodedBatch {
    const open = this.#open();
    const batch = this.#batch;
    batch.clear();
    for (const text of texts) batch.push(text);
    const { bytes, ends } = batch;
    if (this.#ids.length < bytes.length) {
      this.#ids = this.vocabSize <= 65536 ? new Uint16Array(bytes.length) : new Uint32Array(bytes.length);
    }
    const ids = this.#ids.subarray(0, bytes.length);
    const idEnds = new Float64Array(texts.length);
    check(
      library().symbols.rs_tokenizer_encode(
        ids,
        ids.byteLength,
        idEnds,
        idEnds.byteLength,
        bytes,
        bytes.byteLength,
        ends,
        ends.byteLength,
        open,
        ids.BYTES_PER_ELEMENT,
      ),
      "encode",
    );
    return { ids: ids.slice(0, idEnds.at(-1) ?? 0), ends: idEnds };
  }

  /** UTF-8 bytes of the tokens; a special token gives the bytes of its name. */
  decodeBytes(ids: ArrayLike<number>): Uint8Array<ArrayBuffer> {
    const { bytes, ends } = this.#entries;
    let length = 0;
    for (let i = 0; i < ids.length; i++) length += this.#lengthOf(ids[i]);
    const out = new Uint8Array(length);
    let at = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (id < ends.length) {
        for (let from = id === 0 ? 0 : ends[id - 1]; from < ends[id]; from++) out[at++] = bytes[from];
      } else {
        at += new TextEncoder().encodeInto(this.#specialNames[id - ends.length], out.subarray(at)).written;
      }
    }
    return out;
  }

  /** Text of the tokens; bytes that are not UTF-8 (cut characters) become U+FFFD. */
  decode(ids: ArrayLike<number>): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.decodeBytes(ids));
  }

  /** Length of each token in UTF-8 bytes, by id; 0 for special tokens, which are not text. */
  tokenBytes(): Uint16Array<ArrayBuffer> {
    const { ends } = this.#entries;
    const lengths = new Uint16Array(this.vocabSize);
    for (let id = 0; id < ends.length; id++) {
      const length = ends[id] - (id === 0 ? 0 : ends[id - 1]);
      if (length > 65535) throw new RangeError(`token ${id} has ${length} bytes, more than 16 bits can say`);
      lengths[id] = length;
    }
    return lengths;
  }

  /** Frees the library's memory; `encode` and `save` fail afterwards. */
  dispose(): void {
    if (this.#handle === 0) return;
    check(library().symbols.rs_tokenizer_destroy(this.#handle), "tokenizer");
    this.#handle = 0;
  }

  /** The same as `dispose`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #open(): number {
    if (this.#handle === 0) throw new Error("the tokenizer was disposed of");
    return this.#handle;
  }

  /** Bytes that a token decodes to. */
  #lengthOf(id: number): number {
    const { ends } = this.#entries;
    if (!(Number.isInteger(id) && id >= 0 && id < this.vocabSize)) {
      throw new RangeError(`token id ${id} is outside 0 … ${this.vocabSize - 1}`);
    }
    if (id >= ends.length) return this.#specialNames[id - ends.length].length;
    return ends[id] - (id === 0 ? 0 : ends[id - 1]);
  }
}

function specialsOf(options: TokenizerOptions): string[] {
  const specials = [...options.specials ?? [], "<|bos|>"];
  checkSpecials(specials);
  return specials;
}

/** Makes the library's vocabulary of entries. */
function create(entries: Entries, options: TokenizerOptions, wrap: (handle: number) => Tokenizer): Tokenizer {
  const { bytes, ends } = entries;
  const made = library().symbols.rs_tokenizer_create(
    bytes,
    bytes.byteLength,
    ends,
    ends.byteLength,
    options.threads ?? 0,
  );
  return wrap(handle(made, "tokenizer"));
}

async function readFile<T>(folder: string, name: string, parse: (text: string) => T): Promise<T> {
  const path = join(folder, name);
  try {
    return parse(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new TokenizerFileError(`${path} does not exist`, { cause: error });
    if (error instanceof TokenizerFileError) {
      throw new TokenizerFileError(`${path}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
