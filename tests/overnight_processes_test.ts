/**
 * A session from the command line, with everything real: git, library, data, worker and evaluator processes, kills. One
 * small checkout and one home folder for all of it; runs of a second.
 */
import { deepStrictEqual as equal, ok } from "node:assert";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { type RunRow, SessionStore } from "../memory/mod.ts";
import { testLibraryPath } from "./_library.ts";
import { processesWith } from "./_processes.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

async function git(folder: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: ["-C", folder, "-c", "user.name=user", "-c", "user.email=user@host", ...args],
    env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
  }).output();
  if (!success) throw new Error(`git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

/** Text with some order in it, so that a model of a second learns something. */
function words(documents: number): string {
  let state = 12345;
  const random = (n: number) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % 65521 % n;
  const letter = (from: string) => from[random(from.length)];
  const list = Array.from(
    { length: 900 },
    () => Array.from({ length: 2 + random(2) }, () => letter("bcdfghklmnprst") + letter("aeiou")).join(""),
  );
  return Array.from({ length: documents }, () => {
    let at = random(900);
    const text = Array.from({ length: 200 }, () => list[at = random(3) === 0 ? random(900) : (at * 7 + 3) % 900]).join(
      " ",
    );
    return JSON.stringify({ text: `${text}.` });
  }).join("\n");
}

/** What a user has: a clean checkout of this tree, a home folder with the library, some text. */
async function makePlace(): Promise<{ folder: string; checkout: string; home: string }> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "researchswarm_session_" }));
  const [checkout, home, text] = ["checkout", "home", "text.jsonl"].map((name) => join(folder, name));
  for (const file of (await git(root, "ls-files", "-co", "--exclude-standard", "-z")).split("\0")) {
    if (file === "" || file.startsWith("tests/")) continue;
    const content = await Deno.readFile(join(root, file)).catch(() => null);
    if (content === null) continue; // deleted, not yet committed
    await Deno.mkdir(dirname(join(checkout, file)), { recursive: true });
    await Deno.writeFile(join(checkout, file), content);
  }
  // A smaller model, so that a step takes milliseconds and a busy machine does not make a run late.
  const presets = join(checkout, "trainer", "presets.ts");
  const before = await Deno.readTextFile(presets);
  const tiny =
    /(name: "cpu-tiny",[^}]*evaluationRows: )\d+([^}]*)depth: \d+, width: \d+, headDim: \d+([^}]*)batchTokens: 2 \*\* 12/;
  const after = before.replace(
    tiny,
    (_, a, b, c) => `${a}64${b}depth: 2, width: 128, headDim: 64${c}batchTokens: 2 ** 10`,
  );
  ok(after !== before, "the preset cpu-tiny looks different from what this test expects");
  await Deno.writeTextFile(presets, after);
  await git(checkout, "init", "--quiet", "--initial-branch=main");
  await git(checkout, "add", "-A");
  await git(checkout, "commit", "--quiet", "-m", "first");
  const library = join(home, "lib", basename(dirname(testLibraryPath)));
  await Deno.mkdir(library, { recursive: true });
  await Deno.copyFile(testLibraryPath, join(library, basename(testLibraryPath)));
  await Deno.writeTextFile(text, words(500));
  return { folder, checkout, home };
}

const script = await new Deno.Command("sh", { args: ["-c", "command -v script"], stdout: "null" }).output();
if (!script.success) console.log("script was not found: no session is begun on a terminal");

/** The task's own command line, so that the test has its permissions and no others; where it can be, on a terminal. */
function overnight(checkout: string, home: string, args: string[], terminal = false): Deno.ChildProcess {
  const tasks = JSON.parse(Deno.readTextFileSync(join(checkout, "deno.json"))).tasks as Record<string, string>;
  const command = tasks.overnight.replace(/^unset [A-Z_ ]+ && /, "").replace(
    "$(deno eval 'console.log(Deno.execPath())')",
    Deno.execPath(),
  )
    .replaceAll(/\$\(deno run [^)]*cuda\/home\.ts\)/g, home).replaceAll('"', "").split(" ").slice(1);
  const line = [Deno.execPath(), command[0], "--no-check", ...command.slice(1), ...args];
  const shown = line.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const [program, ...rest] = terminal && script.success ? ["script", "-qec", shown, "/dev/null"] : line;
  return new Deno.Command(program, {
    args: rest,
    cwd: checkout,
    env: { RESEARCHSWARM_HOME: home, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function ended(child: Deno.ChildProcess): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await child.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function until<T>(what: string, look: () => T | null | undefined | false, limitSeconds = 60): Promise<T> {
  for (const start = performance.now(); performance.now() - start < limitSeconds * 1000;) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${limitSeconds} s in vain for ${what}`);
}

