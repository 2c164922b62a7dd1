/** Promises of the audit chain: whatever is done to the file behind the memory's back, `verify` finds it and says where. */
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { deepStrictEqual as equal, ok, throws } from "node:assert";
import { createHash } from "node:crypto";
import { openMemory, type Problem, readMemory } from "../memory/mod.ts";
import { entry, fill, makeMemory, originalPath, withFolder } from "./_memory.ts";

/** Takes the guards away, as somebody would who wants to cheat. */
const unguarded = `
  DROP TRIGGER entries_are_never_changed; DROP TRIGGER entries_are_never_deleted; DROP TRIGGER entries_only_go_on;
  DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_never_deleted; DROP TRIGGER audit_only_goes_on;
  DROP TRIGGER handoffs_are_never_deleted; DROP TRIGGER handoff_items_are_never_deleted;`;

/** Each way to tamper with the file that `makeMemory` makes, and a problem that has to be reported. */
const tamperings: [what: string, sql: string, part: Problem["part"], id: number | undefined, message: RegExp][] = [
  ["a changed text", "UPDATE entries SET content = content || '!' WHERE id = 17", "entries", 17, /entry 17/],
  [
    "a changed letter",
    "UPDATE entries SET content = replace(content, 'valve', 'value') WHERE id = 9",
    "entries",
    9,
    /9/,
  ],
  ["a changed time", "UPDATE entries SET timestamp = '2026-01-01T00:00:00.000Z' WHERE id = 17", "entries", 17, /17/],
  ["a changed kind", "UPDATE entries SET file_type = 'BRIEF' WHERE id = 17", "entries", 17, /entry 17/],
  ["a changed tag", "UPDATE entries SET tag = 'x' WHERE id = 40", "entries", 40, /entry 40/],
  ["changed metadata", "UPDATE entries SET metadata = '{\"a\":1}' WHERE id = 1", "entries", 1, /entry 1/],
  ["a null for a text", "UPDATE entries SET phase = '' WHERE id = 5", "entries", 5, /entry 5/],
  ["an embedding put in", "UPDATE entries SET embedding = x'00' WHERE id = 5", "entries", 5, /entry 5/],
  ["a removed entry", "DELETE FROM entries WHERE id = 17", "entries", 17, /entry 17 was removed/],
  ["the last entry removed", "DELETE FROM entries WHERE id = 40", "entries", 40, /entry 40 was removed/],
  ["all entries removed", "DELETE FROM entries", "entries", 1, /entry 1 was removed/],
  [
    "two entries that changed places",
    "UPDATE entries SET id = -1 WHERE id = 7; UPDATE entries SET id = 7 WHERE id = 8; UPDATE entries SET id = 8 WHERE id = -1",
    "entries",
    7,
    /entry 7/,
  ],
  [
    "an entry put in between",
    "DELETE FROM entries WHERE id = 17; INSERT INTO entries (id, file_type, timestamp, tag, content) " +
    "VALUES (17, 'BRIEF', '2026-01-01', 'x', 'never said')",
    "entries",
    17,
    /entry 17/,
  ],
  [
    "an entry put before all others",
    "INSERT INTO entries (id, file_type, timestamp, tag, content) VALUES (-3, 'BRIEF', '2026-01-01', 'x', 'never said')",
    "entries",
    -3,
    /entry -3 was put in between/,
  ],
  ["a removed record", "DELETE FROM audit WHERE seq = 12", "chain", 12, /record 12 of the audit chain was removed/],
  [
    "the last record removed",
    "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
    "chain",
    undefined,
    /ends at/,
  ],
  [
    "the end removed, entry and record",
    "DELETE FROM audit WHERE seq > 40; DELETE FROM entries WHERE id > 39",
    "chain",
    41,
    /ends at record 40, but record \d+ has been written/,
  ],
  [
    "the end removed, and the chain's own counter set back",
    "DELETE FROM audit WHERE seq > 40; DELETE FROM entries WHERE id > 39; " +
    "UPDATE sqlite_sequence SET seq = 40 WHERE name = 'audit'; DELETE FROM dedupe WHERE entry = 40",
    "entries",
    40,
    /entries after id 39 were removed: ids up to 40 have been given/,
  ],
  [
    "two records that changed places",
    "UPDATE audit SET seq = -1 WHERE seq = 7; UPDATE audit SET seq = 7 WHERE seq = 8; UPDATE audit SET seq = 8 WHERE seq = -1",
    "entries",
    undefined,
    /was changed/,
  ],
  ["a changed time of a record", "UPDATE audit SET at = at + 1 WHERE seq = 12", "entries", 11, /audit record 12/],
  ["a changed hash", "UPDATE audit SET hash = randomblob(32) WHERE seq = 12", "entries", 11, /audit record 12/],
  ["the chain emptied", "DELETE FROM audit", "chain", 1, /ends at record 0/],
  ["a repeat made up", "UPDATE repeats SET times = 5", "repeats", 3, /repeats of entry 3/],
  ["a repeat forgotten", "DELETE FROM repeats", "repeats", 3, /repeats of entry 3/],
  [
    "a handoff claimed to be done",
    "UPDATE handoff_items SET state = 'done', evidence_given = 'trust me', done_at = '2026-01-01' WHERE handoff = 3; " +
    "UPDATE handoffs SET state = 'done', closed_at = '2026-01-01' WHERE id = 3",
    "handoffs",
    3,
    /handoff 3 is not as the audit chain tells/,
  ],
  [
    "evidence exchanged",
    "UPDATE handoff_items SET evidence_given = 'other' WHERE handoff = 1",
    "handoffs",
    1,
    /handoff 1/,
  ],
  ["a handoff reopened", "UPDATE handoffs SET state = 'open' WHERE id = 2", "handoffs", 2, /handoff 2/],
  [
    "a handoff removed",
    "DELETE FROM handoff_items WHERE handoff = 2; DELETE FROM handoffs WHERE id = 2",
    "handoffs",
    2,
    /handoff 2 was removed/,
  ],
  [
    "a handoff made up",
    "INSERT INTO handoffs (task, domain, state, created_at) VALUES ('x', 'hybrid', 'cancelled', '2026-01-01')",
    "handoffs",
    4,
    /handoff 4 has no record/,
  ],
  [
    "an index emptied",
    "INSERT INTO entry_terms (entry_terms) VALUES ('delete-all')",
    "index",
    undefined,
    /index has 0 entries of kind DECISION, the memory 40/,
  ],
  [
    "an index of other words",
    "INSERT INTO entry_terms (entry_terms) VALUES ('delete-all'); " +
    "INSERT INTO entry_terms (rowid, terms) SELECT 17179869184 - id, '@decision nonsense' FROM entries",
    "index",
    1,
    /does not have the words of entry 1/,
  ],
];

