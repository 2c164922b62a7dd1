/** `cli.ts handoff …`: a checklist stays open until there is evidence for every item. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { cli, cloneIn, root, Scratch } from "./_cli.ts";

const two = "Reseat the GPU power cable and sweep the corridor with a broom";

/** A memory with one handoff of two items. */
async function opened(scratch: Scratch): Promise<string> {
  const { json } = await scratch.run([two]);
  assert.equal(json.handoff.items.length, 2, JSON.stringify(json.human_segments));
  return String(json.handoff.id);
}

Deno.test("a handoff is open until every item has evidence", async () => {
  using scratch = new Scratch();
  const id = await opened(scratch);
  const { json: listed } = await scratch.run(["handoff", "list"]);
  assert.deepEqual(listed.handoffs.map(({ id, state }: { id: number; state: string }) => [String(id), state]), [[
    id,
    "open",
  ]]);
  const first = await scratch.run(["handoff", "done", `${id}.1`, "--evidence", "photo 1 of 2, Ida, 14:05"]);
  assert.equal(first.code, 0);
  assert.equal(first.json.state, "open");
  assert.deepEqual(first.json.items.map(({ state }: { state: string }) => state), ["done", "open"]);
  assert.equal(first.json.items[0].evidence_given, "photo 1 of 2, Ida, 14:05");
  const second = await scratch.run(["handoff", "done", id, "--item", "2", "--evidence", "photo of the floor"]);
  assert.equal(second.json.state, "done");
  assert.ok(second.json.closed_at);
  assert.deepEqual((await scratch.run(["handoff", "list"])).json.handoffs, []);
  assert.equal((await scratch.run(["handoff", "list", "--state", "done"])).json.handoffs.length, 1);
  assert.equal((await scratch.run(["handoff", "list", "--state", "all"])).json.handoffs.length, 1);
  const again = await scratch.run(["handoff", "done", id, "--evidence", "once more"]);
  assert.equal(again.code, 1);
  assert.match(again.err, /is done already/);
  assert.equal((await scratch.run(["memory", "verify"])).code, 0);
});

Deno.test("evidence for a whole handoff goes to every open item", async () => {
  using scratch = new Scratch();
  const id = await opened(scratch);
  await scratch.run(["handoff", "done", `${id}.2`, "--evidence", "broom seen"]);
  const { json } = await scratch.run(["handoff", "done", id, "--evidence", "Ida, 14:05, all of it"]);
  assert.equal(json.state, "done");
  assert.deepEqual(json.items.map(({ evidence_given }: { evidence_given: string }) => evidence_given), [
    "Ida, 14:05, all of it",
    "broom seen",
  ]);
});

Deno.test("a file as evidence is kept as its name, size and hash", async () => {
  using scratch = new Scratch();
  const id = await opened(scratch);
  const bytes = new Uint8Array([1, 2, 3, 4]);
  const photo = scratch.file("photo.jpg", bytes);
  const hash = createHash("sha256").update(bytes).digest("hex");
  const { json } = await scratch.run(["handoff", "done", `${id}.1`, "--evidence", photo]);
  assert.equal(json.items[0].evidence_given, `file photo.jpg, 4 bytes, sha256 ${hash}`);
  const nothing = await scratch.run(["handoff", "done", `${id}.2`, "--evidence", scratch.file("empty.jpg", "")]);
  assert.equal(nothing.code, 1);
  assert.match(nothing.err, /empty\.jpg is empty and shows nothing/);
});

Deno.test("the path of a file that shows nothing closes no handoff: there would be no way back", async () => {
  using scratch = new Scratch();
  const id = await opened(scratch);
  const cases: [evidence: string, code: number, message: RegExp][] = [
    ["/elsewhere/photo.jpg", 3, /^error: reading the evidence needs --allow-read=\/elsewhere\/photo\.jpg before/],
    [join(scratch.folder, "my photo.jpg"), 1, /my photo\.jpg cannot be read: it does not exist/],
    [scratch.folder, 1, /cannot be read: it is a folder/],
    ["photo.jpg", 3, /--allow-read=photo\.jpg/],
  ];
  for (const [evidence, code, message] of cases) {
    const result = await scratch.run(["handoff", "done", id, "--evidence", evidence]);
    assert.equal(result.code, code, result.err);
    assert.match(result.err, message);
  }
  assert.equal((await scratch.run(["handoff", "show", id])).json.state, "open");
  for (const [i, words] of ["https://photos.example/1.jpg", "Ida at 14:05, torque 3.5 Nm."].entries()) {
    const { json, err } = await scratch.run(["handoff", "done", `${id}.${i + 1}`, "--evidence", words]);
    assert.equal(json.items[i].evidence_given, words, err);
  }
});

