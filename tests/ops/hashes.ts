/**
 * Prints, as JSON, a hash of every op's results over all its cases, by instruction set. A process of its own, because
 * the number of threads is fixed once a process: `hashes.ts <library> <threads>`.
 * @module
 */
import { createHash } from "node:crypto";
import { openLibrary } from "../../cuda/lib.ts";
import type { OpName } from "./case.ts";
import { cases } from "./cases.ts";
import { availableSets, call } from "./runner.ts";

const library = openLibrary(Deno.args[0], { threads: Number(Deno.args[1]) });
const hashes: Record<string, string> = {};
for (const isa of availableSets(library)) {
  library.symbols.rs_runtime_set_isa(isa);
  for (const op of Object.keys(cases) as OpName[]) {
    const hash = createHash("sha256");
    for (const one of cases[op]) {
      for (const result of call(library, op, one.args, false).written) {
        hash.update(new Uint8Array(result.buffer, result.byteOffset, result.byteLength));
      }
    }
    hashes[`${op} ${isa}`] = hash.digest("hex");
  }
}
console.log(JSON.stringify({ description: library.description, hashes }));
