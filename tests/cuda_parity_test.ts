// The golden files on the CUDA build, in float32 and in bfloat16.
import assert from "node:assert/strict";
import { bfloat16, float32, parity, showLine } from "../trainer/parity.ts";
import { cudaLibrary, cudaTest } from "./_cuda.ts";

for (const name of ["gpt-small", "gpt-odd"]) {
  const read = (suffix: string) => Deno.readFile(new URL(`data/${name}.${suffix}`, import.meta.url));
  const golden = await read("safetensors");
  const precisions = [float32, bfloat16(new TextDecoder().decode(await read("bf16.json")), name)];
  for (const precision of precisions) {
    cudaTest(`${name} is met in ${precision.dtype}, and twice by the same bits`, () => {
      cudaLibrary();
      const lines = parity(golden, precision);
      const shown = lines.map((line) => `${showLine(line)}, worst ${line.worst}`).join("; ");
      assert.deepEqual(lines.filter(({ ok }) => !ok), [], shown);
      assert.deepEqual(parity(golden, precision), lines);
    });
  }
}
