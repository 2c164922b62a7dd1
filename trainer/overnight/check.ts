/**
 * Asks a `train.ts` whether constants go together, in a process without a single permission: the file is the agent's,
 * and its code never runs in the session's own process. What it answers is a hint to save runs; nothing depends on it.
 * @module
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Config } from "../contract.ts";

/** How long the file may take to load and answer. */
const LIMIT_MS = 20_000;
/** More of an answer than this is no answer. */
const LIMIT_BYTES = 1 << 20;

/** Text of the program that loads the file: a static import needs no read permission, so the process has none. */
function program(trainFile: string, configs: readonly Config[], mark: string): string {
  return `import * as candidate from ${JSON.stringify(pathToFileURL(trainFile).href)};
const verdicts = ${JSON.stringify(configs)}.map((config) => {
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
console.log(${JSON.stringify(mark)} + JSON.stringify(verdicts));
`;
}

/** The last words of a process that failed, as one line. */
function complaint(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return (lines.find((line) => /error/i.test(line)) ?? lines[0] ?? "it ended without a word").replace(/^error: /, "");
}

/**
 * Asks `valid` of a file.
 * @param trainFile the file, in a tree from which its imports resolve
 * @param scratch folder for the program that asks
 * @returns one answer a configuration: true, or what is wrong; the same complaint for all where the file does not load
 */
export async function askValid(
  trainFile: string,
  configs: readonly Config[],
  scratch: string,
): Promise<(true | string)[]> {
  const all = (verdict: string) => configs.map(() => verdict);
  const mark = `verdicts ${crypto.randomUUID()} `;
  const script = join(scratch, "check.ts");
  await Deno.writeTextFile(script, program(trainFile, configs, mark));
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-remote",
      "--no-npm",
      "--cached-only",
      "--no-config",
      "--no-lock",
      "--no-check",
      "--v8-flags=--max-old-space-size=512",
      script,
    ],
    clearEnv: true,
    env: { DENO_DIR: "/dev/null", NO_COLOR: "1" },
    stdin: "null",
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
  try {
    const [stdout, stderr, status] = await Promise.all([read(child.stdout), read(child.stderr), child.status]);
    if (late) return all(`train.ts took more than ${LIMIT_MS / 1000} s to load`);
    const answer = stdout.split("\n").find((line) => line.startsWith(mark));
    if (!status.success || answer === undefined) return all(`train.ts does not load: ${complaint(stderr)}`);
    const verdicts: unknown = JSON.parse(answer.slice(mark.length));
    if (!Array.isArray(verdicts) || verdicts.length !== configs.length) return all("train.ts gave no answer");
    return verdicts.map((verdict) => verdict === true ? true : String(verdict));
  } finally {
    clearTimeout(timer);
    await Deno.remove(script).catch(() => {});
  }
}
