/**
 * The pin: one hash over every file that a candidate must not have changed.
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { hashFile } from "../data/dataset.ts";

/** Files and links below `folder` of `root`, as paths with forward slashes. */
async function filesBelow(root: string, folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(join(root, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) files.push(...await filesBelow(root, path));
    else files.push(path);
  }
  return files;
}

/** What the children load or could be led to load: everything in `cuda/` and `trainer/`. */
async function codeFiles(codeRoot: string): Promise<string[]> {
  return [...await filesBelow(codeRoot, "cuda"), ...await filesBelow(codeRoot, "trainer")];
}

/** What stands for a file's content: a hash, a link's target, or that it is not there. */
async function contentOf(path: string): Promise<string> {
  try {
    if ((await Deno.lstat(path)).isSymlink) return `link to ${await Deno.readLink(path)}`;
    return hashFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "absent";
    throw error;
  }
}

/** What git tracks below `codeRoot`. @throws Error when git cannot say */
async function trackedFiles(codeRoot: string): Promise<string[]> {
  const output = await new Deno.Command("git", { args: ["ls-files", "-z"], cwd: codeRoot, stdin: "null" }).output();
  if (!output.success) throw new Error(`git ls-files failed: ${new TextDecoder().decode(output.stderr).trim()}`);
  return new TextDecoder().decode(output.stdout).split("\0").filter((path) => path !== "");
}

/** What `pinTree` looks at. */
export interface PinOptions {
  /** `tracked`: all files that git tracks, and whatever lies in the code folders; `code`: the code folders alone. */
  files: "tracked" | "code";
  /** The file that may change, relative to the root. */
  except?: string;
  /** Hashed as well: the kernel library. */
  libraryPath: string;
}

/**
 * One hash over names and contents of a tree's files and the kernel library. A file that git does not track counts as
 * well when it lies in a folder that the children read, so that nothing can be put beside the sources unseen.
 * @returns `tracked:<sha256>` or `code:<sha256>`
 */
export async function pinTree(codeRoot: string, options: PinOptions): Promise<string> {
  const except = options.except ?? "trainer/train.ts";
  const names = new Set(await codeFiles(codeRoot));
  if (options.files === "tracked") { for (const path of await trackedFiles(codeRoot)) names.add(path); }
  names.delete(except);
  const hash = createHash("sha256");
  for (const path of [...names].sort()) {
    hash.update(`${path}\0${await contentOf(join(codeRoot, path))}\n`);
  }
  hash.update(`library\0${hashFile(options.libraryPath)}\n`);
  return `${options.files}:${hash.digest("hex")}`;
}
