/**
 * The built library for tests: opened once a process, built where it is absent.
 * @module
 */
import { basename, dirname, join } from "node:path";
import { ensureLibrary } from "../cuda/build.ts";
import { resolveHome } from "../cuda/home.ts";
import { findLibrary, type Library, openLibrary } from "../cuda/lib.ts";

/** Where the library of these sources lies. */
export const testLibraryPath: string = await ensureLibrary(resolveHome());

/** The library, opened and current. */
export function testLibrary(): Library {
  return openLibrary(testLibraryPath);
}

/** Puts the libraries that are built into a home folder, so that what runs there builds none. */
export async function copyLibraries(home: string): Promise<void> {
  for (const path of [testLibraryPath, await findLibrary(resolveHome(), "cuda")]) {
    if (path === null) continue;
    const folder = join(home, "lib", basename(dirname(path)));
    await Deno.mkdir(folder, { recursive: true });
    await Deno.copyFile(path, join(folder, basename(path)));
  }
}
