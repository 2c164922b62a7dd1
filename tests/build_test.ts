/**
 * `deno task build` without compiling anything: a stand-in for cmake on the PATH shows what the build does with success,
 * failure and company. That the real one works is what every other test of the library needs.
 * @module
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { resolveHome } from "../cuda/home.ts";
import { libraryHash, libraryPath, librarySources } from "../cuda/lib.ts";
import { testLibraryPath } from "./_library.ts";

const script = fileURLToPath(new URL("../cuda/build.ts", import.meta.url));
const skip = { ignore: Deno.build.os === "windows" };

interface Place extends Disposable {
  home: string;
  bin: string;
  log: () => string[];
}

/** A home folder and a PATH with a `cmake` that runs these lines of sh; `$folder` is the build folder. */
function place(cmake?: { configure?: string; build?: string }): Place {
  const root = Deno.makeTempDirSync(), bin = join(root, "bin"), logFile = join(root, "log");
  Deno.mkdirSync(bin);
  if (cmake) {
    Deno.writeTextFileSync(
      join(bin, "cmake"),
      `#!/bin/sh
echo "$1" >> '${logFile}'
if [ "$1" = -S ]; then
  folder=$4
  ${cmake.configure ?? ":"}
else
  folder=$2
  ${cmake.build ?? 'echo "[ 50%] Building"; echo built > "$folder/libresearchswarm_cpu.so"'}
fi
`,
      { mode: 0o755 },
    );
  }
  return {
    home: join(root, "home"),
    bin,
    log: () => Deno.readTextFileSync(logFile).trim().split("\n"),
    [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }),
  };
}

/** Another program on the PATH of a place. */
function program({ bin }: Place, name: string, lines: string): void {
  Deno.writeTextFileSync(join(bin, name), `#!/bin/sh\n${lines}`, { mode: 0o755 });
}

async function build(
  { home, bin }: Place,
  args = ["--device", "cpu"],
  flags = ["--allow-read", "--allow-write", "--allow-run=cmake"],
  env: Record<string, string> = {},
) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      ...flags,
      "--allow-env=RESEARCHSWARM_HOME,XDG_CACHE_HOME,HOME",
      script,
      ...args,
    ],
    env: { PATH: `${bin}:/bin:/usr/bin`, RESEARCHSWARM_HOME: home, NO_COLOR: "1", ...env },
  }).output();
  const text = (bytes: Uint8Array<ArrayBuffer>) => new TextDecoder().decode(bytes).trim().split("\n");
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

function files(folder: string): string[] {
  const found: string[] = [];
  for (const entry of Deno.readDirSync(folder)) {
    if (entry.isDirectory) found.push(...files(join(folder, entry.name)).map((name) => `${entry.name}/${name}`));
    else found.push(entry.name);
  }
  return found.sort();
}

Deno.test("a build ends with the library under the hash of its sources and its path on stdout", skip, async () => {
  using at = place({});
  const { code, stdout, stderr } = await build(at);
  const path = join(at.home, "lib", await libraryHash(), "libresearchswarm_cpu.so");
  assert.deepEqual([code, stdout], [0, [path]]);
  assert.match(stderr.join("\n"), /^building the cpu library .*\nbuilding the cpu library: 50 %\nbuilt /);
  assert.equal(await Deno.readTextFile(path), "built\n");
  const again = await build(at);
  assert.deepEqual([again.code, again.stdout, again.stderr], [0, [path], [""]]);
  assert.deepEqual(at.log(), ["-S", "--build"]);
});

Deno.test("the hash covers every source that the build compiles", async () => {
  const cuda = fileURLToPath(new URL("../cuda/", import.meta.url));
  const { stdout } = await new Deno.Command("git", { args: ["-C", cuda, "ls-files", "-co", "--exclude-standard"] })
    .output();
  const files = new TextDecoder().decode(stdout).trim().split("\n").filter((path) => !/\.(ts|sh)$/.test(path));
  assert.deepEqual(await librarySources("cuda"), files.sort());
  assert.deepEqual(await librarySources("cpu"), files.filter((path) => !path.startsWith("gpu/")));
});

Deno.test("two builds at once wait for each other, and the second finds what the first built", skip, async () => {
  using at = place({ build: 'sleep 1; echo built > "$folder/libresearchswarm_cpu.so"' });
  const results = await Promise.all([build(at), build(at), build(at)]);
  assert.deepEqual(results.map(({ code }) => code), [0, 0, 0]);
  assert.equal(new Set(results.map(({ stdout }) => stdout[0])).size, 1);
  assert(results.some(({ stderr }) => stderr.join() === "waiting for another build of the cpu library"));
  assert.deepEqual(at.log(), ["-S", "--build"]);
});

