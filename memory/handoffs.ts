/**
 * Handoffs: work that only a person can do, as checklists that stay open until somebody gives evidence for every item. Each
 * change is a record of the audit chain and is synchronised with the disk: nothing else could bring it back.
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { MemoryError } from "./gate.ts";
import type { Row } from "./session_rows.ts";

/** Where a handoff is on its way; it leaves `open` once. */
export type HandoffState = "open" | "done" | "cancelled";

/** One thing that a person has to do. */
export interface NewHandoffItem {
  /** What to do. */
  action: string;
  /** What to look out for. */
  safety: string[];
  /** What would show that it was done. */
  evidence: string;
}

/** A handoff as it is created. */
export interface NewHandoff {
  /** The task that it comes from. */
  task: string;
  /** What the task needs. */
  domain: "human-action" | "hybrid";
  /** At least one. */
  items: NewHandoffItem[];
  /** The entry of the memory that recorded the decision. */
  entryId?: number;
}

/** One item of a handoff as it stands. */
export interface HandoffItem extends NewHandoffItem {
  /** 1, 2, 3 … */
  item: number;
  /** `done` only with evidence. */
  state: "open" | "done";
  /** What was given as evidence. */
  evidenceGiven?: string;
  /** ISO 8601. */
  doneAt?: string;
}

/** A handoff as it stands. */
export interface Handoff {
  /** Key. */
  id: number;
  /** The task that it comes from. */
  task: string;
  /** What the task needs. */
  domain: "human-action" | "hybrid";
  /** `done` when every item has its evidence. */
  state: HandoffState;
  /** The entry of the memory that recorded the decision. */
  entryId?: number;
  /** ISO 8601. */
  createdAt: string;
  /** ISO 8601; absent while it is open. */
  closedAt?: string;
  /** Why it was cancelled. */
  reason?: string;
  /** In order. */
  items: HandoffItem[];
}

/** A change of a handoff, as its audit record holds it. */
export type HandoffChange =
  | { change: "created"; at: string; handoff: NewHandoff }
  | { change: "item done"; at: string; item: number; evidence: string }
  | { change: "done"; at: string }
  | { change: "cancelled"; at: string; reason: string | null };

/** What the store needs of the memory around it. */
export interface HandoffHost {
  /** The open database. */
  readonly database: DatabaseSync;
  /** Adds a record about a handoff to the audit chain; inside a transaction. */
  record(id: number, change: HandoffChange): void;
  /** Runs reading code; errors become sentences. */
  read<T>(work: () => T): T;
  /** Runs writing code in a transaction that is on the disk when it returns. */
  writeDurably<T>(work: () => T): T;
}

/** Characters of an action, a note or a piece of evidence at most. */
const TEXT_LENGTH = 16_384;

function textOf(value: unknown, what: string): string {
  if (typeof value !== "string" || value.trim() === "") throw new MemoryError(`${what} is empty`);
  // deno-lint-ignore no-control-regex
  const clean = value.toWellFormed().replace(/\r\n?/g, "\n").replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "").trim();
  if (clean === "") throw new MemoryError(`${what} holds nothing but control characters`);
  if (clean.length > TEXT_LENGTH) {
    throw new MemoryError(`${what} has ${clean.length} characters; ${TEXT_LENGTH} is the most`);
  }
  return clean;
}

/** The handoffs of one memory. */
export class HandoffStore {
  readonly #host: HandoffHost;

  /** Made by the memory. @param host the memory around it */
  constructor(host: HandoffHost) {
    this.#host = host;
  }

