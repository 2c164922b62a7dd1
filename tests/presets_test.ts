// trainer/presets.ts: the presets are consistent in themselves.
import assert from "node:assert/strict";
import { defaultPreset, presetNames, presetOf, presets } from "../trainer/presets.ts";

Deno.test("every preset has sizes that divide each other and token ids that fit 16 bits", () => {
  for (const name of presetNames) {
    const { vocabSize, sequenceLength, evaluationRows, budgetSeconds, config } = presets[name];
    assert.equal(presets[name].name, name);
    assert(vocabSize <= 2 ** 16 && evaluationRows > 0 && budgetSeconds > 0);
    assert.equal(config.batchTokens % (config.microBatchRows * sequenceLength), 0, name);
    assert.equal(config.width % config.headDim, 0, name);
    assert.match(config.windowPattern, /^[SL]+$/);
  }
});

Deno.test("upstream has the sizes of the yardstick", () => {
  const { vocabSize, sequenceLength, config } = presets.upstream;
  assert.deepEqual([vocabSize, sequenceLength, config.depth, config.width], [8192, 2048, 8, 512]);
  assert.deepEqual([config.windowPattern, config.batchTokens, config.microBatchRows], ["SSSL", 2 ** 19, 128]);
});

Deno.test("presetOf() lists the names when there is no such preset", () => {
  assert.equal(presetOf("cpu-tiny"), presets["cpu-tiny"]);
  assert.throws(() => presetOf("gpu"), /there is no preset "gpu"; there are h100, upstream, gpu-small, cpu, cpu-tiny/);
  assert.throws(() => presetOf("constructor"), /there is no preset/);
  assert.deepEqual([defaultPreset("cpu"), defaultPreset("cuda")], ["cpu", "h100"]);
});
