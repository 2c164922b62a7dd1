/** Promises of the built-in search: as an optimizer, on functions whose optimum is known, and as an agent of a session. */
import { deepStrictEqual as equal, ok } from "node:assert";
import type { Config } from "../trainer/contract.ts";
import type { AgentTools, Attempt, Proposal, ResearchRecord } from "../trainer/overnight/agents/agent.ts";
import { SearchAgent } from "../trainer/overnight/agents/search.ts";
import { MixedSpace } from "../trainer/overnight/search/mixed.ts";
import { type Observation, rankedCandidates } from "../trainer/overnight/search/parzen.ts";
import { mixSeed, Random } from "../trainer/overnight/search/random.ts";
import { checkValue, configOf, editSpace, parseSpace } from "../trainer/space.ts";

interface Problem {
  name: string;
  block: string;
  /** Score of a configuration, null for a failure. */
  score(c: Record<string, number & string & boolean>): number | null;
  /** Spread of the noise on a score. */
  noise: number;
}

const source = (block: string) => `export const config = {\n  // #space\n${block}\n  // #end\n};\n`;
const position = (value: number, low: number, high: number) => Math.log(value / low) / Math.log(high / low);

const problems: Problem[] = [
  {
    name: "twenty constants, few of which matter, noise, and a region without memory",
    noise: 0.003,
    block: `matrixRate: 0.04, // log 0.005..0.2
      embeddingRate: 0.6, // log 0.05..3
      headRate: 0.004, // log 0.0005..0.05
      decay: 0.2, // linear 0..1
      batch: 4096, // of 512 1024 2048 4096 8192 16384
      depth: 3, // int 1..8
      width: 128, // of 64 128 192 256 384
      activation: "relu2", // of relu2 gelu swiglu
      warmDown: 0.5, // linear 0..1
      beta1: 0.8, // linear 0.5..0.99
      beta2: 0.95, // linear 0.8..0.999
      values: true, // of true false
      tied: false, // of true false
      cap: 15, // log 5..50
      rope: 10000, // log 1000..1000000
      init: 1, // log 0.2..3
      x0: 0.1, // linear 0..1
      final: 0, // linear 0..0.3
      momentumSteps: 300, // logint 10..1000
      window: "L", // of L SL SSL SSSL`,
    score(c) {
      if (c.batch * c.width * c.depth > 3.2e6) return null;
      const off = (x: number, optimum: number, weight: number) => weight * (x - optimum) ** 2;
      const bits = Math.log2(c.batch);
      return 1.8 + 0.05 * Math.abs(bits - 10.4) +
        off(position(c.matrixRate, 0.005, 0.2) - 0.06 * (bits - 12), 0.75, 0.5) +
        off(position(c.embeddingRate, 0.05, 3), 0.8, 0.2) + off(position(c.headRate, 0.0005, 0.05), 0.7, 0.15) +
        off(c.decay, 0.05, 0.03) + 0.03 * Math.abs(c.depth - 4) + 0.04 * Math.abs(Math.log2(c.width / 192)) +
        { swiglu: 0, gelu: 0.03, relu2: 0.015 }[c.activation as string]! + off(c.warmDown, 0.75, 0.08) +
        off((c.beta1 - 0.5) / 0.49, 0.75, 0.05) + (c.values ? 0 : 0.02) + (c.tied ? 0.03 : 0) +
        off(position(c.init, 0.2, 3), 0.4, 0.05) + off(c.x0, 0.05, 0.05) + (c.window as string === "L" ? 0 : 0.01);
    },
  },
  {
    name: "eight constants that depend on each other",
    noise: 0,
    block: `a: 0.5, // linear 0..1
      b: 1, // log 0.001..1000
      n: 8, // int 1..32
      kind: "x", // of x y z w
      flag: false, // of true false
      m: 100, // logint 1..10000
      c: 0, // linear -1..1
      d: 0.1, // log 0.01..1`,
    score(c) {
      const [b, m, d] = [position(c.b, 0.001, 1000), position(c.m, 1, 10000), position(c.d, 0.01, 1)];
      const optimum = { x: 0.2, y: 0.9, z: 0.4, w: 0.6 }[c.kind as string]!;
      return 4 * (c.a - optimum) ** 2 + 3 * (b - 0.25 - 0.3 * (c.n / 32)) ** 2 +
        { x: 0.3, y: 0, z: 0.2, w: 0.1 }[c.kind as string]! + (c.flag ? 0 : 0.2) + 2 * (m - 0.8) ** 2 +
        (c.c - 0.5) ** 2 + 1.5 * (d - 0.1 - 0.5 * m) ** 2 + Math.abs(c.n - 20) / 40;
    },
  },
  {
    name: "Hartmann's function of six variables",
    noise: 0,
    block: [0, 1, 2, 3, 4, 5].map((i) => `x${i}: 0.5, // linear 0..1`).join("\n"),
    score(c) {
      const a = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [
        17,
        8,
        0.05,
        10,
        0.1,
        14,
      ]];
      const p = [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
      ];
      return -[1, 1.2, 3, 3.2].reduce((sum, weight, i) => (
        sum + weight * Math.exp(-a[i].reduce((all, aij, j) => all + aij * (c[`x${j}`] - p[i][j] / 1e4) ** 2, 0))
      ), 0);
    },
  },
  {
    name: "an optimum at the edge of what works",
    noise: 0,
    block: `x: 0.1, // linear 0..1
      y: 0.1, // linear 0..1
      n: 2, // int 1..16
      z: 0.001, // log 0.0001..1
      kind: "a", // of a b c`,
    score(c) {
      if (c.x + c.y + c.n / 16 > 1.6 || (c.kind as string === "b" && c.z > 0.05)) return null;
      return 2 - c.x - c.y - c.n / 16 + (position(c.z, 0.0001, 1) - 0.8) ** 2 +
        { a: 0.1, b: 0, c: 0.2 }[c.kind as string]!;
    },
  },
];

