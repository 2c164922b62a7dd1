/**
 * `deno task overnight`: reads the command line, opens the session, runs it, prints the table. Also what `deno task demo`
 * calls. The only place of this folder that knows of arguments, signals and exit codes.
 * @module
 */
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { wishedDevice } from "../../cuda/device.ts";
import { DataError, requirePermissions } from "../data/error.ts";
import { resolveHome } from "../data/home.ts";
import { defaultPreset, presetNames, presetOf } from "../presets.ts";
import { decisionRules } from "./decide.ts";
import { GIT_MISSING, SessionError, TagTakenError } from "./git.ts";
import { tableText } from "./ledger.ts";
import { runSession, type SessionOutcome } from "./loop.ts";
import { Progress } from "./progress.ts";
import {
  agents,
  chosenDevice,
  createSession,
  exists,
  type OpenOptions,
  type OpenSession,
  resumeSession,
  type SessionSettings,
  sessionTags,
} from "./session.ts";

const usage =
  `Runs a session: the baseline, then experiment after experiment, each a change of trainer/train.ts that is kept if
it scores lower. Works in a clone of its own; kept experiments arrive on the branch researchswarm/<tag>.

usage: deno task overnight [options]
       deno task overnight --resume [TAG] [--hours H] [--experiments N]

  --preset NAME      ${presetNames.join(" | ")} (default: ${defaultPreset("cuda")} on a GPU,
                     else ${defaultPreset("cpu")})
  --tag TAG          name of the session (default: today's date)
  --hours H          stop when a further run would not fit into H hours (default: 8, unless --experiments is given)
  --experiments N    stop after N experiments beside the baseline
  --seconds S        training time of a run (default: the preset's)
  --agent NAME       ${Object.keys(agents).join(" | ")} (default: search)
  --decide RULE      ${
    Object.keys(decisionRules).join(" | ")
  } (default: greedy: any lower val_bpb is kept, one run each)
  --seed N           seed of every run and of the search (default: 42)
  --source SOURCE    sotu, or files:PATTERN (default: the preset's)
  --data FOLDER      a data set that deno task prepare has made, instead of --source
  --device DEVICE    auto | cpu | cuda | cuda:N (default: RESEARCHSWARM_DEVICE, else auto, a GPU where one answers)
  --threads N        threads to use (default: all)
  --resume [TAG]     go on with a session, the last one if no tag is given; the limits count from its start
  --help             this text

Ctrl-C ends a session in order; --resume goes on. Everything is in sessions/<tag>/ of RESEARCHSWARM_HOME (default: the
user's cache folder, researchswarm/): session.db, results.tsv, snapshots/.`;

/** What differs between the commands that start sessions. */
export interface Command {
  /** Manual. */
  readonly usage: string;
  /** Options that replace the general defaults. */
  readonly defaults: Readonly<Record<string, string>>;
  /** Beginning of a tag that was not named. */
  readonly tagPrefix: string;
}

const overnight: Command = { usage, defaults: {}, tagPrefix: "" };

/** `--resume` may stand without a tag, which parseArgs does not know: gives it an empty one. */
function withResumeTag(args: readonly string[]): string[] {
  return args.flatMap((arg, i) => {
    const bare = arg === "--resume" && (args[i + 1] === undefined || args[i + 1].startsWith("-"));
    return bare ? ["--resume="] : [arg];
  });
}

/** A number of the command line. @throws {SessionError} it is none, or outside the bounds */
function number(name: string, text: string | undefined, low: number, high: number, whole = false): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (
    text.trim() === "" || !Number.isFinite(value) || value < low || value > high || (whole && !Number.isInteger(value))
  ) {
    throw new SessionError(
      `--${name} needs a ${whole ? "whole number" : "number"} from ${low} to ${high}, got "${text}"`,
    );
  }
  return value;
}

