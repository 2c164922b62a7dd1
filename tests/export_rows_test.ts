// trainer/data/export_rows.ts: a peer gets the very rows that a run trains on and is scored on.
import assert from "node:assert/strict";
import { join } from "node:path";
import { exportRows, exportRowsCommand } from "../trainer/data/export_rows.ts";
import { makeDataset } from "./_dataset.ts";

Deno.test("exportRows() writes little-endian rows, the validation rows only as far as a run scores them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [dataset, out] = [join(folder, "data"), join(folder, "deep/out")];
    await Deno.mkdir(dataset);
    const rows = makeDataset(dataset);
    assert.deepEqual(exportRows(dataset, out, 2), { train: 6, val: 2, vocabSize: 300, sequenceLength: 4 });
    const read = (name: string) => {
      const view = new DataView(Deno.readFileSync(join(out, name)).buffer);
      return Array.from({ length: view.byteLength / 2 }, (_, i) => view.getUint16(2 * i, true));
    };
    assert.deepEqual(read("train.bin"), rows.train.flat());
    assert.deepEqual(read("val.bin"), rows.val.slice(0, 2).flat());
    assert.equal(read("token_bytes.bin").length, 300);
    assert.deepEqual([...Deno.readDirSync(out)].map(({ name }) => name).sort(), [
      "token_bytes.bin",
      "train.bin",
      "val.bin",
    ]);
    assert.equal(exportRows(dataset, out, 4096).val, 3);

    await Deno.writeFile(join(dataset, "val.bin"), new Uint8Array(30));
    assert.throws(() => exportRows(dataset, out, 2), /val.bin is damaged/);
    makeDataset(dataset);
    await Deno.writeTextFile(join(folder, "file"), "");
    assert.throws(() => exportRows(dataset, join(folder, "file"), 2), /the rows cannot be written to .*file: /);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("bench export-rows refuses bad flags in one sentence", async () => {
  await assert.rejects(exportRowsCommand([]), /export-rows needs --out DIR/);
  await assert.rejects(exportRowsCommand(["--output", "x"]), /Unknown option '--output'; see --help/);
  await assert.rejects(exportRowsCommand(["--out", "x", "--preset", "big"]), /there is no preset "big"/);
});
