/**
 * A prepared data set on disk and the only way to its rows. No FFI: the supervisor of a run reads rows through this.
 *
 * A folder holds `train.bin`, `val.bin`, `sealed.bin` (rows of T+1 little-endian uint16), `token_bytes.bin` (one uint16
 * an entry of the vocabulary: its UTF-8 length, 0 for special tokens), the tokenizer's files and `manifest.json`, which is
 * written last. `sealed_openings.jsonl` appears with the first opening of the sealed split.
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DataError, reasonOf } from "./error.ts";

/** Number of the layout below; a folder of another one is prepared anew. */
export const FORMAT = 1;

/** What a split holds. */
export interface SplitCounts {
  /** Documents of the split. */
  readonly documents: number;
  /** UTF-8 bytes of the documents. */
  readonly bytes: number;
  /** Tokens of the documents, without BOS. */
  readonly tokens: number;
  /** Rows of T+1 tokens. */
  readonly rows: number;
}

/** `manifest.json`. */
export interface Manifest {
  /** Version of the folder's layout. */
  readonly format: number;
  /** As the user named them; `validation` is null when that split was cut from the source. */
  readonly source: string;
  /** Source of the validation documents, where it is not the same. */
  readonly validation: string | null;
  /** Hash of everything that decides the content; the folder's name ends with its beginning. */
  readonly key: string;
  /** Kind of the tokenizer. */
  readonly tokenizer: "bpe" | "bytes";
  /** Entries, special tokens included. */
  readonly vocabSize: number;
  /** The token that each document begins with. */
  readonly bosId: number;
  /** T; a row has T+1 tokens. */
  readonly sequenceLength: number;
  /** Documents that were left out because the same text had come before. */
  readonly duplicates: number;
  /** Counts of the training rows, the pinned validation and the sealed second one. */
  readonly splits: { readonly train: SplitCounts; readonly val: SplitCounts; readonly sealed: SplitCounts };
  /** Every other file of the folder. */
  readonly files: { readonly [name: string]: { readonly bytes: number; readonly sha256: string } };
}

const again = "delete the folder and run prepare again";

/** An error for a folder that is not what its manifest says. */
function damaged(path: string, what: string): DataError {
  return new DataError(`${path} is damaged: ${what}; ${again}`);
}

/** SHA-256 of a file, in hexadecimal, read block by block. */
export function hashFile(path: string): string {
  const hash = createHash("sha256");
  using file = Deno.openSync(path);
  const block = new Uint8Array(1 << 20);
  for (let read = file.readSync(block); read !== null; read = file.readSync(block)) {
    hash.update(block.subarray(0, read));
  }
  return hash.digest("hex");
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;

function readManifest(folder: string): Manifest {
  const path = join(folder, "manifest.json");
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new DataError(`${folder} is no prepared data set: it has no manifest`);
    }
    throw new DataError(`${path} cannot be read: ${reasonOf(error)}`);
  }
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text);
  } catch {
    throw damaged(path, "it is not JSON");
  }
  if (manifest?.format !== FORMAT) {
    throw new DataError(`${folder} has another layout (format ${manifest?.format}, not ${FORMAT}); ${again}`);
  }
  const splits = [manifest.splits?.train, manifest.splits?.val, manifest.splits?.sealed];
  const whole = [manifest.vocabSize, manifest.bosId, manifest.sequenceLength].every(isCount) &&
    typeof manifest.key === "string" && splits.every((split) => isCount(split?.rows) && isCount(split?.bytes)) &&
    ["train.bin", "val.bin", "sealed.bin", "token_bytes.bin"].every((name) => isCount(manifest.files?.[name]?.bytes));
  if (!whole) throw damaged(path, "a field is missing");
  return manifest;
}

/** A file of rows, read by position. */
class RowFile implements Disposable {
  #file: Deno.FsFile;
  constructor(
    readonly path: string,
    readonly rows: number,
    private readonly length: number,
    private readonly vocabSize: number,
  ) {
    this.#file = Deno.openSync(path);
  }

