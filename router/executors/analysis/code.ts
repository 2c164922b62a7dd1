/**
 * Tells the programming language of a text by name, first line and words, and finds what it defines and imports. Regular
 * expressions over lines; no parser.
 * @module
 */

/** A programming or markup language. */
interface Language {
  readonly name: string;
  readonly endings: readonly string[];
  /** How a comment to the end of the line begins. */
  readonly line?: string;
  /** How a comment of several lines begins and ends. */
  readonly block?: readonly [string, string];
  /** Lines that are typical; each hit in the first lines counts. */
  readonly signs?: RegExp;
  /** A definition; its first group, or the last one that matched, is the name. */
  readonly defines?: RegExp;
  /** An import; its last group is what is imported. */
  readonly imports?: RegExp;
}

const c: Pick<Language, "line" | "block"> = { line: "//", block: ["/*", "*/"] };

const languages: readonly Language[] = [
  {
    name: "TypeScript",
    endings: ["ts", "mts", "cts", "tsx"],
    ...c,
    signs:
      /^\s*(?:import (?:type )?.*from ["']|export (?:type|interface|const|function|class|async|default)|interface \w+|type \w+ =|(?:const|let) \w+: )/,
    defines:
      /^\s*(?:export )?(?:default )?(?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|interface|enum|type|namespace)\s+([A-Za-z_$][\w$]*)/,
    imports: /^\s*(?:import|export)\b.*?from\s+["']([^"']+)["']|^\s*import\s+["']([^"']+)["']/,
  },
  {
    name: "JavaScript",
    endings: ["js", "mjs", "cjs", "jsx"],
    ...c,
    signs:
      /^\s*(?:(?:const|let|var) [\w{[]|function\*? \w+\(|module\.exports|.*\brequire\(["']|.*=> ?[{(]|["']use strict["'])/,
    defines: /^\s*(?:export )?(?:default )?(?:async )?(?:function\*?|class)\s+([A-Za-z_$][\w$]*)/,
    imports: /^\s*(?:import|export)\b.*?from\s+["']([^"']+)["']|\brequire\(["']([^"']+)["']\)/,
  },
  {
    name: "Python",
    endings: ["py", "pyi", "pyw"],
    line: "#",
    signs:
      /^\s*(?:def \w+\(.*:\s*$|class \w+.*:\s*$|from [\w.]+ import |import [\w.]+(?: as \w+)?\s*$|if __name__ ==|elif |print\(|@\w+)/,
    defines: /^\s*(?:async )?(?:def|class)\s+([A-Za-z_]\w*)/,
    imports: /^\s*(?:from\s+([\w.]+)\s+import|import\s+([\w.]+))/,
  },
  {
    name: "C++",
    endings: ["cpp", "cc", "cxx", "hpp", "hh", "hxx", "cu", "cuh"],
    ...c,
    signs: /^\s*(?:#include <[a-z_]+>|template\s*<|namespace \w+|using namespace|.*std::|class \w+|.*::\w+\()/,
    defines:
      /^(?:class|struct|namespace|enum(?: class)?)\s+([A-Za-z_]\w*)|^[A-Za-z_][\w:<>,*& ]{0,120}[ *&]([A-Za-z_~][\w:~]*)\s*\([^;]{0,300}(?:\{|$)/,
    imports: /^\s*#\s*include\s+[<"]([^>"]+)[>"]/,
  },
  {
    name: "C",
    endings: ["c", "h"],
    ...c,
    signs:
      /^\s*(?:#include [<"][\w/.]+\.h[>"]|#define \w+|typedef |static |(?:int|void|char|double|float) \*?\w+\(|return \w+;)/,
    defines:
      /^(?:struct|enum|union)\s+([A-Za-z_]\w*)|^[A-Za-z_][\w* ]{0,120}[ *]([A-Za-z_]\w*)\s*\([^;]{0,300}(?:\{|$)/,
    imports: /^\s*#\s*include\s+[<"]([^>"]+)[>"]/,
  },
  {
    name: "Rust",
    endings: ["rs"],
    ...c,
    signs: /^\s*(?:(?:pub )?fn \w+|use [\w:]+|impl(?:<.*>)? |let mut |(?:pub )?struct \w+|#\[\w+|match \w+ \{)/,
    defines:
      /^\s*(?:pub(?:\(\w+\))? )?(?:async |unsafe |const )*(?:fn|struct|enum|trait|mod|type|macro_rules!)\s+([A-Za-z_]\w*)/,
    imports: /^\s*(?:pub )?use\s+([\w:]+)/,
  },
  {
    name: "Go",
    endings: ["go"],
    ...c,
    signs: /^\s*(?:package \w+$|func (?:\(\w+ \*?\w+\) )?\w+\(|import \(|.* := |type \w+ (?:struct|interface) \{)/,
    defines: /^(?:func\s+(?:\([^)]*\)\s*)?|type\s+)([A-Za-z_]\w*)/,
    imports: /^\s*(?:import\s+)?(?:\w+\s+)?"([\w./-]+)"$/,
  },
  {
    name: "Java",
    endings: ["java"],
    ...c,
    signs:
      /^\s*(?:package [\w.]+;|import (?:static )?[\w.]+\*?;|(?:public|private|protected) (?:static |final |abstract )*\w+)/,
    defines:
      /^\s*(?:(?:public|private|protected|static|final|abstract|sealed)\s+)*(?:class|interface|enum|record)\s+([A-Za-z_]\w*)/,
    imports: /^\s*import\s+(?:static\s+)?([\w.]+)/,
  },
  {
    name: "C#",
    endings: ["cs"],
    ...c,
    signs:
      /^\s*(?:using [\w.]+;|namespace [\w.]+|(?:public|private|internal) (?:static |sealed |partial )*(?:class|void|string|int|async))/,
    defines:
      /^\s*(?:(?:public|private|protected|internal|static|sealed|abstract|partial)\s+)*(?:class|interface|enum|record|struct)\s+([A-Za-z_]\w*)/,
    imports: /^\s*using\s+([\w.]+);/,
  },
  {
    name: "Kotlin",
    endings: ["kt", "kts"],
    ...c,
    signs: /^\s*(?:fun \w+\(|val \w+|data class|import [\w.]+$|package [\w.]+$)/,
    defines: /^\s*(?:\w+ )*(?:fun|class|object|interface)\s+([A-Za-z_]\w*)/,
    imports: /^\s*import\s+([\w.]+)/,
  },
  {
    name: "Swift",
    endings: ["swift"],
    ...c,
    signs: /^\s*(?:import (?:Foundation|UIKit|SwiftUI)|func \w+\(|guard let |let \w+: )/,
    defines: /^\s*(?:\w+ )*(?:func|class|struct|enum|protocol|extension)\s+([A-Za-z_]\w*)/,
    imports: /^\s*import\s+(\w+)/,
  },
  {
    name: "Ruby",
    endings: ["rb"],
    line: "#",
    signs:
      /^\s*(?:require(?:_relative)? ["']|def \w+[?!]?\b(?!.*:\s*$)|class \w+(?: < \w+)?$|module \w+$|end$|.*\bdo \|\w+\|)/,
    defines: /^\s*(?:def|class|module)\s+([A-Za-z_][\w.?!]*)/,
    imports: /^\s*require(?:_relative)?\s+["']([^"']+)/,
  },
  {
    name: "PHP",
    endings: ["php"],
    ...c,
    signs: /^<\?php|^\s*(?:\$\w+ = |use [\w\\]+;|namespace [\w\\]+;)/,
    defines: /^\s*(?:\w+ )*(?:function|class|interface|trait)\s+([A-Za-z_]\w*)/,
    imports: /^\s*use\s+([\w\\]+)/,
  },
  {
    name: "Shell",
    endings: ["sh", "bash", "zsh", "fish"],
    line: "#",
    signs: /^\s*(?:#!.*\b(?:ba|z|da)?sh\b|if \[|fi$|done$|esac$|export \w+=|echo |set -[eux]|\w+\(\) \{)/,
    defines: /^\s*(?:function\s+)?([A-Za-z_][\w-]*)\s*\(\)/,
    imports: /^\s*(?:source|\.)\s+(\S+)/,
  },
  {
    name: "Lua",
    endings: ["lua"],
    line: "--",
    signs: /^\s*(?:local (?:function )?\w+|function [\w.:]+\(|.*\bthen$|require ?\(?["'])/,
    defines: /^\s*(?:local )?function\s+([\w.:]+)/,
    imports: /\brequire\s*\(?["']([^"']+)/,
  },
  {
    name: "R",
    endings: ["r"],
    line: "#",
    signs: /^\s*(?:library\(\w+\)|\w[\w.]* <- |.*%>%)/,
    defines: /^\s*([\w.]+)\s*<-\s*function/,
    imports: /^\s*(?:library|require)\(["']?(\w+)/,
  },
  {
    name: "Julia",
    endings: ["jl"],
    line: "#",
    signs: /^\s*(?:using \w+|function \w+\(|end$|struct \w+$|@\w+ )/,
    defines: /^\s*(?:function|struct|module|macro)\s+([A-Za-z_]\w*)/,
    imports: /^\s*(?:using|import)\s+([\w.]+)/,
  },
  {
    name: "SQL",
    endings: ["sql"],
    line: "--",
    block: ["/*", "*/"],
    signs: /^\s*(?:SELECT\b|INSERT INTO|CREATE (?:TABLE|INDEX|VIEW)|UPDATE \w+ SET|DELETE FROM|ALTER TABLE)/i,
    defines:
      /^\s*CREATE\s+(?:OR REPLACE\s+|TEMP\w*\s+|UNIQUE\s+)*(?:TABLE|VIEW|INDEX|FUNCTION|TRIGGER|PROCEDURE)\s+(?:IF NOT EXISTS\s+)?["'`[]?([\w.]+)/i,
  },
  {
    name: "HTML",
    endings: ["html", "htm"],
    block: ["<!--", "-->"],
    signs: /^\s*(?:<!doctype html|<html|<head>|<body|<div|<script|<p>|<\/div>)/i,
  },
  {
    name: "CSS",
    endings: ["css", "scss", "less"],
    block: ["/*", "*/"],
    signs: /^\s*(?:[.#]?[\w-]+(?:[ ,>:.#][\w-]+)*\s*\{|[\w-]+:\s*[^;]+;$|@media)/,
  },
  {
    name: "Haskell",
    endings: ["hs"],
    line: "--",
    signs: /^(?:module [\w.]+|import (?:qualified )?[A-Z][\w.]+|\w+ :: )/,
    defines: /^(?:data|type|newtype|class)\s+([A-Z]\w*)|^([a-z]\w*)\s*::/,
    imports: /^import\s+(?:qualified\s+)?([\w.]+)/,
  },
  {
    name: "Scala",
    endings: ["scala"],
    ...c,
    defines: /^\s*(?:\w+ )*(?:def|class|object|trait)\s+([A-Za-z_]\w*)/,
    imports: /^\s*import\s+([\w.]+)/,
  },
  {
    name: "Perl",
    endings: ["pl", "pm"],
    line: "#",
    signs: /^\s*(?:use strict|my [$@%]\w+|sub \w+ \{)/,
    defines: /^\s*sub\s+(\w+)/,
    imports: /^\s*use\s+([\w:]+)/,
  },
  { name: "Zig", endings: ["zig"], line: "//", defines: /^\s*(?:pub )?(?:fn|const)\s+(\w+)/ },
  {
    name: "Makefile",
    endings: ["mk"],
    line: "#",
    signs: /^[\w.%/-]+:(?!=)(?: [\w.%/$()-]+)*$/,
    defines: /^([\w.%/-]+):(?!=)/,
  },
  {
    name: "Dockerfile",
    endings: [],
    line: "#",
    signs: /^(?:FROM|RUN|COPY|ENTRYPOINT|WORKDIR|CMD|ENV) \S/,
    imports: /^FROM\s+(\S+)/,
  },
  {
    name: "CMake",
    endings: ["cmake"],
    line: "#",
    signs: /^\s*(?:cmake_minimum_required|project|add_(?:executable|library)|target_\w+)\(/i,
    defines: /^\s*(?:function|macro|add_executable|add_library)\((\w+)/i,
  },
];

const byName = new Map(languages.map((language) => [language.name, language]));
const fixedNames: Readonly<Record<string, string>> = {
  makefile: "Makefile",
  gnumakefile: "Makefile",
  dockerfile: "Dockerfile",
  containerfile: "Dockerfile",
  "cmakelists.txt": "CMake",
  rakefile: "Ruby",
  gemfile: "Ruby",
};
const interpreters: readonly [RegExp, string][] = [
  [/\bpython/, "Python"],
  [/\b(?:deno|bun|ts-node|tsx)\b/, "TypeScript"],
  [/\bnode\b/, "JavaScript"],
  [/\b(?:ba|z|k|da)?sh\b/, "Shell"],
  [/\bruby\b/, "Ruby"],
  [/\bperl\b/, "Perl"],
  [/\bphp\b/, "PHP"],
  [/\blua\b/, "Lua"],
  [/\bRscript\b/, "R"],
];

/** The programming language of a file, null where it is none. @param name the file's name; may say nothing */
export function codeLanguage(
  name: string,
  text: string,
): { name: string; by: "name" | "first line" | "content" } | null {
  const file = name.replaceAll("\\", "/").split("/").at(-1)!.toLowerCase();
  if (fixedNames[file] !== undefined) return { name: fixedNames[file], by: "name" };
  const ending = file.includes(".") ? file.split(".").at(-1)! : "";
  const named = languages.find(({ endings }) => endings.includes(ending));
  if (named !== undefined) {
    // Headers are C until they show C++.
    if (ending === "h" && /^\s*(?:class |namespace |template\s*<|using )/m.test(text.slice(0, 20_000))) {
      return { name: "C++", by: "content" };
    }
    return { name: named.name, by: "name" };
  }
  const first = text.slice(0, 200).split("\n", 1)[0];
  if (first.startsWith("#!")) {
    const found = interpreters.find(([pattern]) => pattern.test(first));
    if (found !== undefined) return { name: found[1], by: "first line" };
  }
  if (ending !== "" && !["txt", "text", "md", "log"].includes(ending) && file !== ending) return null;
  const lines = text.slice(0, 20_000).split("\n").filter((line) => line.trim() !== "" && line.length < 400).slice(
    0,
    200,
  );
  if (lines.length < 3) return null;
  let best: string | null = null, bestShare = 0.18;
  for (const { name, signs } of languages) {
    if (signs === undefined) continue;
    const share = lines.filter((line) => signs.test(line)).length / lines.length;
    if (share > bestShare) [best, bestShare] = [name, share];
  }
  // Prose has lines that begin with "import" too; code has brackets and semicolons at its line ends.
  const marks = lines.filter((line) => /[{};:()\],>]\s*$|^\s*[}\])#@]|=/.test(line)).length / lines.length;
  return best !== null && marks > 0.25 ? { name: best, by: "content" } : null;
}

/** What code comes to. */
export interface CodeSummary {
  /** Lines with code on them. */
  readonly code: number;
  /** Lines that are comment alone. */
  readonly comments: number;
  /** Lines with nothing on them. */
  readonly blank: number;
  /** Names that are defined, with their lines. */
  readonly definitions: readonly { readonly name: string; readonly line: number }[];
  /** How many there are in all. */
  readonly definitionCount: number;
  /** What is imported. */
  readonly imports: readonly string[];
}

/** Sums code up. */
export async function summarizeCode(
  language: string,
  text: string,
  pause: () => Promise<void> = async () => {},
): Promise<CodeSummary> {
  const { line: mark, block, defines, imports } = byName.get(language) ?? { name: "", endings: [] };
  const definitions: { name: string; line: number }[] = [];
  const imported = new Set<string>();
  let code = 0, comments = 0, blank = 0, definitionCount = 0, inside = false, number = 0;
  for (const raw of text.replace(/\n$/, "").split("\n")) {
    if (++number % 2048 === 0) await pause();
    const line = raw.slice(0, 1000);
    const trimmed = line.trim();
    if (trimmed === "") {
      blank++;
      continue;
    }
    if (inside) {
      comments++;
      if (trimmed.includes(block![1])) inside = false;
      continue;
    }
    if (mark !== undefined && trimmed.startsWith(mark)) {
      comments++;
      continue;
    }
    if (block !== undefined && trimmed.startsWith(block[0])) {
      comments++;
      inside = !trimmed.slice(block[0].length).includes(block[1]);
      continue;
    }
    code++;
    const match = defines?.exec(line);
    const name = match?.slice(1).find((group) => group !== undefined);
    if (name !== undefined && !/^(?:if|for|while|switch|return|else|catch)$/.test(name)) {
      definitionCount++;
      if (definitions.length < 200) definitions.push({ name, line: number });
    }
    const from = imports?.exec(line)?.slice(1).find((group) => group !== undefined);
    if (from !== undefined && imported.size < 200) imported.add(from);
  }
  return { code, comments, blank, definitions, definitionCount, imports: [...imported] };
}
