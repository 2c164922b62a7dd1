/**
 * `deno task train`: one run from the command line. Builds the library and prepares the data where they are absent, by
 * the tasks that have the permissions for it, shows progress, and ends with the summary.
 * @module
 */
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { announceChoice, type DeviceChoice, wishedDevice } from "../../cuda/device.ts";
import { DataError, reasonOf, requirePermissions } from "../data/error.ts";
import { resolveHome } from "../data/home.ts";
import type { Config } from "../contract.ts";
import { defaultPreset, presetNames, presetOf } from "../presets.ts";
import { settingsOf } from "../space.ts";
import { parseClock } from "./clock.ts";
import { brokenTask } from "./ending.ts";
import { evaluatorLogName, runTraining } from "./supervisor.ts";
import { checkpointName, checkpointOf } from "./training.ts";
import type { RunEvents, RunOptions, RunResult } from "./types.ts";

const usage = `Trains trainer/train.ts once and scores it in bits per byte of the validation rows.

usage: deno task train [options]

  --preset NAME      ${presetNames.join(" | ")}: its data, budget and model sizes (default: the data and
                     budget of ${defaultPreset("cpu")}, and the constants of train.ts as they are)
  --set NAME=VALUE   a constant of train.ts, for this run alone; may be given again
  --seconds S        training time (default: the preset's)
  --steps N          train N steps instead, however long they take
  --clock FILE       replay clock.json of an earlier run: the same seed gives the same weights, bit by bit
  --seed N           seed of weights and data order (default: 42)
  --source SOURCE    sotu, or files:PATTERN (default: the preset's)
  --data FOLDER      a data set that deno task prepare has made, instead of --source
  --out FOLDER       for checkpoint.safetensors, clock.json and stderr.log; new, empty, or of an earlier run
                     (default: a new one in runs/ of RESEARCHSWARM_HOME); evaluator-stderr.log, where there is
                     one, can hold validation rows and is not for agents
  --device DEVICE    auto | cpu | cuda | cuda:N (default: RESEARCHSWARM_DEVICE, else auto, a GPU where one answers)
  --threads N        threads to use (default: all)
  --help             this text

The exit code is 0 when the run was scored, 1 when it was not, 130 after Ctrl-C.`;

