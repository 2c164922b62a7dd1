/**
 * The lexicon as it is stored: sorted 32-bit hashes of the words in place of their letters (two words of 36,000 share a
 * hash with a chance of 1 in 6; a wrong hit of an unknown word has a chance of 1 in 120,000), a byte of classes a word,
 * and a vector of 4-bit numbers a word. Read in place; nothing is unpacked when it is opened.
 * @module
 */
import { frequentBit } from "./classes.ts";

/** FNV-1a with a final mix, so that all 32 bits are worth sorting by. */
export function hashWord(word: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Words by number. */
export class Lexicon {
  /** Dimensions of a vector. */
  readonly dimensions: number;
  readonly #hashes: Uint32Array;
  readonly #classes: Uint8Array;
  readonly #nibbles: Uint8Array;
  readonly #scales: Float32Array;

  /**
   * Reads the arrays in place.
   * @param hashes sorted
   * @param classes one a word
   * @param nibbles two dimensions a byte, the first in the low half; 8 is zero
   * @param scales one a dimension
   */
  constructor(hashes: Uint32Array, classes: Uint8Array, nibbles: Uint8Array, scales: Float32Array) {
    this.#hashes = hashes;
    this.#classes = classes;
    this.#nibbles = nibbles;
    this.#scales = scales;
    this.dimensions = scales.length;
  }

  /** Number of a word in lower case; −1 for one that is not in the lexicon. */
  find(word: string): number {
    const hash = hashWord(word);
    let low = 0, high = this.#hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#hashes[middle] < hash) low = middle + 1;
      else high = middle;
    }
    return this.#hashes[low] === hash ? low : -1;
  }

  /** Classes of a word, see `classes.ts`. */
  classes(entry: number): number {
    return this.#classes[entry];
  }

  /** Whether a word is so frequent that a typing slip is likely to have meant it. */
  frequent(entry: number): boolean {
    return (this.#classes[entry] & frequentBit) !== 0;
  }

  /** Adds a word's vector, times `share`, to `to`. */
  addVector(entry: number, share: number, to: Float32Array): void {
    const half = this.dimensions >> 1;
    for (let i = 0; i < half; i++) {
      const byte = this.#nibbles[entry * half + i];
      to[2 * i] += share * this.#scales[2 * i] * ((byte & 15) - 8);
      to[2 * i + 1] += share * this.#scales[2 * i + 1] * ((byte >> 4) - 8);
    }
  }
}
