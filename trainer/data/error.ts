/** The one error of the data layer: bad text, a bad archive, a damaged data set, a missing permission. */

/** What a user can put right; the message is one sentence that names the file or the flag. */
export class DataError extends Error {
  /** Name of the class, as errors print it. */
  override name = "DataError";
}

/** Says what the system refused, in words: `No space left on device`, `No such file or directory` … */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/ \(os error \d+\).*$/s, "").replace(/:? (open|stat|read|readdir|mkdir|rename|write) '.*$/s, "");
}

/** Deno's permissions that a program asks for before it begins, and what for. */
export interface Need {
  readonly name: "read" | "write" | "ffi" | "run" | "env";
  /** Path, program or variable; absent: all of them. */
  readonly value?: string;
}

/**
 * Checks permissions before any work is done; asks nobody.
 * @throws DataError with the flags that are missing, exactly as Deno takes them
 */
export function requirePermissions(program: string, needs: readonly Need[]): void {
  const missing = new Map<string, string[]>();
  for (const { name, value } of needs) {
    const descriptor = {
      name,
      ...(value !== undefined && { [name === "run" ? "command" : name === "env" ? "variable" : "path"]: value }),
    } as Deno.PermissionDescriptor;
    if (Deno.permissions.querySync(descriptor).state === "granted") continue;
    missing.set(name, [...missing.get(name) ?? [], ...(value === undefined ? [] : [value])]);
  }
  if (missing.size === 0) return;
  const flags = [...missing].map(([name, values]) =>
    `--allow-${name}${values.length > 0 ? `=${values.join(",")}` : ""}`
  );
  throw new DataError(`${program} lacks a permission; run it with ${flags.join(" ")}`);
}
