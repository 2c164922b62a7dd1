/**
 * Opens a session: a new one (lock, clone, library, data, pin, database, in this order, the database last, so that a
 * kill before it leaves nothing that counts) or one to resume. Hands the loop everything it works with. Long because
 * that order, and what is undone where it breaks off, are to be read in one place.
 * @module
 */
import { createHash } from "node:crypto";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { DatabaseError, SessionStore } from "../../memory/mod.ts";
import { announceChoice, type DeviceChoice } from "../../cuda/device.ts";
import type { Config } from "../contract.ts";
import { openDataset } from "../data/dataset.ts";
import { reasonOf } from "../data/error.ts";
import { presetOf } from "../presets.ts";
import { brokenTask } from "../run/ending.ts";
import { pinTree } from "../run/pin.ts";
import { configOf, parseSpace } from "../space.ts";
import { type Agent, describeChange } from "./agents/agent.ts";
import { SearchAgent } from "./agents/search.ts";
import { askValid } from "./check.ts";
import { decisionRules } from "./decide.ts";
import { Git, SessionError, TagTakenError } from "./git.ts";
import { lockSession } from "./lock.ts";
import { HARNESS_CHANGED, type SessionEvents, type SessionParts } from "./loop.ts";
import { LocalRunner, type Runner } from "./runner.ts";
import { type Checkout, inspectCheckout, Workspace } from "./workspace.ts";

/** What a session is asked for; kept in its database. */
export interface SessionSettings {
  /** Name of the preset. */
  readonly preset: string;
  /** Text source, null for the preset's. */
  readonly source: string | null;
  /** Folder of a prepared data set, null to prepare one. */
  readonly data: string | null;
  /** Name of the agent. */
  readonly agent: string;
  /** Name of the decision rule. */
  readonly decide: string;
  /** Seed of the proposals and of the first run. */
  readonly seed: number;
  /** Training time of a run. */
  readonly budgetSeconds: number;
  /** What `--device` said; "" for what the environment and the machine say. */
  readonly device: string;
  /** null for all of the machine. */
  readonly threads: number | null;
  /** Limits; null for none. */
  readonly hours: number | null;
  /** Experiments beside the baseline; null: no limit. */
  readonly experiments: number | null;
}

/** Where a session happens. */
export interface SessionPlace {
  /** Folder for data, libraries and sessions. */
  readonly home: string;
  /** The user's repository. */
  readonly checkout: string;
  /** Name of the session. */
  readonly tag: string;
}

/** An open session. */
export interface OpenSession {
  /** What the loop works with. */
  readonly parts: SessionParts;
  /** What the session was started with. */
  readonly settings: SessionSettings;
  /** Closes the database and gives up the lock. */
  close(): void;
}

/** The agents by name. */
export const agents: Readonly<Record<string, () => Agent>> = { search: () => new SearchAgent() };

/** Folder of a session. */
export const sessionFolder = (place: SessionPlace): string => join(place.home, "sessions", place.tag);

/** Whether there is something at a path. */
export const exists = (path: string): boolean => {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
};

/**
 * Whether a name can be a session's: its folder, and the last part of a branch.
 * @throws {SessionError} it cannot
 */
export function checkTag(tag: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(tag) || tag.includes("..") || /\.(lock)?$/.test(tag)) {
    throw new SessionError(
      `"${tag}" cannot be a tag: letters, digits, ".", "_" and "-", 64 at most, a letter or digit first`,
    );
  }
}

/** What identifies the machine that a session runs on. */
function machineOf(settings: SessionSettings, made: Provided): Record<string, unknown> {
  const processors = cpus();
  return {
    device: made.deviceName,
    processor: processors[0]?.model ?? "unknown",
    processors: processors.length,
    threads: settings.threads ?? navigator.hardwareConcurrency,
    system: `${Deno.build.os} ${Deno.build.arch}`,
    deno: Deno.version.deno,
  };
}