  read(indices: ArrayLike<number>): Uint16Array {
    const result = new Uint16Array(indices.length * this.length);
    const bytes = new Uint8Array(result.buffer);
    const rowBytes = 2 * this.length;
    for (let i = 0; i < indices.length; i++) {
      const row = indices[i];
      if (!(Number.isSafeInteger(row) && row >= 0 && row < this.rows)) {
        throw new RangeError(`${this.path} has rows 0…${this.rows - 1}, asked for ${row}`);
      }
      this.#file.seekSync(row * rowBytes, Deno.SeekMode.Start);
      for (let filled = i * rowBytes; filled < (i + 1) * rowBytes;) {
        const read = this.#file.readSync(bytes.subarray(filled, (i + 1) * rowBytes));
        if (read === null) throw damaged(this.path, `it ends within row ${row}`);
        filled += read;
      }
    }
    for (let i = 0; i < result.length; i++) {
      if (result[i] >= this.vocabSize) {
        const row = indices[Math.floor(i / this.length)];
        throw damaged(this.path, `row ${row} holds token ${result[i]}, the vocabulary has ${this.vocabSize}`);
      }
    }
    return result;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** An open data set. Holds two open files; `close()` (or `using`) gives them back. */
export class Dataset implements Disposable {
  /** What the folder says of itself. */
  readonly manifest: Manifest;
  /** UTF-8 length of every entry of the vocabulary, 0 for special tokens. */
  readonly tokenBytes: Uint16Array;
  #train: RowFile;
  #val: RowFile;

  /**
   * Creates one; use `openDataset`.
   * @param folder a folder that `prepare` wrote
   */
  constructor(readonly folder: string) {
    this.manifest = readManifest(folder);
    for (const [name, { bytes }] of Object.entries(this.manifest.files)) {
      const path = join(folder, name);
      let size: number;
      try {
        size = Deno.statSync(path).size;
      } catch (error) {
        throw damaged(path, reasonOf(error));
      }
      if (size !== bytes) throw damaged(path, `it has ${size} bytes, not ${bytes}`);
    }
    const { vocabSize, sequenceLength, splits, files } = this.manifest;
    for (const split of ["train", "val", "sealed"] as const) {
      if (files[`${split}.bin`].bytes !== splits[split].rows * (sequenceLength + 1) * 2) {
        throw damaged(join(folder, "manifest.json"), `${split}.bin is not ${splits[split].rows} whole rows`);
      }
    }
    if (files["token_bytes.bin"].bytes !== 2 * vocabSize) {
      throw damaged(join(folder, "manifest.json"), `token_bytes.bin has not ${vocabSize} entries`);
    }
    this.tokenBytes = new Uint16Array(Deno.readFileSync(join(folder, "token_bytes.bin")).buffer);
    this.#train = this.#open("train");
    this.#val = this.#open("val");
  }

  /** Entries of the vocabulary, special tokens included. */
  get vocabSize(): number {
    return this.manifest.vocabSize;
  }
  /** T; rows have T+1 tokens. */
  get sequenceLength(): number {
    return this.manifest.sequenceLength;
  }

  #open(split: "train" | "val" | "sealed"): RowFile {
    const { sequenceLength, vocabSize, splits } = this.manifest;
    return new RowFile(join(this.folder, `${split}.bin`), splits[split].rows, sequenceLength + 1, vocabSize);
  }

  /** Number of rows of a split. */
  rowCount(split: "train" | "val"): number {
    return this.manifest.splits[split].rows;
  }

  /**
   * Reads rows.
   * @param indices row numbers, in any order
   * @returns `indices.length` rows of T+1 tokens, one after another
   * @throws RangeError for a row that there is not; DataError for a truncated file or a token outside the vocabulary
   */
  readRows(split: "train" | "val", indices: ArrayLike<number>): Uint16Array {
    return (split === "train" ? this.#train : this.#val).read(indices);
  }

  /**
   * Opens the sealed split, which nothing else reads, and records the opening first. For the final claim of a session.
   * @param reason who opens it and why; goes into `sealed_openings.jsonl` with the time
   * @returns all rows of T+1 tokens, one after another
   * @throws DataError when the opening cannot be recorded
   */
  openSealed(reason: string): Uint16Array {
    const path = join(this.folder, "sealed_openings.jsonl");
    try {
      using log = Deno.openSync(path, { append: true, create: true });
      const line = new TextEncoder().encode(JSON.stringify({ time: new Date().toISOString(), reason }) + "\n");
      if (log.writeSync(line) !== line.length) throw new Error("it was not written whole");
      log.syncSync();
    } catch (error) {
      throw new DataError(`the sealed split stays closed: ${path} cannot be written: ${reasonOf(error)}`);
    }
    using rows = this.#open("sealed");
    return rows.read(Array.from({ length: rows.rows }, (_, row) => row));
  }

  /** The openings of the sealed split so far, oldest first. */
  sealedOpenings(): { time: string; reason: string }[] {
    try {
      const text = Deno.readTextFileSync(join(this.folder, "sealed_openings.jsonl"));
      return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw new DataError(`the record of openings of the sealed split cannot be read: ${reasonOf(error)}`);
    }
  }

  /**
   * Compares every file with its hash in the manifest.
   * @throws DataError that names the first file that differs
   */
  verify(): void {
    for (const [name, { sha256 }] of Object.entries(this.manifest.files)) {
      const path = join(this.folder, name);
      if (hashFile(path) !== sha256) throw damaged(path, "its content is not what prepare wrote");
    }
  }

  /** Closes the files. */
  close(): void {
    this.#train[Symbol.dispose]();
    this.#val[Symbol.dispose]();
  }

  /** Closes the files. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a data set that `prepare` made, after a quick check of all file sizes; `Dataset.verify()` checks the content.
 * @throws DataError, one sentence, for a folder that is none, is of another layout, or has a file of another size
 */
export function openDataset(folder: string): Dataset {
  return new Dataset(folder);
}
