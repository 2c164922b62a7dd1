/**
 * Text for the benchmark of the memory: words that look real, drawn by Zipf's law, from a seed. Word r has probability
 * proportional to 1/r, so that the most frequent ones stand in nearly every entry and half of the words in a handful.
 */

/** Draws words and sentences. */
export class Words {
  readonly #words: string[];
  readonly #cumulative: Float64Array;
  readonly #random: () => number;

  /** Makes the vocabulary. @param seed any number @param size words of it */
  constructor(seed: number, size = 60_000) {
    // splitmix with 53 bits of state: a million entries draw more numbers than 32 bits have.
    let high = seed >>> 0, low = 0x9e3779b9;
    this.#random = () => {
      low = (low + 0x9e3779b9) >>> 0;
      if (low < 0x9e3779b9) high = (high + 1) >>> 0;
      let x = Math.imul(low ^ (low >>> 16) ^ Math.imul(high, 0x85ebca6b), 0x21f0aaad);
      x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
      return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
    };
    const onsets = "b c d f g h l m n p r s t v w st tr pl gr ch sh".split(" ");
    const vowels = "a e i o u ea ou".split(" ");
    const codas = "- n r s t l m ck ng".replace("-", "").split(" ");
    const pick = (from: string[]) => from[Math.floor(this.#random() * from.length)];
    const words = new Set<string>();
    while (words.size < size) {
      let word = "";
      for (let syllables = 1 + Math.floor(this.#random() * 3.2); syllables > 0; syllables--) {
        word += pick(onsets) + pick(vowels) + pick(codas);
      }
      words.add(word);
    }
    this.#words = [...words].sort((a, b) => a.length - b.length); // frequent words are short
    this.#cumulative = new Float64Array(size);
    let sum = 0;
    for (let rank = 0; rank < size; rank++) this.#cumulative[rank] = sum += 1 / (rank + 1);
  }

  /** One word. */
  word(): string {
    const at = this.#random() * this.#cumulative[this.#cumulative.length - 1];
    let low = 0, high = this.#cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#cumulative[middle] < at) low = middle + 1;
      else high = middle;
    }
    return this.#words[low];
  }

  /** Words with spaces between them. */
  sentence(words: number): string {
    return Array.from({ length: words }, () => this.word()).join(" ");
  }

  /** The word of a rank, 0 is the most frequent. */
  ranked(rank: number): string {
    return this.#words[rank];
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}
