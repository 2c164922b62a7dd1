/**
 * Builds the kernel library with CMake when the one of these sources is absent, and is `deno task build`.
 * Written under a temporary name and renamed: a library that is loaded is never overwritten, a half-written one never
 * found. Two builds of one home folder wait for each other.
 * @module
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { resolveHome } from "./home.ts";
import { type Device, findLibrary, libraryFile, libraryPath, sourceFolder } from "./lib.ts";

/** How to build. */
export interface BuildOptions {
  /** Which build; `cpu` by default. `cuda` needs nvcc. */
  device?: Device;
  /** Called with each line of progress; they go to stderr when absent. */
  onProgress?: (line: string) => void;
}

/** A build that ended without a library: one sentence, and the compiler's own words in `details`. */
export class BuildError extends Error {
  /** Name of the class, as errors print it. */
  override name = "BuildError";
  /** What the compiler said, or "". */
  readonly details: string;
  /**
   * Creates one.
   * @param message one sentence
   * @param details what the compiler said
   */
  constructor(message: string, details = "", options?: ErrorOptions) {
    super(message, options);
    this.details = details;
  }
}

/** Runs a program, hands on its lines, and returns its output; a sentence says what it is for when it is missing. */
async function runProgram(
  program: string,
  args: string[],
  onLine: (line: string) => void,
): Promise<{ success: boolean; output: string }> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new BuildError(`${program} was not found: install CMake 3.16 or newer and a C++17 compiler`, "", { cause });
    }
    if (cause instanceof Deno.errors.NotCapable) {
      throw new BuildError(`building the library needs the permission --allow-run=${program}`, "", { cause });
    }
    throw cause;
  }
  let output = "";
  async function drain(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      output += text;
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      lines.forEach(onLine);
    }
    if (rest) onLine(rest);
  }
  const [status] = await Promise.all([child.status, drain(child.stdout), drain(child.stderr)]);
  return { success: status.success, output };
}

/** Says in one sentence why CMake or the compiler failed. */
function explain(output: string): BuildError {
  const details = output.split("\n").filter((line) => /error|fatal|No space/i.test(line)).slice(0, 20).join("\n");
  if (/No space left on device/.test(output)) {
    return new BuildError("the disk is full: the library could not be built (it needs about 50 MB)", details);
  }
  if (/CUDA compiler|CMAKE_CUDA_COMPILER|unsupported GNU version/.test(output)) {
    return new BuildError("nvcc does not work: it needs a C++ compiler that it knows, named in CUDAHOSTCXX", details);
  }
  if (/CMAKE_CXX_COMPILER|No CMAKE_CXX|not able to compile a simple test program/.test(output)) {
    return new BuildError(
      "no working C++ compiler was found: install g++ or clang++ (C++17), or name one in CXX",
      details,
    );
  }
  if (/CMake [\d.]+ or higher is required/.test(output)) {
    return new BuildError("this CMake is too old: install CMake 3.16 or newer", details);
  }
  const first = details.split("\n")[0] || "CMake says no more";
  return new BuildError(`the library could not be built: ${first}`, details || output.slice(-2000));
}

