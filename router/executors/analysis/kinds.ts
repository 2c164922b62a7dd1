/**
 * What kind of file bytes are, by how they begin; and what the beginnings of common formats tell. Reads nothing but the
 * bytes that it is given.
 * @module
 */

/** A kind of binary file and what its beginning tells. */
export interface BinaryKind {
  /** Such as `PNG picture`. */
  readonly name: string;
  /** One fact a line, such as `1024 × 768 pixels`. */
  readonly facts: readonly string[];
}

type Bytes = Uint8Array;

const ascii = (bytes: Bytes, from: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(from, Math.min(bytes.length, from + length)));
const view = (bytes: Bytes): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A number at an offset, null beyond the end. */
function at(bytes: Bytes, offset: number, size: 1 | 2 | 4, little = true): number | null {
  if (offset < 0 || offset + size > bytes.length) return null;
  const data = view(bytes);
  return size === 1
    ? data.getUint8(offset)
    : size === 2
    ? data.getUint16(offset, little)
    : data.getUint32(offset, little);
}

const size = (width: number | null, height: number | null): string[] =>
  width === null || height === null ? [] : [`${width} × ${height} pixels`];

function png(bytes: Bytes): string[] {
  return size(at(bytes, 16, 4, false), at(bytes, 20, 4, false));
}

function jpeg(bytes: Bytes): string[] {
  let offset = 2;
  for (let blocks = 0; blocks < 200; blocks++) {
    if (at(bytes, offset, 1) !== 0xff) return [];
    const mark = at(bytes, offset + 1, 1)!;
    if (mark >= 0xc0 && mark <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(mark)) {
      return size(at(bytes, offset + 7, 2, false), at(bytes, offset + 5, 2, false));
    }
    const length = at(bytes, offset + 2, 2, false);
    if (length === null || length < 2) return [];
    offset += 2 + length;
  }
  return [];
}

/** Names in a ZIP archive, from its local headers as far as they follow each other. */
function zip(bytes: Bytes): string[] {
  const names: string[] = [];
  // The directory at the end lists all of it; it is searched from the back.
  let count: number | null = null, offset = -1;
  for (let end = bytes.length - 22; end >= Math.max(0, bytes.length - 70_000); end--) {
    if (at(bytes, end, 4) === 0x06054b50) {
      [count, offset] = [at(bytes, end + 10, 2), at(bytes, end + 16, 4) ?? -1];
      break;
    }
  }
  while (offset >= 0 && at(bytes, offset, 4) === 0x02014b50 && names.length < 2000) {
    const [name, extra, comment] = [28, 30, 32].map((part) => at(bytes, offset + part, 2) ?? 0);
    names.push(new TextDecoder().decode(bytes.subarray(offset + 46, offset + 46 + name)));
    offset += 46 + name + extra + comment;
  }
  if (count === null) return ["its list of files was not read (it stands at the end of the file)"];
  return [`${count} files in it`, ...(names.length > 0 ? [`among them ${names.slice(0, 12).join(", ")}`] : [])];
}

/** What a ZIP archive is for, by the names in it. */
function zipName(bytes: Bytes): string {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 4000)) +
    new TextDecoder("latin1").decode(bytes.subarray(-8000));
  if (text.includes("word/document.xml")) return "Word document (DOCX)";
  if (text.includes("xl/workbook.xml")) return "Excel workbook (XLSX)";
  if (text.includes("ppt/presentation.xml")) return "PowerPoint presentation (PPTX)";
  if (text.includes("mimetypeapplication/epub")) return "electronic book (EPUB)";
  if (text.includes("mimetypeapplication/vnd.oasis")) return "OpenDocument file";
  if (text.includes("META-INF/MANIFEST.MF")) return "Java archive";
  if (/data\.pkl|\/version/.test(text) && text.includes(".pkl")) return "PyTorch checkpoint (ZIP)";
  return "ZIP archive";
}

