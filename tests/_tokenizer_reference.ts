/**
 * The tokenizer as its definition reads, quadratic and all: the split pattern run by the JavaScript engine, the trainer
 * that counts every pair again for every merge, the encoder that looks for the lowest merge again and again.
 * @module
 */

// The engine has no possessive quantifiers: (?=(X))\1 is an atomic X. Its \s is not White_Space, hence the properties.
const pattern = new RegExp(
  [
    String.raw`'(?i:[sdmt]|ll|ve|re)`,
    String.raw`(?=([^\r\n\p{L}\p{N}]?))\1\p{L}+`,
    String.raw`\p{N}{1,2}`,
    String.raw` ?(?=([^\p{White_Space}\p{L}\p{N}]+))\2[\r\n]*`,
    String.raw`\p{White_Space}*[\r\n]`,
    String.raw`\p{White_Space}+(?!\P{White_Space})`,
    String.raw`\p{White_Space}+`,
  ].join("|"),
  "gu",
);

/** The pieces of a text. */
export function split(text: string): string[] {
  return text.toWellFormed().match(pattern) ?? [];
}

function mergeAll(ids: number[], a: number, b: number, made: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === a && ids[i + 1] === b) {
      out.push(made);
      i++;
    } else {
      out.push(ids[i]);
    }
  }
  return out;
}

/** The first `count` merges of texts (fewer if no pair is left): highest count, then lowest first id, then lowest second. */
export function train(texts: readonly string[], count: number): [number, number][] {
  const words = new Map<string, number>();
  for (const text of texts) for (const piece of split(text)) words.set(piece, (words.get(piece) ?? 0) + 1);
  let corpus = [...words].map(([word, times]) => ({ ids: [...new TextEncoder().encode(word)], times }));
  const merges: [number, number][] = [];
  while (merges.length < count) {
    const counts = new Map<string, number>();
    for (const { ids, times } of corpus) {
      for (let i = 1; i < ids.length; i++) {
        const pair = `${ids[i - 1]} ${ids[i]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + times);
      }
    }
    if (counts.size === 0) break;
    const [best] = [...counts]
      .map(([pair, times]) => ({ pair: pair.split(" ").map(Number), times }))
      .sort((x, y) => y.times - x.times || x.pair[0] - y.pair[0] || x.pair[1] - y.pair[1]);
    const [a, b] = best.pair;
    merges.push([a, b]);
    corpus = corpus.map(({ ids, times }) => ({ ids: mergeAll(ids, a, b, 255 + merges.length), times }));
  }
  return merges;
}

/** Ids of a text by the merges. */
export function encode(text: string, merges: readonly (readonly [number, number])[]): number[] {
  const made = new Map(merges.map(([a, b], i) => [`${a} ${b}`, 256 + i]));
  return split(text).flatMap((piece) => {
    const ids = [...new TextEncoder().encode(piece)];
    for (;;) {
      let at = -1, lowest = Infinity;
      for (let i = 1; i < ids.length; i++) {
        const id = made.get(`${ids[i - 1]} ${ids[i]}`) ?? Infinity;
        if (id < lowest) [lowest, at] = [id, i - 1];
      }
      if (at < 0) return ids;
      ids.splice(at, 2, lowest);
    }
  });
}

/** Numbers in [0, 1) from a seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const samples = [
  "don't WE'LL they've I'M 's 'ſ 'S'",
  "hello  World\t\tnaïve Straße",
  "日本語と한국어 العربية हिन्दी ไทย",
  "😀👩‍👩‍👧‍👦🇩🇪 e\u0301",
  "1234567 ½Ⅷ٣ 3.14",
  "<|bos|>",
  "\r\n\r\n \n\t\n  x",
  "\u00a0\u2028\u3000\u0085\ufeff\u200b x",
  "...!?\n\n--\r\n",
  "function f(a, b) {\n    return a + b;\n}\n",
];

/** Random text that visits all sorts of characters and the pattern's corners. */
export function randomText(random: () => number, length: number): string {
  const pick = (n: number) => Math.floor(random() * n);
  const corners = " \t\r\n\u00a0\u2028\u0085'’sSdDmMtTlLvVrReEſ0123½.,!-_<>|\x00";
  let text = "";
  while (text.length < length) {
    switch (pick(6)) {
      case 0:
        text += String.fromCodePoint(pick(0x110000));
        break;
      case 1:
        text += String.fromCodePoint(pick(0x3000));
        break;
      case 2:
        text += samples[pick(samples.length)];
        break;
      case 3:
        text += String.fromCharCode(pick(128));
        break;
      default:
        text += corners[pick(corners.length)].repeat(1 + pick(4) * pick(2));
    }
  }
  return text;
}
