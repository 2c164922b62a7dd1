/**
 * Where prepared data, built libraries and sessions lie.
 * @module
 */
import { join, resolve } from "node:path";

/**
 * The folder named by `RESEARCHSWARM_HOME`, else `$XDG_CACHE_HOME/researchswarm`, else `~/.cache/researchswarm`
 * (`~/Library/Caches/researchswarm` on macOS). It need not exist yet.
 * @throws Error when the environment may not be read, names no place, or one that permissions cannot name.
 */
export function resolveHome(): string {
  const home = namedHome();
  // A comma parts the value of Deno's flags, and nothing escapes it.
  if (home.includes(",")) {
    throw new Error(`set RESEARCHSWARM_HOME to a folder without a comma in its path, not ${home}`);
  }
  return home;
}

function namedHome(): string {
  const read = (name: string): string | undefined => {
    try {
      return Deno.env.get(name) || undefined;
    } catch (cause) {
      throw new Error(
        `the home folder can't be found without the environment: allow --allow-env=RESEARCHSWARM_HOME,XDG_CACHE_HOME,HOME`,
        { cause },
      );
    }
  };
  const named = read("RESEARCHSWARM_HOME");
  if (named) return resolve(named);
  const cache = read("XDG_CACHE_HOME");
  if (cache) return resolve(cache, "researchswarm");
  const user = read("HOME");
  if (user) return join(resolve(user), Deno.build.os === "darwin" ? "Library/Caches" : ".cache", "researchswarm");
  throw new Error("there is no home folder: set RESEARCHSWARM_HOME to a folder for data, libraries and sessions");
}

// The tasks of deno.json ask for it, to scope their permissions. Where there is none they get a place that holds nothing,
// and say themselves what is missing.
if (import.meta.main) {
  let home = "/dev/null";
  try {
    home = resolveHome();
  } catch { /* said by the task */ }
  console.log(home);
}