function safetensors(bytes: Bytes): string[] {
  const length = at(bytes, 0, 4) ?? 0;
  const facts: string[] = [];
  try {
    const header: Record<string, { dtype?: string; shape?: number[] }> = JSON.parse(
      new TextDecoder().decode(bytes.subarray(8, 8 + length)),
    );
    const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__");
    const numbers = tensors.reduce(
      (sum, [, { shape }]) => sum + (shape ?? []).reduce((product, side) => product * side, 1),
      0,
    );
    const types = [...new Set(tensors.map(([, { dtype }]) => dtype))].join(", ");
    facts.push(`${tensors.length} tensors (${types}), ${numbers} numbers in all`);
    for (const [name, { dtype, shape }] of tensors.slice(0, 12)) {
      facts.push(`${name}: ${dtype} [${(shape ?? []).join(", ")}]`);
    }
  } catch {
    facts.push("its header is cut off or damaged");
  }
  return facts;
}

function sqlite(bytes: Bytes): string[] {
  const page = at(bytes, 16, 2, false), pages = at(bytes, 28, 4, false);
  const id = at(bytes, 68, 4, false), version = at(bytes, 60, 4, false);
  const facts = [`${pages} pages of ${page === 1 ? 65536 : page} bytes`, `user version ${version}`];
  if (id === 0x52537365) facts.push("a ResearchSwarm session: ask for a report or a postmortem of it");
  // The schema stands as text on the first page.
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 65536));
  const tables = [...text.matchAll(/CREATE (?:VIRTUAL )?TABLE (?:IF NOT EXISTS )?["'`[]?(\w{1,60})/g)].map(([, name]) =>
    name
  );
  if (tables.length > 0) facts.push(`tables found: ${[...new Set(tables)].slice(0, 20).join(", ")}`);
  return facts;
}

function npy(bytes: Bytes): string[] {
  const header = ascii(bytes, 8, 300).match(/\{[^}]*\}/)?.[0];
  return header === undefined ? [] : [header.replace(/\s+/g, " ")];
}

