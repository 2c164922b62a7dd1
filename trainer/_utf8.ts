/**
 * A growing buffer of documents as UTF-8, in the form that the library takes: all bytes one after another, and where
 * each document ends. Lone surrogates become U+FFFD, as everywhere on the web.
 * @module
 */

const encoder = new TextEncoder();

/** Documents waiting for one call of the library. Memory is kept for the next batch. */
export class Utf8Batch {
  #bytes = new Uint8Array(1 << 16);
  #ends = new Float64Array(64);
  #length = 0;
  #documents = 0;

  /** Bytes of all documents so far. */
  get length(): number {
    return this.#length;
  }

  /** The documents' bytes; valid until the next `push`. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Where each document ends, in bytes; valid until the next `push`. */
  get ends(): Float64Array<ArrayBuffer> {
    return this.#ends.subarray(0, this.#documents);
  }

  /** Adds a document. */
  push(text: string): void {
    let read = 0;
    // A first guess of one byte a UTF-16 unit, then room for the worst case of what is left.
    this.#reserve(this.#length + text.length);
    while (read < text.length) {
      const rest = read === 0 ? text : text.slice(read);
      const done = encoder.encodeInto(rest, this.#bytes.subarray(this.#length));
      read += done.read;
      this.#length += done.written;
      if (read < text.length) this.#reserve(this.#length + 3 * (text.length - read));
    }
    if (this.#documents === this.#ends.length) {
      const ends = new Float64Array(this.#ends.length * 2);
      ends.set(this.#ends);
      this.#ends = ends;
    }
    this.#ends[this.#documents++] = this.#length;
  }

  /** Forgets the documents. */
  clear(): void {
    this.#length = 0;
    this.#documents = 0;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(bytes, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