function oneOf(name: string, text: string, choices: readonly string[]): string {
  if (!choices.includes(text)) throw new SessionError(`--${name} must be ${choices.join(" or ")}, got "${text}"`);
  return text;
}

const flags = {
  preset: { type: "string" },
  tag: { type: "string" },
  hours: { type: "string" },
  experiments: { type: "string" },
  seconds: { type: "string" },
  agent: { type: "string" },
  decide: { type: "string" },
  seed: { type: "string" },
  source: { type: "string" },
  data: { type: "string" },
  device: { type: "string" },
  threads: { type: "string" },
  resume: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

type Values = { [name in keyof typeof flags]?: name extends "help" ? boolean : string };

function parse(args: readonly string[]): Values {
  try {
    return parseArgs({ args: withResumeTag(args), options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new SessionError(`${(error as Error).message.split(/\.\s/)[0]}; see --help`);
  }
}

/** A pattern or folder as seen from where the user stands, since the work is done elsewhere. */
const absolute = (path: string): string => resolve(Deno.cwd(), path);

/** What `work` returns; what it throws is the user's mistake. */
function checked<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new SessionError((error as Error).message, { cause: error });
  }
}

function settingsOf(values: Values): SessionSettings {
  const preset = checked(() => presetOf(values.preset ?? defaultPreset("cpu")));
  checked(() => wishedDevice(values.device));
  if (values.source !== undefined && values.data !== undefined) {
    throw new SessionError("--source and --data exclude each other");
  }
  const source = values.source?.startsWith("files:")
    ? `files:${absolute(values.source.slice("files:".length))}`
    : values.source;
  const experiments = number("experiments", values.experiments, 0, 1e6, true);
  return {
    preset: preset.name,
    source: source ?? null,
    data: values.data === undefined ? null : absolute(values.data),
    agent: oneOf("agent", values.agent ?? "search", Object.keys(agents)),
    decide: oneOf("decide", values.decide ?? "greedy", Object.keys(decisionRules)),
    seed: number("seed", values.seed, 0, 2 ** 32 - 1, true) ?? 42,
    budgetSeconds: number("seconds", values.seconds, 0.1, 1e6) ?? preset.budgetSeconds,
    device: values.device ?? "",
    threads: number("threads", values.threads, 1, 1024, true),
    hours: number("hours", values.hours, 0, 1e4) ?? (experiments === null ? 8 : null),
    experiments,
  };
}

/** Two digits. */
const two = (value: number): string => String(value).padStart(2, "0");

/** Today's date, with a number from the second session of the day on. */
function* freeTags(prefix: string): Generator<string> {
  const now = new Date();
  const day = `${prefix}${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  yield day;
  for (let i = 2;; i++) yield `${day}-${i}`;
}

/** Deno grants programs by the paths that it finds when it starts: to it, git that is not there is git that is not allowed. */
function requireGit(): void {
  if (Deno.permissions.querySync({ name: "run", command: "git" }).state === "granted") return;
  const found = (Deno.env.get("PATH") ?? "").split(":").some((folder) => exists(join(folder, "git")));
  if (!found) throw new SessionError(GIT_MISSING);
}

/** Opens the session that a command line asks for. */
async function open(
  values: Values,
  command: Command,
  options: OpenOptions,
): Promise<{ tag: string; session: OpenSession }> {
  const home = checked(resolveHome);
  const checkout = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  requireGit();
  requirePermissions("overnight", [
    { name: "read", value: home },
    { name: "write", value: home },
    { name: "write", value: join(checkout, "AI-Memory") },
    { name: "run", value: "git" },
    { name: "run", value: Deno.execPath() },
  ]);
  if (values.resume !== undefined) {
    const fixed = Object.keys(values).filter((name) => !["resume", "hours", "experiments"].includes(name));
    if (fixed.length > 0) {
      throw new SessionError(
        `--${fixed[0]} is fixed at the start of a session; with --resume go --hours and --experiments`,
      );
    }
    const tag = values.resume === "" ? sessionTags(home)[0] : values.resume;
    if (tag === undefined) throw new SessionError(`there is no session to resume in ${join(home, "sessions")}`);
    const hours = number("hours", values.hours, 0, 1e4);
    const experiments = number("experiments", values.experiments, 0, 1e6, true);
    const changes = { ...(hours !== null && { hours }), ...(experiments !== null && { experiments }) };
    return { tag, session: await resumeSession({ home, checkout, tag }, changes, options) };
  }
  let settings = settingsOf(values);
  if (values.preset === undefined) {
    const { device } = await chosenDevice(checkout, settings.device, home, Deno.stderr.isTerminal());
    settings = settingsOf({ ...values, preset: defaultPreset(device) });
    if (device === "cuda") options.notice?.(`preset: ${settings.preset}, the default on a GPU; --preset names another`);
  }
  for (const tag of values.tag === undefined ? freeTags(command.tagPrefix) : [values.tag]) {
    try {
      return { tag, session: await createSession({ home, checkout, tag }, settings, options) };
    } catch (error) {
      if (values.tag !== undefined || !(error instanceof TagTakenError)) throw error;
    }
  }
  throw new SessionError("there is no free tag");
}

/**
 * Runs a command to its end.
 * @returns the exit code: 0 for a finished session, 1 for an error or a stopped one, 130 after Ctrl-C
 */
export async function main(args: readonly string[], command: Command = overnight): Promise<number> {
  const progress = new Progress();
  const controller = new AbortController();
  const interrupt = () => controller.abort();
  const signals: Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  try {
    const given = parse(args);
    if (given.help) {
      console.log(command.usage);
      return 0;
    }
    const values = given.resume === undefined ? { ...command.defaults, ...given } : given;
    for (const signal of signals) Deno.addSignalListener(signal, interrupt);
    const { tag, session } = await open(values, command, {
      signal: controller.signal,
      events: progress,
      notice: (line) => console.error(line),
    });
    const { parts, settings } = session;
    try {
      if (Deno.stderr.isTerminal()) console.error(`session ${tag} · ${parts.folder}`);
      const outcome = await runSession(parts).catch((error): SessionOutcome => {
        // Ctrl-C reaches git and the other children of a terminal too; what they then leave undone is done on resume.
        if (controller.signal.aborted) return { status: "interrupted", reason: "interrupted" };
        throw error;
      });
      progress.clear();
      if (outcome.status === "interrupted") {
        console.error(`interrupted; everything decided is recorded, go on with: deno task overnight --resume ${tag}`);
        return 130;
      }
      console.log(tableText(parts.store));
      console.log(`\nΔ is the difference from the best before; ${decisionRules[settings.decide].note}`);
      const best = parts.store.best();
      if (best !== null) console.log(`best: val_bpb ${best.valBpb?.toFixed(6)}, commit ${best.commit?.slice(0, 7)}`);
      const { branch, folder: clone } = parts.workspace;
      const published = await parts.workspace.publish() === null;
      console.log(`branch: ${branch}${published ? "" : ` (only in the session's clone: ${clone})`}`);
      console.log(`record: ${parts.folder}`);
      if (outcome.status === "finished") console.log(`finished: ${outcome.reason}`);
      else console.error(`stopped: ${outcome.reason}; go on with: deno task overnight --resume ${tag}`);
      return outcome.status === "finished" ? 0 : 1;
    } finally {
      session.close();
    }
  } catch (error) {
    progress.clear();
    console.error(sentenceOf(error));
    return 1;
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, interrupt);
  }
}

/** One sentence for a person; a defect of the program keeps its stack. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (/os error 28|database or disk is full|No space left/.test(error.message)) {
    return "the disk is full; make room and go on with: deno task overnight --resume";
  }
  if (error instanceof Deno.errors.NotCapable) return `a permission is missing: ${error.message}`;
  if (error instanceof SessionError || error instanceof DataError) return error.message;
  return error.stack ?? error.message;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
