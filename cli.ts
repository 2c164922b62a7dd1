/**
 * The command line of ResearchSwarm: `deno run cli.ts "<task>"`. The one place where everything meets: it hands the
 * router's command line the memory's place and, behind their flags, the tasks that prepare and train.
 * @module
 */
import { fileURLToPath } from "node:url";
import type { ResearchActions, ResearchRequest } from "./router/executors/mod.ts";
import { CliError, exit } from "./router/cli/errors.ts";
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

/** Arguments of a task: what the command line says goes before what the task's words say. */
function taskArguments(request: ResearchRequest, options: ResearchOptions, names: readonly (keyof ResearchOptions)[]) {
  const read: ResearchOptions = {
    preset: request.preset,
    source: request.source,
    hours: request.hours?.toString(),
    experiments: request.experiments?.toString(),
  };
  return names.flatMap((name) => {
    const value = options[name] ?? read[name];
    return value === undefined ? [] : [`--${name}`, value];
  });
}

/** What `--run-prepare` and `--run-train` really start. */
function research(run: { prepare: boolean; train: boolean }, options: ResearchOptions): ResearchActions {
  const { deno, root } = taskRunner(run.train ? "--run-train" : "--run-prepare");
  return {
    ...(run.prepare && {
      prepare: (request: ResearchRequest) =>
        runDenoTask(deno, root, ["prepare", ...taskArguments(request, options, ["preset", "source"])]),
    }),
    ...(run.train && {
      train: (request: ResearchRequest) => {
        const session = request.session || options.hours !== undefined || options.experiments !== undefined;
        const names = ["preset", "source", "seconds"] as const;
        const tag = request.tag === undefined ? [] : ["--tag", request.tag];
        return session
          ? runDenoTask(deno, root, [
            "overnight",
            ...taskArguments(request, options, [...names, "hours", "experiments"]),
            ...tag,
          ])
          : runDenoTask(deno, root, ["train", ...taskArguments(request, options, names)]);
      },
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