Deno.test("the CUDA build gets the architectures of this machine's GPUs that nvcc knows, each once", skip, async () => {
  const cases: [gpus: string, expected: string][] = [
    ["8.9\n8.6\n8.9\n", "86-real;89-real"],
    ["9.0\n", ""], // always there, with Hopper's own instructions
    ["7.5\n13.7\n", ""], // too old; newer than this nvcc
    ["[N/A]\n", ""],
  ];
  for (const [gpus, expected] of cases) {
    using at = place({
      build: 'echo built > "$folder/libresearchswarm_cuda.so"',
      configure: 'echo "$*" > "$folder/../../configured"',
    });
    program(at, "nvcc", 'if [ "$1" = --list-gpu-code ]; then printf "sm_75\\nsm_80\\nsm_86\\nsm_89\\nsm_90\\n"; fi');
    program(at, "nvidia-smi", `printf '${gpus.replaceAll("\n", "\\n")}'`);
    const flags = ["--allow-read", "--allow-write", "--allow-run"];
    const { code, stderr } = await build(at, ["--device", "cuda"], flags);
    assert.equal(code, 0, stderr.join("\n"));
    assert.deepEqual(at.log().slice(0, 1), ["-S"]);
    const configured = Deno.readTextFileSync(join(at.home, "configured"));
    assert.match(configured, new RegExp(`-DRS_CUDA_LOCAL_ARCHITECTURES=${expected}( |$)`, "m"));
  }
});

/** The compiler's cache beside a header, with a compiler that joins source and header. */
async function cacheOf(at: Place, compile: string) {
  const path = (name: string) => join(at.bin, name);
  await Deno.copyFile(fileURLToPath(new URL("../cuda/cached_compile.sh", import.meta.url)), path("cached_compile.sh"));
  program(at, "joins", `if [ "$1" = --version ]; then echo 1; else ${compile}; cat "$2" "\${2%.cu}.h" > "$4"; fi`);
  const write = (name: string, text: string) => Deno.writeTextFile(path(name), text);
  const run = async (name: string) => {
    const args = [path("joins"), "-c", path(`${name}.cu`), "-o", path(`${name}.o`)];
    const { code } = await new Deno.Command(path("cached_compile.sh"), { args: [path("cache"), ...args] }).output();
    return [code, code === 0 ? await Deno.readTextFile(path(`${name}.o`)) : ""];
  };
  return { path, write, run };
}

Deno.test(
  "an object of a header that was edited meanwhile is not kept, nor taken where it is empty",
  skip,
  async () => {
    using at = place();
    const { path, write, run } = await cacheOf(at, 'if [ -e "$0.edit" ]; then echo later > "${2%.cu}.h"; fi');
    await write("a.cu", "source\n");
    await write("a.h", "first\n");
    await write("joins.edit", "");
    assert.deepEqual(await run("a"), [0, "source\nlater\n"]);
    await Deno.remove(path("joins.edit"));
    await write("a.h", "first\n");
    assert.deepEqual(await run("a"), [0, "source\nfirst\n"]);
    for (const { name } of Deno.readDirSync(path("cache"))) await write(join("cache", name), "");
    assert.deepEqual(await run("a"), [0, "source\nfirst\n"]);
  },
);

Deno.test("compiles that clear the cache at the same time succeed", skip, async () => {
  using at = place();
  const { path, write, run } = await cacheOf(at, "sleep 0.2");
  await Deno.mkdir(path("cache"));
  const old = new Date(Date.now() - 20 * 86_400_000);
  for (let i = 0; i < 3000; i++) {
    await write(`cache/${i}.o`, "");
    Deno.utimeSync(path(`cache/${i}.o`), old, old);
  }
  const names = ["a", "b", "c", "d"];
  for (const name of names) await write(`${name}.cu`, name).then(() => write(`${name}.h`, ""));
  assert.deepEqual(await Promise.all(names.map(run)), names.map((name) => [0, name]));
  assert.equal([...Deno.readDirSync(path("cache"))].length, names.length);
});

