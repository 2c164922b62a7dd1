/**
 * The store of one session over `session.db`: every step of an experiment is one transaction here, and an experiment
 * moves only along the arrows of `transitions`. Knows nothing of git, training or agents.
 * @module
 */
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { openDatabase, readDatabase, transaction } from "./schema.ts";
import { sessionSchema } from "./session_schema.ts";
import {
  type EventRow,
  experimentOf,
  type ExperimentRow,
  type ExperimentState,
  isDecided,
  json,
  type NewExperiment,
  parse,
  type Row,
  runColumns,
  type RunMeasures,
  runOf,
  type RunRow,
  type SessionRow,
  transitions,
} from "./session_rows.ts";

/** What a run that nobody ended is found to have come to. */
const KILLED = "the session was killed in mid-run";

const now = (): string => new Date().toISOString();

/** What a session is given at its start. */
export type NewSession = Omit<SessionRow, "createdAt" | "status" | "reason" | "activeSeconds">;
/** What may change when an experiment moves on. */
export type ExperimentChanges = Partial<
  Pick<ExperimentRow, "diff" | "source" | "status" | "reason" | "valBpb" | "commit">
>;

/** One session, open for reading and writing by one process. */
export class SessionStore {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /**
   * Creates `session.db` with its session in it. The file appears under its name complete or not at all.
   * @throws {DatabaseError} the folder cannot be written
   */
  static create(
    path: string,
    session: NewSession,
  ): SessionStore {
    const fresh = `${path}.new`;
    for (const suffix of ["", "-wal", "-shm"]) {
      try {
        Deno.removeSync(fresh + suffix);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    const store = new SessionStore(openDatabase(fresh, sessionSchema, true));
    transaction(store.#database, () => {
      store.#database.prepare(
        "INSERT INTO sessions (id, tag, created_at, checkout, base_commit, branch, settings, pin, machine, status) " +
          "VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, 'open')",
      ).run(
        session.tag,
        now(),
        session.checkout,
        session.baseCommit,
        session.branch,
        JSON.stringify(session.settings),
        JSON.stringify(session.pin ?? null),
        JSON.stringify(session.machine),
      );
      store.event("session started", { settings: session.settings });
    });
    store.close(); // checkpoints the log into the file, so that a rename moves all of it
    Deno.renameSync(fresh, path);
    return SessionStore.open(path);
  }

  /**
   * Opens an existing `session.db`.
   * @throws {DatabaseError} the file is damaged, of another kind, or newer; it is left as it is
   */
  static open(path: string, options: { readOnly?: boolean } = {}): SessionStore {
    return new SessionStore(
      options.readOnly ? readDatabase(path, sessionSchema) : openDatabase(path, sessionSchema, false),
    );
  }

  /** The session itself. */
  session(): SessionRow {
    const row = this.#database.prepare("SELECT * FROM sessions WHERE id = 1").get() as Row;
    return {
      tag: row.tag as string,
      createdAt: row.created_at as string,
      checkout: row.checkout as string,
      baseCommit: row.base_commit as string,
      branch: row.branch as string,
      settings: parse(row.settings) as Record<string, unknown>,
      pin: parse(row.pin),
      machine: parse(row.machine) as Record<string, unknown>,
      status: row.status as SessionRow["status"],
      reason: row.reason as string,
      activeSeconds: row.active_seconds as number,
    };
  }

