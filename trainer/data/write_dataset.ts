/**
 * Makes the content of a data set in a folder: documents → splits → tokenizer → packed rows → manifest. The caller
 * gives a temporary folder and renames it; nothing here reads or replaces a finished data set.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Tokenizer } from "../tokenizer.ts";
import { FORMAT, hashFile, type Manifest, type SplitCounts } from "./dataset.ts";
import { DataError, reasonOf } from "./error.ts";
import { permutation } from "./order.ts";
import { Packer } from "./pack.ts";
import type { Source } from "./source.ts";
import { splitDocuments, type Splits } from "./split.ts";
import { Spool } from "./spool.ts";

/** Text that the tokenizer is trained on, at most; beyond that more changes little. */
const TOKENIZER_BYTES = 1 << 27;
/** Text that is encoded at a time. */
const ENCODE_UNITS = 1 << 22;
/** Seed of the order of validation rows: rows of one document would stand side by side otherwise. */
const ORDER_SEED = 0x5eed;

/** What decides the content of a data set. */
export interface DatasetSettings {
  readonly source: Source;
  /** Documents of the validation split, or null to cut it from `source`. */
  readonly validation: Source | null;
  readonly tokenizer: "bpe" | "bytes";
  /** Ignored by the byte tokenizer. */
  readonly vocabSize: number;
  readonly sequenceLength: number;
  /** Bytes of text that the validation split should have if that is at most a tenth of the source. */
  readonly validationBytes: number;
}

/** Writes rows, little-endian, and hashes what it wrote. */
class RowWriter implements Disposable {
  #file: Deno.FsFile;
  #block: DataView<ArrayBuffer>;
  #filled = 0;
  #hash = createHash("sha256");
  #bytes = 0;

  constructor(private readonly path: string, rowTokens: number) {
    this.#file = Deno.openSync(path, { createNew: true, write: true });
    this.#block = new DataView(new ArrayBuffer(2 * rowTokens * Math.max(1, Math.floor((1 << 19) / rowTokens))));
  }

