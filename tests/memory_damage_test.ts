/** Promises about files that the memory must not use: one sentence, not a byte changed, nothing left beside them. */
import { DatabaseSync } from "node:sqlite";
import { deepStrictEqual as equal, ok, throws } from "node:assert";
import { createHash } from "node:crypto";
import { basename, dirname } from "node:path";
import { DatabaseError, entriesSchema, openMemory, readMemory } from "../memory/mod.ts";
import { entry, makeMemory, namesIn, withFolder } from "./_memory.ts";

const hash = (path: string) => createHash("sha256").update(Deno.readFileSync(path)).digest("hex");

/** Whether an error is one sentence of ours about this file. */
function oneSentence(error: unknown, path: string, expected: RegExp): true {
  ok(error instanceof DatabaseError, `${error}`);
  ok(error.message.startsWith(path), error.message);
  ok(/^[^\n]+[^.]\.$/.test(error.message), `not one sentence: ${error.message}`);
  ok(expected.test(error.message), error.message);
  return true;
}

/** Opens a file in both ways, and sees that it is refused and untouched. */
function refused(path: string, expected: RegExp, ways = [openMemory, readMemory]): void {
  const before = hash(path);
  const beside = namesIn(dirname(path));
  for (const open of ways) {
    throws(() => open(path, { wait: 200 }).close(), (error: unknown) => oneSentence(error, path, expected));
    equal(hash(path), before, `${basename(path)} was changed`);
    equal(namesIn(dirname(path)), beside, `something was left beside ${basename(path)}`);
  }
}

Deno.test("a file that is no database is refused and stays as it is", () =>
  withFolder((folder) => {
    const text = "This is a shopping list, no database: flour, plums, cinnamon.\n";
    Deno.writeTextFileSync(`${folder}/short.db`, "x");
    Deno.writeTextFileSync(`${folder}/text.db`, text.repeat(500));
    Deno.writeFileSync(`${folder}/noise.db`, crypto.getRandomValues(new Uint8Array(50_000)));
    for (const name of ["short", "text", "noise"]) {
      refused(`${folder}/${name}.db`, /db is no database, or one whose beginning is damaged; it was left as it is\.$/);
    }
  }));

Deno.test("a file that was cut anywhere is refused and stays as it is", () =>
  withFolder((folder) => {
    const good = `${folder}/good.db`;
    makeMemory(good, 400);
    const bytes = Deno.readFileSync(good);
    Deno.removeSync(good);
    for (const length of [99, 100, 512, 4095, 4096, 4097, bytes.length >> 1, (bytes.length >> 1) & ~4095]) {
      Deno.writeFileSync(`${folder}/cut${length}.db`, bytes.subarray(0, length));
    }
    Deno.writeFileSync(`${folder}/page.db`, bytes.subarray(0, bytes.length - 4096));
    Deno.writeFileSync(`${folder}/byte.db`, bytes.subarray(0, bytes.length - 1));
    for (const name of namesIn(folder)) refused(`${folder}/${name}`, /damaged/);
  }));

Deno.test("a small file with scribbled pages is refused and stays as it is", () =>
  withFolder((folder) => {
    const good = `${folder}/good.db`;
    makeMemory(good, 400);
    const bytes = Deno.readFileSync(good);
    Deno.removeSync(good);
    ok(bytes.length < 2 ** 20, "small");
    for (
      const [at, length] of [[16, 84], [100, 3000], [8192, 30_000], [bytes.length - 20_000, 20_000], [40_000, 4096]]
    ) {
      const broken = bytes.slice();
      crypto.getRandomValues(broken.subarray(at, at + length));
      Deno.writeFileSync(`${folder}/at${at}.db`, broken);
      Deno.writeFileSync(`${folder}/zero${at}.db`, bytes.slice().fill(0, at, at + length));
    }
    // Random bytes in the header may also read as another kind of file or a newer one.
    for (const name of namesIn(folder)) refused(`${folder}/${name}`, /damaged|no memory\.db|newer/);
  }));