type Choose = (space: MixedSpace, seen: Observation[], random: Random, taken: Set<string>) => Float64Array;

/** Spends a budget from the default on; the best true score and the failures. */
function spend(problem: Problem, budget: number, seed: number, choose: Choose): { best: number; failures: number } {
  const parameters = parseSpace(source(problem.block));
  const space = new MixedSpace(parameters);
  const noise = new Random(mixSeed(seed, 1));
  const seen: Observation[] = [];
  const taken = new Set<string>();
  let config = configOf(parameters);
  let best = Infinity;
  let failures = 0;
  for (let i = 0; i < budget; i++) {
    if (i > 0) config = space.decode(choose(space, seen, new Random(mixSeed(seed, 2, i)), taken));
    taken.add(space.key(config));
    const score = problem.score(config as never);
    if (score === null) failures++;
    else best = Math.min(best, score);
    seen.push({ point: space.encode(config)!, loss: score === null ? null : score + problem.noise * noise.normal() });
  }
  return { best, failures };
}

const byModel: Choose = (space, seen, random, taken) => rankedCandidates(space, seen, random, taken)[0];
const byChance: Choose = (space, _seen, random) =>
  new Float64Array(space.axes.map((axis) => axis.ordered ? random.uniform() : random.below(axis.count)));
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1];

for (const problem of problems) {
  Deno.test(`the search beats random search with half of its budget: ${problem.name}`, () => {
    const seeds = [1, 2, 3, 4, 5, 6, 7];
    const model = seeds.map((seed) => spend(problem, 45, seed, byModel));
    const random = seeds.map((seed) => spend(problem, 90, seed, byChance));
    const [ours, theirs] = [median(model.map(({ best }) => best)), median(random.map(({ best }) => best))];
    ok(ours < theirs, `median of the best scores ${ours}, random search ${theirs}`);
    const failures = [model, random].map((runs) => median(runs.map(({ failures }) => failures)));
    if (failures[1] > 0) {
      ok(failures[0] < 0.4 * failures[1], `${failures[0]} failures in 45, ${failures[1]} in 90 at random`);
    }
  });
}

