/**
 * Deno's permissions, looked at before they are used: nothing here can make Deno ask the user. What is not granted is
 * named with the flag that grants it.
 * @module
 */
import { relative } from "node:path";
import { CliError, exit } from "./errors.ts";

/** Permission to read or write a file, or all that is in a folder. */
export interface PathNeed {
  /** Which of the two. */
  readonly name: "read" | "write";
  /** Absolute, or from the current folder. */
  readonly path: string;
}

/** One permission. */
export type Need =
  | PathNeed
  | { readonly name: "env"; readonly variable: string }
  | { readonly name: "net"; readonly host: string }
  | { readonly name: "run"; readonly command: string };

/** Whether it is granted now; a permission that Deno would ask for counts as missing. */
export function granted(need: Need): boolean {
  try {
    return Deno.permissions.querySync(need).state === "granted";
  } catch {
    return false; // such as a host that is none
  }
}

/** A path as a user would type it: relative below the current folder, else absolute. */
export function shownPath(path: string): string {
  const near = relative(Deno.cwd(), path);
  const shown = near === "" || near === ".." || near.startsWith("../") || near.startsWith("/") ? path : near;
  return /^[\w./@%+=:,~-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}

/** What grants permissions, as the object of "needs": the flags, values of one kind joined. */
export function flagsOf(needs: readonly Need[]): string {
  // A comma parts the value of a flag, and nothing escapes it.
  const odd = needs.map((need) => "path" in need ? shownPath(need.path) : "").find((path) => path.includes(","));
  if (odd !== undefined) return `a path without a comma: no permission can name ${odd}`;
  const values = new Map<string, string[]>();
  for (const need of needs) {
    const value = "path" in need
      ? shownPath(need.path)
      : "variable" in need
      ? need.variable
      : "host" in need
      ? need.host
      : need.command;
    const seen = values.get(need.name) ?? [];
    if (!seen.includes(value)) values.set(need.name, [...seen, value]);
  }
  const flags = [...values].map(([name, list]) => `--allow-${name}=${list.join(",")}`).join(" ");
  return `${flags} before the name of the script`;
}

/**
 * Checks permissions before any work.
 * @param what what they are for, as the subject of a sentence
 * @throws {CliError} the flags that are missing, with exit code 3
 */
export function requirePermissions(what: string, needs: readonly Need[]): void {
  const missing = needs.filter((need) => !granted(need));
  if (missing.length > 0) {
    throw new CliError(`${what} needs ${flagsOf(missing)}`, exit.permission);
  }
}

/** A variable of the environment; undefined where it is not set or may not be read. */
export function environment(variable: string): string | undefined {
  return granted({ name: "env", variable }) ? Deno.env.get(variable) || undefined : undefined;
}
