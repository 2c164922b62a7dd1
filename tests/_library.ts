/**
 * The built library for tests: opened once a process, built where it is absent.
 * @module
 */
import { ensureLibrary } from "../cuda/build.ts";
import { resolveHome } from "../cuda/home.ts";
import { type Library, openLibrary } from "../cuda/lib.ts";

/** Where the library of these sources lies. */
export const testLibraryPath: string = await ensureLibrary(resolveHome());

/** The library, opened and current. */
export function testLibrary(): Library {
  return openLibrary(testLibraryPath);
}