  /** Records how the session stands, with an event. */
  setStatus(status: SessionRow["status"], reason: string): void {
    transaction(this.#database, () => {
      this.#database.prepare("UPDATE sessions SET status = ?, reason = ?").run(status, reason);
      this.event(`session ${status}`, { reason });
    });
  }

  /** Replaces the settings (a resumed session may get a new limit), with an event. */
  setSettings(settings: Record<string, unknown>): void {
    transaction(this.#database, () => {
      this.#database.prepare("UPDATE sessions SET settings = ?").run(JSON.stringify(settings));
      this.event("settings changed", { settings });
    });
  }

  /** Adds wall-clock seconds to what the session has spent. */
  addSeconds(seconds: number): void {
    this.#database.prepare("UPDATE sessions SET active_seconds = active_seconds + ?").run(seconds);
  }

  /** Records a proposal. */
  propose(experiment: NewExperiment): ExperimentRow {
    return transaction(this.#database, () => {
      const next = this.#database.prepare("SELECT COALESCE(MAX(id) + 1, 0) AS id FROM experiments").get() as Row;
      const id = next.id as number;
      this.#database.prepare(
        "INSERT INTO experiments (id, parent, state, agent, origin, hypothesis, edit, diff, source, proposed_at) " +
          "VALUES (?, ?, 'proposed', ?, ?, ?, ?, ?, ?, ?)",
      ).run(
        id,
        experiment.parent,
        experiment.agent,
        experiment.origin,
        experiment.hypothesis,
        JSON.stringify(experiment.edit),
        experiment.diff ?? "",
        experiment.source ?? "",
        now(),
      );
      this.event("proposed", { origin: experiment.origin, edit: experiment.edit }, id);
      return this.experiment(id);
    });
  }

  /**
   * Moves an experiment along one arrow of `transitions`, with an event.
   * @throws the arrow does not exist
   */
  advance(
    id: number,
    state: ExperimentState,
    fields: ExperimentChanges = {},
  ): ExperimentRow {
    return transaction(this.#database, () => this.#advance(id, state, fields));
  }

  #advance(
    id: number,
    state: ExperimentState,
    fields: ExperimentChanges,
  ): ExperimentRow {
    const from = this.experiment(id).state;
    if (!transitions[from].includes(state)) throw new Error(`experiment ${id} cannot go from ${from} to ${state}`);
    const columns: [string, SQLInputValue][] = [["state", state]];
    if (fields.diff !== undefined) columns.push(["diff", fields.diff]);
    if (fields.source !== undefined) columns.push(["source", fields.source]);
    if (fields.status !== undefined) columns.push(["status", fields.status]);
    if (fields.reason !== undefined) columns.push(["reason", fields.reason]);
    if (fields.valBpb !== undefined) columns.push(["val_bpb", fields.valBpb]);
    if (fields.commit !== undefined) columns.push(["commit_hash", fields.commit]);
    if (isDecided(state)) columns.push(["decided_at", now()]);
    this.#database.prepare(`UPDATE experiments SET ${columns.map(([name]) => `${name} = ?`).join(", ")} WHERE id = ?`)
      .run(...columns.map(([, value]) => value), id);
    const { reason, valBpb, commit } = fields;
    this.event(state, { reason, valBpb, commit }, id);
    return this.experiment(id);
  }

  /** Corrects the commit of a kept experiment after the clone was rebuilt, with an event. */
  setCommit(id: number, commit: string): void {
    transaction(this.#database, () => {
      this.#database.prepare("UPDATE experiments SET commit_hash = ? WHERE id = ?").run(commit, id);
      this.event("commit recorded", { commit }, id);
    });
  }

  /** One experiment. @throws there is none of this number */
  experiment(id: number): ExperimentRow {
    const row = this.#database.prepare("SELECT * FROM experiments WHERE id = ?").get(id);
    if (row === undefined) throw new Error(`no experiment ${id} in this session`);
    return experimentOf(row as Row);
  }

  /** All experiments in order. */
  experiments(): ExperimentRow[] {
    return this.#database.prepare("SELECT * FROM experiments ORDER BY id").all().map((row) => experimentOf(row as Row));
  }

  /** The kept experiment with the lowest score, the earliest among equals; null before the baseline. */
  best(): ExperimentRow | null {
    const row = this.#database.prepare(
      "SELECT * FROM experiments WHERE state = 'kept' ORDER BY val_bpb, id LIMIT 1",
    ).get();
    return row === undefined ? null : experimentOf(row as Row);
  }

  /** Enters a run before it starts, and takes its experiment from `checked` to `running` if it is not there yet. */
  startRun(experiment: number, seed: number): RunRow {
    return transaction(this.#database, () => {
      this.#database.prepare(
        "UPDATE runs SET status = 'lost', reason = ?, ended_at = ? WHERE experiment = ? AND status = 'running'",
      ).run(KILLED, now(), experiment);
      if (this.experiment(experiment).state === "checked") this.#advance(experiment, "running", {});
      const last = this.#database.prepare(
        "SELECT COALESCE(MAX(attempt), 0) AS attempt FROM runs WHERE experiment = ? AND seed = ?",
      ).get(experiment, seed) as Row;
      const attempt = (last.attempt as number) + 1;
      const { lastInsertRowid } = this.#database.prepare(
        "INSERT INTO runs (experiment, attempt, seed, status, started_at) VALUES (?, ?, ?, 'running', ?)",
      ).run(experiment, attempt, seed, now());
      this.event("run started", { seed, attempt }, experiment);
      return this.#run(Number(lastInsertRowid));
    });
  }

  /**
   * Enters what a run measured and takes its experiment on, in one transaction: to `evaluated` with a score, else to
   * `crashed` or `refused`.
   */
  finishRun(run: number, measures: RunMeasures, state: "evaluated" | "crashed" | "refused"): ExperimentRow {
    return transaction(this.#database, () => {
      const entries = Object.entries(runColumns) as [keyof RunMeasures, [string, "json"?]][];
      const values = entries.map(([field, [, kind]]) => kind ? json(measures[field]) : measures[field]);
      const { changes } = this.#database.prepare(
        `UPDATE runs SET ended_at = ?, ${entries.map(([, [column]]) => `${column} = ?`).join(", ")} ` +
          "WHERE id = ? AND status = 'running'",
      ).run(now(), ...values as SQLInputValue[], run);
      if (changes !== 1) throw new Error(`run ${run} is not under way`);
      const { status, reason, valBpb } = measures;
      return this.#advance(this.#run(run).experiment, state, {
        status,
        reason,
        valBpb: state === "evaluated" ? valBpb : null,
      });
    });
  }

  /** Ends a run that came to nothing through no fault of its experiment, which can then be run again, with an event. */
  loseRun(run: number, reason: string): void {
    transaction(this.#database, () => {
      this.#database.prepare(
        "UPDATE runs SET status = 'lost', reason = ?, ended_at = ? WHERE id = ? AND status = 'running'",
      ).run(reason, now(), run);
      this.event("run lost", { reason }, this.#run(run).experiment);
    });
  }

  /** How often an experiment was begun and nobody lived to say how it ended. Between two runs, not during one. */
  timesKilled(experiment: number): number {
    return this.runs(experiment).filter(({ status, reason }) =>
      status === "running" || (status === "lost" && reason === KILLED)
    ).length;
  }

  #run(id: number): RunRow {
    return runOf(this.#database.prepare("SELECT * FROM runs WHERE id = ?").get(id) as Row);
  }

  /** Runs in order, of one experiment or all. */
  runs(experiment?: number): RunRow[] {
    const rows = experiment === undefined
      ? this.#database.prepare("SELECT * FROM runs ORDER BY id").all()
      : this.#database.prepare("SELECT * FROM runs WHERE experiment = ? ORDER BY id").all(experiment);
    return rows.map((row) => runOf(row as Row));
  }

  /** Appends to the log of decisions. */
  event(kind: string, detail: Record<string, unknown> = {}, experiment: number | null = null): void {
    this.#database.prepare("INSERT INTO events (at, experiment, kind, detail) VALUES (?, ?, ?, ?)")
      .run(now(), experiment, kind, JSON.stringify(detail));
  }

  /** The log of decisions in order. */
  events(): EventRow[] {
    return this.#database.prepare("SELECT * FROM events ORDER BY id").all().map((row) => ({
      id: row.id as number,
      at: row.at as string,
      experiment: row.experiment as number | null,
      kind: row.kind as string,
      detail: parse(row.detail) as Record<string, unknown>,
    }));
  }

  /** Closes the file; the log is checkpointed into it. Does nothing the second time. */
  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** Same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