/** The kinds, each by a test of the first bytes. */
const kinds: readonly [
  test: (bytes: Bytes) => boolean,
  name: string | ((bytes: Bytes) => string),
  facts?: (bytes: Bytes) => string[],
][] = [
  [(b) => ascii(b, 0, 4) === "\x89PNG", "PNG picture", png],
  [(b) => at(b, 0, 2, false) === 0xffd8, "JPEG picture", jpeg],
  [(b) => /^GIF8[79]a/.test(ascii(b, 0, 6)), "GIF picture", (b) => size(at(b, 6, 2), at(b, 8, 2))],
  [(b) => ascii(b, 0, 4) === "RIFF" && ascii(b, 8, 4) === "WEBP", "WebP picture"],
  [
    (b) => ascii(b, 0, 4) === "RIFF" && ascii(b, 8, 4) === "WAVE",
    "WAV sound",
    (b) => [`${at(b, 22, 2)} channels, ${at(b, 24, 4)} samples a second, ${at(b, 34, 2)} bits`],
  ],
  [(b) => ascii(b, 0, 2) === "BM" && at(b, 6, 4) === 0, "BMP picture", (b) => size(at(b, 18, 4), at(b, 22, 4))],
  [(b) => ["II*\0", "MM\0*"].includes(ascii(b, 0, 4)), "TIFF picture"],
  [(b) => ascii(b, 0, 5) === "%PDF-", "PDF document", (b) => [`version ${ascii(b, 5, 3)}`]],
  [(b) => at(b, 0, 4, false) === 0x504b0304 || at(b, 0, 4, false) === 0x504b0506, zipName, zip],
  [(b) => at(b, 0, 2, false) === 0x1f8b, "gzip archive"],
  [(b) => ascii(b, 1, 4) === "7zXZ" && at(b, 0, 1) === 0xfd, "xz archive"],
  [(b) => at(b, 0, 4, false) === 0x28b52ffd, "Zstandard archive"],
  [(b) => /^BZh[1-9]/.test(ascii(b, 0, 4)), "bzip2 archive"],
  [(b) => ascii(b, 0, 2) === "7z" && at(b, 2, 2, false) === 0xbcaf, "7-Zip archive"],
  [(b) => ascii(b, 257, 5) === "ustar", "tar archive"],
  [
    (b) => ascii(b, 0, 4) === "\x7fELF",
    "ELF program or library",
    (
      b,
    ) => [
      `${at(b, 4, 1) === 2 ? 64 : 32} bits, machine ${
        ({ 62: "x86-64", 183: "AArch64", 3: "x86", 40: "ARM", 243: "RISC-V" } as Record<number, string>)[
          at(b, 18, 2) ?? 0
        ] ?? at(b, 18, 2)
      }`,
    ],
  ],
  [(b) => ascii(b, 0, 2) === "MZ", "Windows program or library"],
  [
    (b) => [0xfeedface, 0xfeedfacf, 0xcffaedfe, 0xcefaedfe].includes(at(b, 0, 4, false) ?? 0),
    "Mach-O program or library",
  ],
  [(b) => at(b, 0, 4, false) === 0xcafebabe, "Java class or Mach-O library"],
  [(b) => ascii(b, 0, 4) === "\0asm", "WebAssembly module", (b) => [`version ${at(b, 4, 4)}`]],
  [(b) => ascii(b, 0, 15) === "SQLite format 3", "SQLite database", sqlite],
  [(b) => ascii(b, 0, 4) === "PAR1", "Parquet table"],
  [(b) => ascii(b, 0, 6) === "ARROW1", "Arrow table"],
  [(b) => ascii(b, 0, 4) === "GGUF", "GGUF model", (b) => [`version ${at(b, 4, 4)}, ${at(b, 8, 4)} tensors`]],
  [(b) => ascii(b, 1, 5) === "NUMPY" && at(b, 0, 1) === 0x93, "NumPy array", npy],
  [(b) => ascii(b, 1, 3) === "HDF" && at(b, 0, 1) === 0x89, "HDF5 file"],
  [
    (b) => at(b, 8, 1) === 0x7b && (at(b, 0, 4) ?? 0) > 1 && at(b, 4, 4) === 0 && (at(b, 0, 4) ?? 0) < 100_000_000,
    "safetensors file",
    safetensors,
  ],
  [(b) => ascii(b, 4, 4) === "ftyp", "MP4 or related media"],
  [(b) => ascii(b, 0, 3) === "ID3" || (at(b, 0, 1) === 0xff && ((at(b, 1, 1) ?? 0) & 0xe6) === 0xe2), "MP3 sound"],
  [(b) => ascii(b, 0, 4) === "OggS", "Ogg media"],
  [(b) => ascii(b, 0, 4) === "fLaC", "FLAC sound"],
  [(b) => at(b, 0, 4, false) === 0x1a45dfa3, "Matroska or WebM media"],
  [(b) => ["wOFF", "wOF2", "OTTO"].includes(ascii(b, 0, 4)) || at(b, 0, 4, false) === 0x00010000, "font"],
  [(b) => at(b, 0, 1) === 0x80 && (at(b, 1, 1) ?? 9) <= 5 && at(b, 1, 1)! >= 2, "Python pickle"],
];

/** The kind of binary bytes, or null where none is known. */
export function binaryKind(bytes: Uint8Array): BinaryKind | null {
  for (const [test, name, facts] of kinds) {
    if (!test(bytes)) continue;
    return { name: typeof name === "string" ? name : name(bytes), facts: facts?.(bytes) ?? [] };
  }
  return null;
}

/** How mixed bytes are, bits a byte, 0 to 8; near 8 they are compressed or encrypted. */
export function entropy(bytes: Uint8Array): number {
  const sample = bytes.subarray(0, 1 << 20);
  const counts = new Float64Array(256);
  for (const byte of sample) counts[byte]++;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= count / sample.length * Math.log2(count / sample.length);
  return bits;
}
