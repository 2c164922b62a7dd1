/**
 * The tables of `memory.db`. Version 1 is the Python original's `entries`, which its program can still read and write:
 * neither its columns nor the application id (0) may change. Everything else stands beside it and is derived from it or
 * guarded by the audit chain.
 * @module
 */
import type { Schema } from "./schema.ts";

const version1 = `
CREATE TABLE IF NOT EXISTS entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  file_type TEXT NOT NULL CHECK(file_type IN ('CONTEXT', 'DECISION', 'PROGRESS', 'PATTERN', 'BRIEF', 'RESEARCH_REPORT',
    'PLAN_REPORT', 'EXECUTION_REPORT')),
  timestamp TEXT NOT NULL,
  tag TEXT NOT NULL,
  content TEXT NOT NULL,
  metadata TEXT DEFAULT '{}',
  phase TEXT DEFAULT NULL,
  progress_status TEXT DEFAULT NULL,
  embedding BLOB DEFAULT NULL
);
CREATE INDEX IF NOT EXISTS idx_file_timestamp ON entries(file_type, timestamp DESC);
CREATE INDEX IF NOT EXISTS idx_tag ON entries(tag);
`;

// The index holds terms that text/terms.ts made, so it needs neither the text (content=''), nor positions (detail=none), nor
// lengths (columnsize=0); entries are never changed, so it needs no deletion either. Beside an external-content index with
// the porter tokenizer, at a million entries: 409 MB for the whole file against 468 MB, writes 0.12 ms against 0.14 ms.
// Its rowids run backwards (2^34 − id), because FTS5 reads lists forwards at a quarter of the cost and the newest entries are
// wanted; automerge=2 keeps 7 segments instead of 13, for the same time of a write: 0.036 ms a term instead of 0.147 ms.
const version2 = `
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, -- 1, 2, 3 … without a gap
  at INTEGER NOT NULL,                   -- milliseconds since 1970
  kind TEXT NOT NULL,                    -- 'start', 'entry', 'adopted', 'repeat', 'handoff'
  subject INTEGER NOT NULL,              -- id of the entry or of the handoff; 'start': highest id ever given before
  high INTEGER NOT NULL,                 -- highest id of an entry in the chain, this record included
  detail TEXT,                           -- JSON
  hash BLOB NOT NULL                     -- SHA-256 of the hash before, this record and its entry
) STRICT;

CREATE TABLE dedupe (
  key INTEGER PRIMARY KEY,               -- 53 bits of a hash of type, normalised content and key
  entry INTEGER NOT NULL                 -- the first entry of this key
) STRICT;

CREATE TABLE repeats (                   -- entries that were given again, and not stored again
  entry INTEGER PRIMARY KEY,
  times INTEGER NOT NULL,
  last_at TEXT NOT NULL                  -- ISO 8601
) STRICT;

CREATE TABLE handoffs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  entry INTEGER,                         -- the entry that recorded the decision
  task TEXT NOT NULL,
  domain TEXT NOT NULL CHECK (domain IN ('human-action', 'hybrid')),
  state TEXT NOT NULL CHECK (state IN ('open', 'done', 'cancelled')),
  created_at TEXT NOT NULL,
  closed_at TEXT,
  reason TEXT                            -- why it was cancelled
) STRICT;
CREATE INDEX handoffs_by_state ON handoffs (state, id);

CREATE TABLE handoff_items (
  handoff INTEGER NOT NULL REFERENCES handoffs (id),
  item INTEGER NOT NULL,                 -- 1, 2, 3 …
  action TEXT NOT NULL,
  safety TEXT NOT NULL CHECK (json_valid(safety)),
  evidence TEXT NOT NULL,                -- what would show that it was done
  state TEXT NOT NULL CHECK (state IN ('open', 'done')),
  evidence_given TEXT,
  done_at TEXT,
  PRIMARY KEY (handoff, item),
  CHECK (state = 'open' OR length(trim(evidence_given)) > 0)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE entry_terms USING fts5(
  terms, content = '', columnsize = 0, detail = none, tokenize = "ascii tokenchars '@_.-+#'"
);
INSERT INTO entry_terms (entry_terms, rank) VALUES ('automerge', 2);

CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
  BEGIN SELECT RAISE (ABORT, 'the memory is append-only: entries are never changed'); END;
CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries
  BEGIN SELECT RAISE (ABORT, 'the memory is append-only: entries are never deleted'); END;
-- Also what INSERT OR REPLACE would do: it deletes without asking the trigger above.
CREATE TRIGGER entries_only_go_on AFTER INSERT ON entries
  WHEN NEW.id <= (SELECT high FROM audit ORDER BY seq DESC LIMIT 1)
  BEGIN SELECT RAISE (ABORT, 'the memory is append-only: an entry comes after all others'); END;
CREATE TRIGGER audit_only_goes_on BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
  BEGIN SELECT RAISE (ABORT, 'the audit chain is append-only'); END;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
  BEGIN SELECT RAISE (ABORT, 'the audit chain is append-only'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
  BEGIN SELECT RAISE (ABORT, 'the audit chain is append-only'); END;
CREATE TRIGGER handoffs_are_never_deleted BEFORE DELETE ON handoffs
  BEGIN SELECT RAISE (ABORT, 'handoffs are never deleted'); END;
CREATE TRIGGER handoff_items_are_never_deleted BEFORE DELETE ON handoff_items
  BEGIN SELECT RAISE (ABORT, 'handoffs are never deleted'); END;
`;

/** Schema of `memory.db`; the original's files carry neither an application id nor a version. */
export const entriesSchema: Schema = { name: "memory.db", applicationId: 0, migrations: [version1, version2] };
