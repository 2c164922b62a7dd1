/**
 * Plans: which algorithm each product uses on one device, chosen once by measurement (`deno task tune`) and read ever
 * after, since another choice would be other bits. One file for each GPU and library, in the home folder.
 * @module
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import type { Library } from "./lib.ts";

/** Where the plans of an open library's device lie. */
export function plansPath(home: string, library: Pick<Library, "path" | "description">): string {
  // Not the index: all GPUs of one kind share their plans.
  const name = library.description.replace(/^cuda \d+ /, "");
  const key = createHash("sha256").update(`${name}\n${dirname(library.path).split("/").at(-1)}`).digest("hex");
  return join(home, "plans", `${name.replaceAll(/[^A-Za-z0-9]+/g, "-").toLowerCase()}-${key.slice(0, 8)}.txt`);
}

/** The text of a file of plans; "" where there is none. */
export function readPlans(path: string): string {
  if (path === "") return "";
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** The plans that an open library knows: loaded ones and those it added. */
export function currentPlans(library: Library): string {
  let buffer = new Uint8Array(1 << 16);
  let length = library.symbols.rs_plans_save(buffer, buffer.length);
  if (length > buffer.length) {
    buffer = new Uint8Array(length);
    length = library.symbols.rs_plans_save(buffer, buffer.length);
  }
  return new TextDecoder().decode(buffer.subarray(0, length));
}

/** Writes a file of plans as a whole. */
export async function writePlans(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  await Deno.writeTextFile(temporary, text);
  await Deno.rename(temporary, path);
}
