/**
 * The real files behind an executor: regular files only, read up to a limit, links followed before the name is judged.
 * Every failure is one sentence.
 * @module
 */
import { decodeBytes } from "./decode.ts";
import { oneLine } from "./safe_text.ts";
import { secretContent, secretName } from "./secrets.ts";
import type { ExecutorInput, FileAccess, FileFacts } from "./types.ts";

/** Bytes that are read of one file at most: what analysis can hold in memory and go through in seconds. */
export const READ_LIMIT = 64 * 2 ** 20;

/** Something that an executor was given, or was not, and cannot work with; the message is one sentence. */
export class InputError extends Error {
  /** Name of the class, as errors print it. */
  override name = "InputError";

  /**
   * Makes one.
   * @param message one sentence with its full stop
   * @param status `needs-input`: something is missing; `refused`: it must not be read; `failed`: it cannot be read
   */
  constructor(message: string, readonly status: "needs-input" | "refused" | "failed", options?: ErrorOptions) {
    super(message, options);
  }
}

/** What went wrong with a path, in one sentence. */
export function pathTrouble(path: string, error: unknown): InputError {
  if (error instanceof InputError) return error;
  const shown = oneLine(path);
  const name = error instanceof Error ? error.name : "";
  if (name === "NotFound") return new InputError(`There is no file ${shown}.`, "needs-input", { cause: error });
  if (name === "NotCapable") {
    // A comma parts the value of the flag, and nothing escapes it.
    const flag = path.includes(",")
      ? "a path without a comma: no permission can name this one"
      : `the permission --allow-read=${shown}`;
    return new InputError(`Reading ${shown} needs ${flag}.`, "needs-input", { cause: error });
  }
  if (name === "PermissionDenied") {
    return new InputError(`The system does not let this user read ${shown}.`, "failed", { cause: error });
  }
  if (name === "FilesystemLoop") return new InputError(`${shown} is a link that leads to itself.`, "failed");
  const reason = oneLine(error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
  return new InputError(`${shown} cannot be read: ${reason}.`, "failed", { cause: error });
}

/** `~` and `~/…` with the user's folder in its place, where the environment tells it. */
function expand(path: string): string {
  if (path !== "~" && !path.startsWith("~/")) return path;
  try {
    const home = Deno.env.get("HOME");
    return home ? home + path.slice(1) : path;
  } catch {
    return path;
  }
}

/** The files of this machine. Needs read permission for what is read, and asks for it only then. */
export function localFiles(): FileAccess {
  const fileFacts = async (path: string): Promise<FileFacts> => {
    const real = expand(path);
    const { isFile, isDirectory, size } = await Deno.stat(real);
    return { kind: isFile ? "file" : isDirectory ? "folder" : "other", size, realPath: await Deno.realPath(real) };
  };
  return {
    fileFacts,
    async readFile(path, limitBytes = READ_LIMIT) {
      const { kind, size } = await fileFacts(path);
      // Opening a pipe waits for somebody to write into it, and a device may have no end.
      if (kind !== "file") {
        throw new InputError(
          `${oneLine(path)} is ${kind === "folder" ? "a folder" : "no regular file"}.`,
          "needs-input",
        );
      }
      using file = await Deno.open(expand(path), { read: true });
      const buffer = new Uint8Array(Math.min(limitBytes, Math.max(size, 4096)));
      let length = 0;
      while (length < buffer.length) {
        const count = await file.read(buffer.subarray(length));
        if (count === null) break;
        length += count;
      }
      return buffer.subarray(0, length);
    },
    async listFolder(path) {
      const names: string[] = [];
      for await (const { name } of Deno.readDir(expand(path))) names.push(name);
      return names.sort();
    },
  };
}

/** Says no to a file of secrets by any of its names. @throws {InputError} */
export function checkNames(...paths: (string | undefined)[]): void {
  for (const path of paths) {
    const kind = path === undefined ? null : secretName(path);
    if (kind !== null) {
      const linked = path !== paths[0] ? " (the link was followed)" : "";
      throw new InputError(`${oneLine(paths[0]!)} is ${kind}${linked} and is not read.`, "refused");
    }
  }
}

/** Says no to a text that holds a secret. @throws {InputError} */
export function checkContent(name: string, text: string): void {
  const found = secretContent(text);
  if (found !== null) {
    throw new InputError(
      `${oneLine(name)} holds ${found.kind} (line ${found.line}) and is not worked with; remove it first.`,
      "refused",
    );
  }
}

/** The input that a text or bytes make. @param name what to call it in the result */
export function inputOf(name: string, content: string | Uint8Array): ExecutorInput {
  if (typeof content === "string") return { name, text: content };
  return { name, text: decodeBytes(content).text, bytes: content, size: content.length };
}

/**
 * Reads a file as an input, at most `READ_LIMIT` bytes of it.
 * @throws {InputError} it is absent, no regular file, or a file of secrets by its name, by what it links to or by content
 */
export async function readInput(path: string, files: FileAccess = localFiles()): Promise<ExecutorInput> {
  checkNames(path);
  try {
    const facts = await files.fileFacts?.(path);
    checkNames(path, facts?.realPath);
    const bytes = await files.readFile(path, READ_LIMIT);
    const input: ExecutorInput = {
      name: path,
      text: decodeBytes(bytes).text,
      bytes,
      size: Math.max(facts?.size ?? 0, bytes.length),
      realPath: facts?.realPath,
    };
    checkContent(path, input.text);
    return input;
  } catch (error) {
    throw pathTrouble(path, error);
  }
}
