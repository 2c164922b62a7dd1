/** `--run-prepare` and `--run-train` really run, and nothing runs without them. */
import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { options } from "../../router/cli/commands.ts";
import { presetNames } from "../../trainer/presets.ts";
import { testLibraryPath } from "../_library.ts";
import { root, Scratch } from "./_cli.ts";

const task = "Prepare the data and run a baseline training experiment";
const run = `--allow-run=${Deno.execPath()}`;

/** A home folder with the library, so that nothing has to be built, and a text to train on. */
function homeOf(scratch: Scratch): { env: Record<string, string>; source: string } {
  const home = join(scratch.folder, "home");
  const library = dirname(testLibraryPath);
  const folder = join(home, "lib", basename(library));
  Deno.mkdirSync(folder, { recursive: true });
  for (const { name } of Deno.readDirSync(library)) Deno.copyFileSync(join(library, name), join(folder, name));
  // Enough different words for the vocabulary of the smallest preset.
  const texts = join(scratch.folder, "texts");
  Deno.mkdirSync(texts);
  let seed = 5;
  const random = (n: number) => (seed = (Math.imul(seed, 48271) >>> 0) % 2147483647) % n;
  const word = () => Array.from({ length: 2 + random(7) }, () => String.fromCharCode(97 + random(26))).join("");
  const words = Array.from({ length: 3000 }, word);
  for (let i = 0; i < 200; i++) {
    const text = Array.from({ length: 300 }, () => words[Math.min(random(3000), random(3000))]).join(" ");
    Deno.writeTextFileSync(join(texts, `${i}.txt`), `Text ${i}. ${text}\n`);
  }
  return { env: { RESEARCHSWARM_HOME: home }, source: `files:${texts}/*.txt` };
}

Deno.test("without its flag nothing prepares or trains: the steps are planned", async () => {
  using scratch = new Scratch();
  const { code, json } = await scratch.run([task], { flags: [run] });
  assert.equal(code, 0);
  assert.equal(json.domain, "text-based");
  assert.equal(json.status, "planned");
  assert.ok(json.plan.steps.every(({ state }: { state: string }) => state === "planned"));
  assert.ok(json.executions.every(({ status }: { status: string }) => status === "planned"));
});

Deno.test("a missing permission is one sentence with the exact flag, before anything is done", async () => {
  using scratch = new Scratch();
  for (const flag of ["--run-train", "--run-prepare"]) {
    const { code, out, err } = await scratch.run([flag, task]);
    assert.equal(code, 3);
    assert.equal(out, "");
    assert.equal(err, `error: ${flag} needs --allow-run=deno before the name of the script\n`);
    assert.throws(() => Deno.statSync(scratch.db));
  }
});

Deno.test("--run-prepare and --run-train really prepare and train, and the output holds the score", async () => {
  using scratch = new Scratch();
  const { env, source } = homeOf(scratch);
  const given = ["--preset", "cpu-tiny", "--seconds", "2", "--source", source];
  const { code, json, err } = await scratch.run(["--run-prepare", "--run-train", ...given, task], {
    flags: [run],
    env,
  });
  assert.equal(code, 0, err);
  assert.equal(json.status, "done", JSON.stringify(json.executions));
  assert.match(json.output, /deno task prepare --preset cpu-tiny --source files:/);
  assert.match(json.output, /deno task train --preset cpu-tiny/);
  assert.match(json.output, /^val_bpb: +\d+\.\d+$/m);
  assert.ok([...Deno.readDirSync(join(env.RESEARCHSWARM_HOME, "data"))].length > 0);
  assert.equal([...Deno.readDirSync(join(env.RESEARCHSWARM_HOME, "runs"))].length, 1);
});

Deno.test("a preset that there is not, and a number that is none, are refused before anything runs", async () => {
  using scratch = new Scratch();
  const cases: [string[], RegExp][] = [
    [["--preset", "nope"], /^error: --preset must be h100 or .* or cpu-tiny, got "nope"; see --help\n$/],
    [["--hours", "many"], /^error: --hours needs a number, got "many"; see --help\n$/],
  ];
  for (const [args, message] of cases) {
    const { code, out, err } = await scratch.run(["--run-train", ...args, task], { flags: [run] });
    assert.deepEqual([code, out], [2, ""]);
    assert.match(err, message);
  }
});

Deno.test("the command line knows the trainer's presets", () => {
  assert.deepEqual(options.preset.choices, presetNames);
});

Deno.test("what failed is to be tried by hand with the options that were given", async () => {
  using scratch = new Scratch();
  const { env } = homeOf(scratch);
  const given = ["--preset", "cpu-tiny", "--source", "files:/none/*.txt", "--seconds", "2", "--hours", "0.1"];
  const { code, json } = await scratch.run(["--run-train", ...given, "Run a baseline training experiment"], {
    flags: [run],
    env,
  });
  assert.equal(code, 1);
  assert.match(
    json.executions[0].message,
    /Command to try by hand: `deno task overnight --preset cpu-tiny --source 'files:\/none\/\*\.txt' --seconds 2 --hours 0\.1`/,
  );
});

Deno.test("--run-prepare alone does not train; a failure is a failed task with its exit code", async () => {
  using scratch = new Scratch();
  const { env, source } = homeOf(scratch);
  // CUDA's installer sets LD_LIBRARY_PATH, which Deno hands on to no program that is allowed by name alone.
  const prepared = await scratch.run(["--run-prepare", "--preset", "cpu-tiny", "--source", source, task], {
    flags: [run],
    env: { ...env, LD_LIBRARY_PATH: scratch.folder },
  });
  assert.equal(prepared.code, 0, prepared.err);
  assert.notEqual(prepared.json.status, "done");
  assert.match(prepared.json.output, /deno task prepare/);
  assert.throws(() => Deno.statSync(join(env.RESEARCHSWARM_HOME, "runs")));
  const failed = await scratch.run(["--run-prepare", "--preset", "cpu-tiny", "--source", "files:/none/*.txt", task], {
    flags: [run],
    env,
  });
  assert.equal(failed.code, 1, failed.out);
  assert.equal(failed.json.status, "failed");
  assert.match(failed.err, /prepare: /);
});

Deno.test("training that waits for a person is not run", async () => {
  using scratch = new Scratch();
  const { env } = homeOf(scratch);
  const { code, json, err } = await scratch.run(
    // Bounded, should it be run all the same.
    [
      "--run-train",
      "--preset",
      "cpu-tiny",
      "--seconds",
      "2",
      "Swap the GPU in worker-21, then run a baseline training experiment",
    ],
    { flags: [run], env },
  );
  assert.equal(code, 0, err);
  assert.equal(json.status, "awaiting-human");
  assert.deepEqual(json.executions, []);
  assert.deepEqual(json.plan.steps.map(({ state }: { state: string }) => state), ["handed-over", "waiting"]);
  assert.match(err, /step 2 waits for a person and was not run/);
  assert.throws(() => Deno.statSync(join(env.RESEARCHSWARM_HOME, "runs")));
});

Deno.test("the flags do nothing to a task that trains nothing, and say so", async () => {
  using scratch = new Scratch();
  const { code, err } = await scratch.run(["--run-train", "Reseat the GPU power cable"], { flags: [run] });
  assert.equal(code, 0);
  assert.match(err, /nothing of this task prepares or trains/);
});

Deno.test("the tasks that the flags start exist", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(join(root, "deno.json")));
  for (const name of ["prepare", "train", "overnight"]) assert.equal(typeof tasks[name], "string", name);
});
