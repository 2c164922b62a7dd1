/** Promises about what enters the memory and comes out again, on files, in RAM and on the Python original's file. */
import { DatabaseSync } from "node:sqlite";
import { deepStrictEqual as equal, ok, throws } from "node:assert";
import {
  type AppendResult,
  type Entry,
  entryTypes,
  MemoryError,
  openMemory,
  openMemoryInRam,
  readMemory,
} from "../memory/mod.ts";
import { dedupeKey } from "../memory/gate.ts";
import { entry, fill, namesIn, originalPath, withFolder } from "./_memory.ts";

const note = (content: string, more: Partial<Entry> = {}): Entry => ({
  fileType: "CONTEXT",
  tag: "note",
  content,
  ...more,
});

/** All rows of the tables that the original has. */
function originalRows(path: string): unknown[] {
  const database = new DatabaseSync(path); // a reader would leave its -wal file behind
  const rows = ["entries", "token_metrics", "query_metrics", "sqlite_sequence"].map((table) => {
    const own = table === "sqlite_sequence" ? "WHERE name IN ('entries', 'token_metrics', 'query_metrics')" : "";
    return database.prepare(`SELECT * FROM ${table} ${own} ORDER BY 1`).all().map((row) => ({ ...row }));
  });
  database.close();
  return rows;
}

Deno.test("an entry reads back as it was written, from another connection too", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    using memory = openMemory(path);
    const given: Entry = {
      fileType: "RESEARCH_REPORT",
      tag: "REPORT:42",
      content: "Zwölf Boxkämpfer\n\tjagen “Viktor” — 50 % \u{1F98A} 雪",
      metadata: { list: [1, null, "x"], nested: { a: "ü\u0000" } },
      phase: "overnight",
      progressStatus: "kept",
      timestamp: "2026-05-01T10:00:00+02:00",
    };
    equal(memory.append(given), { id: 1, stored: true });
    using other = readMemory(path);
    const expected = { ...given, id: 1, timestamp: "2026-05-01T08:00:00.000Z" };
    equal(other.get(1), expected);
    equal(other.recent(), [expected]);
    equal([...other.export()], [expected]);
    equal(other.tagged("REPORT:42"), [expected]);
    equal(other.get(2), undefined);
  }));

Deno.test("the Python original's memory opens without losing a row, a blob or a number", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    Deno.copyFileSync(originalPath, path);
    const before = originalRows(path);
    {
      using memory = openMemory(path);
      equal(memory.stats().entries, 3);
      const { ok: fine, adopted } = memory.verify();
      equal([fine, adopted], [true, [1, 2, 3]]);
      equal(memory.search("draft a report and visit the lab")[0].id, 3);
      equal(memory.get(1)?.embedding?.length, 64, "48 bytes in base64");
      equal(memory.get(3)?.metadata.domain, "hybrid");
    }
    equal(originalRows(path), before);
    openMemory(path).close();
    equal(originalRows(path), before, "the second opening finds nothing to do");
    equal(namesIn(folder), ["memory.db"]);
  }));

Deno.test("the original's program can go on with a file that the memory has opened", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    Deno.copyFileSync(originalPath, path);
    const columns = (database: DatabaseSync) => database.prepare("PRAGMA table_info(entries)").all();
    const original = new DatabaseSync(path);
    const before = columns(original);
    original.close();
    openMemory(path).close();
    const again = new DatabaseSync(path);
    equal(columns(again), before);
    equal(Object.values(again.prepare("PRAGMA application_id").get()!), [0]);
    const { lastInsertRowid } = again.prepare(
      "INSERT INTO entries (file_type, timestamp, tag, content, metadata) VALUES ('PLAN_REPORT', '2026-06-28', 't', 'c', '{}')",
    ).run();
    equal(Number(lastInsertRowid), 4);
    again.exec(
      "INSERT INTO token_metrics (timestamp, model, input_tokens, output_tokens, total_tokens) VALUES ('', '', 1, 1, 2)",
    );
    again.close();
  }));

Deno.test("an original's file is read without a change where it may not be written", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    Deno.copyFileSync(originalPath, path);
    const before = Deno.readFileSync(path);
    {
      using memory = readMemory(path);
      equal(memory.stats().entries, 3);
      equal(memory.search("visit the lab")[0].id, 3);
      ok(memory.verify().ok);
    }
    equal(Deno.readFileSync(path), before);
    equal(namesIn(folder), ["memory.db"]);
  }));

Deno.test("a file of the first schema version, many entries long, is taken in as a whole", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    Deno.copyFileSync(originalPath, path);
    const database = new DatabaseSync(path);
    database.exec(`
      PRAGMA user_version = 1;
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
      INSERT INTO entries (file_type, timestamp, tag, content) SELECT 'PROGRESS', '2026-01-01', 't', 'pebble ' || i FROM n;
      DELETE FROM entries WHERE id IN (2, 1000, 5003)`);
    database.close();
    using memory = openMemory(path);
    equal(memory.stats().entries, 5000);
    const report = memory.verify();
    ok(report.ok, JSON.stringify(report.problems));
    equal(memory.search("pebble 4711")[0].content, "pebble 4711");
    equal(memory.append(entry(1)).id, 5004, "ids of removed entries are not given again");
  }));