const flags = {
  preset: { type: "string" },
  set: { type: "string", multiple: true },
  seconds: { type: "string" },
  steps: { type: "string" },
  clock: { type: "string" },
  seed: { type: "string" },
  source: { type: "string" },
  data: { type: "string" },
  out: { type: "string" },
  device: { type: "string" },
  threads: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

type Values = {
  [name in keyof typeof flags]?: name extends "help" ? boolean : name extends "set" ? string[] : string;
};

/** What a run leaves in its folder. */
const runFiles = [checkpointName, "clock.json", "stderr.log", evaluatorLogName];

/** A mistake of the user or of the machine, in one sentence. */
class UsageError extends Error {}

function parse(args: readonly string[]): Values {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split(/\.\s/)[0]}; see --help`);
  }
}

/** A number of the command line. @throws UsageError when it is none, or outside the bounds */
function number(values: Values, name: "seconds" | "steps" | "seed" | "threads", low: number, high: number) {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  const whole = name === "seconds" || Number.isInteger(value);
  if (text.trim() === "" || !(value >= low && value <= high) || !whole) {
    const kind = name === "seconds" ? "number" : "whole number";
    throw new UsageError(`--${name} needs a ${kind} from ${low} to ${high}, got "${text}"`);
  }
  return value;
}

/** What ends the training. */
function budgetFlags(values: Values, seconds: number): Pick<RunOptions, "budgetSeconds" | "steps" | "clock"> {
  const given = (["seconds", "steps", "clock"] as const).filter((name) => values[name] !== undefined);
  if (given.length > 1) throw new UsageError(`--${given[0]} and --${given[1]} exclude each other`);
  if (values.steps !== undefined) return { steps: number(values, "steps", 1, 1e9) };
  if (values.clock === undefined) return { budgetSeconds: number(values, "seconds", 0.1, 1e6) ?? seconds };
  try {
    return { clock: parseClock(Deno.readTextFileSync(values.clock)) };
  } catch (error) {
    throw new UsageError(`--clock ${values.clock}: ${reasonOf(error)}`);
  }
}

/** The constants that --set names. */
function settings(codeRoot: string, words: readonly string[] | undefined): Config {
  return words === undefined ? {} : settingsOf(Deno.readTextFileSync(join(codeRoot, "trainer", "train.ts")), words);
}

/** The folder of the run: the code under test may write anywhere in it, so nothing of the user's may be there. */
function runFolderOf(values: Values, home: string): string {
  if (values.out === undefined) {
    const name = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    return join(home, "runs", `${name}-${crypto.randomUUID().slice(0, 4)}`);
  }
  const folder = resolve(values.out);
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      if (!runFiles.includes(name)) {
        throw new UsageError(`--out ${folder} holds ${name}: name a new folder, for the run may write anything there`);
      }
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return folder;
    throw error instanceof UsageError ? error : new UsageError(`--out ${folder}: ${reasonOf(error)}`);
  }
  return folder;
}

/** Runs another task of `deno.json`, which spells out its permissions. @returns what it printed */
async function task(root: string, args: string[], home: string, signal: AbortSignal): Promise<string> {
  const { success, code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...args],
    cwd: root,
    env: { RESEARCHSWARM_HOME: home },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    signal,
  }).output();
  signal.throwIfAborted();
  if (!success) {
    throw new UsageError(brokenTask(args[0], code, home) ?? `deno task ${args[0]} failed; its message stands above`);
  }
  return new TextDecoder().decode(stdout);
}

/** The last line that begins with `label`. */
function lineOf(text: string, label: string): string {
  const line = text.split("\n").findLast((candidate) => candidate.startsWith(label) && candidate !== "");
  if (line === undefined) throw new UsageError(`a task did not print what it should: ${text.trim().slice(-200)}`);
  return line.slice(label.length).trim();
}

/** What a phase of a run is called. */
const phases = { setup: "building the model", training: "training", scoring: "scoring" } as const;

/** On a terminal one line on stderr that is written over, elsewhere a line for each phase. */
class ProgressLine {
  readonly #terminal = Deno.stderr.isTerminal();
  #last = 0;

  show(text: string): void {
    if (!this.#terminal) return;
    const width = Deno.consoleSize().columns - 1;
    Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[2K${text.slice(0, width)}`));
  }

  events(): RunEvents {
    return {
      phase: (name) => this.#terminal ? this.show(phases[name]) : console.error(phases[name]),
      step: ({ step, loss, seconds, tokens, share }) => {
        if (performance.now() - this.#last < 200) return;
        this.#last = performance.now();
        const left = share > 0 ? Math.max(0, seconds / share - seconds) : 0;
        const speed = seconds > 0 ? Math.round(tokens / seconds) : 0;
        this.show(`step ${step} · loss ${loss.toFixed(4)} · ${speed} tokens/s · ${left.toFixed(0)} s left`);
      },
      scored: (share) => this.show(`scoring ${(100 * share).toFixed(0)} %`),
    };
  }
}

/** The summary of a scored run, a line each. @param checkpoint where its weights are */
function summary(result: RunResult, checkpoint: string): string {
  const lines: [string, string | null][] = [
    ["val_bpb", result.valBpb!.toFixed(6)],
    ["training_seconds", result.trainingSeconds.toFixed(1)],
    ["total_seconds", result.totalSeconds.toFixed(1)],
    ["peak_memory_mb", (result.peakBytes / 2 ** 20).toFixed(1)],
    ["mfu_percent", result.mfu === null ? null : (100 * result.mfu).toFixed(2)],
    ["total_tokens_M", (result.tokens / 1e6).toFixed(3)],
    ["epochs", result.epochs.toFixed(2)],
    ["num_steps", String(result.steps)],
    ["num_params_M", (result.parameters / 1e6).toFixed(2)],
    ["depth", result.depth === null ? null : String(result.depth)],
    ["evaluation_seconds", result.evaluationSeconds.toFixed(1)],
    ["forward_seconds", result.forwardSeconds.toFixed(1)],
    ["overhead_seconds", result.overheadSeconds.toFixed(1)],
    ["weights_sha256", result.weightsHash],
    ["checkpoint", checkpoint],
  ];
  return lines.filter(([, value]) => value !== null).map(([name, value]) => `${`${name}:`.padEnd(20)}${value}`).join(
    "\n",
  );
}

