/** Promises about several processes on one memory: nothing that was acknowledged is lost, whoever is killed. */
import { deepStrictEqual as equal, ok } from "node:assert";
import { openMemory } from "../memory/mod.ts";
import { namesIn, withFolder } from "./_memory.ts";
import { runWriters } from "./_memory_writers.ts";

Deno.test("eight processes write at once, three are killed, and nothing acknowledged is lost", () =>
  withFolder(async (folder) => {
    const { problems, killed, acknowledged, entries, seconds } = await runWriters(`${folder}/memory.db`, 8, 200, 3);
    equal(problems, []);
    equal(killed, 3);
    ok(acknowledged >= 1000 && entries >= acknowledged && entries <= acknowledged + 3, `${acknowledged} ${entries}`);
    console.log(`${acknowledged} entries of 8 processes in ${seconds.toFixed(1)} s`);
    equal(namesIn(folder), ["memory.db"], "the last one to close clears up after the killed ones");
  }));

Deno.test("processes that make the same memory at the same moment make it once", () =>
  withFolder(async (folder) => {
    for (let round = 0; round < 3; round++) {
      const { problems, entries } = await runWriters(`${folder}/memory${round}.db`, 6, 3, 0);
      equal([problems, entries], [[], 18]);
    }
  }));

Deno.test("what another process wrote is found at once, and its repeats are seen", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    using one = openMemory(path);
    using two = openMemory(path);
    const entry = { fileType: "BRIEF", tag: "t", content: "A lynx lives behind the barn" } as const;
    equal(one.append(entry), { id: 1, stored: true });
    equal(two.search("lynx")[0].id, 1);
    equal(two.append(entry).stored, false);
    equal(two.append({ ...entry, content: "And an owl in it" }), { id: 2, stored: true });
    equal(one.recent().length, 2);
    equal([one.verify().ok, one.stats().head], [true, two.stats().head]);
  }));