  /**
   * Opens a handoff.
   * @returns its id
   * @throws {MemoryError} it has no item, or a text is empty
   */
  create(handoff: NewHandoff): number {
    if (handoff.domain !== "human-action" && handoff.domain !== "hybrid") {
      throw new MemoryError(`a handoff is for human-action or hybrid tasks, not for ${JSON.stringify(handoff.domain)}`);
    }
    if (handoff.items.length === 0) throw new MemoryError("a handoff needs at least one item");
    const clean: NewHandoff = {
      task: textOf(handoff.task.slice(0, TEXT_LENGTH), "the task of a handoff"),
      domain: handoff.domain,
      items: handoff.items.map(({ action, safety, evidence }, index) => ({
        action: textOf(action, `the action of item ${index + 1}`),
        safety: safety.map((note) => textOf(note, `a safety note of item ${index + 1}`)),
        evidence: textOf(evidence, `the evidence wanted for item ${index + 1}`),
      })),
      ...(handoff.entryId === undefined ? {} : { entryId: handoff.entryId }),
    };
    const { database } = this.#host;
    return this.#host.writeDurably(() => {
      const at = new Date().toISOString();
      const { lastInsertRowid } = database.prepare(
        "INSERT INTO handoffs (entry, task, domain, state, created_at) VALUES (?, ?, ?, 'open', ?)",
      ).run(clean.entryId ?? null, clean.task, clean.domain, at);
      const id = Number(lastInsertRowid);
      const insert = database.prepare(
        "INSERT INTO handoff_items (handoff, item, action, safety, evidence, state) VALUES (?, ?, ?, ?, ?, 'open')",
      );
      clean.items.forEach(({ action, safety, evidence }, index) =>
        insert.run(id, index + 1, action, JSON.stringify(safety), evidence)
      );
      this.#host.record(id, { change: "created", at, handoff: clean });
      return id;
    });
  }

  /** Handoffs, oldest first. @param options `state` leaves out the others */
  list(options: { state?: HandoffState } = {}): Handoff[] {
    const { state } = options;
    return this.#host.read(() => {
      const ids = state === undefined
        ? this.#host.database.prepare("SELECT id FROM handoffs ORDER BY id").all()
        : this.#host.database.prepare("SELECT id FROM handoffs WHERE state = ? ORDER BY id").all(state);
      return ids.map(({ id }) => readHandoff(this.#host.database, id as number)!);
    });
  }

  /** One handoff, undefined if there is none of this id. */
  get(id: number): Handoff | undefined {
    return this.#host.read(() => readHandoff(this.#host.database, id));
  }

  /**
   * Closes one item with its evidence, and the handoff with its last item.
   * @param item 1, 2, 3 …
   * @throws {MemoryError} there is no such open item, or the evidence is empty
   */
  completeItem(id: number, item: number, evidence: string): Handoff {
    const given = textOf(evidence, "the evidence");
    return this.#host.writeDurably(() => {
      const found = this.#open(id).items.find((other) => other.item === item);
      if (found === undefined) throw new MemoryError(`handoff ${id} has no item ${item}`);
      if (found.state === "done") throw new MemoryError(`item ${item} of handoff ${id} is done already`);
      this.#finish(id, [item], given);
      return readHandoff(this.#host.database, id)!;
    });
  }

  /**
   * Closes a handoff with one piece of evidence for all items that are still open.
   * @throws {MemoryError} there is no such open handoff, or the evidence is empty
   */
  complete(id: number, evidence: string): Handoff {
    const given = textOf(evidence, "the evidence");
    return this.#host.writeDurably(() => {
      const open = this.#open(id).items.filter(({ state }) => state === "open");
      this.#finish(id, open.map(({ item }) => item), given);
      return readHandoff(this.#host.database, id)!;
    });
  }

  /**
   * Closes a handoff whose work is not wanted any more; it never counts as done.
   * @param reason an empty one is none
   * @throws {MemoryError} there is no such open handoff
   */
  cancel(id: number, reason?: string): Handoff {
    const given = reason === undefined || reason.trim() === "" ? null : textOf(reason, "the reason");
    return this.#host.writeDurably(() => {
      this.#open(id);
      const at = new Date().toISOString();
      this.#host.database.prepare("UPDATE handoffs SET state = 'cancelled', closed_at = ?, reason = ? WHERE id = ?")
        .run(at, given, id);
      this.#host.record(id, { change: "cancelled", at, reason: given });
      return readHandoff(this.#host.database, id)!;
    });
  }

  #open(id: number): Handoff {
    const handoff = readHandoff(this.#host.database, id);
    if (handoff === undefined) throw new MemoryError(`there is no handoff ${id}`);
    if (handoff.state !== "open") throw new MemoryError(`handoff ${id} is ${handoff.state} already`);
    return handoff;
  }

  #finish(id: number, items: readonly number[], evidence: string): void {
    const { database } = this.#host;
    const at = new Date().toISOString();
    const update = database.prepare(
      "UPDATE handoff_items SET state = 'done', evidence_given = ?, done_at = ? WHERE handoff = ? AND item = ?",
    );
    for (const item of items) {
      update.run(evidence, at, id, item);
      this.#host.record(id, { change: "item done", at, item, evidence });
    }
    const left = database.prepare("SELECT count(*) AS n FROM handoff_items WHERE handoff = ? AND state = 'open'").get(
      id,
    );
    if ((left as Row).n !== 0) return;
    database.prepare("UPDATE handoffs SET state = 'done', closed_at = ? WHERE id = ?").run(at, id);
    this.#host.record(id, { change: "done", at });
  }
}

/** A handoff from its rows. */
export function readHandoff(database: DatabaseSync, id: number): Handoff | undefined {
  const row = database.prepare("SELECT * FROM handoffs WHERE id = ?").get(id) as Row | undefined;
  if (row === undefined) return undefined;
  const items = database.prepare("SELECT * FROM handoff_items WHERE handoff = ? ORDER BY item").all(id) as Row[];
  return {
    id,
    task: row.task as string,
    domain: row.domain as Handoff["domain"],
    state: row.state as HandoffState,
    ...(row.entry === null ? {} : { entryId: row.entry as number }),
    createdAt: row.created_at as string,
    ...(row.closed_at === null ? {} : { closedAt: row.closed_at as string }),
    ...(row.reason === null ? {} : { reason: row.reason as string }),
    items: items.map((item) => ({
      item: item.item as number,
      action: item.action as string,
      safety: JSON.parse(item.safety as string),
      evidence: item.evidence as string,
      state: item.state as HandoffItem["state"],
      ...(item.evidence_given === null ? {} : { evidenceGiven: item.evidence_given as string }),
      ...(item.done_at === null ? {} : { doneAt: item.done_at as string }),
    })),
  };
}

/** A handoff after one more change: what its rows must say if nobody has touched them. */
export function replay(before: Handoff | undefined, id: number, change: HandoffChange): Handoff | undefined {
  if (change.change === "created") {
    const { task, domain, items, entryId } = change.handoff;
    return {
      id,
      task,
      domain,
      state: "open",
      ...(entryId === undefined ? {} : { entryId }),
      createdAt: change.at,
      items: items.map((item, index) => ({ item: index + 1, ...item, state: "open" })),
    };
  }
  if (before === undefined) return undefined;
  if (change.change === "item done") {
    const items = before.items.map((item) =>
      item.item === change.item
        ? { ...item, state: "done" as const, evidenceGiven: change.evidence, doneAt: change.at }
        : item
    );
    return { ...before, items };
  }
  return {
    ...before,
    state: change.change,
    closedAt: change.at,
    ...(change.change === "cancelled" && change.reason !== null ? { reason: change.reason } : {}),
  };
}
