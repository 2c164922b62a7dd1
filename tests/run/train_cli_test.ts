/** `deno task train` as a user meets it: its summary, its exit codes, and one sentence for everything that is wrong. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Bench } from "./_fixture.ts";
import { processesWith } from "../_processes.ts";
import { copyLibraries } from "../_library.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const script = join(root, "trainer/run/train_cli.ts");
const bench = await Bench.create();
const home = join(bench.folder, "home");
await copyLibraries(home);
globalThis.addEventListener("unload", () => Deno.removeSync(bench.folder, { recursive: true }));

/** The flags of the task in `deno.json`, so that it is the task that is tested. */
function taskFlags(): string[] {
  const task: string = JSON.parse(Deno.readTextFileSync(join(root, "deno.json"))).tasks.train;
  const flags = task.replace(/^unset [A-Z_ ]+ && /, "")
    .replace("$(deno eval 'console.log(Deno.execPath())')", Deno.execPath()).replaceAll('"', "").split(" ");
  if (flags[0] !== "deno" || flags.at(-1) !== "trainer/run/train_cli.ts") throw new Error(`unexpected task: ${task}`);
  if (flags.includes("-A") || flags.includes("--allow-all")) throw new Error("the task grants everything");
  return flags.slice(1, -1);
}

const command = (args: string[], flags = taskFlags(), env: Record<string, string> = { RESEARCHSWARM_HOME: home }) =>
  new Deno.Command(Deno.execPath(), {
    args: [...flags, "--no-check", script, ...args],
    cwd: bench.folder,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });

