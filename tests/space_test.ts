// trainer/space.ts: what the #space block may hold, which errors name which line, and that an edit touches literals only.
import assert from "node:assert/strict";
import type { Config } from "../trainer/contract.ts";
import { checkValue, configOf, editSpace, type Literal, parseSpace, settingsOf, SpaceError } from "../trainer/space.ts";

const block = (...lines: string[]) =>
  ["export const config = {", "  // #space", ...lines, "  // #end", "};", ""].join("\n");

const example = block(
  "  // Optimizer.",
  "  matrixLearningRate: 4e-2, // log 0.005..0.2; Muon",
  "  depth:  8  ,   // int 4..16",
  "",
  '  activation: "relu2", // of relu2 gelu "swi glu"; of the MLP',
  "  softCap: 15, // of 0 15 30.5 false",
  "  batchTokens: 4_096, // logint 1024..65536",
  "  bias: -0.5, // linear -1..1",
  "  tied: false, // of true false",
  '  windowPattern: "L",',
  "  headDim: 64, // fixed; so that heads divide the width",
);

Deno.test("parseSpace() reads every kind of constant with its line and range", () => {
  assert.deepEqual(parseSpace(example), [
    { name: "matrixLearningRate", value: 0.04, line: 4, range: { kind: "log", low: 0.005, high: 0.2 } },
    { name: "depth", value: 8, line: 5, range: { kind: "int", low: 4, high: 16 } },
    { name: "activation", value: "relu2", line: 7, range: { kind: "of", choices: ["relu2", "gelu", "swi glu"] } },
    { name: "softCap", value: 15, line: 8, range: { kind: "of", choices: [0, 15, 30.5, false] } },
    { name: "batchTokens", value: 4096, line: 9, range: { kind: "logint", low: 1024, high: 65536 } },
    { name: "bias", value: -0.5, line: 10, range: { kind: "linear", low: -1, high: 1 } },
    { name: "tied", value: false, line: 11, range: { kind: "of", choices: [true, false] } },
    { name: "windowPattern", value: "L", line: 12 },
    { name: "headDim", value: 64, line: 13 },
  ]);
  assert.equal(configOf(parseSpace(example)).batchTokens, 4096);
});

Deno.test("the config that the file exports is the one that parseSpace() reads", async () => {
  const module = await import(`data:text/javascript,${encodeURIComponent(example)}`);
  assert.deepEqual(configOf(parseSpace(example)), module.config);
});

Deno.test("parseSpace() names the line and the fault of a malformed block", () => {
  const faults: [string, RegExp, number][] = [
    ["export const config = {};", /there is none/, 0],
    ["// #space\na: 1,\n", /without a line `\/\/ #end`/, 0],
    ["a\n// #end\n", /without `\/\/ #space` before it/, 2],
    ["// #space\n// #space\n// #end", /inside a block/, 2],
    ["// #space\na: 1,\n// #end\n// #space\nb: 2,\n// #end", /a second block/, 4],
    ["// #space\n\n// #end", /it is empty/, 0],
    ["// #spaceship\n", /there is none/, 0],
    ["//#space\na: 1,\n//#end", /exactly `\/\/ #space`/, 1],
    [block("a: 1, // int 1..4", "a: 2, // int 1..4"), /a is defined twice/, 4],
    [block("__proto__: 1,"), /__proto__/, 3],
    [block("a: 1"), /a comma must follow/, 3],
    [block("a: 1, b: 2,"), /expected `name: literal, \/\/ range`/, 3],
    [block("a: 2 ** 12,"), /expected/, 3],
    [block("a: [1],"), /number, a string in double quotes, true or false/, 3],
    [block("a: 'x',"), /double quotes/, 3],
    [block('a: "\\q",'), /double quotes/, 3],
    [block("a: 0x10,"), /must be a number/, 3],
    [block("a: 1e999,"), /must be a number/, 3],
    [block("a: 007,"), /must be a number/, 3],
    [block("a: NaN,"), /must be a number/, 3],
    [block("a: null,"), /must be a number/, 3],
    [block("...rest,"), /expected/, 3],
    [block("a: 1, // lgo 1..2"), /must be log, linear, int, logint, of or fixed/, 3],
    [block("a: 1, // int"), /needs bounds/, 3],
    [block("a: 1, // int 1-4"), /needs bounds/, 3],
    [block("a: 1, // int 1..4 layers"), /needs bounds/, 3],
    [block("a: 1, // int 4..1"), /lower bound must be below/, 3],
    [block("a: 1, // linear 1..1"), /lower bound must be below/, 3],
    [block("a: 1, // log 0..1"), /positive lower bound/, 3],
    [block("a: 1, // logint -1..4"), /positive lower bound/, 3],
    [block("a: 1, // int 0.5..4"), /whole bounds/, 3],
    [block("a: 1, // linear 0..1e999"), /too large/, 3],
    [block("a: 9, // int 1..4"), /a must lie in 1..4, got 9/, 3],
    [block("a: 1.5, // int 1..4"), /whole number/, 3],
    [block('a: "x", // int 1..4'), /must be a number/, 3],
    [block('a: "x", // of y z'), /must be one of "y", "z", got "x"/, 3],
    [block("a: 1, // of 1"), /two choices/, 3],
    [block("a: 1, // of 1 2 1.0"), /stands twice/, 3],
    [block("a: 1, // of 1 2-3"), /no number, word or string/, 3],
    [block('a: 1, // of 1 "x'), /cannot be read/, 3],
    [block("a: 1, // fixed since always"), /semicolon/, 3],
  ];
  for (const [source, message, line] of faults) {
    assert.throws(() => parseSpace(source), (error: unknown) => {
      assert(error instanceof SpaceError, String(error));
      assert.match(error.message, message, source);
      assert.equal(error.line, line, source);
      return line === 0 || error.message.includes(`line ${line}`);
    });
  }
});

