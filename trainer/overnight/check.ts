/**
 * Asks a `train.ts` whether constants go together, in a process of its own that may read the clone's code and nothing
 * else: the file is the agent's, its code never runs in the session's process, and the start flags are those of a run's
 * children. What it answers is a hint to save runs; nothing depends on it.
 * @module
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Config } from "../contract.ts";
import { childArguments } from "../run/processes.ts";
import { TRAIN_FILE } from "./workspace.ts";

/** How long the file may take to load and answer. */
const LIMIT_MS = 20_000;
/** More of an answer than this is no answer. */
const LIMIT_BYTES = 1 << 20;
/** Characters of a verdict that are kept: it ends in `results.tsv`. */
const LIMIT_VERDICT = 500;

/**
 * The program that loads the file. Its URL arrives through stdin: what the text of the first module names, and all that
 * this imports, is read without asking for permission.
 */
const PROGRAM = `const { url, folders, configs, mark } = JSON.parse(await new Response(Deno.stdin.readable).text());
const say = console.log.bind(console);
const revoke = Deno.permissions.revokeSync.bind(Deno.permissions);
const candidate = await import(url);
for (const path of folders) revoke({ name: "read", path });
const verdicts = configs.map((config) => {
  try {
    const verdict = typeof candidate.valid === "function" ? candidate.valid(config) : true;
    return verdict === true ? true : String(verdict);
  } catch (error) {
    return "valid() threw: " + error;
  }
});
for (const name of ["createModel", "train"]) {
  if (typeof candidate[name] !== "function") verdicts.fill("train.ts exports no function " + name);
}
say(mark + JSON.stringify(verdicts));
Deno.exit(0);
`;

/** A sentence of the file's as one line of bounded length. */
function oneLine(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, " ").trim();
  return line.length <= LIMIT_VERDICT ? line : `${line.slice(0, LIMIT_VERDICT - 1)}…`;
}

/** The last words of a process that failed, as one line. */
function complaint(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return (lines.find((line) => /error/i.test(line)) ?? lines[0] ?? "it ended without a word").replace(/^error: /, "");
}

/**
 * Asks `valid` of the `train.ts` in a tree.
 * @param codeRoot the tree, with `trainer/` and `cuda/`
 * @param scratch folder for the program that asks; the file under test cannot read it
 * @returns one answer a configuration: true, or in one line what is wrong; the same for all where the file does not load
 */
export async function askValid(
  codeRoot: string,
  configs: readonly Config[],
  scratch: string,
): Promise<(true | string)[]> {
  const all = (verdict: string) => configs.map(() => oneLine(verdict));
  const mark = `verdicts ${crypto.randomUUID()} `;
  const script = join(scratch, "check.ts");
  const root = await Deno.realPath(codeRoot);
  const folders = [join(root, "cuda"), join(root, "trainer")];
  await Deno.writeTextFile(script, PROGRAM);
  const flags = childArguments(script, { ffi: script, read: folders, write: [] })
    .filter((flag) => !flag.startsWith("--allow-ffi"));
  const child = new Deno.Command(Deno.execPath(), {
    args: [flags[0], "--v8-flags=--max-old-space-size=512", ...flags.slice(1)],
    clearEnv: true,
    env: { DENO_DIR: "/dev/null", NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It had ended by itself.
    }
  };
  const timer = setTimeout(() => {
    late = true;
    kill();
  }, LIMIT_MS);
  async function read(stream: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of stream) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > LIMIT_BYTES) {
        kill();
        break;
      }
    }
    return text;
  }
  async function ask(): Promise<void> {
    const writer = child.stdin.getWriter();
    const url = pathToFileURL(join(root, TRAIN_FILE)).href;
    await writer.write(new TextEncoder().encode(JSON.stringify({ url, folders, configs, mark })));
    await writer.close();
  }
  try {
    await ask().catch(() => {}); // A child that is gone is noticed below.
    const [stdout, stderr, status] = await Promise.all([read(child.stdout), read(child.stderr), child.status]);
    if (late) return all(`train.ts took more than ${LIMIT_MS / 1000} s to load`);
    const answer = stdout.split("\n").find((line) => line.startsWith(mark));
    if (!status.success || answer === undefined) return all(`train.ts does not load: ${complaint(stderr)}`);
    const verdicts: unknown = JSON.parse(answer.slice(mark.length));
    if (!Array.isArray(verdicts) || verdicts.length !== configs.length) return all("train.ts gave no answer");
    return verdicts.map((verdict) => verdict === true ? true : oneLine(String(verdict)));
  } finally {
    clearTimeout(timer);
    await Deno.remove(script).catch(() => {});
  }
}
