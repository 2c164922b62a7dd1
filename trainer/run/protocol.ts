/**
 * Frames between the supervisor and its children over stdin and stdout: length (u32), kind (u8), payload, little
 * endian. The worker's side is synchronous because `nextBatch` is. Knows nothing of what the frames mean beyond their
 * layout; whoever reads them trusts none of their content.
 * @module
 */

/** Kinds of frames; the comment has the payload. */
export const Frame = {
  /** Supervisor → worker or evaluator: JSON of all that it needs. */
  setup: 1,
  /** Worker → supervisor: JSON `{peakRate}`; the library is open, `train.ts` comes next. */
  hello: 2,
  /** Worker → supervisor: JSON `{depth}`; the model exists, `train()` is called next. */
  ready: 3,
  /** Worker → supervisor: u32 rows, u8 whether this is the first batch of a step. */
  batchRequest: 4,
  /** Supervisor → worker: f64 progress, then uint16 tokens of whole rows of T+1. */
  batch: 5,
  /** Supervisor → worker: no further batch. Empty. */
  end: 6,
  /** Worker → supervisor: u32 step, f64 loss. */
  log: 7,
  /** Worker → supervisor: JSON `{peakBytes, operations}`; `train()` has returned, only `saved` or `failed` may follow. */
  returned: 8,
  /** Worker → supervisor: the checkpoint has its final name. Empty. */
  saved: 9,
  /** Child → supervisor: JSON `{phase, name, message}`; it cannot go on. */
  failed: 10,
  /** Supervisor → evaluator: u32 sequence number, u32 rows, uint16 tokens of whole rows of T+1. */
  score: 11,
  /** Evaluator → supervisor: u32 sequence number, float32 nats and uint64 hashes of each position. */
  scored: 12,
} as const;

/** One of the kinds. */
export type FrameKind = (typeof Frame)[keyof typeof Frame];

/** Bytes before the payload. */
export const headerBytes = 5;
/** No frame is longer than this. */
export const maxPayloadBytes = 2 ** 28;

/** What is no frame, or not the one that was due. */
export class ProtocolError extends Error {
  override name = "ProtocolError";
}

/** What a child says when it cannot go on. */
export interface Failure {
  /** `library`, `import`, `setup`, `train`, `save`, `load` or `score`. */
  phase: string;
  /** Name of the error's class. */
  name: string;
  message: string;
}

/** A frame as it was read. */
export interface ReceivedFrame {
  kind: number;
  payload: Uint8Array<ArrayBuffer>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Header and payload in one buffer; `secret` stands before the payload where the evaluator proves itself. */
export function encodeFrame(kind: FrameKind, payload: Uint8Array | null = null, secret: Uint8Array | null = null) {
  const length = (payload?.length ?? 0) + (secret?.length ?? 0);
  if (length > maxPayloadBytes) throw new ProtocolError(`a frame of ${length} bytes is too long`);
  const bytes = new Uint8Array(headerBytes + length);
  new DataView(bytes.buffer).setUint32(0, length, true);
  bytes[4] = kind;
  if (secret) bytes.set(secret, headerBytes);
  if (payload) bytes.set(payload, headerBytes + (secret?.length ?? 0));
  return bytes;
}

/** JSON as a payload. */
export function encodeJson(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(value));
}

/** JSON of a payload. @throws ProtocolError when it is none */
export function decodeJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(payload));
  } catch {
    throw new ProtocolError("a frame should hold JSON and does not");
  }
}

/** A failure as a payload says it, each text cut to `limit` characters. */
export function decodeFailure(payload: Uint8Array, limit = 4000): Failure {
  const value = decodeJson(payload) as Partial<Failure> | null;
  const text = (part: unknown, fallback: string) => (typeof part === "string" ? part : fallback).slice(0, limit);
  return {
    phase: text(value?.phase, "unknown"),
    name: text(value?.name, "Error"),
    message: text(value?.message, "no message"),
  };
}

/** Reads a header. @throws ProtocolError when the length is beyond `limit` */
function readHeader(header: Uint8Array, limit: number): { length: number; kind: number } {
  const view = new DataView(header.buffer, header.byteOffset, headerBytes);
  const length = view.getUint32(0, true);
  if (length > limit) throw new ProtocolError(`a frame says that it has ${length} bytes, ${limit} are allowed`);
  return { length, kind: view.getUint8(4) };
}

/** Fills `target` as far as the stream goes and returns how far; what `Deno.stdin.readSync` does in pieces. */
function fillSync(read: (buffer: Uint8Array) => number | null, target: Uint8Array): number {
  let filled = 0;
  while (filled < target.length) {
    const count = read(target.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return filled;
}

/**
 * Reads the next frame and waits for it.
 * @param read for instance `Deno.stdin.readSync`
 * @returns null at the end of the stream, also in the middle of a frame
 */
export function readFrameSync(read: (buffer: Uint8Array) => number | null): ReceivedFrame | null {
  const header = new Uint8Array(headerBytes);
  if (fillSync(read, header) < headerBytes) return null;
  const { length, kind } = readHeader(header, maxPayloadBytes);
  const payload = new Uint8Array(length);
  return fillSync(read, payload) < length ? null : { kind, payload };
}

/** Writes all of `bytes`. */
export function writeAllSync(write: (buffer: Uint8Array) => number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += write(bytes.subarray(done));
}

/** Frames of a stream, one after the other. */
export class FrameReader {
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #chunks: Uint8Array[] = [];
  #available = 0;

  /** @param limit payloads beyond this are an error */
  constructor(stream: ReadableStream<Uint8Array>, readonly limit = maxPayloadBytes) {
    this.#reader = stream.getReader();
  }

  /** Up to `length` bytes: fewer only at the end of the stream. */
  async #take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#available < length) {
      const { value, done } = await this.#reader.read();
      if (done) break;
      this.#chunks.push(value);
      this.#available += value.length;
    }
    const result = new Uint8Array(Math.min(length, this.#available));
    for (let filled = 0; filled < result.length;) {
      const chunk = this.#chunks[0];
      const part = chunk.subarray(0, result.length - filled);
      result.set(part, filled);
      filled += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#available -= result.length;
    return result;
  }

  /** The next frame, or null at a clean end of the stream. @throws ProtocolError for garbage or an end within a frame */
  async next(): Promise<ReceivedFrame | null> {
    const header = await this.#take(headerBytes);
    if (header.length === 0) return null;
    if (header.length < headerBytes) throw new ProtocolError("the stream ended within a frame");
    const { length, kind } = readHeader(header, this.limit);
    const payload = await this.#take(length);
    if (payload.length < length) throw new ProtocolError("the stream ended within a frame");
    return { kind, payload };
  }

  /** Gives the stream up. */
  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}
