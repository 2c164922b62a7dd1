/**
 * Documents from files: plain text and JSON lines, as they are or packed with gzip or xz. Everything streams: what is
 * held is one document and one block of bytes, however large the file. Every complaint names the file.
 */
import { createGunzip } from "node:zlib";
import { Readable } from "node:stream";
import { DataError, reasonOf } from "./error.ts";

/** A text file is cut at paragraphs into documents of at least half and at most this many UTF-16 units. */
const DOCUMENT_UNITS = 1 << 16;
/** Longest line of JSON lines, in UTF-16 units; a longer one is most likely no JSON lines at all. */
const LINE_UNITS = 1 << 26;
/** Separates documents in text files of stories (TinyStories and its like). */
const SEPARATOR = "<|endoftext|>";

/** What a file name says of the content. */
interface Kind {
  readonly format: "text" | "jsonl";
  readonly packing: "gz" | "xz" | null;
}

/**
 * What a file is, by its name.
 * @throws DataError for names other than .txt, .text, .md, .jsonl and .ndjson, with .gz or .xz behind or not
 */
export function kindOf(path: string): Kind {
  const match = path.toLowerCase().match(/\.(txt|text|md|jsonl|ndjson)(?:\.(gz|xz))?$/);
  if (!match) {
    throw new DataError(`${path}: a source file must end in .txt, .md or .jsonl, or one of these with .gz or .xz`);
  }
  return { format: /json$|jsonl$/.test(match[1]) ? "jsonl" : "text", packing: (match[2] ?? null) as Kind["packing"] };
}

async function* packedBytes(path: string): AsyncGenerator<Uint8Array> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new DataError(`${path} cannot be read; run with --allow-read=${path}`);
    }
    throw new DataError(`${path} cannot be read: ${reasonOf(error)}`);
  }
  try {
    for await (const block of file.readable) yield block;
  } catch (error) {
    throw new DataError(`${path} cannot be read: ${reasonOf(error)}`);
  }
}

async function* gunzip(path: string): AsyncGenerator<Uint8Array> {
  const source = Readable.from(packedBytes(path));
  const unpacked = createGunzip();
  source.on("error", (error) => unpacked.destroy(error));
  try {
    for await (const block of source.pipe(unpacked)) yield block;
  } catch (error) {
    if (error instanceof DataError) throw error;
    const cut = (error as { code?: string }).code === "Z_BUF_ERROR";
    throw new DataError(`${path} is ${cut ? "a truncated gzip file" : "no gzip file, or a damaged one"}`);
  } finally {
    unpacked.destroy();
    source.destroy();
  }
}

