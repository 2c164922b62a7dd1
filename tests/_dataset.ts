/** A tiny data set written by hand, for tests that need no text. */
import { join } from "node:path";
import { FORMAT, hashFile, type Manifest } from "../trainer/data/dataset.ts";

/** Writes a data set with 300 entries and T = 4: six rows to train, three to validate, two sealed. @returns the rows */
export function makeDataset(folder: string): Record<"train" | "val" | "sealed", number[][]> {
  const rowsOf = (count: number, first: number) =>
    Array.from({ length: count }, (_, row) => [299, ...Array.from({ length: 4 }, (_, i) => first + 4 * row + i)]);
  const rows = { train: rowsOf(6, 0), val: rowsOf(3, 100), sealed: rowsOf(2, 200) };
  const tokenBytes = Array.from({ length: 300 }, (_, id) => id === 299 ? 0 : 1 + id % 5);
  const files: Record<string, { bytes: number; sha256: string }> = {};
  const contents = { ...rows, token_bytes: [tokenBytes] };
  for (const [name, content] of Object.entries(contents)) {
    const path = join(folder, `${name}.bin`);
    const bytes = new Uint8Array(Uint16Array.from(content.flat()).buffer);
    Deno.writeFileSync(path, bytes);
    files[`${name}.bin`] = { bytes: bytes.length, sha256: hashFile(path) };
  }
  const counts = (list: number[][]) => ({ documents: 1, bytes: 100, tokens: 4 * list.length, rows: list.length });
  const manifest: Manifest = {
    format: FORMAT,
    source: "a test",
    validation: null,
    key: "0",
    tokenizer: "bpe",
    vocabSize: 300,
    bosId: 299,
    sequenceLength: 4,
    duplicates: 0,
    splits: { train: counts(rows.train), val: counts(rows.val), sealed: counts(rows.sealed) },
    files,
  };
  Deno.writeTextFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  return rows;
}