for (const [what, sql, part, id, message] of tamperings) {
  Deno.test(`verify finds ${what}`, () =>
    withFolder((folder) => {
      const path = `${folder}/memory.db`;
      makeMemory(path);
      const cheat = new DatabaseSync(path, { enableForeignKeyConstraints: false });
      cheat.exec(unguarded + sql);
      cheat.close();
      using memory = readMemory(path);
      const { ok: fine, problems } = memory.verify();
      ok(!fine);
      const found = problems.some((problem) =>
        problem.part === part && (id === undefined || problem.id === id) && message.test(problem.message)
      );
      ok(found, JSON.stringify(problems, null, 1));
      ok(problems.length < 100, "and does not drown it");
    }));
}

Deno.test("verify finds nothing in a memory that nobody has touched, and says what it read", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path);
    for (const open of [openMemory, readMemory]) {
      using memory = open(path);
      const { head, ...report } = memory.verify();
      equal(report, { ok: true, entries: 40, records: 49, adopted: [], problems: [] });
      equal(head, memory.stats().head);
    }
  }));

Deno.test("a chain that was computed anew as a whole is found with a head that was noted down", () =>
  withFolder((folder) => {
    const [path, forged] = [`${folder}/memory.db`, `${folder}/forged.db`];
    makeMemory(path);
    using memory = openMemory(path);
    const { head } = memory.verify();
    memory.append(entry(77));
    ok(memory.verify(head).ok, "the chain goes on from it");
    {
      using other = openMemory(forged);
      fill(other, 39);
    }
    using other = openMemory(forged);
    ok(other.verify().ok);
    const [problem] = other.verify(head).problems;
    ok(problem.message.includes(head), problem.message);
  }));

