/**
 * Builds the CUDA library for an emulated GPU, where the CUDA toolkit's headers are: the same sources, on a GPU that
 * this machine's processor plays (device.h). For tests on machines without a GPU.
 * @module
 */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { libraryFile, librarySources, sourceFolder } from "../../cuda/lib.ts";
import { abiHash } from "../../cuda/symbols.gen.ts";
import { translate } from "./translate.ts";

const here = import.meta.dirname!;

async function run(args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("cmake", { args, stdin: "null" }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return success ? "" : said || "error: cmake ended without a word";
}

/**
 * The library's path in a home folder; built on the first call, in about a minute.
 * @returns null where it can't be: without the toolkit's headers, and on other systems than Linux x86-64
 * @throws Error with the compiler's words when the sources don't compile
 */
export async function emulatedLibrary(home: string): Promise<string | null> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return null;
  const hash = createHash("sha256").update(Deno.hostname()), sources = await librarySources("cuda");
  const own = [...Deno.readDirSync(here)].map(({ name }) => name).filter((name) => !name.endsWith("_test.ts"));
  for (
    const path of [
      ...sources.map((path) => join(sourceFolder(), path)),
      ...own.sort().map((name) => join(here, name)),
    ]
  ) {
    const bytes = await Deno.readFile(path);
    hash.update(`${basename(path)} ${bytes.length}\n`).update(bytes);
  }
  const folder = join(home, "emulator", hash.digest("hex").slice(0, 16)), library = join(folder, libraryFile("cuda"));
  if (await Deno.stat(library).then(() => true, () => false)) return library;

  await Deno.mkdir(folder, { recursive: true });
  // Libraries of other sources, and what killed builds left, after a week.
  for (const { name } of Deno.readDirSync(dirname(folder))) {
    const other = join(dirname(folder), name), { mtime } = await Deno.stat(other);
    if (Date.now() - Number(mtime) > 7 * 86_400_000) await Deno.remove(other, { recursive: true });
  }
  const build = await Deno.makeTempDir({ dir: folder }), translated = join(build, "sources");
  try {
    for (const [place, path] of sources.entries()) {
      const text = await Deno.readTextFile(join(sourceFolder(), path)), target = join(translated, path);
      await Deno.mkdir(dirname(target), { recursive: true });
      await Deno.writeTextFile(target, path.startsWith("gpu/") ? translate(text, path, place + 1) : text);
    }
    const flags = ["-DCMAKE_BUILD_TYPE=None", `-DSOURCES=${translated}`, `-DABI_HASH=${abiHash}u`];
    const missing = await run(["-S", here, "-B", build, ...flags]);
    if (/CUDAToolkit|CMake [\d.]+ or higher/.test(missing)) return null;
    console.log("building the CUDA library for an emulated GPU (once for these sources; about a minute)");
    const problem = missing || await run(["--build", build, "--parallel", String(navigator.hardwareConcurrency)]);
    if (problem !== "") {
      const errors = problem.split("\n").filter((line) => /error/i.test(line)).slice(0, 20).join("\n");
      throw new Error(errors || problem.slice(-2000));
    }
    await Deno.rename(join(build, libraryFile("cuda")), library);
  } finally {
    await Deno.remove(build, { recursive: true });
  }
  return library;
}
