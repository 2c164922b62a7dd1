/**
 * What trains the router's model: the notation of the tasks, how they are varied, and that the network on the tensor layer
 * and the router's own are the same function.
 */
import { deepStrictEqual as equal, ok, throws } from "node:assert";
import { scope } from "../trainer/tensor.ts";
import { describe } from "../router/model/features.ts";
import { Network } from "../router/model/network.ts";
import { BEGIN, INSIDE, OUTSIDE, readTasks, splitTasks, toExample, vary } from "../router/training/dataset.ts";
import { Draws } from "../router/training/draws.ts";
import { exportModel, packVectors } from "../router/training/export.ts";
import { Graph, makeBatch } from "../router/training/graph.ts";
import { domainOf, type MarkedTask, parseMarkup, parseMarkupFile } from "../router/training/markup.ts";
import { hashWord } from "../router/model/lexicon.ts";
import { openModel } from "../router/model/file.ts";
import { testLibrary } from "./_library.ts";

testLibrary();

Deno.test("parseMarkup() gives the text and the places of its parts", () => {
  const { task, segments } = parseMarkup("First {+list the \\{a\\}},\\nthen {-lift it}.");
  equal(task, "First list the {a},\nthen lift it.");
  equal(segments.map((s) => [task.slice(s.start, s.end), s.human]), [["list the {a}", false], ["lift it", true]]);
  equal(domainOf(segments), "hybrid");
  for (const bad of ["{+a", "a}", "{+a {-b}}", "{a}"]) throws(() => parseMarkup(bad), SyntaxError, bad);
  throws(() => parseMarkupFile("# comment\n{+fine}\n{+not"), /line 3/);
});

Deno.test("toExample() marks the tokens of each part", () => {
  const { tokens, tags, parts } = toExample(parseMarkup("Please: {+plot it}, {-hang it up}."));
  equal(tokens.map(({ text }) => text), ["Please", ":", "plot", "it", ",", "hang", "it", "up", "."]);
  equal(tags, [OUTSIDE, OUTSIDE, BEGIN, INSIDE, OUTSIDE, BEGIN, INSIDE, INSIDE, OUTSIDE]);
  equal(parts, [{ from: 2, to: 4, human: false }, { from: 5, to: 8, human: true }]);
});

const tasks = readTasks(new URL("../router/training/tasks", import.meta.url).pathname);

Deno.test("every mark of the training tasks begins and ends with a word of its own", () => {
  for (const { task, segments } of tasks) {
    let end = 0;
    for (const segment of segments) {
      ok(segment.start >= end && segment.end > segment.start, task);
      ok(/^[^\s.,;:!?].*[^\s.,;:!?]$|^[^\s.,;:!?]$/s.test(task.slice(segment.start, segment.end)), task);
      end = segment.end;
    }
    equal(toExample({ task, segments }).parts.length, segments.length, task);
  }
});

Deno.test("a varied task keeps its parts: each still begins where a token begins", () => {
  const draws = new Draws(3);
  for (const task of tasks.slice(0, 3000)) {
    const varied = vary(task, tasks, draws, 0.5);
    equal(toExample(varied).parts.length, varied.segments.length, varied.task);
    for (const { start, end } of varied.segments) {
      ok(varied.task.slice(start, end).trim() === varied.task.slice(start, end), varied.task);
    }
  }
});

Deno.test("the split of the tasks is the same at every call, and leaves none out", () => {
  const first = splitTasks(tasks), second = splitTasks(tasks);
  equal(first.validation, second.validation);
  equal(first.training, second.training);
  equal(first.training.length + first.validation.length, tasks.length);
});