/** Everything of a run but the library and the data, checked before any work. */
function readCommand(values: Values) {
  if (values.source !== undefined && values.data !== undefined) {
    throw new UsageError("--source and --data exclude each other");
  }
  wishedDevice(values.device);
  const preset = presetOf(values.preset ?? defaultPreset("cpu"));
  const home = resolveHome();
  requirePermissions("train", [
    { name: "read", value: home },
    { name: "write", value: home },
    { name: "run", value: Deno.execPath() },
  ]);
  const codeRoot = fileURLToPath(new URL("../..", import.meta.url));
  const options = {
    codeRoot,
    runFolder: runFolderOf(values, home),
    ...budgetFlags(values, preset.budgetSeconds),
    seed: number(values, "seed", 0, 2 ** 32 - 1) ?? 42,
    configOverrides: { ...values.preset === undefined ? {} : preset.config, ...settings(codeRoot, values.set) },
    evaluationRows: preset.evaluationRows,
    threads: number(values, "threads", 1, 1024),
    measurePeak: true,
  };
  return { home, preset, options };
}

/** Library and data set, made where they are absent. */
async function provide(root: string, values: Values, preset: string, home: string, signal: AbortSignal) {
  const source = values.source?.startsWith("files:") ? `files:${resolve(values.source.slice(6))}` : values.source;
  const args = ["prepare", "--preset", preset, ...(source === undefined ? [] : ["--source", source])];
  // The data first: prepare builds the library while its packages are downloaded.
  const dataset = values.data === undefined
    ? lineOf(await task(root, args, home, signal), "dataset:")
    : resolve(values.data);
  const device = values.device === undefined ? [] : ["--device", values.device];
  const choice: DeviceChoice = JSON.parse(lineOf(await task(root, ["device", ...device], home, signal), ""));
  announceChoice(choice);
  const plans = choice.device === "cuda"
    ? await task(root, ["tune", "--once", "--preset", preset, ...device], home, signal)
    : "";
  return { libraryPath: choice.libraryPath, device: choice.device, deviceIndex: choice.index, plans, dataset };
}

/** @returns the exit code of a command that Ctrl-C has ended */
function interrupted(): number {
  console.error("train: interrupted");
  return 130;
}

/** @returns the exit code */
async function main(args: readonly string[]): Promise<number> {
  const values = parse(args);
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const { home, preset, options } = readCommand(values);
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => controller.abort());
  }
  const made = await provide(options.codeRoot, values, preset.name, home, controller.signal).catch((error) => {
    if (controller.signal.aborted) return null;
    throw error;
  });
  if (made === null) return interrupted();
  const line = new ProgressLine();
  const result = await runTraining({ ...options, ...made, signal: controller.signal }, line.events())
    .finally(() => line.show(""));
  if (result.status === "aborted") return interrupted();
  if (result.status !== "ok") {
    console.error(`train: ${result.status}: ${result.reason}`);
    return 1;
  }
  console.log(`---\n${summary(result, checkpointOf(options.runFolder))}`);
  return 0;
}

if (import.meta.main) {
  let code = 1;
  try {
    code = await main(Deno.args);
  } catch (error) {
    const expected = error instanceof UsageError || error instanceof DataError || !(error instanceof TypeError);
    console.error(`train: ${error instanceof Error ? (expected ? error.message : error.stack) : error}`);
  }
  Deno.exit(code);
}