/** The decoder, loaded when the first .xz file comes. */
async function loadXz(
  path: string,
): Promise<new (packed: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>> {
  // Named at run time: npm packages stay out of the module graph of everything that imports this file. `deno.lock`
  // beside it pins the same version.
  const specifier = "npm:xz-decompress@0.2.3";
  try {
    return (await import(specifier)).default.XzReadableStream;
  } catch (error) {
    throw new DataError(
      `${path} needs ${specifier} to be unpacked, which cannot be loaded: ${reasonOf(error).split("\n")[0]}`,
    );
  }
}

/** Reasons of xz-embedded's return codes (`enum xz_ret`). */
const XZ_FAULTS: Record<string, string> = {
  "4": "needs more memory than the decoder has",
  "5": "is no xz file",
  "6": "uses an xz option that is not supported (a check other than CRC32 and CRC64, or a filter)",
  "7": "is a damaged xz file",
  "8": "is a truncated xz file",
};

async function* unxz(path: string): AsyncGenerator<Uint8Array> {
  const XzReadableStream = await loadXz(path);
  try {
    for await (const block of new XzReadableStream(ReadableStream.from(packedBytes(path)))) yield block;
  } catch (error) {
    if (error instanceof DataError) throw error;
    const code = String(error).match(/error code (\d+)/)?.[1] ?? "";
    throw new DataError(`${path} ${XZ_FAULTS[code] ?? "is a damaged xz file"}`);
  }
}

/** The text of a file, block by block: unpacked, strictly UTF-8, without a byte order mark. */
async function* textBlocks(path: string, packing: Kind["packing"]): AsyncGenerator<string> {
  const size = await Deno.stat(path).then((info) => info.size, (error) => {
    throw new DataError(`${path} cannot be read: ${reasonOf(error)}`);
  });
  if (size === 0) throw new DataError(`${path} is empty`);
  const bytes = packing === "gz" ? gunzip(path) : packing === "xz" ? unxz(path) : packedBytes(path);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (block?: Uint8Array) => {
    try {
      return decoder.decode(block, { stream: block !== undefined });
    } catch {
      throw new DataError(`${path} is not UTF-8 text: a byte sequence near byte ${position} is invalid`);
    }
  };
  let position = 0;
  for await (const block of bytes) {
    const zero = block.indexOf(0);
    if (zero >= 0) throw new DataError(`${path} looks binary: byte ${position + zero} is zero`);
    const text = decode(block);
    position += block.length;
    if (text !== "") yield text;
  }
  const last = decode();
  if (last !== "") yield last;
  if (position === 0) throw new DataError(`${path} is empty`);
}

/** Where to cut `text` before `limit`: behind the last blank line, else line end, else space, of the second half. */
function cutAt(text: string, limit: number): number {
  for (const mark of ["\n\n", "\n", " "]) {
    const at = text.lastIndexOf(mark, limit - mark.length);
    if (at >= limit / 2) return at + mark.length;
  }
  // Between two halves of a surrogate pair there is no cut.
  return /[\udc00-\udfff]/.test(text[limit]) ? limit - 1 : limit;
}

async function* textDocuments(blocks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const block of blocks) {
    rest += block;
    for (let at = rest.indexOf(SEPARATOR); at >= 0; at = rest.indexOf(SEPARATOR)) {
      yield* pieces(rest.slice(0, at));
      rest = rest.slice(at + SEPARATOR.length);
    }
    while (rest.length > 2 * DOCUMENT_UNITS) {
      const at = cutAt(rest, DOCUMENT_UNITS);
      yield rest.slice(0, at);
      rest = rest.slice(at);
    }
  }
  yield* pieces(rest);
}

function* pieces(text: string): Generator<string> {
  let start = 0;
  while (text.length - start > DOCUMENT_UNITS) {
    const window = text.slice(start, start + DOCUMENT_UNITS + 1);
    const end = start + cutAt(window, DOCUMENT_UNITS);
    yield text.slice(start, end);
    start = end;
  }
  yield text.slice(start);
}

async function* lines(blocks: AsyncIterable<string>, path: string): AsyncGenerator<string> {
  let rest = "";
  for await (const block of blocks) {
    const parts = (rest + block).split("\n");
    rest = parts.pop()!;
    yield* parts;
    if (rest.length > LINE_UNITS) throw new DataError(`${path}: a line is longer than ${LINE_UNITS} characters`);
  }
  yield rest;
}

async function* jsonDocuments(blocks: AsyncIterable<string>, path: string): AsyncGenerator<string> {
  let number = 0;
  for await (const line of lines(blocks, path)) {
    number++;
    if (line.trim() === "") continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw new DataError(`${path}, line ${number} is not JSON`);
    }
    const text = (value as { text?: unknown } | null)?.text;
    if (typeof text !== "string") throw new DataError(`${path}, line ${number} has no string "text"`);
    yield text;
  }
}

/**
 * The documents of one file, in its order. Documents without a visible character are left out.
 * @throws DataError for a file that is empty, binary, not UTF-8, not JSON lines where it should be, truncated or damaged
 */
export async function* documentsOf(path: string): AsyncGenerator<string> {
  const { format, packing } = kindOf(path);
  const blocks = textBlocks(path, packing);
  let any = false;
  for await (const document of format === "jsonl" ? jsonDocuments(blocks, path) : textDocuments(blocks)) {
    if (!/\S/.test(document)) continue;
    any = true;
    // A lone surrogate (possible in JSON) has no UTF-8.
    yield document.toWellFormed();
  }
  if (!any) throw new DataError(`${path} holds no text`);
}
