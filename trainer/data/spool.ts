/**
 * Unpacked documents on disk, each once, with their hashes: read again for the tokenizer and for the rows. Holds about
 * 60 bytes of memory a document, none of its text.
 */
import { createHash } from "node:crypto";
import { DataError, reasonOf } from "./error.ts";

/** Bytes that are collected before they are written, and read at once. */
const BLOCK = 1 << 22;

/** A set of 128-bit digests: open addressing in one typed array, no object a digest. */
class DigestSet {
  #words = new Uint32Array(4 << 12);
  #size = 0;

  /** Adds a digest of four words, not all zero. @returns false when it was there already */
  add(digest: Uint32Array): boolean {
    if ((this.#size + 1) * 2 > this.#words.length / 4) {
      const old = this.#words;
      this.#words = new Uint32Array(old.length * 2);
      for (let i = 0; i < old.length; i += 4) {
        if (old[i] | old[i + 1] | old[i + 2] | old[i + 3]) this.#words.set(old.subarray(i, i + 4), this.#slot(old, i));
      }
    }
    const at = this.#slot(digest, 0);
    if (this.#words[at] | this.#words[at + 1] | this.#words[at + 2] | this.#words[at + 3]) return false;
    this.#words.set(digest, at);
    this.#size++;
    return true;
  }

  /** Where digest `from[i … i+4)` is, or the free place where it belongs. */
  #slot(from: Uint32Array, i: number): number {
    const table = this.#words;
    const mask = table.length / 4 - 1;
    for (let slot = from[i] & mask;; slot = (slot + 1) & mask) {
      const at = slot * 4;
      const same = table[at] === from[i] && table[at + 1] === from[i + 1] && table[at + 2] === from[i + 2] &&
        table[at + 3] === from[i + 3];
      if (same || !(table[at] | table[at + 1] | table[at + 2] | table[at + 3])) return at;
    }
  }
}

/** The first 16 bytes of SHA-256, as four little-endian words; a digest of zeros (never seen) becomes another one. */
function digestOf(bytes: Uint8Array): Uint32Array {
  const view = new DataView(new Uint8Array(createHash("sha256").update(bytes).digest()).buffer);
  const words = Uint32Array.from({ length: 4 }, (_, i) => view.getUint32(4 * i, true));
  if (!(words[0] | words[1] | words[2] | words[3])) words[0] = 1;
  return words;
}

/** An array of numbers that grows. */
class Numbers {
  #values = new Float64Array(1024);
  length = 0;
  push(value: number): void {
    if (this.length === this.#values.length) {
      const grown = new Float64Array(2 * this.length);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.length++] = value;
  }
  at(i: number): number {
    return this.#values[i];
  }
}

/** Documents in a temporary file, numbered in the order in which they came. */
export class Spool implements Disposable {
  #file: Deno.FsFile;
  #seen = new DigestSet();
  #offsets = new Numbers();
  #ranks = new Numbers();
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Bytes of text. */
  bytes = 0;
  /** Documents that were left out because the same text had come before. */
  duplicates = 0;

  /** @param path file to create; the caller removes it */
  constructor(readonly path: string) {
    this.#file = Deno.openSync(path, { createNew: true, read: true, write: true });
    this.#offsets.push(0);
  }

  /** Number of documents. */
  get length(): number {
    return this.#ranks.length;
  }

  /** Adds a document unless its text was added before. @returns whether it was added */
  add(text: string): boolean {
    const bytes = new TextEncoder().encode(text);
    const digest = digestOf(bytes);
    if (!this.#seen.add(digest)) {
      this.duplicates++;
      return false;
    }
    this.#ranks.push(digest[0] * 2 ** 20 + (digest[1] >>> 12));
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.bytes += bytes.length;
    this.#offsets.push(this.bytes);
    if (this.#pendingBytes >= BLOCK) this.#flush();
    return true;
  }

  #flush(): void {
    try {
      for (const bytes of this.#pending) {
        for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
      }
    } catch (error) {
      throw new DataError(`${this.path} cannot be written: ${reasonOf(error)}`);
    }
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  /** 52 bits of the document's SHA-256: which split it falls into, whatever the order of the documents. */
  rank(document: number): number {
    return this.#ranks.at(document);
  }

  /** Bytes of one document. */
  size(document: number): number {
    return this.#offsets.at(document + 1) - this.#offsets.at(document);
  }

  /** The texts of documents; runs of neighbours are read at once. @param documents numbers in ascending order */
  *texts(documents: Iterable<number>): Generator<string> {
    this.#flush();
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    let block: Uint8Array = new Uint8Array(0);
    let start = 0;
    for (const document of documents) {
      const from = this.#offsets.at(document);
      const to = this.#offsets.at(document + 1);
      if (from < start || to > start + block.length) {
        start = from;
        block = new Uint8Array(Math.min(Math.max(BLOCK, to - from), this.bytes - from));
        this.#file.seekSync(from, Deno.SeekMode.Start);
        for (let filled = 0; filled < block.length;) filled += this.#file.readSync(block.subarray(filled)) ?? Infinity;
      }
      yield decoder.decode(block.subarray(from - start, to - start));
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