  write(row: Uint16Array): void {
    for (let i = 0; i < row.length; i++) this.#block.setUint16(this.#filled + 2 * i, row[i], true);
    this.#filled += 2 * row.length;
    if (this.#filled === this.#block.byteLength) this.#flush();
  }

  #flush(): void {
    const bytes = new Uint8Array(this.#block.buffer, 0, this.#filled);
    try {
      for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
    } catch (error) {
      throw new DataError(`${this.path} cannot be written: ${reasonOf(error)}`);
    }
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
    this.#filled = 0;
  }

  /** Writes what is left and waits until it lies on the disk. */
  finish(): { bytes: number; sha256: string } {
    this.#flush();
    this.#file.syncSync();
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Encodes documents and hands their tokens (without BOS) to `take`, in order. */
function encodeAll(tokenizer: Tokenizer, texts: Iterable<string>, take: (tokens: ArrayLike<number>) => void): void {
  let batch: string[] = [];
  let units = 0;
  const flush = () => {
    if (batch.length === 0) return;
    const { ids, ends } = tokenizer.encodeBatch(batch);
    ends.forEach((end, i) => take(ids.subarray(i === 0 ? 0 : ends[i - 1], end)));
    batch = [];
    units = 0;
  };
  for (const text of texts) {
    batch.push(text);
    units += text.length;
    if (units >= ENCODE_UNITS) flush();
  }
  flush();
}

/** Writes the rows again in a fixed mixed order. */
function mixRows(from: string, to: string, rows: number, rowTokens: number): { bytes: number; sha256: string } {
  using file = Deno.openSync(from);
  using writer = new RowWriter(to, rowTokens);
  const bytes = new Uint8Array(2 * rowTokens);
  const view = new DataView(bytes.buffer);
  for (const row of permutation(rows, ORDER_SEED)) {
    file.seekSync(row * bytes.length, Deno.SeekMode.Start);
    for (let filled = 0; filled < bytes.length;) filled += file.readSync(bytes.subarray(filled)) ?? Infinity;
    writer.write(Uint16Array.from({ length: rowTokens }, (_, i) => view.getUint16(2 * i, true)));
  }
  return writer.finish();
}

/** Packs one split into `<name>.bin`. */
function writeSplit(
  folder: string,
  name: keyof Splits,
  spool: Spool,
  documents: readonly number[],
  tokenizer: Tokenizer,
  sequenceLength: number,
): { counts: SplitCounts; file: { bytes: number; sha256: string } } {
  const path = join(folder, `${name}.bin`);
  const packed = name === "train" ? path : join(folder, `${name}.packed`);
  const rowTokens = sequenceLength + 1;
  let tokens = 0;
  let rows: number;
  let file: { bytes: number; sha256: string };
  {
    using writer = new RowWriter(packed, rowTokens);
    const packer = new Packer(sequenceLength, tokenizer.bosId, (row) => writer.write(row));
    encodeAll(tokenizer, spool.texts(documents), (document) => {
      tokens += document.length;
      packer.add(document);
    });
    packer.finish();
    rows = packer.rows;
    file = writer.finish();
  }
  const bytes = documents.reduce((sum, document) => sum + spool.size(document), 0);
  if (rows === 0) {
    throw new DataError(
      `the text is too small: the ${name} split has ${documents.length} document(s) with ${tokens} tokens, which do not ` +
        `fill one row of ${rowTokens}`,
    );
  }
  if (packed !== path) {
    file = mixRows(packed, path, rows, rowTokens);
    Deno.removeSync(packed);
  }
  return { counts: { documents: documents.length, bytes, tokens, rows }, file };
}

/** Texts to train the tokenizer on: all, or a part that the hashes choose. */
function* sample(spool: Spool, documents: readonly number[]): Generator<string> {
  const total = documents.reduce((sum, document) => sum + spool.size(document), 0);
  const chosen = total <= TOKENIZER_BYTES
    ? documents
    // The low bits: the high ones decided the split.
    : documents.filter((document) => (spool.rank(document) % 2 ** 20) / 2 ** 20 < TOKENIZER_BYTES / total);
  yield* spool.texts(chosen);
}

async function fillSpool(spool: Spool, source: Source, onProgress: (line: string) => void): Promise<void> {
  let reported = spool.bytes;
  for await (const text of source.documents()) {
    spool.add(text);
    if (spool.bytes - reported > 1 << 25) {
      reported = spool.bytes;
      onProgress(`reading ${source.name}: ${spool.length} documents, ${(spool.bytes / 1e6).toFixed(0)} MB`);
    }
  }
}

/**
 * Writes all files of a data set.
 * @param folder an empty folder @param key what the manifest has to say of the settings
 * @throws DataError for bad or too little text, and when the disk is full
 */
export async function writeDataset(
  folder: string,
  key: string,
  settings: DatasetSettings,
  onProgress: (line: string) => void,
): Promise<void> {
  const { source, validation, sequenceLength } = settings;
  const spoolPath = join(folder, "documents.spool");
  let splits: Splits;
  using spool = new Spool(spoolPath);
  // Validation documents come first, so that a text which is in both places does not train.
  if (validation) await fillSpool(spool, validation, onProgress);
  const given = spool.length;
  await fillSpool(spool, source, onProgress);
  if (validation && given === 0) throw new DataError(`${validation.name} holds no text`);
  splits = splitDocuments(spool, given, spool.length - given, validation ? 0 : settings.validationBytes);
  if (validation) splits = { ...splits, val: Array.from({ length: given }, (_, i) => i) };
  onProgress(`${spool.length} documents, ${(spool.bytes / 1e6).toFixed(1)} MB of text`);

  using tokenizer = settings.tokenizer === "bytes"
    ? Tokenizer.byteLevel()
    : await Tokenizer.train(sample(spool, splits.train), {
      vocabSize: settings.vocabSize,
      onProgress: ({ stage, merges, mergesWanted }) => {
        if (stage === "merge") onProgress(`training the tokenizer: ${merges} of ${mergesWanted} merges`);
      },
    });
  await tokenizer.save(folder);
  const files: Record<string, { bytes: number; sha256: string }> = {};
  const tokenBytes = tokenizer.tokenBytes();
  const view = new DataView(new ArrayBuffer(2 * tokenBytes.length));
  tokenBytes.forEach((length, id) => view.setUint16(2 * id, length, true));
  Deno.writeFileSync(join(folder, "token_bytes.bin"), new Uint8Array(view.buffer));

  const counts: Partial<Record<keyof Splits, SplitCounts>> = {};
  for (const name of ["val", "sealed", "train"] as const) {
    onProgress(`packing the ${name} split into rows of ${sequenceLength + 1} tokens`);
    const written = writeSplit(folder, name, spool, splits[name], tokenizer, sequenceLength);
    counts[name] = written.counts;
    files[`${name}.bin`] = written.file;
  }
  Deno.removeSync(spoolPath);
  for (const { name } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    files[name] ??= { bytes: Deno.statSync(path).size, sha256: hashFile(path) };
  }
  const manifest: Manifest = {
    format: FORMAT,
    source: source.name,
    validation: validation?.name ?? null,
    key,
    tokenizer: settings.tokenizer,
    vocabSize: tokenizer.vocabSize,
    bosId: tokenizer.bosId,
    sequenceLength,
    duplicates: spool.duplicates,
    splits: { train: counts.train!, val: counts.val!, sealed: counts.sealed! },
    files: Object.fromEntries(Object.entries(files).sort(([a], [b]) => a < b ? -1 : 1)),
  };
  using file = Deno.openSync(join(folder, "manifest.json"), { createNew: true, write: true });
  const bytes = new TextEncoder().encode(JSON.stringify(manifest, null, 2) + "\n");
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
  file.syncSync();
}
