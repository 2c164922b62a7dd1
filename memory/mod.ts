/**
 * The memory: SQLite stores of sessions and of entries, through Deno's own `node:sqlite`. Needs read and write of its
 * files, and nothing else: no FFI, no network.
 * @module
 */
export { DatabaseError, openDatabase, readDatabase, type Schema, transaction } from "./schema.ts";
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
export { appendEntry, entriesSchema, type Entry, type EntryType, openMemory } from "./entries.ts";