Deno.test("editSpace() replaces the literals that change and not one other byte", () => {
  const edited = editSpace(example, {
    matrixLearningRate: 0.02,
    depth: 8,
    activation: "swi glu",
    softCap: false,
    windowPattern: 'S"L\n',
    batchTokens: 4096,
  });
  const expected = example.replace("4e-2", "0.02").replace('"relu2",', '"swi glu",').replace(
    "softCap: 15",
    "softCap: false",
  )
    .replace('"L"', String.raw`"S\"L\n"`);
  assert.equal(edited, expected);
  assert.equal(editSpace(example, {}), example);
  const windows = example.replaceAll("\n", "\r\n");
  assert.equal(editSpace(windows, { depth: 9 }), windows.replace("8  ,", "9  ,"));
});

Deno.test("editSpace() refuses unknown names, values outside the range and other types", () => {
  const faults: [Partial<Config>, RegExp][] = [
    [{ nothing: 1 }, /no constant nothing/],
    [{ depth: 3 }, /line 5: depth must lie in 4..16, got 3/],
    [{ depth: 4.5 }, /whole number/],
    [{ matrixLearningRate: NaN }, /finite/],
    [{ matrixLearningRate: 0.3 }, /0.005..0.2/],
    [{ activation: "relu" }, /one of/],
    [{ tied: "true" }, /one of/],
    [{ windowPattern: 4 }, /must be a string/],
    [{ headDim: "64" }, /must be a number/],
    [{ headDim: Infinity }, /finite/],
  ];
  for (const [values, message] of faults) assert.throws(() => editSpace(example, values), message);
});

/** A small seeded generator: mulberry32. */
function generator(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

Deno.test("parsing an edited file gives the edited values, for random values in range", async () => {
  const seed = 20;
  const random = generator(seed);
  const parameters = parseSpace(example);
  let source = example;
  for (let round = 0; round < 300; round++) {
    const values: Record<string, Literal> = {};
    for (const parameter of parameters) {
      if (random() < 0.5) continue;
      const { range } = parameter;
      if (!range) {
        values[parameter.name] = typeof parameter.value === "string"
          ? String.fromCodePoint(...Array.from({ length: 6 }, () => Math.floor(random() * 0xd800)))
          : (random() - 0.5) * 10 ** Math.floor(random() * 600 - 300);
      } else if (range.kind === "of") {
        values[parameter.name] = range.choices[Math.floor(random() * range.choices.length)];
      } else {
        const value = range.low + random() * (range.high - range.low);
        values[parameter.name] = range.kind.endsWith("int") ? Math.round(value) : value;
      }
      assert.equal(checkValue(parameter, values[parameter.name]), null);
    }
    const before = source;
    source = editSpace(source, values);
    const expected = { ...configOf(parseSpace(before)), ...values };
    assert.deepEqual(configOf(parseSpace(source)), expected, `seed ${seed}, round ${round}`);
    if (round % 50 === 0) {
      const module = await import(`data:text/javascript,${encodeURIComponent(source)}`);
      assert.deepEqual(module.config, expected);
    }
    assert.equal(source.split("\n").length, before.split("\n").length);
  }
});

Deno.test("settingsOf() reads what --set takes, and refuses in one sentence what the block does not allow", () => {
  const words = ["depth=6", "activation=swi glu", "softCap=false", "bias=-1", "tied=true", "windowPattern=SL"];
  assert.deepEqual(settingsOf(example, words), {
    depth: 6,
    activation: "swi glu",
    softCap: false,
    bias: -1,
    tied: true,
    windowPattern: "SL",
  });
  assert.deepEqual(settingsOf(example, []), {});
  const wrong: [string[], string][] = [
    [["depth"], "--set depth: must be NAME=VALUE"],
    [["=6"], "--set =6: must be NAME=VALUE"],
    [["depth="], "--set depth=: must be NAME=VALUE"],
    [["depht=6"], "--set depht=6: there is no constant depht"],
    [["toString=6"], "--set toString=6: there is no constant toString"],
    [["depth=6", "depth=6"], "--set depth=6: depth is set twice"],
    [["depth=60"], "--set depth=60: depth must lie in 4..16, got 60"],
    [["depth=six"], '--set depth=six: depth must be a number, got "six"'],
    [["activation=relu"], '--set activation=relu: activation must be one of "relu2", "gelu", "swi glu", got "relu"'],
    [["headDim=wide"], '--set headDim=wide: headDim must be a number, got "wide"'],
  ];
  for (const [settings, message] of wrong) {
    assert.throws(() => settingsOf(example, settings), { name: "Error", message });
  }
});