async function run(args: string[], flags?: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await command(args, flags).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

const mistakes: [string, string[], RegExp][] = [
  ["an unknown flag", ["--step", "3"], /Unknown option '--step'/],
  ["an argument", ["cpu"], /Unexpected argument 'cpu'/],
  ["an unknown preset", ["--preset", "tpu"], /there is no preset "tpu"; there are/],
  ["a constant that is none", ["--set", "depht=6"], /--set depht=6: there is no constant depht/],
  ["no steps", ["--steps", "0"], /--steps needs a whole number from 1 to/],
  ["half a step", ["--steps", "1.5"], /--steps needs a whole number/],
  ["a budget that is none", ["--seconds", "soon"], /--seconds needs a number from 0.1/],
  ["a seed that is too large", ["--seed", "4294967296"], /--seed needs a whole number from 0 to 4294967295/],
  ["a value that looks like a flag", ["--seconds", "-1"], /Option '--seconds' argument is ambiguous; see --help/],
  ["more threads than there can be", ["--threads", "1025"], /--threads needs a whole number from 1 to 1024/],
  ["steps and seconds", ["--steps", "3", "--seconds", "3"], /--seconds and --steps exclude each other/],
  ["source and data", ["--source", "sotu", "--data", "x"], /--source and --data exclude each other/],
  ["a device that is not there", ["--device", "tpu"], /the device must be auto, cpu, cuda or cuda:N, got "tpu"/],
  ["a clock that is missing", ["--clock", "none.json"], /--clock none\.json: /],
  ["a clock that is none", ["--clock", "data/manifest.json"], /a clock is an array/],
  ["a folder that holds something else", ["--out", "data"], /--out .*data holds .*: name a new folder/],
  ["a folder that is a file", ["--out", "data/manifest.json"], /--out .*manifest\.json: /],
  ["a folder that permissions cannot name", ["--data", "data", "--out", "a,b"], /permissions cannot name .*a,b: /],
  ["a data set that is none", ["--data", "code", "--steps", "1"], /code is no prepared data set/],
];

Deno.test("each mistake on the command line is one sentence and exit code 1, and leaves nothing", async () => {
  const problems: string[] = [];
  const check = async ([name, args, message]: (typeof mistakes)[number]) => {
    const { code, out, err } = await run(args);
    const lines = err.trim().split("\n");
    if (code !== 1 || out !== "" || lines.length !== 1 || !lines[0].startsWith("train: ") || !message.test(err)) {
      problems.push(`${name}: code ${code}, ${err}${out}`);
    }
  };
  for (let at = 0; at < mistakes.length; at += 3) await Promise.all(mistakes.slice(at, at + 3).map(check));
  const runs = [...Deno.readDirSync(join(home, "runs"))].map(({ name }) => name);
  if (runs.length > 0) problems.push(`runs that wrote nothing left ${runs}`);
  if (problems.length > 0) throw new Error(problems.join("\n"));
});

Deno.test("a missing permission is named before any work", async () => {
  const flags = taskFlags().filter((flag) => !flag.startsWith("--allow-run"));
  const { code, err } = await run(["--steps", "1", "--data", "data"], flags);
  if (code !== 1 || !err.includes(`--allow-run=${Deno.execPath()}`)) throw new Error(`code ${code}: ${err}`);
});

Deno.test("--help has every option", async () => {
  const { code, out } = await run(["--help"]);
  const names = ["preset", "set", "seconds", "steps", "clock", "seed", "source", "data", "out", "device", "threads"];
  for (const name of names) if (!out.includes(`--${name} `)) throw new Error(`--${name} is missing`);
  if (code !== 0) throw new Error(`exit code ${code}`);
});

Deno.test("train.ts is trained and scored, each phase is said, and the summary has the lines of the peer", async () => {
  const args = "--preset cpu-tiny --data data --out out --steps 1 --seed 7 --set depth=2".split(" ");
  const { code, out, err } = await run(args);
  if (code !== 0) throw new Error(`exit code ${code}: ${err}`);
  if (err !== "building the model\ntraining\nscoring\n") throw new Error(`without a terminal, a line a phase: ${err}`);
  const values = new Map(out.trim().split("\n").slice(1).map((line) => line.split(/: +/) as [string, string]));
  const wanted: [string, RegExp][] = [
    ["val_bpb", /^\d\.\d{6}$/],
    ["training_seconds", /^\d+\.\d$/],
    ["total_seconds", /^\d+\.\d$/],
    ["peak_memory_mb", /^\d+\.\d$/],
    ["mfu_percent", /^\d+\.\d\d$/],
    ["total_tokens_M", /^0\.004$/],
    ["epochs", /^\d\.\d\d$/],
    ["num_steps", /^1$/],
    ["num_params_M", /^0\.\d\d$/],
    ["depth", /^2$/],
    ["checkpoint", /^\/.*\/out\/checkpoint\.safetensors$/],
  ];
  for (const [name, pattern] of wanted) {
    if (!pattern.test(values.get(name) ?? "")) throw new Error(`${name} is ${values.get(name)} in\n${out}`);
  }
  const left = [...Deno.readDirSync(join(bench.folder, "out"))].map(({ name }) => name).sort();
  if (left.join() !== "checkpoint.safetensors,clock.json,stderr.log") throw new Error(`left ${left}`);
});

Deno.test("Ctrl-C ends a run and its processes with exit code 130", async () => {
  const child = command(["--preset", "cpu-tiny", "--data", "data", "--out", "stopped", "--seconds", "60"]).spawn();
  const folder = join(bench.folder, "stopped");
  const workers = () => processesWith(`--allow-write=${folder}`);
  const end = performance.now() + 20_000;
  while (workers().length === 0) {
    if (performance.now() > end) throw new Error("there was no worker within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill("SIGINT");
  const { code, stderr } = await child.output();
  const err = new TextDecoder().decode(stderr);
  if (code !== 130 || !err.endsWith("train: interrupted\n")) throw new Error(`exit code ${code}: ${err}`);
  if (workers().length > 0) throw new Error("its worker trains on");
  const left = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".tmp"));
  if (left.length > 0) throw new Error(`left ${left}`);
});

Deno.test("Ctrl-C while the library is built ends with exit code 130 too", async () => {
  const [tools, begun] = [join(bench.folder, "tools"), join(bench.folder, "begun")];
  await Deno.mkdir(tools);
  await Deno.writeTextFile(join(tools, "cmake"), `#!/bin/sh\ntouch ${begun}\nexec sleep 3\n`, { mode: 0o755 });
  const env = { RESEARCHSWARM_HOME: join(bench.folder, "new"), PATH: `${tools}:${Deno.env.get("PATH")}` };
  const child = command(["--data", "data", "--device", "cpu"], taskFlags(), env).spawn();
  for (const end = performance.now() + 20_000; !await Deno.stat(begun).catch(() => null);) {
    if (performance.now() > end) throw new Error("no build began within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill("SIGINT");
  const { code, stderr } = await child.output();
  const err = new TextDecoder().decode(stderr);
  if (code !== 130 || !err.endsWith("train: interrupted\n")) throw new Error(`exit code ${code}: ${err}`);
});
