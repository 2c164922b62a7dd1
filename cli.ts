/**
 * The command line of ResearchSwarm: `deno run cli.ts "<task>"`. The one place where everything meets: it hands the
 * router's command line the memory's place and, behind their flags, the tasks that prepare and train.
 * @module
 */
import { fileURLToPath } from "node:url";
import type { ResearchActions, ResearchRequest } from "./router/executors/mod.ts";
import { CliError, exit, usageError } from "./router/cli/errors.ts";
import { main } from "./router/cli/main.ts";
import { granted } from "./router/cli/permissions.ts";
import type { ResearchOptions, Wiring } from "./router/cli/wiring.ts";

/** Folder of the repository; null where this file was loaded from the network. */
const repository = import.meta.url.startsWith("file:") ? fileURLToPath(new URL(".", import.meta.url)) : null;

/** Version in deno.json; a test compares the two. Importing that file would make a configuration part of the program. */
const VERSION = "0.1.0";

/** Characters of a task's output that are kept: its end says how it went. */
const REPORTED = 8000;

/**
 * Which program runs the tasks: each of them spells out its own permissions, so that this one needs none but to start it.
 * @throws {CliError} the permission is missing, or there is no repository to run them in
 */
function taskRunner(flag: string): { deno: string; root: string } {
  if (repository === null) {
    throw new CliError(`${flag} needs a clone of the repository: training is not on the registry`);
  }
  const deno = [Deno.execPath(), "deno"].find((command) => granted({ name: "run", command }));
  if (deno === undefined) {
    throw new CliError(`${flag} needs --allow-run=deno before the name of the script`, exit.permission);
  }
  return { deno, root: repository };
}

/** Runs a task of `deno.json`; its progress goes to standard error. @returns Markdown @throws one sentence */
async function runDenoTask(deno: string, root: string, args: readonly string[]): Promise<string> {
  const line = `deno task ${args.join(" ")}`;
  const child = new Deno.Command(deno, {
    args: ["task", "--quiet", ...args],
    cwd: root,
    // Where these are set, Deno starts nothing that is allowed by name alone; the tasks unset them too.
    env: { LD_LIBRARY_PATH: "", LD_PRELOAD: "" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  // Who ends this program ends the training: it closes its session in order, and what it printed is still reported.
  const signals: Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  const forward = signals.map((signal) => () => {
    try {
      child.kill(signal);
    } catch {
      // It has ended; what it started may still hold its output.
    }
  });
  signals.forEach((signal, i) => Deno.addSignalListener(signal, forward[i]));
  const { code, stdout } = await child.output().finally(() =>
    signals.forEach((signal, i) => Deno.removeSignalListener(signal, forward[i]))
  );
  const text = new TextDecoder().decode(stdout).trimEnd();
  if (code !== 0) throw new Error(`\`${line}\` ended with exit code ${code}; its message stands on standard error`);
  const end = text.length > REPORTED ? `…${text.slice(-REPORTED)}` : text;
  return `\`${line}\` ended with exit code 0 and printed:\n\n\`\`\`\n${end}\n\`\`\``;
}

/** Arguments of a task. */
function taskArguments(request: ResearchRequest, names: readonly (keyof ResearchOptions | "tag")[]): string[] {
  return names.flatMap((name) => request[name] === undefined ? [] : [`--${name}`, `${request[name]}`]);
}

/**
 * What the command line says, as the workflow takes it.
 * @throws {CliError} exit code 2: a number is none
 */
function givenOf({ preset, source, ...numbers }: ResearchOptions): Partial<ResearchRequest> {
  const given = Object.entries(numbers).filter(([, text]) => text !== undefined).map(([name, text]) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (!Number.isFinite(value)) throw usageError(`--${name} needs a number, got ${JSON.stringify(text)}`);
    return [name, value];
  });
  return {
    ...(preset !== undefined && { preset }),
    ...(source !== undefined && { source }),
    ...Object.fromEntries(given),
  };
}

/** What `--run-prepare` and `--run-train` really start. */
function research(run: { prepare: boolean; train: boolean }, options: ResearchOptions): ResearchActions {
  const given = givenOf(options);
  const { deno, root } = taskRunner(run.train ? "--run-train" : "--run-prepare");
  const start = (task: string, request: ResearchRequest, names: Parameters<typeof taskArguments>[1]) =>
    runDenoTask(deno, root, [task, ...taskArguments(request, names)]);
  return {
    given,
    ...(run.prepare && {
      prepare: (request: ResearchRequest) => start("prepare", request, ["preset", "source"]),
    }),
    ...(run.train && {
      train: (request: ResearchRequest) =>
        request.session
          ? start("overnight", request, ["preset", "source", "seconds", "hours", "experiments", "tag"])
          : start("train", request, ["preset", "source", "seconds"]),
    }),
  };
}

/** The folder of data and sessions, where the environment may be read. */
async function home(): Promise<string | undefined> {
  if (!["RESEARCHSWARM_HOME", "XDG_CACHE_HOME", "HOME"].every((variable) => granted({ name: "env", variable }))) return;
  const { resolveHome } = await import("./cuda/home.ts");
  try {
    return resolveHome();
  } catch {
    return; // the environment names none
  }
}

if (import.meta.main) {
  const wiring: Wiring = {
    version: VERSION,
    memoryPath: repository === null ? `${Deno.cwd()}/AI-Memory/memory.db` : `${repository}AI-Memory/memory.db`,
    home,
    research,
  };
  Deno.exit(await main(Deno.args, wiring));
}
