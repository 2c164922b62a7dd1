/**
 * Finds the files that a task names: quoted names, paths, and words with the ending of a file. Web addresses, versions
 * and numbers are none.
 * @module
 */

/** Endings by which a bare word is taken for a file. */
const endings = new Set(
  ("md markdown mdx rst txt text log out err csv tsv json jsonl ndjson json5 jsonc yaml yml toml ini cfg conf xml html htm css scss " +
    "js mjs cjs jsx ts mts cts tsx py ipynb pyi rs go java kt c h cc cpp cxx hpp cu cuh cs rb php pl pm lua r jl swift scala hs ml " +
    "ex exs erl clj sh bash zsh fish ps1 bat sql db sqlite sqlite3 parquet arrow npy npz pt pth ckpt safetensors gguf onnx bin dat " +
    "tex bib org adoc proto graphql vue svelte dart zig nim asm s cmake mk gradle lock diff patch gz xz zst bz2 zip tar tgz 7z " +
    "png jpg jpeg gif webp svg bmp tiff ico pdf doc docx xls xlsx ppt pptx odt ods rtf epub mp3 mp4 wav ogg flac mkv avi mov " +
    "env pem key p12 pfx kdbx crt cer pub vtt srt eml mbox ics vcf geojson gpx trace prof hcl tf properties plist wasm so exe " +
    "rds feather hdf5 h5 pkl pickle avro orc tfrecord")
    .split(" "),
);

/** Names without an ending that are files nevertheless. */
const known =
  /^(?:README|LICENSE|LICENCE|COPYING|CHANGELOG|CHANGES|NEWS|AUTHORS|CONTRIBUTING|Makefile|GNUmakefile|Dockerfile|Containerfile|Jenkinsfile|Vagrantfile|Gemfile|Rakefile|Procfile|CMakeLists\.txt|id_(?:rsa|dsa|ecdsa|ed25519))$/;

/** A file or folder that a task names. */
export interface NamedPath {
  /** As written. */
  readonly path: string;
  /** Whether it can hardly be anything else; the others count only if they exist. */
  readonly certain: boolean;
  /** Whether the result is to be written there, rather than something read. */
  readonly target: boolean;
}

/** Words before a file that something is to be written to. */
const writing =
  /\b(?:save|write|store|put|export|output|dump|append|place|file)\b[^;\n]{0,80}?\b(?:to|into|in|as|under|at)\s+(?:a\s+file\s+(?:called\s+|named\s+)?|the\s+file\s+)?["'`“]?$|\b(?:save|store)\s+(?:it\s+)?as\s+["'`“]?$/i;

/** Whether a word is the name of a file. */
function fileLike(word: string): boolean | "perhaps" {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(word) && !/^file:\/\//i.test(word)) return false;
  const last = word.replace(/\/+$/, "").split("/").at(-1) ?? "";
  if (/^\.(?:env|npmrc|netrc|pgpass|pypirc|ssh|aws|gitconfig|gitignore|bashrc|profile)/i.test(last)) return true;
  if (/^(?:node|vue|next|react|three|d3|express|nuxt|chart|ember|angular)\.js$/i.test(word)) return "perhaps";
  if (known.test(last)) return word.includes("/") || /^id_|\./.test(last) ? true : "perhaps";
  const ending = last.match(/\.([A-Za-z][A-Za-z0-9]{0,11})$/)?.[1].toLowerCase();
  const absolute = /^(?:~?\/|\.{1,2}\/|file:\/\/)/.test(word);
  if (ending !== undefined && endings.has(ending) && last.length > ending.length + 1) return true;
  if (absolute && last !== "") return true;
  return word.includes("/") ? "perhaps" : false;
}

/** The files and folders that a text names, in order, each once. */
export function pathsIn(text: string): NamedPath[] {
  const found = new Map<string, NamedPath>();
  const add = (path: string, quoted: boolean, before: string) => {
    const like = fileLike(path);
    if (like === false || found.has(path)) return;
    const target = writing.test(before.slice(-140));
    found.set(path, { path, certain: like === true || (quoted && path.includes("/")), target });
  };
  const head = text.slice(0, 20_000);
  // Quoted names may hold spaces.
  const rest = head.replace(/(["'`“„«‘])([^"'`”“»’\n]{1,300})["'`”“»’]/g, (whole, _open, inner: string, at: number) => {
    const like = /^[^\s].*[^\s]$|^\S$/.test(inner) ? fileLike(inner) : false;
    if (like === false || (/\s/.test(inner) && like !== true)) return whole;
    add(inner, true, head.slice(0, at));
    return " ".repeat(whole.length);
  });
  for (const { 0: word, index } of rest.matchAll(/[^\s"'`“”„«»<>()[\]{}|,;!?…]+/g)) {
    const bare = word.replace(/[.:]+$/, "").replace(/^[:=]+/, "").replace(/['’]s$/, "").replace(/:\d+(?::\d+)?$/, "");
    if (bare !== "") {
      add(
        bare.includes("=") ? bare.slice(bare.indexOf("=") + 1) : bare,
        false,
        rest.slice(Math.max(0, index - 140), index),
      );
    }
  }
  return [...found.values()];
}