Deno.test("equal seeds and records give equal proposals, another seed gives others", () => {
  const space = new MixedSpace(parseSpace(source(problems[1].block)));
  const seen: Observation[] = [0.1, 0.5, 0.9].map((x, i) => (
    { point: new Float64Array([x, x, x, i, 0, x, x, x]), loss: i === 1 ? null : x }
  ));
  const propose = (seed: number) =>
    rankedCandidates(space, seen, new Random(seed), new Set()).map((point) => [...point]);
  equal(propose(5), propose(5));
  ok(JSON.stringify(propose(5)) !== JSON.stringify(propose(6)));
});

Deno.test("a space of few values is tried value by value, none twice, to its end", () => {
  const parameters = parseSpace(source(`a: 1, // int 1..3\nb: "x", // of x y\nc: 0.5, // of 0.5 1 2`));
  const space = new MixedSpace(parameters);
  const taken = new Set<string>();
  const seen: Observation[] = [];
  for (let i = 0; i < 18; i++) {
    let next: Float64Array | undefined;
    for (let attempt = 0; next === undefined && attempt < 50; attempt++) {
      next = rankedCandidates(space, seen, new Random(mixSeed(i, attempt)), taken)[0];
    }
    ok(next, `after ${i} of 18`);
    const config = space.decode(next);
    for (const parameter of parameters) equal(checkValue(parameter, config[parameter.name]), null);
    ok(!taken.has(space.key(config)));
    taken.add(space.key(config));
    seen.push({ point: next, loss: i % 4 === 0 ? null : i });
  }
  equal(rankedCandidates(space, seen, new Random(1), taken), []);
});

Deno.test("what a point is rounded to lies in its range and survives the way through the file", () => {
  const text = source(problems[0].block);
  const space = new MixedSpace(parseSpace(text));
  const random = new Random(3);
  for (let i = 0; i < 300; i++) {
    const at = i % 3 === 0 ? 0 : i % 3 === 1 ? 1 : undefined; // the edges as well
    const point = new Float64Array(
      space.axes.map((axis) => axis.ordered ? at ?? random.uniform() : random.below(axis.count)),
    );
    const config = space.decode(point);
    equal(configOf(parseSpace(editSpace(text, config))), config);
    equal(space.decode(space.encode(config)!), config);
  }
});

// ---- The agent -------------------------------------------------------------------------------------------------------

const trainFile = source(`depth: 4, // int 2..12
  batchTokens: 4096, // logint 512..524288
  windowPattern: "L", // of L SSSL SSSSL
  ropeBase: 10000, // log 1000..20000
  microBatchRows: 16, // fixed
  embeddingLearningRate: 0.6, // log 0.05..3
  warmDown: 0.5, // linear 0.1..1
  activation: "relu2", // of relu2 gelu swiglu`);

const agreeable: AgentTools = { valid: (_source, configs) => Promise.resolve(configs.map(() => true as const)) };

/** A session on paper: what the agent proposes, and what becomes of it. */
async function play(
  experiments: number,
  judge: (config: Config) => number | null,
  options: { seed?: number; text?: string; tools?: AgentTools } = {},
): Promise<{ attempts: Attempt[]; proposals: Proposal[] }> {
  const { seed = 42, text = trainFile, tools = agreeable } = options;
  const attempt = (part: Partial<Attempt>): Attempt => ({
    id: 0,
    parent: null,
    state: "kept",
    agent: "baseline",
    origin: "baseline",
    hypothesis: "",
    source: text,
    valBpb: null,
    reason: "",
    steps: 40,
    ...part,
  });
  const attempts = [attempt({ valBpb: judge(configOf(parseSpace(text))) })];
  const proposals: Proposal[] = [];
  let best = attempts[0];
  for (let id = 1; id <= experiments; id++) {
    const record = { seed, best, attempts } as ResearchRecord;
    const proposal = await new SearchAgent().propose(record, tools);
    if ("stop" in proposal) throw new Error(proposal.stop);
    ok(proposal.edit.kind === "space");
    proposals.push(proposal);
    const edited = editSpace(best.source, proposal.edit.values);
    const valBpb = judge(configOf(parseSpace(edited)));
    const state = valBpb === null ? "crashed" : valBpb < best.valBpb! ? "kept" : "discarded";
    attempts.push(attempt({ id, parent: best.id, source: edited, valBpb, state, origin: proposal.origin }));
    if (state === "kept") best = attempts[id];
  }
  return { attempts, proposals };
}