Deno.test("damage that opening a large file does not see is one sentence when it is met, and verify finds it", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path, 6000);
    const bytes = Deno.readFileSync(path);
    ok(bytes.length > 2 ** 20, `large: ${bytes.length}`);
    for (let at = bytes.length >> 2; at < 3 * (bytes.length >> 2); at += 4096) {
      crypto.getRandomValues(bytes.subarray(at, at + 4096));
    }
    Deno.writeFileSync(path, bytes);
    const before = hash(path);
    let met = 0;
    const attempt = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        oneSentence(error, path, /damaged/);
        met++;
      }
    };
    attempt(() => {
      using memory = openMemory(path);
      attempt(() => memory.search("the valve of tank 700 stays closed"));
      attempt(() => [...memory.export()]);
      attempt(() => memory.stats());
      for (let number = 1; number < 6000; number += 97) attempt(() => memory.get(number));
      const report = memory.verify();
      ok(
        !report.ok && report.problems.some(({ part }) => part === "file"),
        JSON.stringify(report.problems.slice(0, 3)),
      );
      met++;
    });
    ok(met > 0);
    equal(hash(path), before);
  }));

Deno.test("a large file that was cut is refused and stays as it is", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path, 6000);
    const { size } = Deno.statSync(path);
    for (const length of [size - 1, size - 4096, size >> 1]) {
      Deno.truncateSync(path, length);
      refused(path, /damaged/);
    }
  }));

Deno.test("a damaged file beside the log of a killed program is refused, and file and log stay as they are", () =>
  withFolder((folder) => {
    const [path, killed] = [`${folder}/memory.db`, `${folder}/killed.db`];
    makeMemory(path, 300);
    {
      using memory = openMemory(path);
      for (let number = 400; number < 420; number++) memory.append(entry(number));
      for (const suffix of ["", "-wal"]) Deno.copyFileSync(path + suffix, killed + suffix);
    }
    ok(Deno.statSync(`${killed}-wal`).size > 0);
    {
      using memory = readMemory(killed);
      equal(memory.stats().entries, 320, "whole, it can be read with its log");
    }
    const bytes = Deno.readFileSync(killed);
    crypto.getRandomValues(bytes.subarray(bytes.length >> 1, (bytes.length >> 1) + 30_000));
    Deno.writeFileSync(killed, bytes);
    const before = [hash(killed), hash(`${killed}-wal`)];
    for (const open of [openMemory, readMemory]) {
      throws(() => open(killed), (error: unknown) => oneSentence(error, killed, /damaged/));
      equal([hash(killed), hash(`${killed}-wal`)], before);
    }
  }));

Deno.test("a memory of a newer version is refused and stays as it is", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path);
    const newer = new DatabaseSync(path);
    newer.exec(`PRAGMA user_version = ${entriesSchema.migrations.length + 1}`);
    newer.close();
    refused(path, /has schema version 3, this program knows 2; use a newer one/);
  }));

Deno.test("a database of another program is refused and stays as it is", () =>
  withFolder((folder) => {
    const make = (name: string, sql: string) => {
      const database = new DatabaseSync(`${folder}/${name}.db`);
      database.exec(sql);
      database.close();
      refused(`${folder}/${name}.db`, /is a database, but no memory\.db/);
    };
    make("other", "CREATE TABLE songs (id INTEGER PRIMARY KEY, title TEXT)");
    make("same_name", "CREATE TABLE entries (id INTEGER PRIMARY KEY, title TEXT)");
    make("marked", "PRAGMA application_id = 77; CREATE TABLE entries (id INTEGER PRIMARY KEY, title TEXT)");
    make("versioned", "PRAGMA user_version = 2; CREATE TABLE songs (id INTEGER PRIMARY KEY, title TEXT)");
    make("wal", "PRAGMA journal_mode = WAL; CREATE TABLE songs (id INTEGER PRIMARY KEY, title TEXT)");
  }));

