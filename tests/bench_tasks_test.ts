/** `deno task bench:router` and `bench:memory` as a shell runs them: their words, and an environment that Deno dislikes. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Runs a task where LD_LIBRARY_PATH is set: there Deno starts nothing that is allowed by name alone. */
async function task(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...args],
    cwd: root,
    env: { NO_COLOR: "1", LD_LIBRARY_PATH: "/usr/lib" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  return { code, out, err };
}

Deno.test("the benchmarks of router and memory have a manual, and say in one sentence what they cannot read", async () => {
  const cases: [args: string[], code: number, out: RegExp, err: RegExp][] = [
    [["bench:router", "--help"], 0, /^usage: deno task bench:router$/m, /^$/],
    [["bench:router", "100"], 2, /^$/, /^bench:router: Unexpected argument '100'; see --help$/],
    [["bench:memory", "--help"], 0, /^usage: deno task bench:memory .*ENTRIES\]$/m, /^$/],
    [
      ["bench:memory", "abc"],
      2,
      /^$/,
      /^bench:memory: the one argument is the number of entries, .*"abc"; see --help$/,
    ],
    [["bench:memory", "999"], 2, /^$/, /^bench:memory: .*from 1000 on, not "999"; see --help$/],
    [["bench:memory", "--frob"], 2, /^$/, /^bench:memory: Unknown option '--frob'; see --help$/],
  ];
  for (const [args, code, out, err] of cases) {
    const result = await task(...args);
    assert.equal(result.code, code, args.join(" "));
    assert.match(result.out, out);
    assert.match(result.err, err);
  }
});

Deno.test("the benchmark of the router runs where LD_LIBRARY_PATH is set", async () => {
  const { code, out, err } = await task("bench:router");
  assert.equal(code, 0, err);
  assert.match(out, /^first in a fresh process +20 times .*\nsecond in that process .*\nwarm .* ms$/);
});
