/**
 * The files of a tokenizer: the rank format of tiktoken, the `tokenizer.json` of Hugging Face, and a small file of our
 * own that says what the ranks leave open. Texts in, texts out: nothing here touches a disk or the library.
 * @module
 */

/** The split pattern, as tiktoken and tokenizers take it; `cuda/tokenizer/split.h` is the same by hand. */
export const splitPattern =
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,2}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";

/** A vocabulary's entries: entry i is `bytes[ends[i-1] … ends[i])`. */
export interface Entries {
  /** Bytes of all entries, one after another. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each entry ends. */
  readonly ends: Float64Array<ArrayBuffer>;
}

/** What `tokenizer_meta.json` holds. */
export interface TokenizerMeta {
  /** Version of these files. */
  readonly format: 1;
  /** `"bpe"`: trained merges; `"bytes"`: the 256 bytes alone. */
  readonly kind: "bpe" | "bytes";
  /** Entries and special tokens together. */
  readonly vocabSize: number;
  /** Special tokens in the order of their ids, which follow the entries. */
  readonly specials: readonly string[];
  /** Always {@link splitPattern}. */
  readonly pattern: string;
}

/** A tokenizer's files are missing, damaged or of another kind. */
export class TokenizerFileError extends Error {
  /** Name of the class, as errors print it. */
  override name = "TokenizerFileError";
}

/** The bytes of entry `id`. */
export function entryBytes(entries: Entries, id: number): Uint8Array<ArrayBuffer> {
  return entries.bytes.subarray(id === 0 ? 0 : entries.ends[id - 1], entries.ends[id]);
}

/** Base64 of an entry and its rank a line, as `tiktoken.load.load_tiktoken_bpe` reads it. */
export function formatRanks(entries: Entries): string {
  const lines: string[] = [];
  for (let id = 0; id < entries.ends.length; id++) {
    lines.push(`${btoa(String.fromCharCode(...entryBytes(entries, id)))} ${id}\n`);
  }
  return lines.join("");
}

/**
 * The entries of a rank file.
 *
 * @throws {TokenizerFileError} when a line is not base64 and a rank, the ranks are not 0, 1, 2 …, or the last line is cut
 */
export function parseRanks(text: string): Entries {
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new TokenizerFileError("the last line has no line end, the file is cut short");
  const parts: string[] = [];
  const ends = new Float64Array(lines.length);
  let length = 0;
  lines.forEach((line, index) => {
    const found = /^((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?) (\d+)$/.exec(line);
    if (!found || found[1] === "" || found[2] !== String(index)) {
      throw new TokenizerFileError(`line ${index + 1} must be the base64 of an entry, a space and the rank ${index}`);
    }
    const part = atob(found[1]);
    parts.push(part);
    ends[index] = length += part.length;
  });
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) for (let i = 0; i < part.length; i++) bytes[at++] = part.charCodeAt(i);
  return { bytes, ends };
}

/** `tokenizer_meta.json`. */
export function formatMeta(meta: TokenizerMeta): string {
  return JSON.stringify(meta, null, 2) + "\n";
}

/**
 * Reads `tokenizer_meta.json`.
 *
 * @throws {TokenizerFileError} when a field is missing or has a value that this version does not write
 */
export function parseMeta(text: string): TokenizerMeta {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TokenizerFileError("it is not JSON", { cause });
  }
  if (typeof value !== "object" || value === null) throw new TokenizerFileError("it must be a JSON object");
  const meta = value as Record<string, unknown>;
  if (meta.format !== 1) throw new TokenizerFileError(`format must be 1, is ${JSON.stringify(meta.format)}`);
  if (meta.kind !== "bpe" && meta.kind !== "bytes") {
    throw new TokenizerFileError(`kind must be "bpe" or "bytes", is ${JSON.stringify(meta.kind)}`);
  }
  if (meta.pattern !== splitPattern) throw new TokenizerFileError("pattern is not the split pattern of this version");
  const specials = meta.specials;
  if (!Array.isArray(specials) || !specials.every((special) => typeof special === "string")) {
    throw new TokenizerFileError("specials must be an array of strings");
  }
  checkSpecials(specials);
  const vocabSize = meta.vocabSize;
  if (typeof vocabSize !== "number" || !Number.isSafeInteger(vocabSize) || vocabSize < 256 + specials.length) {
    throw new TokenizerFileError(`vocabSize must be an integer of at least ${256 + specials.length}`);
  }
  return { format: 1, kind: meta.kind, vocabSize, specials, pattern: splitPattern };
}

/**
 * Special tokens look like `<|name|>`: no piece of the split pattern has letters between punctuation, so none can be an
 * entry too. The last one is `<|bos|>`.
 *
 * @throws {TokenizerFileError} when they do not
 */
export function checkSpecials(specials: readonly string[]): void {
  const odd = specials.find((special) => !/^<\|[A-Za-z][A-Za-z0-9_]*\|>$/.test(special));
  if (odd !== undefined) {
    throw new TokenizerFileError(`a special token must look like <|name|>, ${JSON.stringify(odd)} does not`);
  }
  if (new Set(specials).size !== specials.length) throw new TokenizerFileError("two special tokens are the same");
  if (specials.at(-1) !== "<|bos|>") throw new TokenizerFileError("the last special token must be <|bos|>");
}

/**
 * The printable characters that GPT-2 and `tokenizers` write for the 256 bytes: themselves where they are printable in
 * Latin-1, characters from U+0100 on for the others, in order.
 */
export function byteAlphabet(): string[] {
  const printable = (b: number) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
}

/**
 * A `tokenizer.json` that the `tokenizers` package loads. It finds special tokens in plain text unless
 * `tokenizer.encode_special_tokens = True`; ours never does.
 *
 * @param entries the vocabulary
 * @param merges the two parts of each entry from 256 on, flat
 * @param specials special tokens, whose ids follow the entries
 */
export function formatHuggingFace(entries: Entries, merges: Uint32Array, specials: readonly string[]): string {
  const alphabet = byteAlphabet();
  const names = Array.from(entries.ends, (_, id) => Array.from(entryBytes(entries, id), (b) => alphabet[b]).join(""));
  const pairs: [string, string][] = [];
  for (let i = 0; i < merges.length; i += 2) pairs.push([names[merges[i]], names[merges[i + 1]]]);
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, i) => ({
      id: names.length + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: splitPattern }, behavior: "Isolated", invert: false },
        byteLevel,
      ],
    },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(names.map((name, id) => [name, id])),
      merges: pairs,
    },
  }) + "\n";
}
