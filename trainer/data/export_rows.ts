/**
 * `bench export-rows`: the rows of a data set as plain files, for a peer that trains on the same tokens. `train.bin` and
 * `val.bin` are rows of T+1 little-endian uint16, `token_bytes.bin` is one such number an entry of the vocabulary.
 * @module
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { prepare, prepareFlags, prepareFlagsHelp, prepareOptionsOf, terminalProgress } from "../prepare.ts";
import { defaultPreset, presets } from "../presets.ts";
import { openDataset } from "./dataset.ts";
import { DataError, reasonOf, requirePermissions } from "./error.ts";
import { resolveHome } from "./home.ts";

/** What was written. */
export interface ExportedRows {
  readonly train: number;
  readonly val: number;
  readonly vocabSize: number;
  readonly sequenceLength: number;
}

/**
 * Writes the three files, each under a temporary name first.
 * @param dataset folder of a prepared data set
 * @param out folder, made if absent
 * @param evaluationRows rows of the validation split at most: the first ones, which are those that a run is scored on
 * @throws DataError when a file cannot be written
 */
export function exportRows(dataset: string, out: string, evaluationRows: number): ExportedRows {
  using data = openDataset(dataset);
  data.verify();
  const { vocabSize, sequenceLength } = data;
  const val = Math.min(evaluationRows, data.rowCount("val"));
  const names = ["train.bin", "val.bin", "token_bytes.bin"];
  const temporary = (name: string) => join(out, `${name}.${Deno.pid}.tmp`);
  try {
    Deno.mkdirSync(out, { recursive: true });
    for (const name of names) Deno.copyFileSync(join(dataset, name), temporary(name));
    Deno.truncateSync(temporary("val.bin"), val * (sequenceLength + 1) * 2);
    for (const name of names) Deno.renameSync(temporary(name), join(out, name));
  } catch (error) {
    for (const name of names) {
      try {
        Deno.removeSync(temporary(name));
      } catch {
        // It was not made yet, or has its name already.
      }
    }
    throw new DataError(`the rows cannot be written to ${out}: ${reasonOf(error)}`);
  }
  return { train: data.rowCount("train"), val, vocabSize, sequenceLength };
}

const usage = `Writes the rows of a data set as train.bin, val.bin and token_bytes.bin; prepares it if need be.

usage: deno task bench export-rows --out DIR [options]

  --out DIR              where the files go
${prepareFlagsHelp}
  --help                 this text`;

/**
 * The command line of `bench export-rows`.
 * @param args what stands behind `export-rows`
 * @throws DataError for bad flags, and what `prepare` throws
 */
export async function exportRowsCommand(args: string[]): Promise<void> {
  const options = { ...prepareFlags, out: { type: "string" }, help: { type: "boolean", short: "h" } } as const;
  const { values } = (() => {
    try {
      return parseArgs({ args, options, strict: true, allowPositionals: false });
    } catch (error) {
      throw new DataError(`${reasonOf(error).split(/\.\s/)[0]}; see --help`);
    }
  })();
  if (values.help) return console.log(usage);
  if (!values.out) throw new DataError("export-rows needs --out DIR");
  const home = resolveHome();
  const out = resolve(values.out);
  requirePermissions("export-rows", [
    { name: "read", value: home },
    { name: "write", value: home },
    { name: "write", value: out },
    { name: "ffi", value: join(home, "lib") },
  ]);
  const chosen = prepareOptionsOf(values);
  const onProgress = terminalProgress();
  const folder = await prepare({ ...chosen, home, onProgress }).finally(() => onProgress(""));
  const preset = presets[chosen.preset ?? defaultPreset("cpu")];
  const { train, val, vocabSize, sequenceLength } = exportRows(folder, out, preset.evaluationRows);
  console.log(`dataset: ${folder}`);
  console.log(`train.bin: ${train} rows of ${sequenceLength + 1} tokens`);
  console.log(`val.bin: ${val} rows of ${sequenceLength + 1} tokens`);
  console.log(`token_bytes.bin: ${vocabSize} entries`);
}
