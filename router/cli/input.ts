/**
 * What a command reads: the task, texts and files beside it, standard input. Bounded, and without a question to the user:
 * every permission is looked at before it is used.
 * @module
 */
import { resolve } from "node:path";
import type { ExecutorInput, FileAccess } from "../executors/types.ts";
import { CliError, exit, usageError } from "./errors.ts";
import { environment, granted, requirePermissions } from "./permissions.ts";

/** Bytes of standard input at most. */
const STANDARD_INPUT_LIMIT = 64 * 2 ** 20;
/** Characters of a task at most; the router itself reads less. */
const TASK_LIMIT = 16 * 2 ** 20;

/** All of standard input. @throws {CliError} it is too long */
export async function readStandardInput(limit: number = STANDARD_INPUT_LIMIT): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of Deno.stdin.readable) {
    length += chunk.length;
    if (length > limit) throw new CliError(`standard input is longer than ${limit / 2 ** 20} MiB`);
    chunks.push(chunk);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Text of bytes, whatever they are: no byte order mark, no final line break, broken UTF-8 marked as such. */
export function decodeTask(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/\r?\n$/, "");
}

/** The task of a command line: its words, or standard input for `-`. @throws {CliError} it is too long */
export async function readTask(positionals: readonly string[]): Promise<string> {
  const fromInput = positionals.length === 1 && positionals[0] === "-";
  const task = fromInput ? decodeTask(await readStandardInput()) : positionals.join(" ");
  if (task.length > TASK_LIMIT) throw new CliError(`the task is longer than ${TASK_LIMIT / 2 ** 20} Mi characters`);
  return task;
}

/** A path with `~` for the user's folder, where the environment tells it. */
export function absolute(path: string): string {
  if (path === "~" || path.startsWith("~/")) {
    const home = environment("HOME");
    if (home !== undefined) return resolve(home, path.slice(2));
  }
  return resolve(path);
}

/**
 * Files for executors, each behind a look at its permission: a missing one is an error instead of a question.
 * @param files what really reads
 */
export function gatedFiles(files: FileAccess): FileAccess {
  const gate = (path: string): string => {
    const full = absolute(path);
    if (!granted({ name: "read", path: full })) {
      throw new Deno.errors.NotCapable(`Requires read access to "${path}"`);
    }
    return full;
  };
  // The promise carries the gate's error, as it would the reader's.
  return {
    readFile: async (path, limit) => await files.readFile(gate(path), limit),
    listFolder: async (path) => await files.listFolder(gate(path)),
    ...(files.fileFacts !== undefined && { fileFacts: async (path: string) => await files.fileFacts!(gate(path)) }),
  };
}

/**
 * Reads what came beside the task.
 * @param files every `--file`
 * @throws {CliError} one cannot be read, must not be read, or is given twice
 */
export async function readInputs(
  files: readonly string[],
  text: string | undefined,
  taskFromStandardInput: boolean,
): Promise<ExecutorInput[]> {
  if (files.length === 0 && text === undefined) return [];
  const fromStandardInput = files.filter((file) => file === "-").length;
  if (fromStandardInput + Number(taskFromStandardInput) > 1) throw usageError("standard input can be read only once");
  const paths = files.filter((file) => file !== "-");
  requirePermissions("reading the file", paths.map((path) => ({ name: "read", path: absolute(path) })));
  const { inputOf, localFiles, readInput } = await import("../executors/files.ts");
  const access = gatedFiles(localFiles());
  const inputs: ExecutorInput[] = [];
  for (const file of files) {
    if (file === "-") {
      inputs.push(inputOf("standard input", await readStandardInput()));
      continue;
    }
    try {
      inputs.push(await readInput(file, access));
    } catch (error) {
      const message = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
      throw new CliError(message, exit.failed, { cause: error });
    }
  }
  if (text !== undefined) inputs.push(inputOf("the given text", text));
  return inputs;
}