Deno.test("a closed handoff of a hybrid task says that what waited for it was not run", async () => {
  using scratch = new Scratch();
  const { json } = await scratch.run(["Read the meter in the cellar, then plot the readings"]);
  assert.equal(json.domain, "hybrid");
  const { json: done } = await scratch.run(["handoff", "done", String(json.handoff.id), "--evidence", "Ida, 14:05"]);
  assert.equal(done.state, "done");
  assert.match(done.notices.join(), /a digital step that waited for it is run when it is given as a task/);
});

Deno.test("a key in a task or in evidence does not reach the file of the memory", async () => {
  using scratch = new Scratch();
  const key = "ghp_" + "a1B2".repeat(9);
  const task = `Write ${key} on the whiteboard by hand and upload the file with ${key}`;
  const { json, err } = await scratch.run([task]);
  assert.equal(json.domain, "hybrid");
  assert.match(err, /what looks like a key or a password in the task is not remembered/);
  const again = await scratch.run([task]);
  assert.equal(again.json.handoff.id, json.handoff.id);
  const done = await scratch.run(["handoff", "done", String(json.handoff.id), "--evidence", `used ${key}`]);
  assert.equal(done.json.items[0].evidence_given, "used [redacted]");
  for (const { name } of Deno.readDirSync(scratch.folder)) {
    assert.ok(!new TextDecoder("latin1").decode(Deno.readFileSync(join(scratch.folder, name))).includes(key), name);
  }
});

Deno.test("a cancelled handoff stays cancelled, with its reason in the record", async () => {
  using scratch = new Scratch();
  const id = await opened(scratch);
  const { code, json } = await scratch.run(["handoff", "cancel", id, "--reason", "the server was sold"]);
  assert.equal(code, 0);
  assert.equal(json.state, "cancelled");
  const done = await scratch.run(["handoff", "done", id, "--evidence", "photo"]);
  assert.equal(done.code, 1);
  assert.match(done.err, /is cancelled already/);
  assert.equal((await scratch.run(["handoff", "list", "--state", "cancelled"])).json.handoffs.length, 1);
});

Deno.test("a handoff may be cancelled without a reason, and an empty one is none", async () => {
  using scratch = new Scratch();
  for (const [id, reason] of [["1", []], ["2", ["--reason", ""]], ["3", ["--reason", " "]]] as const) {
    await scratch.run([`Sweep corridor ${id} with a broom`]);
    const { code, json, err } = await scratch.run(["handoff", "cancel", id, ...reason]);
    assert.equal(code, 0, err);
    assert.deepEqual([json.state, json.reason], ["cancelled", null]);
  }
  assert.equal((await scratch.run(["memory", "verify"])).code, 0);
});

Deno.test("numbers that there are not are one sentence and exit code 1", async () => {
  using scratch = new Scratch();
  const id = await opened(scratch);
  const cases: [string[], RegExp][] = [
    [["handoff", "show", "99"], /there is no handoff 99 in .*memory\.db/],
    [["handoff", "done", "99", "--evidence", "x1"], /there is no handoff 99/],
    [["handoff", "cancel", "99"], /there is no handoff 99/],
    [["handoff", "done", `${id}.3`, "--evidence", "x1"], /has 2 items, no item 3/],
    [["handoff", "done", `${id}.0`, "--evidence", "x1"], /has 2 items, no item 0/],
  ];
  for (const [args, message] of cases) {
    const { code, out, err } = await scratch.run(args);
    assert.equal(code, 1, err);
    assert.equal(out, "");
    assert.match(err, message);
  }
  assert.equal((await scratch.run(["handoff", "show", id])).json.state, "open");
  using nothing = new Scratch();
  const absent = await nothing.run(["handoff", "done", "1", "--evidence", "seen"]);
  assert.equal(absent.code, 1);
  assert.match(absent.err, /memory\.db does not exist/);
  assert.throws(() => Deno.statSync(nothing.db));
});