Deno.test("the same text of the same kind is stored once; the repeat is counted", () => {
  using memory = openMemoryInRam();
  const first = memory.append(note("The pump needs a new seal.", { timestamp: "2026-01-01T00:00:00Z" }));
  const again = memory.append(
    note(" the pump  NEEDS a\nnew seal. ", { timestamp: "2026-02-01T00:00:00Z", tag: "other" }),
  );
  equal(again, { id: first.id, stored: false, reason: "duplicate", notice: "it repeats entry 1" });
  memory.append(note("The pump needs a new seal.", { timestamp: "2026-01-15T00:00:00Z" }));
  equal(memory.stats().entries, 1);
  equal(memory.stats().repeats, 2);
  const { repeats, lastRepeat } = memory.get(1)!;
  equal([repeats, lastRepeat], [2, "2026-02-01T00:00:00.000Z"]);
  equal(memory.search("pump seal")[0].timestamp, "2026-02-01T00:00:00.000Z", "age counts from the last repeat");
  ok(memory.append({ ...note("The pump needs a new seal."), fileType: "BRIEF" }).stored, "another kind");
  equal(memory.append({ ...note("The pump needs a new seal."), fileType: "BRIEF" }).id, 2, "its own repeat");
  ok(memory.append(note("The pump needs a new seal!")).stored, "another text");
  ok(memory.append(note("The pump needs a new seal.", { key: "pump 2" })).stored, "another key");
  ok(!memory.append(note("The pump needs a new seal.", { key: "pump 2" })).stored);
  ok(memory.verify().ok);
});

Deno.test("two texts whose hashes meet are both stored", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    using memory = openMemory(path);
    memory.append(note("The pump needs a new seal."));
    const cheat = new DatabaseSync(path);
    cheat.prepare("UPDATE dedupe SET key = ?").run(dedupeKey("CONTEXT", "The gate is open."));
    cheat.close();
    equal(memory.append(note("The gate is open.")), { id: 2, stored: true });
  }));

Deno.test("what was said again is the present state, also after something else was said in between", () => {
  using memory = openMemoryInRam();
  const at = (day: number) => ({ timestamp: new Date(Date.UTC(2026, 0, day)).toISOString() });
  memory.append(note("The learning rate is 0.02.", at(1)));
  memory.append(note("The learning rate is 0.04.", at(2)));
  memory.append(note("The learning rate is 0.02.", at(3)));
  const hits = memory.search("What is the learning rate?", { now: new Date(Date.UTC(2026, 0, 4)) });
  equal(hits.map(({ content }) => content), ["The learning rate is 0.02.", "The learning rate is 0.04."]);
});

Deno.test("nothing, junk and noise are refused with one sentence and leave no trace", () => {
  using memory = openMemoryInRam();
  const { head } = memory.stats();
  const refused: [string, string][] = [
    ["", "empty"],
    [" \n\t ", "empty"],
    ["\u0000\u0001\u0002\u0003", "noise"],
    ["ab\u0007\u0007\u0007\u0008\u0008", "noise"],
    ["\u202e\u202d\u2066\u2067", "noise"],
    ["!!!! ---- ????", "noise"],
    ["\ud800\ud800\ud800\ud800 a", "noise"],
  ];
  for (const [content, reason] of refused) {
    const result = memory.append(note(content)) as AppendResult & { stored: false };
    equal([result.id, result.stored, result.reason], [null, false, reason], JSON.stringify(content));
    ok(/^[^\n]+$/.test(result.notice));
  }
  equal(memory.stats().entries, 0);
  equal(memory.stats().head, head);
});

Deno.test("control characters, terminal escapes and marks that reorder text do not get into the memory", () => {
  using memory = openMemoryInRam();
  memory.append(
    note("\u001b[31mred\u001b[0m and\u0007 \u001b]0;title\u0007plain\r\nnext\rline \u202etxt.exe\u2069 \ud800 end", {
      tag: "a\nb\u0000c",
      phase: "\u001b[1mbold",
    }),
  );
  const { content, tag, phase } = memory.get(1)!;
  equal(content, "red and plain\nnext\nline txt.exe  end");
  equal([tag, phase], ["a bc", "bold"]);
  ok(memory.verify().ok);
});

Deno.test("a huge text is cut, huge metadata are left out, and the result says so", () => {
  using memory = openMemoryInRam();
  const cut = memory.append(note("word ".repeat(200_000)));
  ok(cut.stored && /^the text of 1000000 characters was cut to 6553\d$/.test(cut.notice!), JSON.stringify(cut));
  ok(memory.get(1)!.content.length <= 65_536);
  equal(memory.append(note("word ".repeat(200_000))).id, 1, "the repeat of it is one");
  const large = memory.append(note("small", { metadata: { blob: "x".repeat(100_000) } }));
  ok(large.stored && /metadata of 100011 characters were left out/.test(large.notice!), JSON.stringify(large));
  const fox = memory.append(note("\u{1F98A}".repeat(40_000) + "a"));
  equal([fox.stored, fox.id], [false, null], "what is left of it has no letter");
  const letters = memory.append(note(`a${"\u{1F98A}".repeat(40_000)}`));
  ok(letters.stored && memory.get(letters.id)!.content.isWellFormed(), "no character is torn apart");
  ok(memory.append(note("x".repeat(5000), { tag: "t".repeat(5000) })).stored);
  equal(memory.get(4)!.tag.length, 256);
  ok(memory.verify().ok);
});