/** A file system's refusals in one sentence. */
function explainFile(cause: unknown, home: string): unknown {
  if (cause instanceof BuildError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  if (/No space left|os error 28/.test(text)) {
    return new BuildError(`the disk of ${home} is full: the library could not be built (it needs about 50 MB)`, "", {
      cause,
    });
  }
  if (cause instanceof Deno.errors.NotCapable) {
    return new BuildError(`building the library needs read and write access: --allow-read --allow-write=${home}`, "", {
      cause,
    });
  }
  if (cause instanceof Deno.errors.PermissionDenied || /os error (13|20|30)/.test(text)) {
    return new BuildError(`${home} can't be written (${text}): set RESEARCHSWARM_HOME to a folder that can`, "", {
      cause,
    });
  }
  return cause;
}

/**
 * Where nvcc is: on the PATH, or where CUDA's own installer puts it; the first that is new enough.
 * @throws BuildError when there is none
 */
export async function findCudaCompiler(): Promise<string> {
  const wanted = "the CUDA build needs the CUDA toolkit, 12.5 or newer";
  let problem = `nvcc was not found: ${wanted}`;
  for (const path of ["nvcc", "/usr/local/cuda/bin/nvcc"]) {
    try {
      const child = new Deno.Command(path, { args: ["--version"], stdin: "null", stdout: "piped", stderr: "null" });
      const { success, stdout } = await child.output();
      if (!success) continue;
      const [, major, minor] = /release (\d+)\.(\d+)/.exec(new TextDecoder().decode(stdout)) ?? [];
      const tooOld = Number(major) < 12 || (major === "12" && Number(minor) < 5);
      if (!tooOld) return path;
      problem = `${path} is of CUDA ${major}.${minor}: ${wanted}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable && path === "nvcc") {
        throw new BuildError("building for CUDA needs the permission --allow-run=nvcc", "", { cause: error });
      }
    }
  }
  throw new BuildError(problem);
}

/** What a program prints, or "" where it is missing, forbidden or fails. */
async function said(program: string, args: string[]): Promise<string> {
  try {
    const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped", stderr: "null" });
    const { success, stdout } = await child.output();
    return success ? new TextDecoder().decode(stdout) : "";
  } catch {
    return "";
  }
}

/**
 * CMake's names of this machine's GPU architectures, where nvcc knows them and the library does not have them anyway.
 * For others the driver compiles at the start of each process, and those of a run have no cache: they may read no
 * folder but their own.
 */
async function localArchitectures(nvcc: string): Promise<string[]> {
  const capabilities = await said("nvidia-smi", ["--query-gpu=compute_cap", "--format=csv,noheader"]);
  const wanted = [...capabilities.matchAll(/^ *(\d+)\.(\d) *$/gm)].map(([, major, minor]) => major + minor);
  if (wanted.length === 0) return [];
  const known = (await said(nvcc, ["--list-gpu-code"])).split("\n");
  const usable = (name: string) => Number(name) >= 80 && name !== "90" && known.includes(`sm_${name}`);
  return [...new Set(wanted)].filter(usable).sort().map((name) => `${name}-real`);
}

async function build(home: string, device: Device, onProgress: (line: string) => void): Promise<string> {
  const source = sourceFolder();
  // A build folder belongs to one checkout; objects are reused between its versions.
  const place = createHash("sha256").update(source).digest("hex").slice(0, 8);
  const folder = join(home, "build", `${device}-${place}`);
  await Deno.mkdir(folder, { recursive: true });
  using lock = await Deno.open(join(home, "build", `${device}-${place}.lock`), { create: true, write: true });
  if (!await lock.tryLock(true)) {
    onProgress(`waiting for another build of the ${device} library`);
    await lock.lock(true);
  }
  const built = await findLibrary(home, device);
  if (built) return built; // by the process that held the lock
  const flags: string[] = [];
  if (device === "cuda") {
    const nvcc = await findCudaCompiler();
    flags.push(
      "-DRS_CUDA=ON",
      `-DCMAKE_CUDA_COMPILER=${nvcc}`,
      `-DRS_OBJECT_CACHE=${join(home, "build", "objects")}`,
      `-DRS_CUDA_LOCAL_ARCHITECTURES=${(await localArchitectures(nvcc)).join(";")}`,
    );
  }
  const patience = device === "cuda" ? "some minutes" : "under a minute";
  onProgress(`building the ${device} library (once for these sources; ${patience})`);
  const start = performance.now();
  // Sources that change while the compiler reads them would land under the wrong hash.
  for (let attempt = 0; attempt < 3; attempt++) {
    const target = await libraryPath(home, device);
    const quiet = () => {};
    const configure = ["-S", source, "-B", folder, ...flags];
    let result = await runProgram("cmake", configure, quiet);
    // Made by another CMake or at another place; or with another nvcc, for which CMake drops all flags and goes on.
    if (/CMakeCache\.txt|require your cache to be deleted/.test(result.output)) {
      await Deno.remove(folder, { recursive: true });
      result = await runProgram("cmake", configure, quiet);
    }
    if (!result.success) {
      await Deno.remove(folder, { recursive: true }); // it remembers a compiler that does not work, whatever CXX says next
      throw explain(result.output);
    }
    let shown = -1;
    const jobs = String(navigator.hardwareConcurrency);
    result = await runProgram("cmake", ["--build", folder, "--target", device, "--parallel", jobs], (line) => {
      const percent = Number(line.match(/^\[ *(\d+)%\]/)?.[1] ?? -1);
      if (percent >= shown + 20) onProgress(`building the ${device} library: ${shown = percent} %`);
    });
    if (await libraryPath(home, device) !== target) continue;
    if (!result.success) throw explain(result.output);
    await Deno.mkdir(dirname(target), { recursive: true });
    const temporary = `${target}.${crypto.randomUUID()}.tmp`;
    try {
      await Deno.copyFile(join(folder, libraryFile(device)), temporary);
      using file = await Deno.open(temporary, { write: true });
      await file.sync(); // or a power cut leaves the name without the content, and the name is all that is asked for
      await Deno.rename(temporary, target);
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      await Deno.remove(dirname(target)).catch(() => {}); // only where it is empty
      if (error instanceof Deno.errors.NotFound) {
        throw new BuildError(`CMake left no library in ${folder}`, "", { cause: error });
      }
      throw error;
    }
    onProgress(`built ${target} in ${((performance.now() - start) / 1000).toFixed(1)} s`);
    return target;
  }
  throw new BuildError("the library's sources kept changing during the build: build again");
}

/**
 * The path of the library of these sources, built first where it is absent.
 * @param home the home folder; the library goes to `home/lib/<hash>/`, objects stay in `home/build/`
 * @throws BuildError with one sentence: no cmake, no compiler, no space, no permission, errors in the sources
 */
export async function ensureLibrary(home: string, options: BuildOptions = {}): Promise<string> {
  const device = options.device ?? "cpu";
  try {
    return await findLibrary(home, device) ?? await build(home, device, options.onProgress ?? console.error);
  } catch (error) {
    throw explainFile(error, home);
  }
}

const usage =
  `Builds the kernel libraries where they are absent and prints their paths: cpu, and cuda where nvcc is there.

usage: deno task build [options]

  --device DEVICE   cpu or cuda: this one alone
  --help            this text

They go to RESEARCHSWARM_HOME (default: the user's cache folder, researchswarm/), below lib/.`;

if (import.meta.main) {
  const args = [...Deno.args];
  let only: string | null = null;
  try {
    for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
      if (arg === "--help" || arg === "-h") {
        console.log(usage);
        Deno.exit(0);
      } else if (arg === "--device" && ["cpu", "cuda"].includes(args[0])) only = args.shift()!;
      else if (arg === "--device") throw new BuildError("--device needs cpu or cuda");
      else throw new BuildError(`unknown argument ${arg}, see --help`);
    }
    const home = resolveHome();
    if (only !== "cuda") console.log(await ensureLibrary(home));
    // Asked for by name, a missing compiler is an error; else it is why there is one library.
    const compiler = only === "cpu" ? null : await findCudaCompiler().catch((error) => {
      if (only === "cuda") throw error;
      console.error(`no cuda library: ${error.message}`);
      return null;
    });
    if (compiler !== null) console.log(await ensureLibrary(home, { device: "cuda" }));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    if (error instanceof BuildError && error.details) console.error(error.details);
    Deno.exit(1);
  }
}
