/**
 * Sessions as entries: what a decision of a session says to the memory, and how a memory is filled again from the
 * databases of sessions, which are the truth.
 * @module
 */
import type { Entry } from "./entries.ts";
import type { Memory } from "./memory.ts";
import { DatabaseError } from "./schema.ts";
import type { ExperimentRow, SessionRow } from "./session_rows.ts";
import { isDecided } from "./session_rows.ts";
import { SessionStore } from "./sessions.ts";

/** Tag of the entry of an experiment: `SESSION:monday:exp_004`. */
export function experimentTag(session: string, experiment: number): string {
  return `SESSION:${session}:exp_${String(experiment).padStart(3, "0")}`;
}

/** The entry of a decided experiment. @param session name of the session */
export function decisionEntry(session: string, experiment: ExperimentRow): Entry {
  const { id, state, valBpb, commit, agent, origin, reason, hypothesis, decidedAt, edit } = experiment;
  const change = typeof edit.change === "string" && edit.change !== "" ? edit.change : hypothesis;
  const tag = experimentTag(session, id);
  return {
    fileType: "DECISION",
    timestamp: decidedAt ?? undefined,
    tag,
    content: `${change.replaceAll(/[\t\r\n]+/g, " ").trim()}\n${hypothesis}\n${state}: ${reason}`,
    metadata: { session, experiment: id, agent, origin, valBpb, commit },
    phase: "overnight",
    progressStatus: state,
    key: `${tag} ${decidedAt}`,
  };
}

/**
 * Enters decisions that the memory does not hold yet: an entry of the same tag and time is the same decision. A tag alone is
 * not: a session may have been deleted and its name used again.
 * @returns how many were new
 */
export function rememberDecisions(memory: Memory, session: string, experiments: readonly ExperimentRow[]): number {
  const fresh = experiments.filter(({ id, decidedAt }) =>
    !memory.tagged(experimentTag(session, id)).some(({ timestamp }) => timestamp === decidedAt)
  );
  return memory.appendAll(fresh.map((experiment) => decisionEntry(session, experiment)))
    .filter(({ stored }) => stored).length;
}

/** Enters all decisions of one session. @returns how many were new */
export function rebuildFromSession(memory: Memory, store: SessionStore): number {
  return rememberDecisions(memory, store.session().tag, store.experiments().filter(({ state }) => isDecided(state)));
}

/** One session as a list shows it. */
export interface SessionSummary {
  /** The session's own row. */
  readonly session: SessionRow;
  /** Its folder. */
  readonly folder: string;
  /** Its `session.db`; open it with `SessionStore.open(path, { readOnly: true })`. */
  readonly path: string;
  /** Experiments so far. */
  readonly experiments: number;
  /** Kept ones, the baseline included. */
  readonly kept: number;
  /** Lowest score, null before the baseline. */
  readonly best: number | null;
}

/** What `listSessions` found. */
export interface SessionList {
  /** The newest first. */
  readonly sessions: readonly SessionSummary[];
  /** One sentence for each database that cannot be read. */
  readonly problems: readonly string[];
}

/** Paths of the databases in a folder of sessions. */
function databasesIn(folder: string): { name: string; path: string }[] {
  try {
    return Array.from(Deno.readDirSync(folder)).filter(({ isDirectory }) => isDirectory)
      .map(({ name }) => ({ name, path: `${folder}/${name}/session.db` }))
      .filter(({ path }) => exists(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The sessions in a folder such as `~/.cache/researchswarm/sessions`; none if it is absent. */
export function listSessions(folder: string): SessionList {
  const sessions: SessionSummary[] = [];
  const problems: string[] = [];
  for (const { name, path } of databasesIn(folder)) {
    try {
      using store = SessionStore.open(path, { readOnly: true });
      const experiments = store.experiments();
      sessions.push({
        session: store.session(),
        folder: `${folder}/${name}`,
        path,
        experiments: experiments.length,
        kept: experiments.filter(({ state }) => state === "kept").length,
        best: store.best()?.valBpb ?? null,
      });
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      problems.push(error.message);
    }
  }
  sessions.sort((a, b) => (a.session.createdAt < b.session.createdAt ? 1 : -1));
  return { sessions, problems };
}

/**
 * Fills a memory with the decisions of all sessions in a folder, oldest session first. What it holds already stays single.
 * @returns how many entries were new, and one sentence for each database that cannot be read
 */
export function rebuildFromSessions(memory: Memory, folder: string): { added: number; problems: readonly string[] } {
  const { sessions, problems } = listSessions(folder);
  let added = 0;
  for (const { path } of sessions.toReversed()) {
    using store = SessionStore.open(path, { readOnly: true });
    added += rebuildFromSession(memory, store);
  }
  return { added, problems };
}
