/**
 * Runs git so that nothing of the user's set-up takes part: no hooks, no filters of a global file, no signing, no
 * prompts, no inherited GIT_* variables, an identity of its own. Every call names the folder that it works in.
 * @module
 */

/** A problem that ends a session; the message is one sentence for the user. */
export class SessionError extends Error {
  override name = "SessionError";
}

/** The tag of a new session is in use. */
export class TagTakenError extends SessionError {}

/** For a machine without git. */
export const GIT_MISSING = "git was not found; install it and try again";

/** Beats the configuration of the repository that git runs in. */
const hardened = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.untrackedCache=false",
  "core.attributesFile=/dev/null",
  "core.autocrlf=false",
  "commit.gpgSign=false",
  "gc.auto=0",
  "maintenance.auto=false",
  "fetch.prune=false",
  "fetch.pruneTags=false",
  "fetch.recurseSubmodules=false",
  "submodule.recurse=false",
  "protocol.file.allow=always",
  "init.templateDir=",
].flatMap((setting) => ["-c", setting]);

/** What a call may be given. */
export interface GitOptions {
  /** Text on standard input. */
  readonly input?: string;
  /** Further environment, such as the date of a commit. */
  readonly env?: Record<string, string>;
}

/** git with the configuration of one session. */
export class Git {
  readonly #configFile: string;

  /**
   * @param configFile stands in for the user's `~/.gitconfig`; written here, since some settings (whose folders may be
   * read) reach the helper processes of git through a file alone
   */
  constructor(configFile: string) {
    this.#configFile = configFile;
    Deno.writeTextFileSync(configFile, "[safe]\n\tdirectory = *\n[core]\n\thooksPath = /dev/null\n");
  }

  /** Runs a command and says how it ended. */
  async attempt(folder: string, args: readonly string[], options: GitOptions = {}): Promise<
    { success: boolean; stdout: string; stderr: string }
  > {
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command("git", {
        args: ["-C", folder, ...hardened, ...args],
        clearEnv: true,
        env: {
          PATH: Deno.env.get("PATH") ?? "/usr/local/bin:/usr/bin:/bin",
          LC_ALL: "C",
          GIT_CONFIG_NOSYSTEM: "1",
          GIT_CONFIG_SYSTEM: "/dev/null",
          GIT_CONFIG_GLOBAL: this.#configFile,
          GIT_ATTR_NOSYSTEM: "1",
          GIT_OPTIONAL_LOCKS: "0",
          GIT_TERMINAL_PROMPT: "0",
          GIT_AUTHOR_NAME: "ResearchSwarm",
          GIT_AUTHOR_EMAIL: "researchswarm@localhost",
          GIT_COMMITTER_NAME: "ResearchSwarm",
          GIT_COMMITTER_EMAIL: "researchswarm@localhost",
          ...options.env,
        },
        stdin: options.input === undefined ? "null" : "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw new SessionError(GIT_MISSING);
      throw error;
    }
    if (options.input !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(options.input));
      await writer.close();
    }
    const { success, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /**
   * Runs a command that has to succeed.
   * @returns its output without the last line end
   * @throws {SessionError} with what git said
   */
  async run(folder: string, args: readonly string[], options: GitOptions = {}): Promise<string> {
    const { success, stdout, stderr } = await this.attempt(folder, args, options);
    if (!success) throw new SessionError(`git ${args[0]} failed in ${folder}: ${firstLine(stderr)}`);
    return stdout.replace(/\n$/, "");
  }
}

/** The line of git's complaint that says what is wrong. */
export function firstLine(text: string): string {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return (lines.find((line) => /^(fatal|error):/.test(line)) ?? lines[0] ?? "no reason given")
    .replace(/^(fatal|error): /, "");
}