/** Runs a task of a checkout's `deno.json`, which spells out its permissions. @returns what it printed */
async function task(folder: string, args: string[], home: string, progress: boolean): Promise<string> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...args],
    cwd: folder,
    env: { RESEARCHSWARM_HOME: home },
    stdin: "null",
    stdout: "piped",
    stderr: progress ? "inherit" : "piped",
  }).output();
  const said = new TextDecoder().decode(output.stdout);
  if (output.success) return said;
  const broken = brokenTask(args[0], output.code, home);
  if (broken !== null) throw new SessionError(broken);
  // What was inherited is not there to be read. Else what was done stands before the sentence, and the compiler's own
  // words behind that of prepare.
  const lines = progress ? [] : new TextDecoder().decode(output.stderr).trim().split("\n");
  const why = lines.findLast((line) => line.startsWith(`${args[0]}: `)) ?? lines.at(-1);
  throw new SessionError(why || `deno task ${args[0]} failed${progress ? "; its message stands above" : ""}`);
}

const deviceFlag = (device: string): string[] => device === "" ? [] : ["--device", device];

/** Which device `deno task device` takes for what was asked for, "" for nothing; its library is built then. */
export async function chosenDevice(
  folder: string,
  device: string,
  home: string,
  progress: boolean,
): Promise<DeviceChoice> {
  const said = await task(folder, ["device", ...deviceFlag(device)], home, progress);
  return JSON.parse(said.trim().split("\n").at(-1) ?? "");
}

/** What a session works with; kept beside its settings, so that it stays the same to the end. */
interface Provided {
  /** The kernel library. */
  readonly libraryPath: string;
  /** Which build it is. */
  readonly build: "cpu" | "cuda";
  /** Index of the GPU. */
  readonly deviceIndex: number;
  /** Such as `cuda 0 NVIDIA H100 80GB HBM3 sm_90`. */
  readonly deviceName: string;
  /** Plans of products, "" on the CPU. */
  readonly plans: string;
  /** Folder of the data set. */
  readonly dataset: string;
}

/** The library and the data set of a session, made where they are absent. */
async function provide(
  workspace: Workspace,
  place: SessionPlace,
  settings: SessionSettings,
): Promise<Provided> {
  const progress = Deno.stderr.isTerminal();
  const find = async () => {
    const source = settings.source === null ? [] : ["--source", settings.source];
    const prepared = await task(
      workspace.folder,
      ["prepare", "--preset", settings.preset, ...source],
      place.home,
      progress,
    );
    const dataset = prepared.match(/^dataset: (.*)$/m)?.[1];
    if (dataset === undefined) throw new SessionError("deno task prepare named no data set");
    return dataset;
  };
  // The data first: prepare builds the library while its packages are downloaded.
  const dataset = settings.data ?? await find();
  const choice = await chosenDevice(workspace.folder, settings.device, place.home, progress);
  announceChoice(choice);
  const plans = choice.device === "cuda"
    ? await task(
      workspace.folder,
      ["tune", "--once", "--preset", settings.preset, ...deviceFlag(settings.device)],
      place.home,
      progress,
    )
    : "";
  return {
    libraryPath: choice.libraryPath,
    build: choice.device,
    deviceIndex: choice.index,
    deviceName: choice.description,
    plans,
    dataset,
  };
}

/** What must not change while a session goes on. */
interface SessionPin {
  /** Hash of the tree and of the library. */
  readonly tree: string;
  /** Hash of the data set's manifest, which holds the hashes of its files. */
  readonly dataset: string;
}

/** Hash of a data set, after every file of it was read and compared. @throws DataError */
function datasetHash(folder: string): string {
  using dataset = openDataset(folder);
  dataset.verify();
  return createHash("sha256").update(Deno.readFileSync(join(folder, "manifest.json"))).digest("hex");
}

