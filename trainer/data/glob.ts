/**
 * File name patterns: `*` and `?` within a name, `**` for any folders, `{a,b}` for either. Needs read permission for the
 * folders that it lists and for nothing else (`node:fs` globbing asks for the environment too).
 */
import { isAbsolute, join, resolve } from "node:path";

/** Writes out the braces: `a.{txt,md}` → `a.txt`, `a.md`. */
function alternatives(pattern: string): string[] {
  const match = pattern.match(/^(.*?)\{([^{}]*)\}(.*)$/s);
  if (!match) return [pattern];
  return match[2].split(",").flatMap((choice) => alternatives(match[1] + choice + match[3]));
}

function nameMatcher(pattern: string): RegExp {
  const source = pattern.replace(/[.+^$()|[\]\\{}]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${source}$`, "su");
}

const isFile = (path: string) => {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
};

function walk(folder: string, parts: readonly string[], found: Set<string>): void {
  const [part, ...rest] = parts;
  if (part !== "**" && !/[*?]/.test(part)) {
    const path = join(folder, part);
    if (rest.length > 0) walk(path, rest, found);
    else if (isFile(path)) found.add(path);
    return;
  }
  if (part === "**" && rest.length > 0) walk(folder, rest, found);
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(folder)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return;
    throw error;
  }
  const matches = nameMatcher(part);
  for (const entry of entries) {
    // A name with a leading dot is matched only by a pattern with one.
    if (entry.name.startsWith(".") && !part.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (part === "**") {
      if (entry.isDirectory) walk(path, parts, found);
      else if (rest.length === 0 && isFile(path)) found.add(path);
    } else if (matches.test(entry.name)) {
      if (rest.length > 0) walk(path, rest, found);
      else if (isFile(path)) found.add(path);
    }
  }
}

/** The files that a pattern matches, as absolute paths in the order of their code units, without doubles. */
export function glob(pattern: string): string[] {
  const found = new Set<string>();
  for (const one of alternatives(pattern)) {
    const path = isAbsolute(one) ? one : resolve(Deno.cwd(), one);
    walk("/", path.split("/").filter((part) => part !== "" && part !== "."), found);
  }
  return [...found].sort();
}
