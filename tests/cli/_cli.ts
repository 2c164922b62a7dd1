/** Runs the real command line as a process, with the permissions that a test gives it and no others. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the repository. */
export const root: string = fileURLToPath(new URL("../..", import.meta.url));
/** The script. */
export const script: string = join(root, "cli.ts");

/** How a process is run. */
export interface RunOptions {
  /** Flags of Deno; none by default. */
  flags?: string[];
  /** Standard input; empty by default. */
  stdin?: string | Uint8Array;
  /** Environment beside the inherited one. */
  env?: Record<string, string>;
  /** Where it runs; the repository by default. */
  cwd?: string;
  /** Another copy of the script. */
  script?: string;
}

/** What a process left. */
export interface RunResult {
  code: number;
  out: string;
  err: string;
  /** Standard output as JSON. */
  // deno-lint-ignore no-explicit-any
  json: any;
}

/** The command of a run; without `--no-prompt`, for a prompt would be a defect. */
export function command(args: string[], { flags = [], env, cwd = root, script: file = script }: RunOptions = {}) {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--quiet", ...flags, file, ...args],
    cwd,
    env: { ...env, DENO_NO_UPDATE_CHECK: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs the command line to its end. */
export async function cli(args: string[], options: RunOptions = {}): Promise<RunResult> {
  const child = command(args, options).spawn();
  const writer = child.stdin.getWriter();
  const { stdin = "" } = options;
  // A process that does not read closes the pipe, which is no error here.
  const written = writer.write(typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin)
    .then(() => writer.close()).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  await written;
  const out = new TextDecoder().decode(stdout);
  return {
    code,
    out,
    err: new TextDecoder().decode(stderr),
    get json() {
      try {
        return JSON.parse(out);
      } catch {
        throw new Error(`standard output is not JSON: ${out.slice(0, 400)}\n${new TextDecoder().decode(stderr)}`);
      }
    },
  };
}

/** A temporary folder with a memory in it, and the flags that allow it. */
export class Scratch implements Disposable {
  /** The folder. */
  readonly folder: string = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "researchswarm_cli_" }));
  /** The memory. */
  readonly db: string = join(this.folder, "memory.db");
  /** What allows the folder to be used. */
  readonly flags: string[] = [`--allow-read=${this.folder}`, `--allow-write=${this.folder}`];

  /** Runs the command line with this memory. */
  run(args: string[], options: RunOptions = {}): Promise<RunResult> {
    return cli([...args, "--db", this.db], { ...options, flags: [...this.flags, ...options.flags ?? []] });
  }

  /** Path of a file in the folder, written with `content` where that is given. */
  file(name: string, content?: string | Uint8Array): string {
    const path = join(this.folder, name);
    if (content !== undefined) {
      Deno.writeFileSync(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    }
    return path;
  }

  /** Removes the folder. */
  [Symbol.dispose](): void {
    Deno.removeSync(this.folder, { recursive: true });
  }
}

/**
 * Copies what the command line stands on into the folder, so that the memory of whoever runs the tests is left alone.
 * @returns how that copy is run, with its own memory
 */
export function cloneIn({ folder }: Scratch): RunOptions {
  const copy = (from: string, to: string) => {
    Deno.mkdirSync(to, { recursive: true });
    for (const { name, isDirectory } of Deno.readDirSync(from)) {
      if (name === "training") continue;
      if (isDirectory) copy(join(from, name), join(to, name));
      else Deno.copyFileSync(join(from, name), join(to, name));
    }
  };
  for (const name of ["router", "memory"]) copy(join(root, name), join(folder, name));
  Deno.copyFileSync(script, join(folder, "cli.ts"));
  Deno.mkdirSync(join(folder, "cuda"));
  Deno.copyFileSync(join(root, "cuda/home.ts"), join(folder, "cuda/home.ts"));
  return {
    cwd: folder,
    script: join(folder, "cli.ts"),
    flags: ["--allow-read=AI-Memory", "--allow-write=AI-Memory"],
  };
}

/** Runs jobs two at a time: a process spends its time starting, and the machine may have two cores only. */
export async function inPairs<T>(list: readonly T[], job: (one: T) => Promise<void>): Promise<void> {
  const queue = [...list];
  await Promise.all([1, 2].map(async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await job(next);
  }));
}
