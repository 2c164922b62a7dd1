// train.ts as it is checked in: its space, every variant that a search can reach, its loop.
import assert from "node:assert/strict";
import { withoutTape } from "../trainer/autograd.ts";
import type { Batch, Run } from "../trainer/contract.ts";
import { countParameters } from "../trainer/nn.ts";
import { presetNames, presets } from "../trainer/presets.ts";
import { checkValue, configOf, parseSpace } from "../trainer/space.ts";
import { keep, scope, Tensor } from "../trainer/tensor.ts";
import { config as literals, createModel, type GptConfig, train, valid } from "../trainer/train.ts";
import { testLibrary } from "./_library.ts";
import { Random } from "./ops/case.ts";

const { symbols } = testLibrary();
const source = await Deno.readTextFile(new URL("../trainer/train.ts", import.meta.url));

const V = 40, T = 16;
/** A model that trains in milliseconds. */
const tiny: GptConfig = {
  ...literals,
  depth: 2,
  width: 64,
  headDim: 32,
  batchTokens: 4 * T,
  microBatchRows: 4,
};

interface Outcome {
  losses: number[];
  weights: Map<string, number[]>;
  liveAfter: number;
}

const liveTensors = () => {
  const out = new Float64Array(8);
  symbols.rs_counters(out, out.byteLength);
  return out[3];
};

/** Rows that repeat a short pattern, so that there is something to learn. */
function batchOf(rows: number, random: Random): Batch {
  const inputs = new Int32Array(rows * T), targets = new Int32Array(rows * T);
  for (let row = 0; row < rows; row++) {
    const start = Math.floor(random.next() * V), stride = 1 + Math.floor(random.next() * 3);
    for (let t = 0; t < T; t++) {
      inputs[row * T + t] = (start + t * stride) % V;
      targets[row * T + t] = (start + (t + 1) * stride) % V;
    }
  }
  return { inputs: keep(Tensor.from(inputs, [rows, T])), targets: keep(Tensor.from(targets, [rows, T])) };
}

/** Trains for so many steps, and so many micro-batches at most. */
function trainFor(config: GptConfig, steps: number, seed = 7, batches = Infinity): Outcome {
  const random = new Random(1);
  const setup = { seed, vocabSize: V, sequenceLength: T, dtype: "f32" as const, config };
  const model = createModel(setup);
  const losses: number[] = [];
  let live: Batch[] = [], given = 0, inStep = false;
  const run: Run<GptConfig> = {
    ...setup,
    nextBatch(rows) {
      if (given === batches || (!inStep && losses.length === steps)) return null;
      given++;
      live.push(batchOf(rows, random));
      return live[live.length - 1];
    },
    progress: () => losses.length / steps,
    epochs: () => losses.length / 2,
    step(fn) {
      inStep = true;
      scope(fn);
      inStep = false;
      for (const { inputs, targets } of live) [inputs, targets].forEach((tensor) => tensor.dispose());
      live = [];
    },
    log: (_, loss) => void losses.push(loss.item()),
  };
  const before = liveTensors();
  train(run, model);
  const liveAfter = liveTensors() - before;
  const weights = new Map([...model.parameters()].map(([name, tensor]) => [name, [...tensor.data()]]));
  for (const tensor of model.parameters().values()) tensor.dispose();
  return { losses, weights, liveAfter };
}

Deno.test("the #space block says what config says, and every literal lies in its range", () => {
  const parameters = parseSpace(source);
  assert.deepEqual(configOf(parameters), literals);
  for (const parameter of parameters) assert.equal(checkValue(parameter, parameter.value), null);
});

Deno.test("the checked-in literals are preset cpu's, and every preset lies in the space", () => {
  const parameters = new Map(parseSpace(source).map((parameter) => [parameter.name, parameter]));
  for (const name of presetNames) {
    const { config } = presets[name];
    for (const [key, value] of Object.entries(config)) {
      assert(parameters.has(key), `${name}: train.ts has no ${key}`);
      assert.equal(checkValue(parameters.get(key)!, value), null, name);
      if (name === "cpu") assert.equal(literals[key as keyof GptConfig], value);
    }
    assert.equal(valid({ ...literals, ...config } as GptConfig), true, name);
  }
});

Deno.test("the presets cpu and cpu-tiny have 5.24 and 1.11 million weights", () => {
  for (const [name, wanted] of [["cpu", "5.24"], ["cpu-tiny", "1.11"]] as const) {
    const { vocabSize, sequenceLength, config } = presets[name];
    const full = { ...literals, ...config } as GptConfig;
    const model = createModel({ seed: 1, vocabSize, sequenceLength, dtype: "f32", config: full });
    assert.equal((countParameters(model.parameters()) / 1e6).toFixed(2), wanted);
    for (const tensor of model.parameters().values()) tensor.dispose();
  }
});

Deno.test("valid() refuses what does not go together, and createModel() too", () => {
  const wrong: [Partial<GptConfig>, RegExp][] = [
    [{ width: 96, headDim: 64 }, /no multiple of headDim/],
    [{ windowPattern: "SXL" }, /letters other than S and L/],
    [{ activation: "relu3" }, /no activation "relu3"/],
    [{ batchTokens: 2 ** 19, microBatchRows: 16 }, /too many micro-batches/],
  ];
  for (const [change, message] of wrong) {
    const config = { ...literals, ...change };
    assert.match(valid(config) as string, message);
    assert.throws(() => createModel({ seed: 1, vocabSize: V, sequenceLength: T, dtype: "f32", config }), message);
  }
});

