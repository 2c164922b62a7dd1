/** The command line itself: mistakes, help, version, completions, exit codes. Every test starts the real script. */
import assert from "node:assert/strict";
import { commands, options } from "../../router/cli/commands.ts";
import { editDistance, nearest } from "../../router/cli/arguments.ts";
import { cli, inPairs, root, Scratch } from "./_cli.ts";

const mistakes: [args: string[], message: RegExp][] = [
  [[], /give a task in quotation marks, or - to read it from standard input/],
  [["--fil", "x", "task"], /there is no option --fil; did you mean --file;/],
  [["--rout-only", "task"], /did you mean --route-only/],
  [["--run-trian", "task"], /did you mean --run-train/],
  [["--frobnicate", "task"], /there is no option --frobnicate;/],
  [["-z", "task"], /there is no option -z \(a task that begins with a dash goes behind --\)/],
  [["--format", "xml", "task"], /--format must be json or text, got "xml"/],
  [["--format"], /--format needs a value/],
  [["--file", "--route-only", "task"], /--file needs a value/],
  [["--route-only=yes", "task"], /--route-only takes no value/],
  [["--db", "a", "--db", "b", "task"], /--db was given twice/],
  [["--db=", "task"], /--db needs a value/],
  [["--file", "", "task"], /--file needs a value/],
  [["--preset", "cpu", "task"], /--preset needs --run-prepare or --run-train/],
  [["--route-only", "--run-train", "task"], /--route-only and --run-… exclude each other/],
  [["--judge", "me", "task"], /--judge needs openai:MODEL or anthropic:MODEL, got "me"/],
  [["-", "--file", "-"], /standard input can be read only once/],
  [["memory"], /memory needs one of search, recent, export, verify, stats/],
  [["memory", "serch", "x"], /did you mean "memory search".*behind --/],
  [["memory", "leak", "in", "the", "loader"], /there is no "memory leak".*goes in quotation marks or behind --/],
  [["memory", "search"], /"memory search" needs WORDS/],
  [["memory", "search", "--", "..."], /needs words to look for/],
  [["memory", "recent", "--limit", "many"], /--limit needs a whole number from 1 to 100000, got "many"/],
  [["memory", "recent", "--type", "NOTE"], /--type must be CONTEXT or/],
  [["handoff"], /handoff needs one of list, show, done, cancel/],
  [["handoff", "show"], /"handoff show" needs N/],
  [["handoff", "show", "x"], /a handoff has a number, such as 3/],
  [["handoff", "show", "1", "2"], /"handoff show" takes no "2"/],
  [["handoff", "done", "1"], /"handoff done" needs --evidence/],
  [["handoff", "done", "1", "--evidence", " -- "], /--evidence is empty/],
  [["handoff", "done", "1.2", "--item", "1", "--evidence", "seen"], /--item and N.ITEM exclude each other/],
  [["handoff", "list", "--evidence", "x"], /--evidence does not go with "handoff list", only with "handoff done"/],
  [["classify"], /"classify" needs a task, - or --jsonl FILE/],
  [["classify", "--jsonl", "-", "task"], /--jsonl and a task exclude each other/],
  [["completions", "tcsh"], /knows bash, zsh, fish, not "tcsh"/],
  [["help", "me", "find", "it"], /"help" takes no "it" \(a task that begins with "help"/],
  [["help", "nothing"], /there is no command "nothing"/],
  [["--bad\u001b[31m\u202e", "task"], /there is no option --bad\\u001b\[31m\\u202e;/],
];

Deno.test("each mistake on the command line is one sentence on standard error and exit code 2", async () => {
  const problems: string[] = [];
  await inPairs(mistakes, async ([args, message]) => {
    const { code, out, err } = await cli(args);
    if (
      code !== 2 || out !== "" || err.trim().split("\n").length !== 1 || !/^error: /.test(err) || !message.test(err)
    ) {
      problems.push(`${JSON.stringify(args)}: code ${code}, ${err}${out}`);
    }
  });
  assert.equal(problems.join("\n"), "");
});

Deno.test("the help names every command and option, and every command has its own", async () => {
  const { code, out, err } = await cli(["--help"]);
  assert.equal(code, 0);
  assert.equal(err, "");
  for (const { name } of commands) assert.ok(out.includes(`  ${name} `), name);
  assert.match(out, /Exit codes: 0 .* 1 .* 2 .*\n?3 /s);
  const shown = new Set<string>();
  await inPairs(commands, async ({ name, usage, options }) => {
    const words = name.split(" ");
    const own = await cli(["help", ...words]);
    const asked = await cli([...words, "--help"]);
    assert.equal(own.code, 0, name);
    assert.equal(own.out, asked.out, name);
    assert.ok(own.out.includes(`${name} ${usage}`.trim()), name);
    for (const option of options) assert.ok(own.out.includes(`--${option}`), `${name} --${option}`);
    for (const option of options) shown.add(option);
  });
  for (const option of Object.keys(options)) assert.ok(out.includes(`--${option}`) || shown.has(option), option);
  for (const line of out.split("\n")) assert.ok(line.length <= 140, line);
});

Deno.test("--version is the version of deno.json", async () => {
  const { version } = JSON.parse(Deno.readTextFileSync(`${root}/deno.json`));
  assert.equal((await cli(["--version"])).out, `researchswarm ${version}\n`);
});

Deno.test("a task whose first word is a command is reached by quotation marks or --", async () => {
  const quoted = await cli(["classify", "memory leak in the loader: find it"]);
  assert.equal(quoted.code, 0);
  assert.ok(quoted.json.digital_segments.length > 0);
  const task = await cli(["classify the photos by camera", "--format", "json"]);
  assert.equal(task.code, 0);
  assert.ok("plan" in task.json, "classify took a task for itself");
  const dashed = await cli(["--", "classify", "the", "photos"]);
  assert.ok("plan" in dashed.json);
  const leading = await cli(["--", "--verbose is missing in the parser: add it"]);
  assert.equal(leading.code, 0);
});

Deno.test("a misspelt command is a task, with the command that may have been meant on standard error", async () => {
  const hints: [args: string[], near: string | undefined][] = [
    [["clasify", "Plot the loss curve of run 7"], "classify"],
    [["memry", "stats"], "memory"],
    [["Handof", "list"], "handoff"],
    [["handle", "the", "logs"], undefined],
    [["Classifier for the logs: train it"], undefined],
    [["--", "clasify", "x"], undefined],
    [["GELU or ReLU: plot both"], undefined],
    [[`Plot the loss curve ${"and the speed ".repeat(20)}`], undefined],
  ];
  await inPairs(hints, async ([args, near]) => {
    const { code, json, err } = await cli(args);
    assert.equal(code, 0, err);
    assert.ok("plan" in json, args[0]);
    const [hint] = err.match(/^note: .*did you mean.*$/m) ?? [];
    const expected = `note: "${args[0]}" was taken as the beginning of a task; did you mean "${near}"?`;
    assert.equal(hint, near && expected);
  });
});

Deno.test("words without quotation marks are one task", async () => {
  const together = await cli(["classify", "Summarize", "the", "training", "logs"]);
  const quoted = await cli(["classify", "Summarize the training logs"]);
  assert.deepEqual(together.json, quoted.json);
});

Deno.test("the bash completions complete commands, options and their values", async () => {
  using scratch = new Scratch();
  const { code, out } = await cli(["completions", "bash"]);
  assert.equal(code, 0);
  const file = scratch.file("completions.bash", out);
  const cases: [words: string[], expected: string[]][] = [
    [["mem"], ["memory"]],
    [["memory", ""], ["search", "recent", "export", "verify", "stats"]],
    [["memory", "search", "--l"], ["--limit"]],
    [["handoff", "done", "3", "--ev"], ["--evidence"]],
    [["--format", ""], ["json", "text"]],
    [["handoff", "list", "--state", "c"], ["cancelled"]],
    [["completions", "z"], ["zsh"]],
    [["help", "cl"], ["classify"]],
    [["--run-"], ["--run-prepare", "--run-train"]],
    [["--db", "x.db", "handoff", ""], ["list", "show", "done", "cancel"]],
    [["--file", scratch.file("two")], [scratch.file("two words.txt", "")]],
  ];
  const lines = cases.map(([words]) => {
    const list = ["researchswarm", ...words].map((word) => `"${word}"`).join(" ");
    return `COMP_WORDS=(${list}); COMP_CWORD=${words.length}; _researchswarm; echo "\${COMPREPLY[*]}"`;
  });
  const bash = await new Deno.Command("bash", { args: ["-euc", `source ${file}\n${lines.join("\n")}`] }).output();
  assert.equal(new TextDecoder().decode(bash.stderr), "");
  const results = new TextDecoder().decode(bash.stdout).trimEnd().split("\n");
  cases.forEach(([words, expected], i) => assert.equal(results[i], expected.join(" "), words.join(" ")));
});

for (const shell of ["zsh", "fish"]) {
  const present = await new Deno.Command("sh", { args: ["-c", `command -v ${shell}`], stdout: "null" }).output();
  Deno.test({ name: `the ${shell} completions are valid`, ignore: !present.success }, async () => {
    using scratch = new Scratch();
    const file = scratch.file("completions", (await cli(["completions", shell])).out);
    const { success, stderr } = await new Deno.Command(shell, { args: ["-n", file] }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  });
}

Deno.test("the completions of every shell know every command and option", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { out } = await cli(["completions", shell]);
    const flag = (name: string) => shell === "fish" ? `-l ${name}` : `--${name}`;
    for (const name of Object.keys(options)) assert.ok(out.includes(flag(name)), `${shell} ${name}`);
    for (const { name } of commands) {
      for (const word of name.split(" ")) assert.ok(out.includes(word), `${shell} ${word}`);
    }
  }
});

Deno.test("nearest() suggests what can be meant and nothing else", () => {
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(nearest("fromat", ["format", "file"]), "format");
  assert.equal(nearest("rou", ["route-only", "file"]), "route-only");
  assert.equal(nearest("xyzzy", ["format", "file"]), undefined);
});
