/** The conformance suite over every executor of the list. */
import { deepStrictEqual as equal } from "node:assert";
import { executors } from "../../router/executors/mod.ts";
import { candidates, tasks } from "./_candidates.ts";
import { conformance, makePlace } from "./conformance.ts";

const root = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));

Deno.test("every executor is in the conformance suite", () =>
  equal(executors.map(({ name }) => name).sort(), Object.keys(tasks).sort()));

conformance(candidates, makePlace(root));
