/**
 * The tables of `session.db`: one session (a night), its experiments (one edit, one decision each), their runs (one
 * training with one seed each) and the log of decisions. Times are ISO 8601 in UTC, durations seconds.
 * @module
 */
import type { Schema } from "./schema.ts";

const version1 = `
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  tag TEXT NOT NULL,
  created_at TEXT NOT NULL,
  checkout TEXT NOT NULL,            -- the user's repository, which the session was started from
  base_commit TEXT NOT NULL,         -- its HEAD at the start
  branch TEXT NOT NULL,
  settings TEXT NOT NULL CHECK (json_valid(settings)),
  pin TEXT NOT NULL CHECK (json_valid(pin)),
  machine TEXT NOT NULL CHECK (json_valid(machine)),
  status TEXT NOT NULL CHECK (status IN ('open', 'finished', 'stopped')),
  reason TEXT NOT NULL DEFAULT '',
  active_seconds REAL NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE experiments (
  id INTEGER PRIMARY KEY,            -- 0, 1, 2 …; the first one that is kept without a parent is the baseline
  parent INTEGER REFERENCES experiments (id),
  state TEXT NOT NULL CHECK (state IN
    ('proposed', 'checked', 'running', 'evaluated', 'kept', 'discarded', 'crashed', 'refused')),
  agent TEXT NOT NULL,
  origin TEXT NOT NULL,              -- the agent's own name for where the idea came from
  hypothesis TEXT NOT NULL,
  edit TEXT NOT NULL CHECK (json_valid(edit)),
  diff TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL DEFAULT '',   -- train.ts as it was trained
  status TEXT NOT NULL DEFAULT '',   -- how the run ended, in the runner's words
  reason TEXT NOT NULL DEFAULT '',
  val_bpb REAL,
  commit_hash TEXT,
  proposed_at TEXT NOT NULL,
  decided_at TEXT
) STRICT;

CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  experiment INTEGER NOT NULL REFERENCES experiments (id),
  attempt INTEGER NOT NULL,          -- 2 and up after a kill in mid-run
  seed INTEGER NOT NULL,
  status TEXT NOT NULL,              -- 'running', 'lost' (killed in mid-run), else the runner's words
  reason TEXT NOT NULL DEFAULT '',
  started_at TEXT NOT NULL,
  ended_at TEXT,
  val_bpb REAL,
  training_seconds REAL, evaluation_seconds REAL, forward_seconds REAL, overhead_seconds REAL, total_seconds REAL,
  steps INTEGER, tokens INTEGER, parameters INTEGER, depth INTEGER, peak_bytes INTEGER, mfu REAL,
  clock TEXT CHECK (clock IS NULL OR json_valid(clock)),
  curve TEXT CHECK (curve IS NULL OR json_valid(curve)),
  weights_hash TEXT,
  hashes TEXT CHECK (hashes IS NULL OR json_valid(hashes)),
  machine TEXT CHECK (machine IS NULL OR json_valid(machine)),
  cost REAL,                         -- in the currency of the agent or the machine; 0 for local work
  UNIQUE (experiment, attempt, seed)
) STRICT;

CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  experiment INTEGER REFERENCES experiments (id),
  kind TEXT NOT NULL,
  detail TEXT NOT NULL CHECK (json_valid(detail))
) STRICT;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
  BEGIN SELECT RAISE (ABORT, 'the log of decisions is append-only'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
  BEGIN SELECT RAISE (ABORT, 'the log of decisions is append-only'); END;
CREATE TRIGGER experiments_are_never_deleted BEFORE DELETE ON experiments
  BEGIN SELECT RAISE (ABORT, 'experiments are never deleted'); END;
`;

/** Schema of `session.db`. The application id spells "RSse". */
export const sessionSchema: Schema = { name: "session.db", applicationId: 0x52537365, migrations: [version1] };
