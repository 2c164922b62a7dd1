/** `cli.ts memory …` on a real memory, and on the one that the Python original published. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { cli, root, Scratch } from "./_cli.ts";

/** A memory with a few decisions. */
async function filled(scratch: Scratch): Promise<void> {
  for (const task of ["Reseat the GPU power cable", "Plot the loss curve of run 7", "Water the fern in the foyer"]) {
    const { code, err } = await scratch.run([task]);
    assert.equal(code, 0, err);
  }
}

Deno.test("memory search finds what was decided, recent lists it, --type and --limit narrow both", async () => {
  using scratch = new Scratch();
  await filled(scratch);
  const { json } = await scratch.run(["memory", "search", "loss", "curve"]);
  assert.equal(json.query, "loss curve");
  assert.match(json.hits[0].content, /Plot the loss curve/);
  assert.deepEqual((await scratch.run(["memory", "search", "zebrafish"])).json.hits, []);
  const { json: recent } = await scratch.run(["memory", "recent", "--limit", "2"]);
  assert.equal(recent.entries.length, 2);
  assert.match(recent.entries[0].content, /fern/);
  const { json: briefs } = await scratch.run(["memory", "recent", "--type", "BRIEF"]);
  assert.deepEqual(briefs.entries, []);
});

Deno.test("memory export writes every entry as a line of JSON", async () => {
  using scratch = new Scratch();
  await filled(scratch);
  const { out, code } = await scratch.run(["memory", "export"]);
  assert.equal(code, 0);
  const lines = out.trimEnd().split("\n").map((line) => JSON.parse(line));
  const { json: stats } = await scratch.run(["memory", "stats"]);
  assert.equal(lines.length, stats.entries);
  assert.ok(lines.every(({ id, file_type, timestamp }) => id > 0 && file_type && timestamp));
});

Deno.test("memory verify is exit code 0 for a good chain and 1 for a changed one", async () => {
  using scratch = new Scratch();
  await filled(scratch);
  const good = await scratch.run(["memory", "verify"]);
  assert.equal(good.code, 0, good.out);
  assert.equal(good.json.ok, true);
  assert.equal((await scratch.run(["memory", "verify", "--anchor", good.json.head])).code, 0);
  const forged = await scratch.run(["memory", "verify", "--anchor", `1:${"0".repeat(64)}`]);
  assert.equal(forged.code, 1);
  assert.match(forged.json.problems[0].message, /does not hold the record/);
  const database = new DatabaseSync(scratch.db);
  for (const { name } of database.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").all()) {
    if (/entries|audit/i.test(String(name))) database.exec(`DROP TRIGGER "${name}"`);
  }
  database.exec("UPDATE entries SET content = 'the cable was reseated' WHERE id = 1");
  database.close();
  const bad = await scratch.run(["memory", "verify"]);
  assert.equal(bad.code, 1, bad.out);
  assert.equal(bad.json.ok, false);
  assert.ok(bad.json.problems.length > 0);
});

Deno.test("memory commands leave the file as it is", async () => {
  using scratch = new Scratch();
  await filled(scratch);
  const before = Deno.readFileSync(scratch.db);
  for (const args of [["search", "cable"], ["recent"], ["export"], ["verify"], ["stats"]]) {
    const { code, err } = await cli(["memory", ...args, "--db", scratch.db], { flags: [scratch.flags[0]] });
    assert.equal(code, 0, `${args}: ${err}`);
  }
  assert.deepEqual(Deno.readFileSync(scratch.db), before);
});

Deno.test("memory as text has no control character of its entries", async () => {
  using scratch = new Scratch();
  await scratch.run(["Sort the \u001b[31mred table"]);
  for (const args of [["recent"], ["search", "table"], ["stats"], ["verify"]]) {
    const { out } = await scratch.run(["memory", ...args, "--format", "text"]);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(out, /\u001b/, args[0]);
    assert.ok(out.length > 2, args[0]);
  }
});

Deno.test("memory commands work on a copy of the original's memory", async () => {
  using scratch = new Scratch();
  Deno.copyFileSync(`${root}/tests/data/memory-original.db`, scratch.db);
  const task = await scratch.run(["Draft a report and then visit the lab to verify the rack"]);
  assert.equal(task.code, 0, task.err);
  assert.ok(task.json.memory.context.length > 0, "the original's own decision on this task is its context");
  const { json } = await scratch.run(["memory", "search", "digital cognitive labor"]);
  assert.ok(json.hits.length > 0);
  const { out } = await scratch.run(["memory", "export"]);
  const lines = out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.some(({ content }) => content === "AI-Memory initialized"));
  assert.equal((await scratch.run(["memory", "verify"])).code, 0);
});
