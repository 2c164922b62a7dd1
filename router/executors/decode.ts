/**
 * Bytes to text: finds the encoding (byte order mark, UTF-8, UTF-16 without a mark, old single- and double-byte ones) or
 * says that the bytes are no text. Looks at the beginning, decodes all.
 * @module
 */

/** Text of a file and how it was found. */
export interface Decoded {
  /** The text without byte order mark; empty for binary bytes. */
  readonly text: string;
  /** Label of the encoding as the Encoding Standard has it, such as `utf-8`; null for bytes that are no text. */
  readonly encoding: string | null;
  /** Whether a byte order mark stood at the beginning. */
  readonly mark: boolean;
  /** Whether the encoding is a guess rather than certain. */
  readonly guessed: boolean;
}

/** Bytes that the guesses look at. */
const SAMPLE = 65536;

/** Byte order marks, the longer ones first. */
const marks: readonly [bytes: readonly number[], encoding: string][] = [
  [[0xff, 0xfe, 0, 0], "utf-32le"],
  [[0, 0, 0xfe, 0xff], "utf-32be"],
  [[0xef, 0xbb, 0xbf], "utf-8"],
  [[0xff, 0xfe], "utf-16le"],
  [[0xfe, 0xff], "utf-16be"],
];

/** UTF-32, which TextDecoder has not. */
function decodeUtf32(bytes: Uint8Array, little: boolean): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const point = view.getUint32(at, little);
    text += point < 0x110000 && (point < 0xd800 || point > 0xdfff) ? String.fromCodePoint(point) : "\ufffd";
  }
  return text;
}

const decode = (bytes: Uint8Array, encoding: string): string =>
  encoding.startsWith("utf-32") ? decodeUtf32(bytes, encoding === "utf-32le") : new TextDecoder(encoding).decode(bytes);

/** Whether the sample is UTF-8; a character that the end of the sample cuts is no error. */
function isUtf8(sample: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(sample, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** UTF-16 without a mark: nearly every other byte of common text is zero. */
function utf16Of(sample: Uint8Array): string | null {
  if (sample.length < 4 || sample.length % 2 !== 0 && sample.length < SAMPLE) return null;
  let even = 0, odd = 0;
  const pairs = sample.length >> 1;
  for (let at = 0; at + 1 < sample.length; at += 2) {
    if (sample[at] === 0) even++;
    if (sample[at + 1] === 0) odd++;
  }
  if (odd > 0.4 * pairs && even < 0.05 * pairs) return "utf-16le";
  if (even > 0.4 * pairs && odd < 0.05 * pairs) return "utf-16be";
  return null;
}

/** Letters that old encodings are told by: each candidate with what ordinary text in it is made of. */
const candidates: readonly [encoding: string, ordinary: RegExp][] = [
  ["shift_jis", /[\u3040-\u30ff\u3001\u3002\u4e00-\u9fff]/g],
  ["euc-jp", /[\u3040-\u30ff\u3001\u3002\u4e00-\u9fff]/g],
  ["euc-kr", /[\uac00-\ud7a3]/g],
  ["gb18030", /[\u4e00-\u9fff\u3001\u3002\uff0c]/g],
  ["big5", /[\u4e00-\u9fff\u3001\u3002\uff0c]/g],
  ["windows-1251", /[а-яё]/g],
  ["koi8-r", /[а-яё]/g],
  ["windows-1253", /[α-ωάέήίόύώ]/g],
  ["windows-1255", /[א-ת]/g],
];

/** The old encoding that fits best; windows-1252 where letters are mostly ASCII. */
function legacyOf(sample: Uint8Array): string {
  const high = sample.reduce((count, byte) => count + (byte >= 0x80 ? 1 : 0), 0);
  const letters = sample.reduce((count, byte) => count + ((byte | 32) >= 97 && (byte | 32) <= 122 ? 1 : 0), 0);
  if (high < 0.3 * (high + letters)) return "windows-1252";
  let best = "windows-1252", bestScore = 0.6;
  for (const [encoding, ordinary] of candidates) {
    const text = new TextDecoder(encoding).decode(sample, { stream: true });
    const foreign = text.match(/[\u0080-\uffff]/g)?.length ?? 0;
    if (foreign === 0) continue;
    const broken = text.match(/[\ufffd\u0080-\u009f\ue000-\uf8ff]/g)?.length ?? 0;
    const kana = encoding === "shift_jis" || encoding === "euc-jp"
      ? (text.match(/[\u3040-\u30ff]/g)?.length ?? 0) / foreign
      : 1;
    // Japanese without kana is Chinese in the wrong encoding.
    const score = (text.match(ordinary)?.length ?? 0) / foreign * (kana > 0.1 ? 1 : 0.5) - 4 * broken / foreign;
    if (score > bestScore) [best, bestScore] = [encoding, score];
  }
  return best;
}

/** Decodes bytes. @param bytes a whole file or its beginning */
export function decodeBytes(bytes: Uint8Array): Decoded {
  for (const [mark, encoding] of marks) {
    if (bytes.length >= mark.length && mark.every((byte, at) => bytes[at] === byte)) {
      // Two zero bytes after a UTF-16 mark are UTF-32 only if what follows fits it.
      if (encoding === "utf-32le" && bytes.length % 4 !== 0) continue;
      return { text: decode(bytes.subarray(mark.length), encoding), encoding, mark: true, guessed: false };
    }
  }
  const sample = bytes.subarray(0, SAMPLE);
  const wide = utf16Of(sample);
  if (wide !== null) return { text: decode(bytes, wide), encoding: wide, mark: false, guessed: true };
  // Control characters other than white space, escape and the paging ones are not in texts.
  let strange = 0;
  for (const byte of sample) {
    if (byte === 0) strange += 8;
    else if (byte < 32 && !(byte >= 7 && byte <= 13) && byte !== 27) strange++;
  }
  if (strange > 0.02 * sample.length + (sample.includes(0) ? 0 : 2)) {
    return { text: "", encoding: null, mark: false, guessed: false };
  }
  if (isUtf8(sample)) {
    const text = decode(bytes, "utf-8");
    const ascii = bytes.length < SAMPLE && !bytes.some((byte) => byte >= 0x80);
    return { text, encoding: ascii ? "ascii" : "utf-8", mark: false, guessed: false };
  }
  const encoding = legacyOf(sample);
  return { text: decode(bytes, encoding), encoding, mark: false, guessed: true };
}