Deno.test("handoffs as text show the checklist, with control characters of a task made visible", async () => {
  using scratch = new Scratch();
  const { json } = await scratch.run(["Reseat the GPU\u001b[2J power cable in aisle 4"]);
  const { out } = await scratch.run(["handoff", "show", String(json.handoff.id), "--format", "text"]);
  assert.match(out, /^Handoff 1 open since/);
  assert.match(out, /1\. \[ \] Reseat the GPU.?\[2J power cable/);
  assert.match(out, /! Mains: /);
  assert.match(out, /evidence: photo/);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(out, /\u001b/);
  const list = await scratch.run(["handoff", "list", "--format", "text"]);
  assert.match(list.out, /^1\s+open\s+0\/1 done/);
});

Deno.test("a closed handoff as text is done or cancelled since it was closed, not since it was created", async () => {
  using scratch = new Scratch();
  for (const [id, words] of [["1", ["done", "1", "--evidence", "Ida"]], ["2", ["cancel", "2"]]] as const) {
    await scratch.run([`Sweep corridor ${id} with a broom`]);
    await scratch.run(["handoff", ...words]);
    const { json } = await scratch.run(["handoff", "show", id]);
    assert.notEqual(json.closed_at, json.created_at);
    const { out } = await scratch.run(["handoff", "show", id, "--format", "text"]);
    assert.ok(out.startsWith(`Handoff ${id} ${json.state} since ${json.closed_at}\n`), out);
  }
});

Deno.test("a memory that others wrote cannot steer the terminal by its times", async () => {
  using scratch = new Scratch();
  const id = await opened(scratch);
  {
    using database = new DatabaseSync(scratch.db);
    database.prepare("UPDATE handoffs SET created_at = ?").run("\u001b]0;x\u0007");
  }
  for (const args of [["handoff", "list"], ["handoff", "show", id]]) {
    const { code, out, err } = await scratch.run([...args, "--format", "text"]);
    assert.equal(code, 0, err);
    assert.match(out, /␛\]0;x␇/);
  }
});

Deno.test("the README's commands run as they stand there, in their order", async () => {
  using scratch = new Scratch();
  const clone = cloneIn(scratch);
  const readme = Deno.readTextFileSync(join(root, "README.md"));
  const blocks = readme.matchAll(/```sh\n(.*?)```/gs).map(([, block]) => block);
  const handoffs = blocks.find((block) => block.includes("handoff cancel"));
  const task = 'deno run -R=AI-Memory -W=AI-Memory cli.ts "Go to the server room and reseat the GPU power cable"\n';
  assert.ok(readme.includes(task));
  const PATH = `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`;
  const shell = new Deno.Command("sh", { args: ["-euc", task + handoffs], cwd: clone.cwd, env: { PATH } });
  const { code, stderr } = await shell.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.equal((await cli(["handoff", "show", "1"], clone)).json.state, "cancelled");
});

Deno.test("handoff commands name the flags that are missing, with exit code 3", async () => {
  using scratch = new Scratch();
  const id = await opened(scratch);
  const [read] = scratch.flags;
  const list = await cli(["handoff", "list", "--db", scratch.db]);
  assert.equal(list.code, 3);
  assert.match(
    list.err,
    /^error: "handoff list" needs --allow-read=\S+researchswarm_cli_\w+ before the name of the script\n$/,
  );
  const done = await cli(["handoff", "done", id, "--evidence", "seen", "--db", scratch.db], { flags: [read] });
  assert.equal(done.code, 3);
  assert.match(done.err, /^error: "handoff done" needs --allow-write=\S+researchswarm_cli_\w+ /);
  const standard = await cli(["handoff", "list"]);
  assert.match(standard.err, /needs --allow-read=AI-Memory before/);
});