Deno.test("the network of the router computes what the one that is trained computes", () => {
  const wordSize = 7, words = 5;
  const sizes = { lexicon: 8, affix: 4, width: 8, dilations: [1, 2, 1] };
  const draws = new Draws(11);
  const numbers = (length: number) => Float32Array.from({ length }, () => draws.float() - 0.5);
  const graph = new Graph(sizes, wordSize, words, 1);
  for (const tensor of graph.weights.values()) tensor.upload(numbers(tensor.size));
  graph.own.upload(Float32Array.from([...numbers(words * sizes.lexicon), ...new Float32Array(sizes.lexicon)]));
  const known = numbers(words * wordSize);
  const lookup = {
    find: (word: string) => ["plot", "the", "lamp", "shelf", "chart"].indexOf(word),
    frequent: () => false,
  };
  const marked: MarkedTask[] = ["{+Plot the chart}; then {-dust the lamp and the shelf}!", "{-Lamp}", "`the` ??"].map(
    parseMarkup,
  );
  const described = marked.map((task) => {
    const example = toExample(task);
    return { example, features: describe(example.tokens, lookup), speech: example.tokens.map(() => 2) };
  });
  const { tags, parts } = scope(() => {
    const batch = makeBatch(described, wordSize, words, (to, entries) => {
      for (const entry of entries) {
        for (let i = 0; i < wordSize; i++) to[i] += known[entry * wordSize + i] / entries.length;
      }
    });
    const loss = graph.loss(batch, 0, 0, () => [0, 0]);
    return { tags: loss.tags.item(), parts: loss.parts.item() };
  });

  const projection = graph.projection.data(), own = graph.own.data();
  const network = new Network(
    sizes,
    new Map([...graph.weights].map(([name, tensor]) => [name, Float32Array.from(tensor.data())])),
    {
      addVector(entry, share, to) {
        for (let o = 0; o < sizes.lexicon; o++) {
          let sum = own[entry * sizes.lexicon + o];
          for (let i = 0; i < wordSize; i++) sum += projection[o * wordSize + i] * known[entry * wordSize + i];
          to[o] += share * sum;
        }
      },
    },
  );
  let tagLoss = 0, tokens = 0, partLoss = 0, count = 0;
  for (const { example, features } of described) {
    const reading = network.read(features);
    example.tags.forEach((tag, t) => tagLoss -= reading.tags[3 * t + tag]);
    tokens += example.tags.length;
    for (const { from, to, human } of example.parts) {
      const logit = network.partBias + reading.votes.subarray(from, to).reduce((a, b) => a + b, 0);
      partLoss += Math.log1p(Math.exp(human ? -logit : logit));
      count++;
    }
  }
  // Float32 sums in another order; losses are near 1.
  ok(Math.abs(tags - tagLoss / tokens) < 1e-5, `${tags} and ${tagLoss / tokens}`);
  ok(Math.abs(parts - partLoss / count) < 1e-5, `${parts} and ${partLoss / count}`);
});

Deno.test("an exported model reads like the one that was trained, but for rounding", () => {
  const draws = new Draws(5);
  const numbers = (length: number) => Float32Array.from({ length }, () => (draws.float() - 0.5) / 2);
  const sizes = { lexicon: 8, affix: 4, width: 8, dilations: [1, 2] };
  const graph = new Graph(sizes, 3, 3, 2);
  const weights = new Map([...graph.weights].map(([name, tensor]) => [name, numbers(tensor.size)]));
  const words = ["lamp", "plot", "shelf"].sort((a, b) => hashWord(a) - hashWord(b));
  const vectors = numbers(words.length * sizes.lexicon);
  const calibration = { threshold: 0, temperature: 1, bias: 0, slope: 1 };
  const file = exportModel({ sizes, words, classes: new Uint8Array([128, 1, 2]), vectors, weights, calibration });
  const { lexicon, network } = openModel(file);
  equal(words.map((word) => lexicon.find(word) >= 0), [true, true, true]);
  equal(lexicon.find("chart"), -1);
  const { tokens } = toExample(parseMarkup("{+plot the lamp}"));
  const exact = new Network(sizes, weights, {
    addVector: (entry, share, to) => {
      for (let i = 0; i < sizes.lexicon; i++) to[i] += share * vectors[entry * sizes.lexicon + i];
    },
  });
  const a = network.read(describe(tokens, lexicon)), b = exact.read(describe(tokens, lexicon));
  // Vectors have 4 bits: a sixteenth of their range of 0.5, over eight of them.
  a.tags.forEach((tag, i) => ok(Math.abs(tag - b.tags[i]) < 0.2, `${tag} and ${b.tags[i]}`));
  ok(b.tags.some((tag) => Math.abs(tag - Math.log(1 / 3)) > 0.01));
});

Deno.test("packVectors() loses less than a tenth of the variance of normal numbers", () => {
  const draws = new Draws(8);
  const normal = () => Math.sqrt(-2 * Math.log(1 - draws.float())) * Math.cos(2 * Math.PI * draws.float());
  const vectors = Float32Array.from({ length: 4000 }, normal);
  const { nibbles, scales } = packVectors(vectors, 4);
  let error = 0;
  vectors.forEach((x, i) => error += (x - scales[i % 4] * (((nibbles[i >> 1] >> (4 * (i & 1))) & 15) - 8)) ** 2);
  ok(error / vectors.length < 0.1, `${error / vectors.length}`);
});
