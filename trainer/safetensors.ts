/**
 * The safetensors format: eight bytes with the header's length (little-endian), the header in JSON, then the elements.
 * Reads strictly, since weights come from code that is not trusted: whatever is not exactly the format is one sentence.
 * @see https://github.com/huggingface/safetensors
 * @module
 */

/** Element types and their bytes. */
const DTYPES: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};
/** The format's own limit of the header, in bytes. */
const HEADER_LIMIT = 100_000_000;
/** Elements begin at a multiple of this. */
const ALIGNMENT = 8;

/** One entry. */
export interface SafeTensor {
  /** `F32`, `I32`, … */
  readonly dtype: string;
  /** Sizes of the axes. */
  readonly shape: readonly number[];
  /** Little-endian elements; a view of the file where it was read from one. */
  readonly bytes: Uint8Array;
}

/** A file's entries in the order of its header, and its metadata. */
export interface Safetensors {
  /** Tensors by name. */
  readonly tensors: Map<string, SafeTensor>;
  /** The file's own notes. */
  readonly metadata: Record<string, string>;
}

/** Bytes that are no safetensors file; the message says what is wrong. */
export class SafetensorsError extends Error {
  /** Name of the class, as errors print it. */
  override name = "SafetensorsError";
  /**
   * Creates one.
   * @param rule what the file breaks
   */
  constructor(rule: string) {
    super(`safetensors: ${rule}`);
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Throws where an object of the header has a key twice, which `JSON.parse` would hide. */
function refuseDuplicates(text: string): void {
  const open: (Set<string> | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "{") open.push(new Set());
    else if (char === "[") open.push(null);
    else if (char === "}" || char === "]") open.pop();
    else if (char === '"') {
      const start = i;
      for (i++; text[i] !== '"'; i++) if (text[i] === "\\") i++;
      let after = i + 1;
      while (/\s/.test(text[after] ?? "")) after++;
      if (text[after] !== ":") continue;
      const key: string = JSON.parse(text.slice(start, i + 1));
      const keys = open[open.length - 1];
      if (keys?.has(key)) throw new SafetensorsError(`the header has the key ${JSON.stringify(key)} twice`);
      keys?.add(key);
    }
  }
}

function readHeader(bytes: Uint8Array): { header: Record<string, unknown>; start: number } {
  if (bytes.length < 8) throw new SafetensorsError(`${bytes.length} bytes are too few for a header`);
  const size = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (size > BigInt(HEADER_LIMIT)) throw new SafetensorsError(`a header of ${size} bytes is beyond the format's limit`);
  const start = 8 + Number(size);
  if (start > bytes.length) throw new SafetensorsError(`the file ends inside its header of ${size} bytes`);
  let header: unknown;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, start));
    header = JSON.parse(text);
  } catch (cause) {
    throw Object.assign(new SafetensorsError("the header is no JSON"), { cause });
  }
  if (!text.startsWith("{") || !isRecord(header)) throw new SafetensorsError("the header is no JSON object");
  refuseDuplicates(text);
  return { header, start };
}

/** Checks one entry of the header; its offsets are relative to the first element. */
function readEntry(name: string, entry: unknown): { dtype: string; shape: number[]; begin: number; end: number } {
  const fail = (rule: string) => new SafetensorsError(`${name}: ${rule}`);
  if (!isRecord(entry)) throw fail("is no entry");
  const { dtype, shape, data_offsets: offsets } = entry;
  for (const key of Object.keys(entry)) {
    if (!["dtype", "shape", "data_offsets"].includes(key)) throw fail(`has an unknown field ${JSON.stringify(key)}`);
  }
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPES, dtype)) {
    throw fail(`has an unknown dtype ${JSON.stringify(dtype)}`);
  }
  const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(isSize)) throw fail(`has no valid shape ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize) || offsets[0] > offsets[1]) {
    throw fail(`has no valid data_offsets ${JSON.stringify(offsets)}`);
  }
  const wanted = shape.reduce((count, size) => count * size, 1) * DTYPES[dtype];
  if (offsets[1] - offsets[0] !== wanted) {
    throw fail(
      `${dtype} [${shape.join(", ")}] takes ${wanted} bytes, its data_offsets span ${offsets[1] - offsets[0]}`,
    );
  }
  return { dtype, shape, begin: offsets[0], end: offsets[1] };
}

/**
 * Reads a file.
 * @param bytes the whole file; entries are views of it
 * @throws SafetensorsError, in one sentence, unless header and elements fit exactly: no overlap, no gap, no rest
 */
export function readSafetensors(bytes: Uint8Array): Safetensors {
  const { header, start } = readHeader(bytes);
  const metadata: Record<string, string> = {};
  const tensors = new Map<string, SafeTensor>();
  const spans: { name: string; begin: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") {
      if (!isRecord(entry)) throw new SafetensorsError("__metadata__ is no object");
      for (const [key, value] of Object.entries(entry)) {
        if (typeof value !== "string") throw new SafetensorsError(`__metadata__: ${key} is no string`);
        metadata[key] = value;
      }
      continue;
    }
    const { dtype, shape, begin, end } = readEntry(name, entry);
    if (start + end > bytes.length) throw new SafetensorsError(`${name}: the file ends before its elements do`);
    tensors.set(name, { dtype, shape, bytes: bytes.subarray(start + begin, start + end) });
    spans.push({ name, begin, end });
  }
  let reached = 0;
  for (const { name, begin, end } of spans.sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < reached) throw new SafetensorsError(`${name}: its elements overlap another entry's`);
    if (begin > reached) throw new SafetensorsError(`${name}: ${begin - reached} bytes before it belong to no entry`);
    reached = end;
  }
  if (start + reached !== bytes.length) {
    throw new SafetensorsError(`${bytes.length - start - reached} bytes at the end belong to no entry`);
  }
  return { tensors, metadata };
}

/**
 * Writes a file: entries in the order given, the first element at a multiple of eight bytes.
 * @throws SafetensorsError when an entry's bytes are not what its dtype and shape take
 * @example
 * ```ts
 * import { readSafetensors, writeSafetensors } from "./safetensors.ts";
 * const bytes = new Uint8Array(new Float32Array([1, 2]).buffer);
 * const file = writeSafetensors(new Map([["x", { dtype: "F32", shape: [2], bytes }]]), { seed: "7" });
 * if (readSafetensors(file).tensors.get("x")?.shape[0] !== 2) throw new Error("unexpected");
 * ```
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    if (name === "__metadata__") throw new SafetensorsError("__metadata__ is no name for an entry");
    const entry = { dtype, shape, data_offsets: [end, end + bytes.length] };
    readEntry(name, entry);
    header[name] = entry;
    end += bytes.length;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const size = Math.ceil((8 + json.length) / ALIGNMENT) * ALIGNMENT - 8;
  const file = new Uint8Array(8 + size + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(size), true);
  file.fill(0x20, 8, 8 + size);
  file.set(json, 8);
  let at = 8 + size;
  for (const { bytes } of tensors.values()) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}
