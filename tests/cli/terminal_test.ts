/** The command line on a real terminal, which `script` makes: text instead of JSON, colours, and never a question. */
import assert from "node:assert/strict";
import { inPairs, root, Scratch, script } from "./_cli.ts";

const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
const present = await new Deno.Command("sh", { args: ["-c", "command -v script"], stdout: "null" }).output();
const ignore = !present.success;

/** What a terminal shows of a run, and whether it ended by itself. */
async function onTerminal(args: string[], flags: string[] = [], env: Record<string, string> = {}) {
  const line = [Deno.execPath(), "run", "--no-check", "--quiet", ...flags, script, ...args].map(quote).join(" ");
  const child = new Deno.Command("script", {
    args: ["-qec", line, "/dev/null"],
    cwd: root,
    env: { TERM: "xterm-256color", NO_COLOR: "", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // The input stays open: a question would wait for its answer.
  let ended = true;
  const timer = setTimeout(() => {
    ended = false;
    child.kill("SIGKILL");
  }, 15_000);
  const [{ code }, text] = await Promise.all([child.status, new Response(child.stdout).text(), child.stderr.cancel()]);
  clearTimeout(timer);
  await child.stdin.close().catch(() => {});
  return { code, ended, text: text.replaceAll("\r\n", "\n") };
}

Deno.test(
  { name: "a terminal gets text with emphasis, NO_COLOR gets none, --format json gets JSON", ignore },
  async () => {
    const task = "Reseat the GPU power cable";
    const painted = await onTerminal([task]);
    assert.equal(painted.code, 0, painted.text);
    assert.ok(painted.text.includes("\u001b[1mhuman-action\u001b[22m"), painted.text);
    assert.match(painted.text, /Handoff \(not kept\)/);
    const plain = await onTerminal([task], [], { NO_COLOR: "1" });
    assert.match(plain.text, /^human-action \(\d+ %\): awaiting a person/m);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(plain.text, /\u001b/);
    const json = await onTerminal(["--quiet", "--format", "json", task]);
    assert.equal(JSON.parse(json.text).domain, "human-action");
  },
);

Deno.test({ name: "nothing makes Deno ask for a permission, with the terminal's user waiting", ignore }, async () => {
  using scratch = new Scratch();
  scratch.file("notes.md", "# Title\n");
  Deno.symlinkSync("/etc/hostname", `${scratch.folder}/link.txt`);
  const cases: [args: string[], flags: string[]][] = [
    [["Reseat the GPU power cable"], []],
    [["Analyze README.md"], []],
    [["Analyze ~/notes.txt and /etc/hostname"], []],
    [["Draft a postmortem from yesterday's run logs"], []],
    [["--file", `${scratch.folder}/notes.md`, "Analyze this file"], []],
    [["--file", `${scratch.folder}/link.txt`, "Analyze this file"], scratch.flags],
    [[`Analyze ${scratch.folder}/link.txt`], scratch.flags],
    [["--file", "~/notes.md", "Analyze this file"], []],
    [["--db", scratch.db, "Sort the table"], []],
    [["--run-train", "Run a baseline training experiment"], []],
    [["--judge", "openai:some-model", "Sort the table"], []],
    [["classify", "Sort the table"], []],
    [["classify", "--jsonl", `${scratch.folder}/notes.md`], []],
    [["handoff", "list"], []],
    [["handoff", "done", "1", "--evidence", `${scratch.folder}/notes.md`], []],
    [["memory", "recent"], []],
    [["completions", "bash"], []],
    [["--version"], []],
  ];
  await inPairs(cases, async ([args, flags]) => {
    const { ended, text } = await onTerminal(args, flags);
    assert.ok(ended, `${args} did not end: ${text}`);
    assert.doesNotMatch(text, /Deno requests|Allow\?|\[y\/n/, args.join(" "));
  });
});