Deno.test("an nvcc that is too old is named with its version", skip, async () => {
  using at = place({ build: 'echo built > "$folder/libresearchswarm_cuda.so"' });
  const flags = ["--allow-read", "--allow-write", "--allow-run=cmake,nvcc"]; // not the one of CUDA's own installer
  for (const [version, old] of [["11.5", true], ["12.4", true], ["12.5", false], ["13.0", false]]) {
    program(at, "nvcc", `echo "Cuda compilation tools, release ${version}, V${version}.88"`);
    const { code, stderr } = await build(at, ["--device", "cuda"], flags);
    const sentence = `nvcc is of CUDA ${version}: the CUDA build needs the CUDA toolkit, 12.5 or newer`;
    assert.deepEqual([code, stderr.includes(sentence)], old ? [1, true] : [0, false], stderr.join("\n"));
  }
});

/** The real library of the CPU in a place's home. */
async function giveCpuLibrary({ home }: Place): Promise<void> {
  const path = await libraryPath(home);
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.copyFile(testLibraryPath, path);
}

Deno.test("a GPU that may not be looked for is not said to be absent", skip, async () => {
  using at = place();
  await giveCpuLibrary(at);
  program(at, "nvidia-smi", "echo 'GPU 0: NVIDIA H100'");
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--allow-read",
      "--allow-env",
      "--allow-ffi",
      fileURLToPath(new URL("../cuda/device.ts", import.meta.url)),
    ],
    env: { PATH: `${at.bin}:/bin:/usr/bin`, RESEARCHSWARM_HOME: at.home, RESEARCHSWARM_DEVICE: "" },
  }).output();
  const { device, reason } = JSON.parse(new TextDecoder().decode(stdout));
  assert.deepEqual([device, reason], ["cpu", "looking for a GPU needs the permission --allow-run=nvidia-smi"]);
});

Deno.test("tests of the GPU fail where the CUDA build does, and are skipped without a GPU", skip, async () => {
  using at = place({
    // Nor can there be an emulated one.
    configure: 'case "$2" in *emulator) echo "Could NOT find CUDAToolkit" >&2; exit 1; esac',
    build: 'echo "x.cu(1): error: expected a ;" >&2; exit 1',
  });
  await giveCpuLibrary(at);
  program(at, "nvcc", "echo release 13.0");
  const script = fileURLToPath(new URL("_cuda.ts", import.meta.url));
  for (const [gpus, code, message] of [["0", 1, /: x\.cu\(1\): error: expected a ;/], ["", 0, /^no CUDA: /]] as const) {
    program(at, "nvidia-smi", `printf '${gpus}'`);
    const done = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "-A", script],
      env: { PATH: `${at.bin}:/bin:/usr/bin`, RESEARCHSWARM_HOME: at.home, NO_COLOR: "1" },
    }).output();
    assert.equal(done.code, code);
    assert.match(new TextDecoder().decode(code === 0 ? done.stdout : done.stderr), message);
  }
});

Deno.test("a build folder that CMake made with another compiler is made anew, with all flags", skip, async () => {
  using at = place({
    configure: `if [ -e "$folder/CMakeCache.txt" ]; then
      echo "You have changed variables that require your cache to be deleted." >&2
      echo "CXX changed" > "$folder/CMakeCache.txt"
    else mkdir -p "$folder" && echo whole > "$folder/CMakeCache.txt"; fi`,
    build: 'cp "$folder/CMakeCache.txt" "$folder/libresearchswarm_cpu.so"',
  });
  for (let time = 0; time < 2; time++) {
    const { code, stdout } = await build(at);
    assert.equal(code, 0);
    assert.equal(await Deno.readTextFile(stdout[0]), "whole\n");
    await Deno.remove(stdout[0]);
  }
});

Deno.test("a compiler that is named after another one did not work is used", skip, async () => {
  using at = place({
    // CMake asks CXX the first time only.
    configure:
      `if [ ! -e "$folder/CMakeCache.txt" ]; then mkdir -p "$folder" && echo "$CXX" > "$folder/CMakeCache.txt"; fi
  if grep -q broken "$folder/CMakeCache.txt"; then echo "is not able to compile a simple test program" >&2; exit 1; fi`,
  });
  const broken = await build(at, undefined, undefined, { CXX: "broken" });
  assert.match(broken.stderr.at(-1)!, /^no working C\+\+ compiler was found: .* or name one in CXX$/);
  const { code, stderr } = await build(at, undefined, undefined, { CXX: "works" });
  assert.equal(code, 0, stderr.join("\n"));
});

