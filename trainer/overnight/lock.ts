/**
 * One process a session: an advisory lock of the operating system on a file of the session's folder. The system drops it
 * with the process, however that ends, so no stale lock can be left; the text in the file only says who holds it.
 * @module
 */
import { join } from "node:path";
import { TagTakenError } from "./git.ts";

/** A held lock; closing it, or the end of the process, gives it up. */
export interface SessionLock {
  release(): void;
}

/**
 * Takes the lock of a session's folder.
 * @throws {TagTakenError} another process holds it
 */
export function lockSession(folder: string, tag: string): SessionLock {
  const path = join(folder, "session.lock");
  const file = Deno.openSync(path, { read: true, write: true, create: true });
  if (!file.tryLockSync(true)) {
    file.close();
    const holder = Deno.readTextFileSync(path).trim();
    throw new TagTakenError(
      `session ${tag} is being driven by another process${holder === "" ? "" : ` (${holder})`}; wait for it or stop it`,
    );
  }
  file.truncateSync(0);
  file.writeSync(new TextEncoder().encode(`pid ${Deno.pid}, since ${new Date().toISOString()}\n`));
  return { release: () => file.close() };
}