Deno.test("entries and records can be added to and nothing else", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path);
    const database = new DatabaseSync(path);
    const row = "file_type, timestamp, tag, content) VALUES";
    for (
      const sql of [
        "UPDATE entries SET content = 'x' WHERE id = 3",
        "DELETE FROM entries WHERE id = 3",
        "DELETE FROM entries",
        `INSERT OR REPLACE INTO entries (id, ${row} (3, 'BRIEF', '2026', 'x', 'x')`,
        `REPLACE INTO entries (id, ${row} (40, 'BRIEF', '2026', 'x', 'x')`,
        `INSERT INTO entries (id, ${row} (-1, 'BRIEF', '2026', 'x', 'x')`,
        "UPDATE audit SET at = 0",
        "DELETE FROM audit WHERE seq = 2",
        "REPLACE INTO audit SELECT * FROM audit WHERE seq = 2",
        "DELETE FROM handoffs",
        "DELETE FROM handoff_items",
      ]
    ) throws(() => database.exec(sql), /append-only|never deleted/, sql);
    database.close();
    using memory = openMemory(path);
    ok(memory.verify().ok);
  }));

Deno.test("verify finds guards that were taken away", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path);
    const cheat = new DatabaseSync(path);
    cheat.exec("DROP TRIGGER entries_are_never_changed; DROP TRIGGER audit_is_never_deleted");
    cheat.exec("CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit BEGIN SELECT 1; END");
    cheat.close();
    using memory = readMemory(path);
    equal(memory.verify().problems.map(({ message }) => message), [
      "the guard audit_is_never_deleted is missing or not as it was made",
      "the guard entries_are_never_changed is missing or not as it was made",
    ]);
  }));

Deno.test("the hash of a record is what the manual says", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    Deno.copyFileSync(originalPath, path);
    openMemory(path).close();
    const database = new DatabaseSync(path);
    let before: Buffer = Buffer.alloc(32);
    const columns = "id, file_type, timestamp, tag, content, metadata, phase, progress_status, embedding";
    for (const record of database.prepare("SELECT * FROM audit ORDER BY seq").all()) {
      const { seq, at, kind, subject, high, detail } = record;
      const row = kind === "adopted"
        ? Object.values(database.prepare(`SELECT ${columns} FROM entries WHERE id = ?`).get(subject)!)
        : null;
      const columnsOf = row?.map((value) =>
        value instanceof Uint8Array ? { blob: Buffer.from(value).toString("hex") } : value
      ) ?? null;
      const text = JSON.stringify([seq, at, kind, subject, high, detail, columnsOf]);
      before = createHash("sha256").update(before).update(text).digest();
      equal(Buffer.from(record.hash as Uint8Array), before, `record ${seq}`);
    }
    database.close();
  }));

Deno.test("what another program writes is named until it is taken in, and then is part of the chain", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path, 5);
    const original = new DatabaseSync(path);
    original.exec(
      "INSERT INTO entries (file_type, timestamp, tag, content) VALUES ('BRIEF', '2026-06-28', 'BRIEF:x', 'A lynx at the barn')",
    );
    original.close();
    {
      using reader = readMemory(path);
      const { ok: fine, problems } = reader.verify();
      equal([fine, problems.length, problems[0].id], [false, 1, 6]);
      ok(/entry 6 was written by another program/.test(problems[0].message), problems[0].message);
    }
    using memory = openMemory(path);
    const { ok: fine, adopted } = memory.verify();
    equal([fine, adopted], [true, [6]]);
    equal(memory.search("Which animal was at the barn?")[0].id, 6);
    equal(
      memory.append({ fileType: "BRIEF", tag: "y", content: "a lynx at  the barn" }).stored,
      false,
      "it can be repeated",
    );
  }));

Deno.test("what another program writes while the memory is open is taken in with the next entry", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    using memory = openMemory(path);
    memory.append(entry(1));
    const original = new DatabaseSync(path);
    original.exec(
      "INSERT INTO entries (file_type, timestamp, tag, content) VALUES ('BRIEF', '2026-06-28', 'BRIEF:x', 'A lynx at the barn')",
    );
    original.close();
    equal(memory.append(entry(2)), { id: 3, stored: true });
    const { ok: fine, adopted } = memory.verify();
    equal([fine, adopted], [true, [2]]);
  }));
