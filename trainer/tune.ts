/**
 * `deno task tune`: measures, once for a GPU and a preset, which algorithm each product of `train.ts` should use, and
 * files the answers (`cuda/plans.ts`). Prints the plans. Runs of a session read them; none ever measures.
 * @module
 */
import { parseArgs } from "node:util";
import { chooseDevice, showChoice, wishedDevice } from "../cuda/device.ts";
import { resolveHome } from "../cuda/home.ts";
import { check, type Library, loadPlans, openLibrary } from "../cuda/lib.ts";
import { currentPlans, readPlans, writePlans } from "../cuda/plans.ts";
import { withoutTape } from "./autograd.ts";
import { randomBatches } from "./bench/rows.ts";
import { BenchRun } from "./bench/run.ts";
import { type PresetName, presetNames, presetOf } from "./presets.ts";
import { scope, Tensor } from "./tensor.ts";
import { config as literals, createModel, type GptConfig, train } from "./train.ts";

const usage = `Measures which algorithms the products of a preset should use on this GPU, and keeps the answers.

usage: deno task tune [options]

  --preset NAME     ${presetNames.join(" | ")} (default: all but the cpu ones)
  --once            only where this preset was not tuned yet; without it the file is begun anew, other presets too
  --device DEVICE   auto | cpu | cuda | cuda:N
  --help            this text

Prints the plans. On the CPU there is nothing to tune.`;

/** First line of a file's list of presets: a comment to the library. */
const tunedMark = (name: string) => `# tuned ${name}`;

/** Trains and scores with a preset's sizes for a moment, so that every product is seen. */
function exercise(library: Library, name: PresetName): void {
  const { vocabSize, sequenceLength, config: sizes } = presetOf(name);
  const config = { ...literals, ...sizes } as GptConfig;
  const setup = { seed: 1, vocabSize, sequenceLength, dtype: "bf16" as const, config };
  scope(() => {
    const model = createModel(setup);
    const run = new BenchRun(setup, randomBatches(1, vocabSize, sequenceLength), { steps: 1 });
    train(run, model);
    run.finish();
    scope(() => withoutTape(() => model.logits(Tensor.zeros([1, sequenceLength], "i32"))));
    for (const tensor of model.parameters().values()) tensor.dispose();
  });
  check(library.symbols.rs_memory_trim(), "memory_trim");
}

/** Loads plans and gives them back, or "" for those of another cuBLASLt or GPU: they are measured anew. */
function loadable(library: Library, plans: string): string {
  try {
    loadPlans(library, plans);
    return plans;
  } catch (error) {
    console.error((error as Error).message);
    return "";
  }
}

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      preset: { type: "string" },
      once: { type: "boolean" },
      device: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return console.log(usage);
  const names = values.preset === undefined
    ? presetNames.filter((name) => !name.startsWith("cpu"))
    : [presetOf(values.preset).name];
  const choice = await chooseDevice(resolveHome(), wishedDevice(values.device));
  console.error(showChoice(choice));
  if (choice.device === "cpu") return;
  const library = openLibrary(choice.libraryPath);
  const before = values.once ? loadable(library, readPlans(choice.plansPath)) : "";
  const tuned = new Set(before.match(/^# tuned .*$/gm) ?? []);
  check(library.symbols.rs_plans_measure(1), "plans_measure");
  for (const name of names) {
    if (values.once && tuned.has(tunedMark(name))) continue;
    console.error(`tuning ${name} for ${choice.description}`);
    exercise(library, name);
    tuned.add(tunedMark(name));
  }
  const text = `${currentPlans(library).replaceAll(/^# tuned .*\n/gm, "")}${[...tuned].sort().join("\n")}\n`;
  if (text !== before) await writePlans(choice.plansPath, text);
  console.log(text.trimEnd());
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(`tune: ${(error as Error).message}`);
    Deno.exit(1);
  }
}
