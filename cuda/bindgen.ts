/**
 * Reads kernels.h and writes symbols.gen.ts, the table for `Deno.dlopen`; `--check` only compares and exits 1 on drift.
 * @module
 */
import { createHash } from "node:crypto";

/** One declaration of the header in the types of Deno's FFI. */
export interface Declaration {
  readonly name: string;
  readonly parameters: readonly FfiType[];
  readonly parameterNames: readonly string[];
  readonly result: FfiType;
}

/** The types that cross: nothing else is in the header, and a pointer is always a caller's buffer. */
export type FfiType = "i32" | "u32" | "f64" | "buffer";

/** What the header declares. */
export interface Header {
  readonly declarations: readonly Declaration[];
  readonly enums: Readonly<Record<string, number>>;
  /** First 32 bits of the SHA-256 of the header without comments and with white space made one; CMakeLists.txt computes the same. */
  readonly abiHash: number;
}

const plainTypes: Record<string, FfiType> = {
  "int32_t": "i32",
  "uint32_t": "u32",
  "double": "f64",
  "void*": "buffer",
  "const void*": "buffer",
};

/**
 * Parses the header.
 * @throws Error that names the declaration which uses a type outside the ABI's rules.
 */
export function parseHeader(source: string): Header {
  const normal = source.replaceAll(/\/\/[^\n]*/g, "").replaceAll(/[ \t\r\n]+/g, " ");
  const abiHash = createHash("sha256").update(normal).digest().readUInt32BE(0);
  const types = { ...plainTypes };
  for (const [, type, name] of normal.matchAll(/typedef (\w+) (rs_\w+);/g)) types[name] = types[type];
  const declarations = [...normal.matchAll(/RS_API ((?!extern|__attribute__)[^;"]+?) (rs_\w+)\(([^)]*)\);/g)].map(
    ([, result, name, list]) => {
      const ffiType = (text: string): FfiType => {
        const type = types[text.trim()];
        if (!type) throw new Error(`${name}: "${text.trim()}" is no type of the ABI`);
        return type;
      };
      const split = list.trim() === "void" ? [] : list.split(",").map((parameter) => {
        const match = parameter.trim().match(/^(.+?)\s*\b(\w+)$/);
        if (!match) throw new Error(`${name}: parameter "${parameter.trim()}" has no type or no name`);
        return match;
      });
      return {
        name,
        parameters: split.map(([, type]) => ffiType(type)),
        parameterNames: split.map(([, , parameterName]) => parameterName),
        result: ffiType(result),
      };
    },
  );
  const declared = normal.match(/\brs_\w+\(/g)?.length ?? 0;
  if (declared !== declarations.length) {
    throw new Error(`kernels.h names ${declared} functions, but only ${declarations.length} could be read`);
  }
  const enums: Record<string, number> = {};
  for (const [, body] of normal.matchAll(/enum \{([^}]*)\}/g)) {
    for (const entry of body.split(",")) {
      const [, name, value] = entry.match(/^\s*(RS_\w+) = (\d+)\s*$/) ?? [];
      if (!name) throw new Error(`enum entry "${entry.trim()}" needs the form NAME = number`);
      enums[name] = Number(value);
    }
  }
  return { declarations, enums, abiHash };
}

/** The text of symbols.gen.ts. */
export function generate(header: Header): string {
  const symbols = header.declarations.map(({ name, parameters, result }) =>
    `  ${name}: { parameters: [${parameters.map((type) => `"${type}"`).join(", ")}], result: "${result}" },\n`
  );
  const enums = Object.entries(header.enums).map(([name, value]) => `  ${name}: ${value},\n`);
  return `// Written by cuda/bindgen.ts from cuda/kernels.h. Do not edit; run \`deno task bindgen\`.
/** Every function of the ABI, for \`Deno.dlopen\`. */
export const symbols = {
${symbols.join("")}} as const;

/** The enumerations of the ABI. */
export const enums = {
${enums.join("")}} as const;

/** What \`rs_abi_hash\` of a library built from the same header returns. */
export const abiHash = 0x${header.abiHash.toString(16).padStart(8, "0")};
`;
}

if (import.meta.main) {
  const usage = "usage: bindgen.ts [--check]   writes cuda/symbols.gen.ts from cuda/kernels.h, or only compares";
  const check = Deno.args.length === 1 && Deno.args[0] === "--check";
  if (Deno.args.includes("--help")) {
    console.log(usage);
  } else if (Deno.args.length > 0 && !check) {
    console.error(usage);
    Deno.exit(2);
  } else {
    const target = new URL("symbols.gen.ts", import.meta.url);
    const text = generate(parseHeader(await Deno.readTextFile(new URL("kernels.h", import.meta.url))));
    const present = await Deno.readTextFile(target).catch(() => "");
    if (text === present) {
      console.error("symbols.gen.ts agrees with kernels.h");
    } else if (check) {
      console.error("symbols.gen.ts differs from kernels.h: run `deno task bindgen`");
      Deno.exit(1);
    } else {
      await Deno.writeTextFile(target, text);
      console.error("symbols.gen.ts written");
    }
  }
}