Deno.test("a kind, time or metadata that are none end in one sentence and store nothing", () => {
  using memory = openMemoryInRam();
  const wrong = (more: object, message: RegExp) =>
    throws(() => memory.append({ ...note("text"), ...more }), (error: unknown) => {
      ok(error instanceof MemoryError && message.test(error.message) && !error.message.includes("\n"), `${error}`);
      return true;
    });
  wrong({ fileType: "NONSENSE" }, /"NONSENSE" is no kind of entry; there are CONTEXT, DECISION/);
  wrong({ timestamp: "yesterday" }, /"yesterday" of an entry is no ISO 8601 time/);
  wrong({ metadata: { big: 1n } }, /cannot be written as JSON/);
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  wrong({ metadata: circle }, /cannot be written as JSON/);
  throws(() => memory.appendAll([note("one"), { ...note("two"), timestamp: "never" }]), MemoryError);
  equal(memory.stats().entries, 0, "all or none");
});

Deno.test("appendAll() answers for every entry in its order", () => {
  using memory = openMemoryInRam();
  const results = memory.appendAll([note("one"), note(""), note("two"), note("One")]);
  equal(results.map(({ id, stored }) => [id, stored]), [[1, true], [null, false], [2, true], [1, false]]);
});

Deno.test("recent() goes by the time of the entries, newest first, of one kind or of all", () => {
  using memory = openMemoryInRam();
  for (const [day, type] of [[5, "BRIEF"], [9, "DECISION"], [7, "BRIEF"], [2, "PATTERN"], [9, "BRIEF"]] as const) {
    memory.append({ fileType: type, tag: "t", content: `${type} of day ${day}`, timestamp: `2026-01-0${day}` });
  }
  equal(memory.recent().map(({ id }) => id), [5, 2, 3, 1, 4]);
  equal(memory.recent({ limit: 2 }).map(({ id }) => id), [5, 2]);
  equal(memory.recent({ type: "BRIEF" }).map(({ id }) => id), [5, 3, 1]);
  equal(memory.recent({ limit: 0 }), []);
});

Deno.test("stats() counts what is there", () => {
  using memory = openMemoryInRam();
  fill(memory);
  const { head, ...stats } = memory.stats();
  ok(head.startsWith("49:"));
  equal(stats, {
    path: ":memory:",
    bytes: 0,
    schemaVersion: 2,
    entries: 40,
    byType: { DECISION: 40 },
    repeats: 1,
    oldest: "2026-01-01T01:00:00.000Z",
    newest: "2026-01-02T16:00:00.000Z",
    handoffs: { open: 1, done: 1, cancelled: 1 },
    records: 49,
  });
});

Deno.test("export() gives more entries than it reads at once, all and in order", () => {
  using memory = openMemoryInRam();
  memory.appendAll(Array.from({ length: 1203 }, (_, index) => entry(index)));
  const ids = Array.from(memory.export(), ({ id }) => id);
  equal(ids, Array.from({ length: 1203 }, (_, index) => index + 1));
});

Deno.test("a memory in RAM needs no permission and forgets", async () => {
  const module = new URL("../memory/mod.ts", import.meta.url).href;
  const script = `
    import { openMemoryInRam } from ${JSON.stringify(module)};
    using memory = openMemoryInRam();
    memory.append({ fileType: "BRIEF", tag: "t", content: "The keys are in the safe." });
    console.log(memory.search("keys").length, memory.verify().ok, memory.stats().entries);`;
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/script.ts`, script);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", `${folder}/script.ts`],
      cwd: folder,
    }).output();
    equal(new TextDecoder().decode(stdout).trim(), "1 true 1", new TextDecoder().decode(stderr));
    equal(namesIn(folder), ["script.ts"]);
  });
  using fresh = openMemoryInRam();
  equal(fresh.stats().entries, 0);
});

Deno.test("opening and closing leave the memory alone in its folder, twice closed or not", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    const memory = openMemory(path);
    memory.append(entry(1));
    memory.close();
    memory.close();
    equal(namesIn(folder), ["memory.db"]);
    readMemory(path).close();
    equal(namesIn(folder), ["memory.db"]);
  }));

Deno.test("every kind of the original can be stored", () => {
  using memory = openMemoryInRam();
  for (const fileType of entryTypes) {
    ok(memory.append({ fileType, tag: fileType, content: `about ${fileType}` }).stored);
  }
  equal(memory.stats().byType, Object.fromEntries(entryTypes.map((type) => [type, 1])));
});