Deno.test("published gains come first, one at a time, again while they help, and only where they apply", async () => {
  const { proposals } = await play(
    7,
    (c) => Math.abs(Math.log2(c.batchTokens as number / 1024)) + (c.embeddingLearningRate as number),
  );
  equal(proposals.slice(0, 5).map(({ edit }) => edit.kind === "space" && edit.values), [
    { batchTokens: 2048 },
    { batchTokens: 1024 },
    { batchTokens: 512 }, // worse, so no fourth time
    { embeddingLearningRate: 0.8 }, // worse, so no second time
    { warmDown: 0.7 },
  ]);
  equal(
    proposals.slice(5).map(({ origin }) => origin),
    ["tpe", "tpe"],
    "no larger model in 40 steps, no window in L, RoPE's range ends",
  );
  ok(proposals.every(({ hypothesis }) => hypothesis.length > 20));
});

Deno.test("the agent repeats itself from the record alone, never proposes what was tried, and never touches a fixed constant", async () => {
  const judge = (c: Config) =>
    (c.depth as number) > 9 ? null : Math.abs((c.warmDown as number) - 0.3) + (c.depth as number) / 10;
  const first = await play(25, judge);
  equal((await play(25, judge)).proposals, first.proposals);
  ok(JSON.stringify((await play(25, judge, { seed: 43 })).proposals) !== JSON.stringify(first.proposals));
  equal(new Set(first.attempts.map(({ source }) => source)).size, 26);
  ok(first.attempts.every(({ source }) => source.includes("microBatchRows: 16, // fixed")));
});

Deno.test("combinations that valid() refuses are not proposed", async () => {
  const asked: number[] = [];
  const tools: AgentTools = {
    valid: (text, configs) => {
      ok(text.includes("#space"));
      asked.push(configs.length);
      return Promise.resolve(configs.map((c) => c.activation === "relu2" && c.depth === 4 ? true as const : "no"));
    },
  };
  const { attempts } = await play(15, (c) => c.warmDown as number, { tools });
  equal(asked.length, 15, "one question a proposal");
  for (const { source } of attempts) {
    const { activation, depth } = configOf(parseSpace(source));
    equal([activation, depth], ["relu2", 4]);
  }
});

Deno.test("a small space is tried to its end, and then the agent says so", async () => {
  const text = source(`depth: 2, // int 1..3\nactivation: "relu2", // of relu2 gelu`);
  const { attempts } = await play(5, (c) => c.depth as number, { text });
  equal(new Set(attempts.map(({ source }) => source)).size, 6);
  const best = attempts.find(({ valBpb }) => valBpb === 1)!;
  const answer = await new SearchAgent().propose({ seed: 42, best, attempts } as ResearchRecord, agreeable);
  ok("stop" in answer && /every combination/.test(answer.stop), JSON.stringify(answer));
});

Deno.test("without a valid block, or with nothing to search in it, there is no proposal and the reason is said", async () => {
  const cases: [string, RegExp][] = [
    ["export const config = { depth: 4 };\n", /#space/],
    [trainFile.replace("// #end", ""), /#space/],
    [trainFile.replace("// int 2..12", "// int 12..2"), /line 3/],
    [source("depth: 4, // fixed"), /no constant of its #space block has a range/],
  ];
  for (const [text, expected] of cases) {
    const best = {
      id: 0,
      parent: null,
      state: "kept",
      agent: "baseline",
      origin: "baseline",
      hypothesis: "",
      source: text,
      valBpb: 2,
      reason: "",
      steps: 10,
    } as const;
    const answer = await new SearchAgent().propose({ seed: 1, best, attempts: [best] }, agreeable);
    ok("stop" in answer && expected.test(answer.stop), JSON.stringify(answer));
  }
});