Deno.test("a folder, and a path through a file, are refused", () =>
  withFolder((folder) => {
    Deno.mkdirSync(`${folder}/memory.db`);
    for (const open of [openMemory, readMemory]) {
      throws(
        () => open(`${folder}/memory.db`),
        (error: unknown) => oneSentence(error, `${folder}/memory.db`, /folder/),
      );
    }
    equal(namesIn(`${folder}/memory.db`), []);
    Deno.writeTextFileSync(`${folder}/file`, "");
    const through = `${folder}/file/memory.db`;
    throws(() => openMemory(through), (error: unknown) => oneSentence(error, through, /out of reach/));
    const absent = `${folder}/no/such/folder/memory.db`;
    throws(() => openMemory(absent), (error: unknown) => oneSentence(error, absent, /its folder does not exist/));
    throws(() => readMemory(absent), (error: unknown) => oneSentence(error, absent, /does not exist/));
  }));

Deno.test("a read-only file can be read, and writing it is refused", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path);
    Deno.chmodSync(path, 0o444);
    refused(path, /read-only/, [openMemory]);
    {
      using memory = readMemory(path);
      equal(memory.stats().entries, 40);
      throws(() => memory.append(entry(99)), (error: unknown) => oneSentence(error, path, /opened for reading/));
      throws(() => memory.handoffs.cancel(3), (error: unknown) => oneSentence(error, path, /opened for reading/));
    }
  }));

Deno.test("in a read-only folder no memory is written or made", () =>
  withFolder((folder) => {
    const inner = `${folder}/inner`;
    Deno.mkdirSync(inner);
    makeMemory(`${inner}/memory.db`);
    Deno.chmodSync(inner, 0o555);
    try {
      refused(`${inner}/memory.db`, /read-only folder/, [openMemory]);
      const fresh = `${inner}/fresh.db`;
      throws(() => openMemory(fresh), (error: unknown) => oneSentence(error, fresh, /read-only folder/));
      equal(namesIn(inner), ["memory.db"]);
    } finally {
      Deno.chmodSync(inner, 0o755);
    }
  }));

Deno.test("a memory that another program has locked is refused after waiting, and works when the lock is gone", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path);
    const locked = /is locked by another program; try again/;
    const other = new DatabaseSync(path);
    other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const before = hash(path);
    for (const open of [openMemory, readMemory]) {
      throws(() => open(path, { wait: 100 }), (error: unknown) => oneSentence(error, path, locked));
    }
    equal(hash(path), before);
    other.exec("ROLLBACK");
    other.close();
    using memory = openMemory(path, { wait: 100 });
    const writer = new DatabaseSync(path);
    writer.exec("BEGIN IMMEDIATE");
    throws(() => memory.append(entry(99)), (error: unknown) => oneSentence(error, path, locked));
    equal(memory.search("valve of tank 70").length, 10, "reading goes on");
    writer.exec("ROLLBACK");
    writer.close();
    ok(memory.append(entry(99)).stored);
    ok(memory.verify().ok);
  }));

Deno.test("without permission for its folder the memory says which flags it needs, and they are enough", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/memory.db`;
    makeMemory(path);
    const module = new URL("../memory/mod.ts", import.meta.url).href;
    const script = `
      import { openMemory, readMemory } from ${JSON.stringify(module)};
      for (const open of [openMemory, readMemory]) {
        try { open(${JSON.stringify(path)}).close(); } catch (error) { console.log(error.name, error.message); }
      }`;
    await Deno.writeTextFile(`${folder}/script.ts`, script);
    const run = async (...flags: string[]) => {
      const args = ["run", "--no-prompt", "--no-check", ...flags, `${folder}/script.ts`];
      return new TextDecoder().decode((await new Deno.Command(Deno.execPath(), { args }).output()).stdout);
    };
    const flags = [`--allow-read=${folder}/`, `--allow-write=${folder}/`];
    const line = `DatabaseError ${path} cannot be used without ${flags.join(" and ")}, the folder it is in.\n`;
    equal(await run(), line.repeat(2));
    equal(await run(...flags), "");
  });
});
