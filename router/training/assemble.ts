/**
 * Assembles `router/model/product.wat` into `product.gen.ts`, which holds the bytes as text: so they are there without a
 * permission, and each model has an instance of its own. With `--check` it only says whether that file is up to date.
 *
 * ```sh
 * deno run --allow-read --allow-write=router/model router/training/assemble.ts
 * ```
 * @module
 */
// deno-lint-ignore no-import-prefix -- pinned beside what loads it, so that no other task downloads it
import wabt from "npm:wabt@1.0.39";

const folder = new URL("../model/", import.meta.url);
const source = Deno.readTextFileSync(new URL("product.wat", folder));
const parsed = (await wabt()).parseWat("product.wat", source, { simd: true });
const bytes = new Uint8Array(parsed.toBinary({}).buffer);
parsed.destroy();

const text = [
  "// Generated from product.wat by router/training/assemble.ts. Do not edit.",
  `/** The kernel's ${bytes.length} bytes in base64. */`,
  "export const productBytes: string =",
  bytes.toBase64().match(/.{1,110}/g)!.map((line) => `  "${line}"`).join(" +\n") + ";",
  "",
].join("\n");

const path = new URL("product.gen.ts", folder);
if (!Deno.args.includes("--check")) Deno.writeTextFileSync(path, text);
else if (Deno.readTextFileSync(path) !== text) {
  console.error("router/model/product.gen.ts does not follow from product.wat: run router/training/assemble.ts");
  Deno.exit(1);
}
