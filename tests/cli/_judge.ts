/** Starts the server of `_judge_server.ts` as a process with its own permissions. */
import { fileURLToPath } from "node:url";

/** What the server received. */
export interface Received {
  name: string;
  pathname: string;
  method: string;
  headers: Record<string, string>;
  body: string;
}

/** A running server; disposing ends it. */
export interface JudgeServer extends AsyncDisposable {
  /** Where it listens. */
  readonly address: string;
  /** Requests so far, after the server has ended. */
  requests(): Promise<Received[]>;
}

/** Starts a server with a table of answers. */
export async function startJudge(answers: Record<string, unknown>): Promise<JudgeServer> {
  const script = fileURLToPath(new URL("./_judge_server.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "--quiet", "--allow-net=127.0.0.1", script, JSON.stringify(answers)],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the server did not start");
    text += value;
  }
  const address = `http://127.0.0.1:${text.slice(0, text.indexOf("\n")).trim()}`;
  let ended = false;
  const end = async () => {
    if (ended) return;
    ended = true;
    child.kill();
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
    await child.status;
  };
  return {
    address,
    async requests() {
      await end();
      return text.trim().split("\n").slice(1).map((line) => JSON.parse(line));
    },
    [Symbol.asyncDispose]: end,
  };
}

/** An answer in the form of OpenAI-compatible chat completions. */
export const openaiAnswer = (content: unknown): { body: string } => ({
  body: JSON.stringify({ choices: [{ message: { role: "assistant", content: JSON.stringify(content) } }] }),
});
