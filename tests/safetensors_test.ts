// The safetensors format: what is written is read back, what is not exactly the format is one sentence.
import assert from "node:assert/strict";
import { readSafetensors, type SafeTensor, SafetensorsError, writeSafetensors } from "../trainer/safetensors.ts";

const f32 = (values: number[], shape: number[]): SafeTensor => {
  return { dtype: "F32", shape, bytes: new Uint8Array(Float32Array.from(values).buffer) };
};

/** A file of any header and so many bytes of elements. */
function file(header: unknown, elements: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + elements);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

Deno.test("what is written is read back, in order, with metadata", () => {
  const tensors = new Map<string, SafeTensor>([
    ["b", f32([1, -2, 3, 4, 5, 6], [2, 3])],
    ["a", { dtype: "U8", shape: [3], bytes: Uint8Array.of(1, 2, 3) }],
    ["scalar", f32([7], [])],
    ["empty", f32([], [0, 4])],
    ["__proto__", f32([8], [1])],
    ['quote " and \\ and ü', f32([9], [1])],
  ]);
  const written = writeSafetensors(tensors, { seed: "7", note: "ä" });
  const { tensors: read, metadata } = readSafetensors(written);
  assert.deepEqual(metadata, { seed: "7", note: "ä" });
  assert.deepEqual([...read.keys()], [...tensors.keys()]);
  for (const [name, tensor] of tensors) {
    const { dtype, shape, bytes } = read.get(name)!;
    assert.deepEqual([dtype, shape, [...bytes]], [tensor.dtype, tensor.shape, [...tensor.bytes]]);
  }
});

Deno.test("elements begin at a multiple of eight bytes, whatever the header's length", () => {
  for (let length = 0; length < 9; length++) {
    const bytes = writeSafetensors(new Map([["x".repeat(length + 1), f32([1], [1])]]));
    const size = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    assert.equal((8 + size) % 8, 0);
    assert.equal(bytes.length, 8 + size + 4);
  }
});

Deno.test("a file that another implementation wrote is read", async () => {
  const bytes = await Deno.readFile(new URL("data/gpt-small.safetensors", import.meta.url));
  const { tensors, metadata } = readSafetensors(bytes);
  assert.equal(tensors.get("losses")?.bytes.length, 12);
  assert.equal(JSON.parse(metadata.config).n_embd, 64);
});

const x = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
const malformed: [name: string, bytes: Uint8Array, message: RegExp][] = [
  ["no bytes", new Uint8Array(0), /0 bytes are too few for a header/],
  ["a truncated header", file({ x }, 8).subarray(0, 20), /the file ends inside its header/],
  ["an absurd header size", Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 0), /beyond the format's limit/],
  ["no JSON", file("{nonsense", 0), /the header is no JSON/],
  ["text that is not UTF-8", file("{}", 0).map((byte, i) => i === 8 ? 0xff : byte), /the header is no JSON/],
  ["a header that is a list", file([], 0), /no JSON object/],
  ["space before the header", file(' {"a":1}', 0), /no JSON object/],
  ["truncated elements", file({ x }, 7), /x: the file ends before its elements do/],
  ["bytes after the elements", file({ x }, 9), /1 bytes at the end belong to no entry/],
  ["a gap", file({ x: { ...x, data_offsets: [4, 12] } }, 12), /4 bytes before it belong to no entry/],
  ["an overlap", file({ x, y: { ...x, data_offsets: [4, 12] } }, 12), /y: its elements overlap/],
  ["two entries on the same bytes", file({ x, y: x }, 8), /overlap/],
  ["offsets that do not fit the shape", file({ x: { ...x, shape: [3] } }, 8), /x: F32 \[3\] takes 12 bytes/],
  ["offsets that run backwards", file({ x: { ...x, data_offsets: [8, 0] } }, 8), /no valid data_offsets/],
  ["offsets that are no numbers", file({ x: { ...x, data_offsets: [0, "8"] } }, 8), /no valid data_offsets/],
  ["a negative size", file({ x: { ...x, shape: [-2] } }, 8), /no valid shape/],
  ["an unknown dtype", file({ x: { ...x, dtype: "F31" } }, 8), /unknown dtype "F31"/],
  ["a dtype of the prototype", file({ x: { ...x, dtype: "toString" } }, 8), /unknown dtype/],
  ["an unknown field", file({ x: { ...x, strides: [1] } }, 8), /unknown field "strides"/],
  ["an entry that is none", file({ x: 1 }, 0), /x: is no entry/],
  ["metadata that is no object", file({ __metadata__: [1] }, 0), /__metadata__ is no object/],
  ["metadata of numbers", file({ __metadata__: { seed: 1 } }, 0), /seed is no string/],
  ["a key twice", file(`{"x":${JSON.stringify(x)},"x":${JSON.stringify(x)}}`, 8), /the key "x" twice/],
  [
    "a key twice, once escaped",
    file(`{"x":${JSON.stringify(x)},"\\u0078":${JSON.stringify(x)}}`, 8),
    /the key "x" twice/,
  ],
  ["a field twice", file('{"x":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,8]}}', 8), /"shape" twice/],
];

for (const [name, bytes, message] of malformed) {
  Deno.test(`a file with ${name} is refused in one sentence`, () => {
    assert.throws(() => readSafetensors(bytes), (error) => {
      assert(error instanceof SafetensorsError);
      assert.match(error.message, message);
      assert(!error.message.includes("\n"));
      return true;
    });
  });
}

Deno.test("a cut of a real file at any place is refused, and so is any changed offset", () => {
  const bytes = writeSafetensors(new Map([["a", f32([1, 2], [2])], ["b", f32([3], [1])]]), { k: "v" });
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => readSafetensors(bytes.subarray(0, length)), SafetensorsError);
  }
  const text = new TextDecoder().decode(bytes);
  for (const [from, to] of [["[0,8]", "[0,7]"], ["[8,12]", "[7,12]"], ["[8,12]", "[8,13]"]]) {
    const at = text.indexOf(from);
    const changed = bytes.slice();
    changed.set(new TextEncoder().encode(to), at);
    assert.throws(() => readSafetensors(changed), SafetensorsError);
  }
});

Deno.test("an entry whose bytes do not fit its shape is not written", () => {
  assert.throws(() => writeSafetensors(new Map([["x", { ...f32([1], [1]), shape: [2] }]])), SafetensorsError);
  assert.throws(() => writeSafetensors(new Map([["__metadata__", f32([1], [1])]])), SafetensorsError);
});