const variants: { [name: string]: Partial<GptConfig> } = {
  "as it is": {},
  "with GELU": { activation: "gelu" },
  "with SwiGLU": { activation: "swiglu" },
  "with tied embeddings": { tiedEmbeddings: true },
  "without value embeddings": { valueEmbeddings: false },
  "with half as many key/value heads": { keyValueShare: 0.5 },
  "with short windows": { windowPattern: "SL", shortWindow: 0.25, depth: 3 },
  "in four micro-batches": { microBatchRows: 1 },
  "with every decay and a cosine": {
    embeddingWeightDecay: 0.01,
    valueEmbeddingWeightDecay: 0.01,
    headWeightDecay: 0.05,
    rereadWeightDecay: 0.3,
    warmDownShape: "cosine",
    warmUp: 0.1,
    muonIterations: 3,
  },
};

for (const [name, change] of Object.entries(variants)) {
  Deno.test(`train.ts ${name} learns, moves every weight and leaves nothing behind`, () => {
    const config = { ...tiny, ...change };
    assert.equal(valid(config), true);
    const start = trainFor(config, 0).weights;
    const { losses, weights, liveAfter } = trainFor(config, 30);
    assert.equal(losses.length, 30);
    const ends = (part: number[]) => part.reduce((a, b) => a + b) / part.length;
    assert(ends(losses.slice(-3)) < losses[0] - 0.5, `${losses[0]} → ${losses[29]}`);
    for (const [key, before] of start) assert.notDeepEqual(weights.get(key), before, `${key} did not move`);
    assert.equal(liveAfter, 0);
  });
}

Deno.test("the same seed gives the same bits, another seed others", () => {
  const [a, b, c] = [7, 7, 8].map((seed) => trainFor(tiny, 3, seed).weights);
  assert.deepEqual(a, b);
  assert.notDeepEqual(a.get("lm_head.weight"), c.get("lm_head.weight"));
});

Deno.test("rereadWeightDecay moves embeddings and head once rows are read again, and no bit before", () => {
  const share = (key: string, tied: boolean): number => {
    const s = (tiny.width / 768) ** -0.5;
    if (key === "lm_head.weight" || (tied && key === "transformer.wte.weight")) {
      return 3 * tiny.unembeddingLearningRate * s;
    }
    if (key === "transformer.wte.weight") return 0.3 * tiny.embeddingLearningRate * s;
    return key.startsWith("value_embeds.") ? tiny.embeddingLearningRate * s : 0;
  };
  for (const tiedEmbeddings of [false, true]) {
    const after = (steps: number, rereadWeightDecay: number) =>
      trainFor({ ...tiny, tiedEmbeddings, rereadWeightDecay }, 4, 7, steps).weights;
    const before = after(3, 0.3);
    for (const [key, values] of after(3, 0)) {
      assert(values.every((value, i) => value === before.get(key)![i]), `${key} decays too early`);
    }
    const [plain, decayed] = [after(4, 0), after(4, 0.3)];
    for (const [key, values] of plain) {
      // The fourth step: rows were read one and a half times, and half of the warm-down is over.
      const wanted = 0.5 * 0.3 * 0.5 * share(key, tiedEmbeddings);
      for (const [i, value] of values.entries()) {
        const difference = value - decayed.get(key)![i];
        const bound = wanted === 0 ? 0 : 1e-6 * Math.abs(value) + 1e-4 * wanted * Math.abs(before.get(key)![i]) + 1e-9;
        assert(Math.abs(difference - wanted * before.get(key)![i]) <= bound, `${key} ${i}: ${difference}`);
      }
    }
  }
});

Deno.test("a deadline between micro-batches ends the run without half a step", () => {
  const config = { ...tiny, microBatchRows: 1 };
  const whole = trainFor(config, 2);
  const cut = trainFor(config, 99, 7, 2 * 4 + 3);
  assert.equal(cut.losses.length, 2);
  assert.equal(cut.liveAfter, 0);
  assert.deepEqual(cut.losses, whole.losses);
});

Deno.test("logits look at no later token, no other row and no earlier call, to the bit", () => {
  const { weights } = trainFor(tiny, 5);
  const model = createModel({ seed: 7, vocabSize: V, sequenceLength: T, dtype: "f32", config: tiny });
  for (const [name, tensor] of model.parameters()) tensor.upload(Float32Array.from(weights.get(name)!));
  const logits = (rows: Int32Array[]) =>
    scope(() =>
      withoutTape(() => {
        const ids = Tensor.from(Int32Array.from(rows.flatMap((row) => [...row])), [rows.length, T]);
        const all = model.logits(ids).data();
        return rows.map((_, i) => [...all.subarray(i * T * V, (i + 1) * T * V)]);
      })
    );
  const random = new Random(4);
  const [a, b] = [random.ids(T, V), random.ids(T, V)];
  const cut = 9;
  const changed = a.map((token, t) => t <= cut ? token : (token + 7) % V);
  const [alone] = logits([a]);
  const [, beside] = logits([b, a]);
  const [other] = logits([changed]);
  assert.deepEqual(beside, alone);
  assert.deepEqual(other.slice(0, (cut + 1) * V), alone.slice(0, (cut + 1) * V));
  assert.notDeepEqual(other.slice((cut + 1) * V), alone.slice((cut + 1) * V));
  for (const tensor of model.parameters().values()) tensor.dispose();
});
