/** `cli.ts classify`: the five fields of the original's example, one task or a file of them, whatever the tasks are. */
import assert from "node:assert/strict";
import { linesOf } from "../../router/cli/lines.ts";
import { cli, command, Scratch } from "./_cli.ts";

const fields = ["domain", "confidence", "digital_segments", "human_segments", "recommended_action"];
const example = "Summarize the training logs and then physically restart the server";

Deno.test("classify gives the original's example, field for field", async () => {
  const { code, json, err } = await cli(["classify", example]);
  assert.equal(code, 0);
  assert.equal(err, "");
  assert.deepEqual(Object.keys(json), fields);
  const { confidence, ...rest } = json;
  assert.ok(confidence > 0.5 && confidence <= 1);
  assert.deepEqual(rest, {
    domain: "hybrid",
    digital_segments: ["Summarize the training logs"],
    human_segments: ["physically restart the server"],
    recommended_action:
      "Complete the digital portion now, isolate the physical/manual portion, and create an explicit handoff boundary.",
  });
});

Deno.test("classify reads the task from standard input for -", async () => {
  const { json } = await cli(["classify", "-"], { stdin: `\ufeff${example}\r\n` });
  assert.deepEqual(json, (await cli(["classify", example])).json);
});

Deno.test("classify --jsonl answers line by line, in order, while the input is still open", async () => {
  const child = command(["classify", "--jsonl", "-"]).spawn();
  const writer = child.stdin.getWriter();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const lines = async (count: number) => {
    while (text.split("\n").length <= count) {
      const { value, done } = await reader.read();
      if (done) throw new Error("it ended early");
      text += value;
    }
    return text.split("\n").slice(0, count).map((line) => JSON.parse(line));
  };
  const write = (line: string) => writer.write(new TextEncoder().encode(line));
  await write(`${JSON.stringify({ task: example })}\n`);
  assert.equal((await lines(1))[0].domain, "hybrid");
  await write(`{"task": "Sweep the corridor`);
  await write(` with a broom", "id": 4}\n`);
  assert.equal((await lines(2))[1].domain, "human-action");
  await writer.close();
  assert.equal((await child.status).code, 0);
  await child.stderr.cancel();
});

Deno.test("classify --jsonl gives one object for every line, with an error for each bad one, and exit code 1", async () => {
  using scratch = new Scratch();
  const lines = [
    '{"task": "Plot the loss curve"}',
    "not json",
    "",
    '{"task": 7}',
    '["task"]',
    "null",
    '{"text": "Plot"}',
    `{"task": "${"Plot the loss curve. ".repeat(50_000)}"}`,
    '{"task": ""}',
    '{"task": "\\ud800 Plot the loss \\u0000 curve"}',
    '{"task": "Sweep the corridor with a broom"}\r',
  ];
  const file = scratch.file("tasks.jsonl", lines.join("\n"));
  const { code, out, err } = await cli(["classify", "--jsonl", file], { flags: scratch.flags });
  assert.equal(code, 1);
  assert.match(err, /^note: only the first 16000 characters .* in 1 line\nnote: 6 lines could not be read\n$/);
  const results = out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(results.length, lines.length);
  results.forEach((result, i) => {
    if (i >= 1 && i <= 6) {
      assert.deepEqual(Object.keys(result), ["error", "line"]);
      assert.equal(result.line, i + 1);
    } else assert.deepEqual(Object.keys(result), fields, `line ${i + 1}`);
  });
  assert.equal(results[8].domain, "unknown");
  assert.equal(results[10].domain, "human-action");
});

Deno.test("classify --jsonl says in one sentence what cannot be read", async () => {
  using scratch = new Scratch();
  const missing = await cli(["classify", "--jsonl", scratch.file("none.jsonl")], { flags: scratch.flags });
  assert.equal(missing.code, 1);
  assert.match(missing.err, /^error: .*none\.jsonl cannot be read: it does not exist\n$/);
  const folder = await cli(["classify", "--jsonl", scratch.folder], { flags: scratch.flags });
  assert.match(folder.err, /cannot be read: it is a folder/);
  const forbidden = await cli(["classify", "--jsonl", scratch.file("tasks.jsonl", "{}")]);
  assert.equal(forbidden.code, 3);
  assert.match(
    forbidden.err,
    /^error: reading the file needs --allow-read=.*tasks\.jsonl before the name of the script\n$/,
  );
});

Deno.test("classify ends quietly when nobody reads on", async () => {
  const child = command(["classify", "--jsonl", "-"]).spawn();
  const writer = child.stdin.getWriter();
  await child.stdout.cancel();
  const line = new TextEncoder().encode(`${JSON.stringify({ task: example })}\n`.repeat(20));
  try {
    for (let i = 0; i < 50; i++) await writer.write(line);
    await writer.close();
  } catch {
    // The process is gone, as it should be.
  }
  const [{ code }, err] = await Promise.all([child.status, new Response(child.stderr).text()]);
  assert.equal(err, "");
  assert.ok(code === 1 || code === 0);
});

Deno.test("classify --format text names the parts and makes control characters visible", async () => {
  const { out } = await cli(["classify", "--format", "text", "Sort the \u001b[31mtable\u0007 \u202eby name"]);
  assert.match(out, /^text-based \(\d+ %\)\nDigital\n/);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(out, /[\u001b\u0007\u202e]/);
  assert.match(out, /␛\[31mtable␇ <U\+202E>by name/);
});

Deno.test("a task that is too long to be read says so: classify on standard error, a task's text near its top", async () => {
  const stdin = "Plot the loss curve. ".repeat(1000);
  const classified = await cli(["classify", "-"], { stdin });
  assert.equal(classified.err, "note: only the first 16000 characters of the task were read\n");
  assert.deepEqual(Object.keys(classified.json), fields);
  assert.equal((await cli(["classify", "-", "--quiet"], { stdin })).err, "");
  const { out } = await cli(["-", "--format", "text"], { stdin });
  assert.equal(out.split("\n")[2], "Note: only the first 16000 characters of the task were read.");
});

Deno.test("linesOf() cuts a stream anywhere into the same lines", async () => {
  const text = "first\nzweite Zeile – größer\r\n\n\u{1f600} last";
  const bytes = new TextEncoder().encode(text);
  const expected = ["first", "zweite Zeile – größer", "", "\u{1f600} last"];
  for (let size = 1; size <= bytes.length; size++) {
    const chunks = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
    })();
    const lines = (await Array.fromAsync(linesOf(chunks, 1000))).flat();
    assert.deepEqual(lines.map(({ text }) => text), expected, `chunks of ${size}`);
    assert.deepEqual(lines.map(({ number }) => number), [1, 2, 3, 4]);
  }
});

Deno.test("linesOf() gives a line that is too long as null and goes on", async () => {
  const stream = (async function* () {
    for (const piece of ["ab\n", "0123", "456789", "\ncd\n", "12345\n"]) yield new TextEncoder().encode(piece);
  })();
  const lines = (await Array.fromAsync(linesOf(stream, 5))).flat();
  assert.deepEqual(lines.map(({ text }) => text), ["ab", null, "cd", "12345"]);
});
