// trainer/presets.ts: the presets are consistent in themselves and with the #space block of train.ts.
import assert from "node:assert/strict";
import type { TrainModule } from "../trainer/contract.ts";
import { defaultPreset, presetNames, presetOf, presets } from "../trainer/presets.ts";
import { checkValue, configOf, parseSpace } from "../trainer/space.ts";

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

Deno.test("train.ts has a #space block that allows every preset, and valid() agrees", async () => {
  const url = new URL("../trainer/train.ts", import.meta.url);
  const parameters = parseSpace(await Deno.readTextFile(url));
  const { config, valid } = await import(url.href) as TrainModule;
  assert.deepEqual(configOf(parameters), config);
  for (const name of presetNames) {
    for (const [key, value] of Object.entries(presets[name].config)) {
      const parameter = parameters.find((candidate) => candidate.name === key);
      assert(parameter, `train.ts has no constant ${key}`);
      assert.equal(checkValue(parameter, value), null, name);
    }
    assert.equal(valid?.({ ...config, ...presets[name].config }) ?? true, true, name);
  }
});