/** The parts of the loop that are the same for a new and for a resumed session. */
function assemble(
  place: SessionPlace,
  settings: SessionSettings,
  store: SessionStore,
  workspace: Workspace,
  made: Provided,
  options: { signal?: AbortSignal; events?: SessionEvents; runner?: Runner },
): SessionParts {
  const folder = sessionFolder(place);
  const preset = presetOf(settings.preset);
  const pin = store.session().pin as SessionPin;
  return {
    store,
    workspace,
    folder,
    agent: agents[settings.agent](),
    rule: decisionRules[settings.decide],
    runner: options.runner ?? new LocalRunner({
      codeRoot: workspace.folder,
      libraryPath: made.libraryPath,
      device: made.build,
      deviceIndex: made.deviceIndex,
      plans: made.plans,
      dataset: made.dataset,
      budgetSeconds: settings.budgetSeconds,
      evaluationRows: preset.evaluationRows,
      threads: settings.threads ?? undefined,
      pin: pin.tree,
      measurePeak: true,
    }),
    baseline: { title: `baseline ${settings.preset}`, values: { ...preset.config } },
    seed: settings.seed,
    budgetSeconds: settings.budgetSeconds,
    limits: {
      experiments: settings.experiments,
      seconds: settings.hours === null ? null : settings.hours * 3600,
    },
    hashes: { ...pin },
    harnessChanged: async () =>
      await pinTree(workspace.folder, { files: "tracked", libraryPath: made.libraryPath }) !== pin.tree,
    memoryPath: join(place.checkout, "AI-Memory", "memory.db"),
    async valid(source: string, configs: readonly Config[]) {
      await workspace.write(source);
      return await askValid(workspace.folder, configs, folder);
    },
    signal: options.signal,
    events: options.events,
  };
}

/** What opening a session may be given beside its settings. */
export interface OpenOptions {
  /** Ends the session after the bookkeeping of the run in flight. */
  readonly signal?: AbortSignal;
  /** Who watches. */
  readonly events?: SessionEvents;
  /** One line about something that does not stop the session. */
  readonly notice?: (line: string) => void;
}

/** Constants that are named of those that a preset changes. */
const NAMED = 5;

/** What a preset changes of the constants in a `train.ts`, for people; "" for nothing. */
function presetChanges(values: Config, source: string): string {
  let committed: Config;
  try {
    committed = configOf(parseSpace(source));
  } catch {
    return ""; // the baseline says what is wrong with the block
  }
  const known = Object.fromEntries(Object.entries(values).filter(([name]) => name in committed));
  const changes = describeChange(committed, known).split(", ");
  const more = changes.length > NAMED ? ` and ${changes.length - NAMED} more` : "";
  return changes.slice(0, NAMED).join(", ") + more;
}

/**
 * Makes git and the session's folder, and takes the lock.
 * @throws {SessionError} the home folder cannot be written, or another process drives the session
 */
function begin(place: SessionPlace): { git: Git; folder: string; release: () => void } {
  checkTag(place.tag);
  const folder = sessionFolder(place);
  try {
    Deno.mkdirSync(folder, { recursive: true });
    const lock = lockSession(folder, place.tag);
    return { git: new Git(join(folder, "gitconfig")), folder, release: lock.release };
  } catch (cause) {
    if (cause instanceof SessionError || cause instanceof Deno.errors.NotCapable) throw cause;
    const message = `${folder} can't be written (${reasonOf(cause)}): set RESEARCHSWARM_HOME to a folder that can`;
    throw new SessionError(message, { cause });
  }
}

/**
 * Starts a new session.
 * @throws {SessionError} the tag is taken, the checkout cannot be used, library or data cannot be made
 */
export async function createSession(
  place: SessionPlace,
  settings: SessionSettings,
  options: OpenOptions = {},
): Promise<OpenSession> {
  const { git, folder, release } = begin(place);
  const database = join(folder, "session.db");
  let store: SessionStore | undefined;
  try {
    if (exists(database)) {
      throw new TagTakenError(`session ${place.tag} exists; go on with --resume ${place.tag} or name another --tag`);
    }
    const checkout: Checkout = await inspectCheckout(git, place.checkout);
    const branch = `researchswarm/${place.tag}`;
    if ((await git.attempt(place.checkout, ["rev-parse", "--verify", "--quiet", `refs/heads/${branch}`])).success) {
      throw new TagTakenError(
        `the branch ${branch} exists in ${place.checkout}; name another --tag or delete the branch`,
      );
    }
    if (checkout.dirty) {
      options.notice?.(
        `uncommitted changes in ${place.checkout} are left out: the session starts from ${checkout.commit.slice(0, 7)}`,
      );
    }
    const workspace = new Workspace(git, folder, place.checkout, branch);
    await workspace.clone(checkout.commit);
    const made = await provide(workspace, place, settings);
    const pin: SessionPin = {
      tree: await pinTree(workspace.folder, { files: "tracked", libraryPath: made.libraryPath }),
      dataset: datasetHash(made.dataset),
    };
    store = SessionStore.create(database, {
      tag: place.tag,
      checkout: place.checkout,
      baseCommit: checkout.commit,
      branch,
      settings: { ...settings, ...made },
      pin,
      machine: machineOf(settings, made),
    });
    const changes = presetChanges(presetOf(settings.preset).config, await workspace.sourceOf(checkout.commit));
    if (changes !== "") {
      options.notice?.(`preset ${settings.preset} changes committed constants of trainer/train.ts: ${changes}`);
    }
    const parts = assemble(place, settings, store, workspace, made, options);
    const opened = store;
    return { parts, settings, close: () => (opened.close(), release()) };
  } catch (error) {
    store?.close();
    if (!exists(database)) await Deno.remove(folder, { recursive: true });
    release();
    throw error;
  }
}