for (
  const [what, cmake, expected] of [
    ["no C++ compiler", {
      configure: 'echo "CMake Error: No CMAKE_CXX_COMPILER could be found." >&2; exit 1',
    }, /^no working C\+\+ compiler was found: install g\+\+ or clang\+\+/],
    ["an error in the sources", {
      build: 'echo "x.cpp:1:2: error: expected ;" >&2; exit 2',
    }, /^the library could not be built: x\.cpp:1:2: error: expected ;$/],
    ["a full disk", {
      build: 'echo "fatal error: error writing to x.o: No space left on device" >&2; exit 1',
    }, /^the disk is full: the library could not be built/],
    ["an old CMake", {
      configure: 'echo "CMake 3.16 or higher is required.  You are running version 3.5" >&2; exit 1',
    }, /^this CMake is too old/],
    ["a build that leaves no library", { build: ":" }, /^CMake left no library/],
  ] as const
) {
  Deno.test(`${what} ends in one sentence, exit code 1 and no library`, skip, async () => {
    using at = place(cmake);
    const { code, stdout, stderr } = await build(at);
    assert.deepEqual([code, stdout], [1, [""]]);
    assert.match(stderr.filter((line) => !line.startsWith("building"))[0], expected);
    assert.deepEqual(files(at.home).filter((name) => name.startsWith("lib/")), []);
  });
}

Deno.test("without cmake the error says what to install", skip, async () => {
  using at = place();
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--allow-read",
      "--allow-write",
      "--allow-run",
      "--allow-env",
      script,
    ],
    env: { PATH: at.bin, RESEARCHSWARM_HOME: at.home, NO_COLOR: "1" },
  }).output();
  assert.equal(code, 1);
  assert.equal(new TextDecoder().decode(stdout), "");
  assert.match(
    new TextDecoder().decode(stderr),
    /\ncmake was not found: install CMake 3\.16 or newer and a C\+\+17 compiler\n$/,
  );
});

Deno.test("a missing permission is named with its flag", skip, async () => {
  using at = place({});
  const noRun = await build(at, undefined, ["--allow-read", "--allow-write"]);
  assert.equal(noRun.code, 1);
  assert.match(noRun.stderr.at(-1)!, /needs the permission --allow-run=cmake$/);
  const noWrite = await build(at, undefined, ["--allow-read", "--allow-run=cmake"]);
  assert.equal(noWrite.code, 1);
  assert.match(noWrite.stderr.at(-1)!, /needs read and write access: --allow-read --allow-write=/);
});

Deno.test("a home that can't be a folder is named", skip, async () => {
  using at = place({});
  const { code, stderr } = await build({ ...at, home: join(at.bin, "cmake", "home") });
  assert.equal(code, 1);
  assert.match(stderr.at(-1)!, /bin\/cmake\/home can't be written .*: set RESEARCHSWARM_HOME to a folder that can$/);
});

Deno.test("--help explains, and an unknown argument is refused", skip, async () => {
  using at = place({});
  const help = await build(at, ["--help"]);
  assert.equal(help.code, 0);
  assert.match(help.stdout.join("\n"), /usage: deno task build/);
  for (const args of [["--what"], ["--home", "x"], ["--device"], ["file"]]) {
    const { code, stderr } = await build(at, args);
    assert.equal(code, 1);
    assert.match(stderr.join("\n"), /^(unknown argument .*, see --help|--device needs cpu or cuda)$/);
  }
});

Deno.test("the home folder is RESEARCHSWARM_HOME, else the user's cache folder", () => {
  const names = ["RESEARCHSWARM_HOME", "XDG_CACHE_HOME", "HOME"], before = names.map((name) => Deno.env.get(name));
  const set = (values: (string | undefined)[]) =>
    names.forEach((name, i) => values[i] === undefined ? Deno.env.delete(name) : Deno.env.set(name, values[i]!));
  try {
    set(["/a/home", "/b", "/c"]);
    assert.equal(resolveHome(), "/a/home");
    set(["", "/b", "/c"]);
    assert.equal(resolveHome(), "/b/researchswarm");
    set([undefined, undefined, "/c"]);
    assert.match(resolveHome(), /^\/c\/(\.cache|Library\/Caches)\/researchswarm$/);
    set([undefined, undefined, undefined]);
    assert.throws(resolveHome, /there is no home folder: set RESEARCHSWARM_HOME/);
  } finally {
    set(before);
  }
});
