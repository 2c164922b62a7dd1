/**
 * The memory: SQLite stores of entries, handoffs and sessions, through Deno's own `node:sqlite`. Needs read and write of its
 * files, and nothing else: no FFI, no network. `openMemoryInRam` needs no permission at all.
 *
 * @example
 * ```ts
 * import { openMemoryInRam } from "./mod.ts";
 * import { strictEqual } from "node:assert";
 *
 * using memory = openMemoryInRam();
 * memory.append({ fileType: "DECISION", tag: "schedule", content: "Cosine decay beat the linear warm-down by 0.004." });
 * strictEqual(memory.context("Is cosine decay better than a linear warm-down?")[0].tag, "schedule");
 * strictEqual(memory.verify().ok, true);
 * ```
 * @module
 */
export { DatabaseError, openDatabase, readDatabase, type Schema, transaction } from "./schema.ts";
export { entriesSchema } from "./memory_schema.ts";
export { type AppendResult, type Entry, type EntryType, entryTypes, type Hit, type StoredEntry } from "./entries.ts";
export { MemoryError } from "./gate.ts";
export type {
  Handoff,
  HandoffChange,
  HandoffHost,
  HandoffItem,
  HandoffState,
  HandoffStore,
  NewHandoff,
  NewHandoffItem,
} from "./handoffs.ts";
export { Memory, type MemoryStats } from "./memory.ts";
export { type MemoryOptions, openMemory, openMemoryInRam, readMemory } from "./open.ts";
export type { SearchOptions } from "./search.ts";
export type { Problem, VerifyReport } from "./verify.ts";
export { sessionSchema } from "./session_schema.ts";
export {
  type EventRow,
  type ExperimentRow,
  type ExperimentState,
  isDecided,
  type NewExperiment,
  type RunMeasures,
  type RunRow,
  type SessionRow,
  transitions,
} from "./session_rows.ts";
export { type ExperimentChanges, type NewSession, SessionStore } from "./sessions.ts";
export {
  decisionEntry,
  experimentTag,
  listSessions,
  rebuildFromSession,
  rebuildFromSessions,
  rememberDecisions,
  type SessionList,
  type SessionSummary,
} from "./session_entries.ts";