/** Whether two trees differ in what the children of a run load, `train.ts` aside; false where one has no such code. */
async function differs(one: string, other: string, libraryPath: string): Promise<boolean> {
  try {
    const [a, b] = await Promise.all([one, other].map((root) => pinTree(root, { files: "code", libraryPath })));
    return a !== b;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Opens a session that was started before.
 * @param changes limits to replace
 * @throws {SessionError} there is none, another process drives it, or its clone or library is not what was pinned
 * @throws {DataError} a file of its data set was changed
 * @throws {DatabaseError} its database is damaged; it is left as it is
 */
export async function resumeSession(
  place: SessionPlace,
  changes: Partial<Pick<SessionSettings, "hours" | "experiments">>,
  options: OpenOptions = {},
): Promise<OpenSession> {
  checkTag(place.tag);
  const folder = sessionFolder(place);
  if (!exists(join(folder, "session.db"))) {
    throw new SessionError(`there is no session ${place.tag} in ${join(place.home, "sessions")}`);
  }
  const { git, release } = begin(place);
  let store: SessionStore | undefined;
  try {
    store = SessionStore.open(join(folder, "session.db"));
    const session = store.session();
    // Sessions from before there was a choice ran on the CPU.
    const past = { build: "cpu", deviceIndex: 0, deviceName: "cpu", plans: "" };
    const before = { ...past, ...session.settings } as unknown as SessionSettings & Provided;
    const settings = { ...before, ...changes };
    if (JSON.stringify(settings) !== JSON.stringify(before)) store.setSettings({ ...settings });
    // One that is finished is opened by the loop, where there is something left to do.
    if (session.status !== "finished") store.event("session resumed");
    const workspace = new Workspace(git, folder, session.checkout, session.branch);
    if (!await workspace.has(session.baseCommit)) await workspace.clone(session.baseCommit);
    // What git tracks is as it was; the branch follows when the loop puts everything in order.
    await workspace.moveTo(session.baseCommit);
    const made = exists(settings.libraryPath) && exists(join(settings.dataset, "manifest.json"))
      ? settings
      : { ...await provide(workspace, place, settings), plans: settings.plans }; // they decide about bits
    if (datasetHash(made.dataset) !== (session.pin as SessionPin).dataset) {
      throw new SessionError(`the data set ${made.dataset} is not the one that session ${place.tag} was started with`);
    }
    const parts = assemble({ ...place, checkout: session.checkout }, settings, store, workspace, made, options);
    if (await parts.harnessChanged?.()) throw new SessionError(HARNESS_CHANGED);
    if (await differs(place.checkout, workspace.folder, made.libraryPath)) {
      options.notice?.(
        `the code of ${place.checkout} is not that of session ${place.tag}, which goes on with its own, pinned code`,
      );
    }
    const opened = store;
    return { parts, settings, close: () => (opened.close(), release()) };
  } catch (error) {
    store?.close();
    release();
    throw error instanceof DatabaseError ? new SessionError(error.message.replace(/\.$/, "")) : error;
  }
}

/** Tags of the sessions in a home folder, the one touched last first. */
export function sessionTags(home: string): string[] {
  const folder = resolve(home, "sessions");
  if (!exists(folder)) return [];
  const found: { tag: string; time: number }[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const database = join(folder, name, "session.db");
    if (isDirectory && exists(database)) {
      found.push({ tag: name, time: Deno.statSync(join(folder, name, "session.lock")).mtime?.getTime() ?? 0 });
    }
  }
  return found.sort((a, b) => b.time - a.time || (a.tag < b.tag ? 1 : -1)).map(({ tag }) => tag);
}