Deno.test("a session survives Ctrl-C and kill -9 in mid-run, two drivers, traps and damage; the checkout stays as it was", async (t) => {
  /** What comes after a step that failed would fail for that reason, slowly. */
  const step = async (name: string, work: () => Promise<void>): Promise<void> => {
    if (!await t.step(name, work)) throw new Error(`ended with: ${name}`);
  };
  const { folder, checkout, home } = await makePlace();
  const session = join(home, "sessions", "night");
  const database = join(session, "session.db");
  const running = (experiment: number, attempt: number) => (): RunRow | undefined => {
    try {
      using store = SessionStore.open(database, { readOnly: true });
      return store.runs(experiment).find((run) => run.attempt === attempt && run.status === "running");
    } catch {
      return undefined; // not yet there
    }
  };
  const hook = join(checkout, ".git", "hooks", "reference-transaction");
  await Deno.mkdir(dirname(hook), { recursive: true });
  await Deno.writeTextFile(hook, `#!/bin/sh\ntouch ${folder}/trap\n`, { mode: 0o755 });
  try {
    await step("Ctrl-C in the baseline: exit code 130; what the preset changed and how to go on are said", async () => {
      const common = ["--preset", "cpu-tiny", "--source", "files:../text.jsonl", "--seconds", "2", "--threads", "1"];
      const child = overnight(checkout, home, [...common, "--experiments", "2", "--tag", "night"]);
      const end = ended(child);
      await Promise.race([
        until("the baseline's run", running(0, 1)),
        end.then(({ stderr }) => Promise.reject(new Error(`it ended early: ${stderr}`))),
      ]);
      // A terminal sends the signal to all of its processes: here, to the children first.
      await until("the worker", () => processesWith(folder).length > 1);
      for (const pid of processesWith(folder)) if (pid !== child.pid) Deno.kill(pid, "SIGINT");
      child.kill("SIGINT");
      const { code, stderr } = await end;
      equal([code, /interrupted.*deno task overnight --resume night/.test(stderr)], [130, true], stderr);
      const changes = "depth 4 → 2, width 256 → 128, headDim 128 → 64, batchTokens 4096 → 1024, microBatchRows 16 → 32";
      ok(stderr.includes(`preset cpu-tiny changes committed constants of trainer/train.ts: ${changes}\n`), stderr);
    });

    await step("a second driver is turned away, and so is a second session of this name", async () => {
      const child = overnight(checkout, home, ["--resume", "night"]);
      const end = ended(child);
      await Promise.race([
        until("the baseline's second run", running(0, 2)),
        end.then(({ stderr }) => Promise.reject(new Error(`it ended early: ${stderr}`))),
      ]);
      const others = [["--resume"], ["--tag", "night", "--preset", "cpu-tiny"]].map((args) =>
        overnight(checkout, home, args)
      );
      for (const { code, stdout, stderr } of await Promise.all(others.map(ended))) {
        equal(code, 1);
        equal(stdout, "");
        ok(
          /^session night is being driven by another process \(pid \d+, since .*\); wait for it or stop it\n$/.test(
            stderr,
          ),
          stderr,
        );
      }
      // kill -9, in the middle of the first experiment's run
      await Promise.race([
        until("the first experiment's run", running(1, 1)),
        end.then(({ stderr }) => Promise.reject(new Error(`it ended early: ${stderr}`))),
      ]);
      await new Promise((resolve) => setTimeout(resolve, 700));
      child.kill("SIGKILL");
      await end;
      await until("the worker to be gone", () => processesWith(folder).length === 0, 20);
    });

    await step("--resume goes on: no experiment lost, none counted twice", async () => {
      const { code, stdout, stderr } = await ended(overnight(checkout, home, ["--resume", "night"]));
      equal(code, 0, stderr);
      ok(/^experiment +change +val_bpb/.test(stdout), stdout);
      ok(stdout.includes("--decide greedy") && stdout.includes("all 2 experiments are done"), stdout);
      // Without a terminal, a line for each experiment that was decided now.
      ok(/(^|\n)exp_001 {2}[^\n]+ {2}val_bpb \d\.\d{6} {2}(kept|discarded)\nexp_002 {2}[^\n]+\n$/.test(stderr), stderr);
      using store = SessionStore.open(database, { readOnly: true });
      const experiments = store.experiments();
      equal(experiments.map(({ id }) => id), [0, 1, 2]);
      for (const { id, state } of experiments) {
        ok(["kept", "discarded"].includes(state), `${id}: ${state}`);
        equal(store.runs(id).filter(({ status }) => status === "ok").length, 1);
        equal(new Set(store.runs(id).map(({ seed }) => seed)).size, 1);
      }
      equal(store.runs(0).map(({ status }) => status), ["lost", "ok"]);
      equal(store.runs(1).map(({ status }) => status), ["lost", "ok"]);
      const [run] = store.runs(2);
      equal(run.clock?.length, run.steps);
      ok((run.peakBytes ?? 0) > 1e6 && run.weightsHash?.length === 64 && (run.trainingSeconds ?? 0) >= 0.9);

      const lines = (await Deno.readTextFile(join(session, "results.tsv"))).trimEnd().split("\n");
      equal(lines.length, 4);
      equal(lines.slice(1).map((line) => line.split("\t").length), [5, 5, 5]);
      equal(
        lines.slice(1).map((line) => line.split("\t")[3] === "keep"),
        experiments.map(({ state }) => state === "kept"),
      );

      const kept = experiments.filter(({ state }) => state === "kept").map(({ commit }) => commit);
      const log = await git(checkout, "log", "--format=%H", "--reverse", "main..researchswarm/night");
      equal(log.split("\n"), kept);
      for (const commit of kept) {
        equal(await git(checkout, "diff", "--name-only", `${commit}^`, commit!), "trainer/train.ts");
      }
      equal(await git(checkout, "status", "--porcelain"), "");
      equal(await Deno.stat(`${folder}/trap`).then(() => "sprung", () => "untouched"), "untouched");

      const memory = new DatabaseSync(join(checkout, "AI-Memory", "memory.db"), { readOnly: true });
      const tags = memory.prepare("SELECT tag FROM entries ORDER BY id").all().map(({ tag }) => tag);
      memory.close();
      equal(tags, ["SESSION:night:exp_000", "SESSION:night:exp_001", "SESSION:night:exp_002"]);
    });

    await step("--resume of a session that is over prints its table again and adds nothing to its record", async () => {
      const record = () => {
        using store = SessionStore.open(database, { readOnly: true });
        return [store.session(), store.events()];
      };
      const before = record();
      const { code, stdout, stderr } = await ended(overnight(checkout, home, ["--resume", "night"]));
      equal([code, stderr], [0, ""]);
      ok(/^experiment +change +val_bpb/.test(stdout) && stdout.includes("finished: "), stdout);
      equal(record(), before);
    });

    await step("a branch that cannot be brought into the repository is said to be in the clone alone", async () => {
      const kept = await git(checkout, "rev-parse", "researchswarm/night");
      await git(checkout, "update-ref", "-d", "refs/heads/researchswarm/night");
      const lock = join(checkout, ".git", "refs", "heads", "researchswarm", "night.lock");
      await Deno.mkdir(dirname(lock), { recursive: true });
      await Deno.writeTextFile(lock, "");
      const without = await ended(overnight(checkout, home, ["--resume", "night"]));
      ok(
        /^warning: researchswarm\/night was not brought into your repository: [^\n]+\n$/.test(without.stderr),
        without.stderr,
      );
      const line = `\nbranch: researchswarm/night (only in the session's clone: ${join(session, "repo")})\n`;
      ok(without.stdout.includes(line), without.stdout);
      await Deno.remove(lock);
      const { stdout, stderr } = await ended(overnight(checkout, home, ["--resume", "night"]));
      ok(stderr === "" && stdout.includes("\nbranch: researchswarm/night\n"), stdout + stderr);
      equal(await git(checkout, "rev-parse", "researchswarm/night"), kept);
    });

    await step("a session that begins on a terminal and names no preset starts from that of its device", async () => {
      const [dataset] = [...Deno.readDirSync(join(home, "data"))].filter(({ isDirectory }) => isDirectory);
      const args = [
        "--data",
        join(home, "data", dataset.name),
        "--seconds",
        "1",
        "--experiments",
        "0",
        "--tag",
        "plain",
      ];
      const { code, stdout, stderr } = await ended(overnight(checkout, home, args, true));
      equal(code, 0, stdout + stderr);
      using store = SessionStore.open(join(home, "sessions", "plain", "session.db"), { readOnly: true });
      const { settings, machine } = store.session();
      equal(settings.preset, String(machine.device).startsWith("cuda") ? "h100" : "cpu");
    });

    await step("what cannot be used is refused in one sentence, and nothing is left behind", async () => {
      const damaged = join(home, "sessions", "damaged");
      await Deno.mkdir(damaged);
      await Deno.writeTextFile(join(damaged, "session.db"), "SQLite format 3\0, or so it says".repeat(300));
      const before = await Deno.readFile(join(damaged, "session.db"));
      const cases: [string[], RegExp][] = [
        [["--preset", "huge"], /no preset "huge"/],
        [["--experiments", "many"], /--experiments needs a whole number/],
        [["--nonsense"], /nonsense.*--help/],
        [["--tag", "../up"], /cannot be a tag/],
        [["--tag", "night"], /session night exists; go on with --resume night/],
        [["--tag", "x1", "--agent", "oracle"], /--agent must be search/],
        [
          ["--tag", "x2", "--preset", "cpu-tiny", "--data", "/no/such/folder"],
          /\/no\/such\/folder is no prepared data set/,
        ],
        [["--tag", "x3", "--preset", "cpu-tiny", "--source", "files:/no/such/*.txt"], /no\/such/],
        [["--resume", "other"], /there is no session other/],
        [["--resume", "night", "--seconds", "3"], /--seconds is fixed at the start of a session/],
        [["--resume", "damaged"], /session\.db is damaged and was left as it is/],
      ];
      for (const [args, expected] of cases) {
        const { code, stdout, stderr } = await ended(overnight(checkout, home, args));
        equal([code, stdout, stderr.trim().split("\n").length], [1, "", 1], `${args}: ${stderr}`);
        ok(expected.test(stderr), `${args}: ${stderr}`);
      }
      equal(await Deno.readFile(join(damaged, "session.db")), before);
      const left = [...Deno.readDirSync(join(home, "sessions"))].map(({ name }) => name).sort();
      equal(left, ["damaged", "night", "plain"]);
      equal(await git(checkout, "status", "--porcelain"), "");
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
