/** The tasks of deno.json as a shell runs them: odd places, and what is missing in the environment. */
import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { testLibraryPath } from "./_library.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Runs a task; an empty variable is as good as none. */
async function task(args: string[], env: Record<string, string>, deno = Deno.execPath()) {
  const { code, stdout, stderr } = await new Deno.Command(deno, {
    args: ["task", "--quiet", ...args],
    cwd: root,
    env: { NO_COLOR: "1", PATH: `${dirname(deno)}:/usr/bin:/bin`, ...env },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  return { code, out, err };
}

Deno.test("a home folder with a space is one folder, and one with a comma is refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const home = join(folder, "a home");
    const library = join(home, "lib", basename(dirname(testLibraryPath)), basename(testLibraryPath));
    await Deno.mkdir(dirname(library), { recursive: true });
    await Deno.copyFile(testLibraryPath, library);
    const { code, out, err } = await task(["device", "--device", "cpu"], { RESEARCHSWARM_HOME: home });
    assert.equal(code, 0, err);
    assert.equal(JSON.parse(out).libraryPath, library);
    const comma = await task(["device"], { RESEARCHSWARM_HOME: "/a,b" });
    assert.deepEqual([comma.code, comma.err], [
      1,
      "set RESEARCHSWARM_HOME to a folder without a comma in its path, not /a,b",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("without any home folder each task says what to set, in one line", async () => {
  const { DENO_DIR, HOME } = Deno.env.toObject();
  const env = { RESEARCHSWARM_HOME: "", XDG_CACHE_HOME: "", HOME: "", DENO_DIR: DENO_DIR ?? `${HOME}/.cache/deno` };
  for (const args of ["build", "device", "tune", "prepare", "train", "bench train", "overnight"]) {
    const { code, err } = await task(args.split(" "), env);
    assert.equal(code, 1);
    assert.match(err, /^([a-z ]+: )?there is no home folder: set RESEARCHSWARM_HOME to a folder [^\n]*$/, args);
  }
});

Deno.test("a home folder that cannot be written is one sentence to a session", async () => {
  const file = await Deno.makeTempFile();
  try {
    const home = join(file, "home");
    for (
      const [args, tag] of [[["overnight", "--preset", "cpu-tiny", "--tag", "a"], "a"], [["demo"], "demo-[0-9-]+"]]
    ) {
      const { code, err } = await task(args as string[], { RESEARCHSWARM_HOME: home });
      assert.equal(code, 1);
      const folder = `${home}/sessions/${tag}`;
      assert.match(err, new RegExp(`^${folder} can't be written \\(Not a directory\\): set RESEARCHSWARM_HOME to .*$`));
    }
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a session without git says that git is missing, not a permission", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.symlink(Deno.execPath(), join(folder, "deno"));
    for (const name of ["overnight", "demo"]) {
      const { code, err } = await task([name], { PATH: folder, RESEARCHSWARM_HOME: join(folder, "home") });
      // Deno's own remark stands before it.
      assert.deepEqual([code, err.split("\n").at(-1)], [1, "git was not found; install it and try again"]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a deno below a folder with spaces runs the tasks that start processes", async () => {
  const folder = await Deno.makeTempDir({ prefix: "a folder " });
  try {
    const deno = join(folder, "deno");
    await Deno.copyFile(Deno.execPath(), deno);
    for (const name of ["train", "overnight", "demo"]) {
      const { code, out, err } = await task([name, "--help"], {}, deno);
      assert.equal(code, 0, err);
      assert.match(out, new RegExp(`usage: deno task ${name} `));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tune refuses a preset that there is not, on the CPU too", async () => {
  const { code, err } = await task(["tune", "--preset", "huge", "--device", "cpu"], {});
  assert.deepEqual([code, err], [
    1,
    'tune: there is no preset "huge"; there are h100, upstream, gpu-small, cpu, cpu-tiny',
  ]);
});

Deno.test("a device that cannot be read is refused before any work, in the environment too", async () => {
  const home = join(await Deno.makeTempDir(), "home");
  const wrong = 'the device must be auto, cpu, cuda or cuda:N, got "tpu"';
  for (const name of ["device", "tune", "bench train", "train", "overnight", "demo"]) {
    const by = async (args: string[], device: string, message: string) => {
      const env = { RESEARCHSWARM_HOME: home, RESEARCHSWARM_DEVICE: device };
      const { code, err } = await task([...name.split(" "), ...args], env);
      assert.notEqual(code, 0);
      assert.equal(err.replace(/^(tune|bench train|train): /, ""), message);
    };
    await by([], "tpu", `RESEARCHSWARM_DEVICE: ${wrong}`);
    await by(["--device", "tpu"], "cpu", wrong);
  }
  await assert.rejects(Deno.stat(home), Deno.errors.NotFound);
  await Deno.remove(dirname(home));
});

Deno.test("a session that cannot have a library says why, not what it was doing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const cmake = 'echo "/x.cpp:1: error: expected ;" >&2; echo "and so on" >&2; exit 1';
    await Deno.writeTextFile(join(folder, "cmake"), `#!/bin/sh\n${cmake}\n`, { mode: 0o755 });
    const env = {
      PATH: `${folder}:${dirname(Deno.execPath())}:/usr/bin:/bin`,
      RESEARCHSWARM_HOME: join(folder, "home"),
      RESEARCHSWARM_DEVICE: "cpu",
    };
    for (const [args, prefix] of [[[], ""], [["--preset", "cpu-tiny"], "prepare: "]] as const) {
      const { code, err } = await task(["overnight", "--experiments", "0", ...args], env);
      const [reason] = err.split("\n").slice(-1);
      assert.deepEqual([code, reason], [1, `${prefix}the library could not be built: /x.cpp:1: error: expected ;`]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a library file that was cut short is suspected where it ends a task without a word", async () => {
  const home = await Deno.makeTempDir();
  try {
    const library = join(home, "lib", basename(dirname(testLibraryPath)), basename(testLibraryPath));
    await Deno.mkdir(dirname(library), { recursive: true });
    await Deno.writeFile(library, (await Deno.readFile(testLibraryPath)).subarray(0, 20000));
    const env = { RESEARCHSWARM_HOME: home, RESEARCHSWARM_DEVICE: "cpu" };
    for (const [name, prefix] of [["train", "train: "], ["overnight", ""]]) {
      const { code, err } = await task([name, "--seconds", "1", "--data", home], env);
      const reason =
        "was ended by a signal \\(exit code 1\\d\\d\\): the library may be damaged; remove .*/lib and try again";
      assert.equal(code, 1);
      assert.match(err, new RegExp(`^${prefix}deno task device ${reason}$`));
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("the help of the demo names what its errors suggest", async () => {
  const { code, out } = await task(["demo", "--help"], {});
  assert.equal(code, 0);
  for (const option of ["--preset NAME", "--tag TAG", "--resume [TAG]"]) assert.ok(out.includes(option), option);
});
