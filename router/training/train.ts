/**
 * Trains the router's model and writes `router/model/model.json`: `deno task router-train [options]`; README.md in this
 * folder says how the data were made. Same seed, same sources and same library give the same file.
 */
import { parseArgs } from "node:util";
import { ensureLibrary } from "../../cuda/build.ts";
import { resolveHome } from "../../cuda/home.ts";
import { openLibrary } from "../../cuda/lib.ts";
import { openModel } from "../model/file.ts";
import { calibrate } from "./calibrate.ts";
import { readJsonl, readTasks, splitTasks } from "./dataset.ts";
import { judge, showScores } from "./evaluate.ts";
import { exportModel } from "./export.ts";
import { tagSpeech } from "./speech.ts";
import { Trainer } from "./trainer.ts";
import { cachedWords, wordsOf } from "./words.ts";

const here = import.meta.dirname!;

const options = {
  epochs: { type: "string", default: "20" },
  seed: { type: "string", default: "2" },
  width: { type: "string", default: "96" },
  lexicon: { type: "string", default: "20" },
  dilations: { type: "string", default: "1,2,4,1" },
  words: { type: "string", default: "32000" },
  drop: { type: "string", default: "0.25" },
  rate: { type: "string", default: "0.002" },
  forget: { type: "string", default: "0.15" },
  swap: { type: "string", default: "0.2" },
  blur: { type: "string", default: "0.25" },
  joins: { type: "string", default: "0.3" },
  share: { type: "string", default: "1" },
  tasks: { type: "string", default: `${here}/tasks` },
  test: { type: "string" },
  cache: { type: "string" },
  out: { type: "string" },
  mistakes: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

const usage = `Trains the router's model: deno task router-train --out router/model/model.json

  --epochs N         passes over the tasks
  --seed N           of weights, order, variation and dropout
  --width N          of the residual stream
  --dilations N,N,…  of the convolutions, one block each
  --lexicon N        dimensions of a word's vector, even
  --words N          words in the lexicon
  --rate RATE        highest learning rate
  --drop RATE        dropout of activations
  --blur RATE        dropout of what is known of a word
  --forget SHARE     of the words that half of the tasks are read without
  --swap SHARE       of the words that a neighbour in meaning stands in for
  --joins CHANCE     that another task is joined to a task
  --share SHARE      of the training tasks to use
  --tasks FOLDER     where the tasks are
  --test FILE.jsonl  labelled tasks to score beside the validation tasks
  --cache FILE       keeps the words' features between runs (two files of this name)
  --out FILE         where the model goes; without it nothing is written
  --mistakes         prints what the model gets wrong of the validation tasks`;

/** Trains, calibrates, scores and writes. */
async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options });
  if (values.help) return console.log(usage);
  openLibrary(await ensureLibrary(resolveHome()));

  const { training, validation } = splitTasks(readTasks(values.tasks), Number(values.share));
  const words = await cachedWords(values.cache, {
    lists: `${here}/lists`,
    needed: wordsOf(training),
    limit: Number(values.words),
  });
  console.log(`${training.length} + ${validation.length} tasks, ${words.words.length} words of ${words.size} features`);

  const sizes = {
    lexicon: Number(values.lexicon),
    affix: 16,
    width: Number(values.width),
    dilations: values.dilations.split(",").map(Number),
  };
  const trainer = new Trainer(words, sizes, {
    seed: Number(values.seed),
    drop: Number(values.drop),
    rate: Number(values.rate),
    forget: Number(values.forget),
    joins: Number(values.joins),
    swap: Number(values.swap),
    blur: Number(values.blur),
  }, tagSpeech);
  const test = values.test === undefined ? [] : readJsonl(values.test);
  const epochs = Number(values.epochs);
  const began = performance.now();
  for (let epoch = 0; epoch < epochs; epoch++) {
    const { tags, parts } = trainer.epoch(training, epoch, epochs);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    console.log(`epoch ${epoch + 1}: tags ${tags.toFixed(4)}, parts ${parts.toFixed(4)} nats, ${seconds} s`);
  }
  const trained = trainer.result();
  const file = exportModel({ ...trained, calibration: calibrate(openModel(exportModel(trained)), validation) });
  const model = openModel(file);
  const text = JSON.stringify(file) + "\n";
  console.log(`model of ${text.length} bytes, calibration ${JSON.stringify(file.calibration)}`);
  console.log("threshold 0:", showScores(judge(openModel(exportModel(trained)), validation)));
  const scores = judge(model, validation);
  console.log("validation:", showScores(scores));
  if (test.length > 0) console.log("test:      ", showScores(judge(model, test)));
  if (values.mistakes) console.log(scores.mistakes.join("\n"));
  if (values.out !== undefined) Deno.writeTextFileSync(values.out, text);
}

if (import.meta.main) await main(Deno.args);
