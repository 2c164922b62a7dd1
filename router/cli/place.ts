/**
 * Where the memory is and how it is opened with the permissions at hand. Planning goes on without: then the memory is in
 * RAM, and one notice says with which flags it would stay.
 * @module
 */
import { dirname, resolve } from "node:path";
import type { Memory } from "../../memory/mod.ts";
import { CliError, exit } from "./errors.ts";
import type { Output } from "./output.ts";
import { flagsOf, granted, type PathNeed, requirePermissions } from "./permissions.ts";

/** Which file the memory is. */
export interface Place {
  /** Absolute path. */
  readonly path: string;
  /** Whether `--db` named it. */
  readonly named: boolean;
}

/** An open memory. */
export interface OpenedMemory extends Disposable {
  /** The memory. */
  readonly memory: Memory;
  /** Whether what is written stays. `file`: yes; `read-only`: a file that gives context only; `ram`: nothing stays. */
  readonly kind: "file" | "read-only" | "ram";
  /** Its file, where there is one. */
  readonly path?: string;
}

/** The memory of a command line. @param standard path without `--db` */
export function placeOf(db: string | undefined, standard: string): Place {
  return db === undefined ? { path: standard, named: false } : { path: resolve(db), named: true };
}

/** What has to be granted: the folder, for SQLite keeps two more files beside a database. */
function needsOf({ path }: Place, write: boolean): PathNeed[] {
  const names = write ? ["read", "write"] as const : ["read"] as const;
  return names.map((name) => ({ name, path: dirname(path) }));
}

/** Whether the database and the files beside it are within reach, by their folder or each by its name. */
function reaches(name: "read" | "write", path: string): boolean {
  return ["", "-wal", "-shm"].every((end) => granted({ name, path: path + end }));
}

/** Asks for what is missing. @throws {CliError} the flags, with exit code 3 */
function requirePlace(what: string, place: Place, write: boolean): void {
  requirePermissions(what, needsOf(place, write).filter(({ name }) => !reaches(name, place.path)));
}

/** Whether a file is there; its folder is readable. */
function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Makes an error of the memory one of the command line. */
function refused(error: unknown): CliError {
  const message = error instanceof Error ? error.message : String(error);
  return new CliError(message.replace(/\.$/, ""), exit.failed, { cause: error });
}

const opened = (memory: Memory, kind: OpenedMemory["kind"], path?: string): OpenedMemory => ({
  memory,
  kind,
  path,
  [Symbol.dispose]: () => memory[Symbol.dispose](),
});

/**
 * The memory of a task, in whatever form the permissions allow.
 * @throws {CliError} the file cannot be used, or `--db` names one that may not be
 */
export async function openForTask(place: Place, output: Output): Promise<OpenedMemory> {
  const may = (name: "read" | "write") => reaches(name, place.path);
  if (place.named) requirePlace("--db", place, true);
  const { openMemory, openMemoryInRam, readMemory } = await import("../../memory/mod.ts");
  try {
    if (may("read") && may("write")) {
      const folder = dirname(place.path);
      if (!place.named && granted({ name: "write", path: folder })) Deno.mkdirSync(folder, { recursive: true });
      return opened(openMemory(place.path), "file", place.path);
    }
    const needs = flagsOf(needsOf(place, true));
    if (may("read") && exists(place.path)) {
      output.notice(`the memory is read only; remembering this task needs ${needs}`);
      return opened(readMemory(place.path), "read-only", place.path);
    }
    output.notice(`the memory is in RAM and gone afterwards; keeping it needs ${needs}`);
    return opened(openMemoryInRam(), "ram");
  } catch (error) {
    throw refused(error);
  }
}

/**
 * The memory of a command about it; null where the standard one was never written.
 * @param write whether the command changes it
 * @throws {CliError} it cannot be used, or permissions are missing
 */
export async function openForCommand(place: Place, what: string, write: boolean): Promise<OpenedMemory | null> {
  requirePlace(what, place, write);
  if (!place.named && !exists(place.path)) return null;
  const { openMemory, readMemory } = await import("../../memory/mod.ts");
  try {
    // Opening for writing would make the file.
    if (write && !exists(place.path)) throw new CliError(`${place.path} does not exist`);
    return opened(write ? openMemory(place.path) : readMemory(place.path), write ? "file" : "read-only", place.path);
  } catch (error) {
    throw error instanceof CliError ? error : refused(error);
  }
}
