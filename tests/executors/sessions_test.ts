/** Postmortems, reports and sweep summaries of real sessions, made through the real store. */
import { deepStrictEqual as equal, match, ok, strictEqual as same } from "node:assert";
import { readInput } from "../../router/executors/mod.ts";
import { badNight, type Made, makeNight, runTask, withFolder } from "./_fixture.ts";

const now = new Date(2026, 10, 23, 9);
const lastNight = new Date(2026, 10, 22, 22);

/** The lines below a heading. */
const section = (text: string, title: string): string => text.split(`## ${title}`)[1]?.split("\n## ")[0] ?? "";

Deno.test("a postmortem of yesterday's run logs tells what happened, what failed how often and why, and what was kept", () =>
  withFolder(async (sessions) => {
    makeNight(sessions, "night", lastNight, badNight, { status: "stopped", reason: "5 experiments in a row failed" });
    const result = await runTask("Draft a postmortem from yesterday's run logs", { sessionsFolder: sessions, now });
    equal([result.executor, result.status, result.used], ["postmortem", "done", [`${sessions}/night/session.db`]]);
    const { text } = result;
    match(
      section(text, "Summary"),
      /begun 2026-11-22 22:00, was stopped by a failure\. 10 experiments: 3 kept, 1 discarded, 3 crashed, 1 voided, 1 refused, 1 undecided\. 5 experiments failed, most often: crashed \(2\)/,
    );
    match(
      section(text, "Summary"),
      /1\.900000 \(baseline\) to 1\.849200 \(exp_002\), −0\.0508 or 2\.7 % lower, in 2 kept steps/,
    );
    const failed = section(text, "What failed");
    match(failed, /\| crashed \| 2 \| exp_004, exp_005 \| out of memory: wanted 9000 bytes, free 17 \|/);
    match(failed, /\| timed out \| 1 \| exp_006 \|/);
    match(failed, /\| voided \| 1 \| exp_007 \| row 3: logits before the cut changed \|/);
    match(failed, /\| refused before the run \| 1 \| exp_008 \| the same text as exp_002 \|/);
    const causes = section(text, "Causes, as far as the record states them");
    match(causes, /The session stopped\. The record says: `5 experiments in a row failed`/);
    match(
      causes,
      /exp_007: voided \(it ran, but broke a rule of the harness\)\. The record says: `row 3: logits before the cut changed`/,
    );
    match(causes, /is not guessed here/);
    const timeline = section(text, "Timeline");
    match(timeline, /22:0\d:\d\d session started|22:00 session started/);
    match(timeline, /no entry for 2 h 00 min/);
    match(timeline, /exp_004 crashed: `out of memory: wanted 9000 bytes, free 17`/);
    match(section(text, "Impact"), /5 of 10 experiments \(50 %\) gave no score/);
    match(section(text, "What was kept"), /\| exp_002 \| warmDown 0\.5 → 0\.7 \| 1\.849200 \| −0\.0008 \|/);
    const follow = section(text, "Follow-ups to consider");
    match(follow, /Reproduce exp_004 \(crashed\)/);
    match(follow, /deno task overnight --resume night.*exp_009 is undecided/);
    match(follow, /Repeat exp_002 with other seeds: gains below 0\.002/);
  }));

Deno.test("a night in which nothing failed is said to be one, and no cause is made up", () =>
  withFolder(async (sessions) => {
    makeNight(sessions, "good", lastNight, badNight.slice(0, 2));
    const { text } = await runTask("Write a postmortem of session good", { sessionsFolder: sessions, now });
    match(
      section(text, "Summary"),
      /ran to its end \(`the time is used up`\)\. 2 experiments: 2 kept\. Nothing failed\./,
    );
    match(section(text, "What failed"), /No experiment crashed, was voided or was refused\./);
    match(
      section(text, "Causes, as far as the record states them"),
      /Nothing failed, so there is no cause to look for\./,
    );
    match(section(text, "Follow-ups to consider"), /Nothing in the record asks for one\./);
  }));

Deno.test("sessions are found by day, night, tag or as the latest one, and nothing else is read", () =>
  withFolder(async (sessions) => {
    makeNight(sessions, "first", new Date(2026, 10, 19, 23, 50), badNight.slice(0, 2));
    makeNight(sessions, "demo-2026-11-21", new Date(2026, 10, 21, 14), badNight.slice(0, 3));
    makeNight(sessions, "late", new Date(2026, 10, 22, 23, 59, 50), badNight.slice(0, 4));
    Deno.mkdirSync(`${sessions}/empty`);
    Deno.writeTextFileSync(`${sessions}/stray.txt`, "no folder");
    const found = async (task: string) => {
      const { used, status } = await runTask(task, { sessionsFolder: sessions, now });
      ok(status === "done" || used.length === 0 || status === "needs-input", status);
      return status === "done" ? used.map((path) => path.split("/").at(-2)) : status;
    };
    equal(await found("Draft a postmortem of yesterday's runs"), ["late"]);
    equal(await found("Report on today's training session"), ["late"], "it ran past midnight");
    equal(await found("Report on the training session of last Thursday"), ["first"]);
    equal(
      await found("Report on the training session of last Friday"),
      "needs-input",
      "two minutes past midnight are not there: it ended before",
    );
    equal(await found("Report on session demo-2026-11-21"), ["demo-2026-11-21"]);
    equal(await found("Draft a postmortem of the runs on 21 November"), ["demo-2026-11-21"]);
    equal(await found("Report on the latest training session"), ["late"]);
    equal(await found("Report on the training sessions since Thursday"), ["first", "demo-2026-11-21", "late"]);
    equal(await found("Report on all the training sessions"), ["first", "demo-2026-11-21", "late"]);
    equal(await found("Report on session demo-2026-11-20"), "needs-input");
  }));

Deno.test("where there is no session the answer says what was looked for, where, and what there is instead", () =>
  withFolder(async (sessions) => {
    const task = "Draft a postmortem from yesterday's run logs";
    const without = await runTask(task, { now });
    equal([without.status, without.used], ["needs-input", []]);
    match(without.text, /No folder of sessions was given/);
    const absent = await runTask(task, { sessionsFolder: `${sessions}/nowhere`, now });
    match(
      absent.text,
      /Looked for sessions at work `yesterday` \(2026-11-22, [^)]*\) in `[^`]*nowhere`\. There is no session there\./,
    );
    makeNight(sessions, "older", new Date(2026, 10, 12, 22), badNight.slice(0, 2));
    const other = await runTask(task, { sessionsFolder: sessions, now });
    same(other.status, "needs-input");
    match(other.text, /There is one other:\n\n- `older`: begun 2026-11-12 22:00, 2 experiments, finished/);
    match(other.text, /--file LOG/);
  }));

Deno.test("a damaged database is named in a sentence and does not hide the others", () =>
  withFolder(async (sessions) => {
    makeNight(sessions, "whole", lastNight, badNight.slice(0, 2));
    Deno.mkdirSync(`${sessions}/broken`);
    Deno.writeTextFileSync(`${sessions}/broken/session.db`, "this is no database, however long it may be ".repeat(50));
    const { status, text } = await runTask("Report on all the training sessions", { sessionsFolder: sessions, now });
    same(status, "done");
    match(text, /`broken` could not be read: [^\n]*session\.db is damaged/);
    match(text, /2 experiments: 2 kept/);
  }));

Deno.test("a session that another process is writing can be reported on", () =>
  withFolder(async (sessions) => {
    makeNight(sessions, "live", lastNight, badNight, { status: "open", reason: "" });
    const { SessionStore } = await import("../../memory/sessions.ts");
    using writer = SessionStore.open(`${sessions}/live/session.db`);
    writer.event("settings changed", { reason: "in mid-session" });
    const { status, text } = await runTask("Draft a postmortem of session live", { sessionsFolder: sessions, now });
    same(status, "done");
    match(text, /has not ended by its record/);
    match(text, /settings changed: `in mid-session`/);
  }));

Deno.test("results.tsv and a database handed in as a file make the same figures as the session itself", () =>
  withFolder(async (sessions) => {
    const folder = makeNight(sessions, "night", lastNight, badNight.slice(0, 9));
    const lines = [
      "commit\tval_bpb\tmemory_gb\tstatus\tdescription",
      "1111111\t1.900000\t0.1\tkeep\tbaseline cpu-tiny",
      "2222222\t1.850000\t0.1\tkeep\tmatrixLearningRate 0.04 → 0.05",
      "3333333\t1.849200\t0.1\tkeep\twarmDown 0.5 → 0.7",
      "-\t1.950000\t0.1\tdiscard\tdepth 3 → 4",
      "-\t0.000000\t0.000\tcrash\tdepth 3 → 12 (crashed: out of memory: wanted 9000 bytes, free 17)",
    ];
    Deno.writeTextFileSync(`${folder}/results.tsv`, lines.join("\n") + "\n");
    const database = await runTask("Draft a postmortem", { input: await readInput(`${folder}/session.db`), now });
    match(database.text, /9 experiments: 3 kept, 1 discarded, 3 crashed, 1 voided, 1 refused/);
    const report = await runTask("Report on session night", { sessionsFolder: sessions, now });
    match(report.text, /\| exp_003 [^\n]*\| discarded +\| +\d+ \|/);
    match(report.text, /\| exp_004 [^\n]*\| crashed +\| +— \|/, "a run without a score has no speed");
    const table = await runTask(`Draft a postmortem from ${folder}/results.tsv`, { now });
    equal(table.used, [`${folder}/results.tsv`]);
    match(table.text, /5 experiments: 3 kept, 1 discarded, 1 crashed\. [\s\S]*in 2 kept steps/);
    match(table.text, /The table holds no times/);
    match(table.text, /\| crashed \| 1 \| exp_004 \| out of memory/);
    const foreign = await runTask("Draft a postmortem", {
      input: { name: "x.db", text: "", bytes: new TextEncoder().encode("SQLite format 3\0" + "x".repeat(100)) },
      now,
    });
    equal([foreign.status, /is no session's database/.test(foreign.text)], ["failed", true]);
  }));

Deno.test("a report lists gains, near misses, sources of ideas, time and speed", () =>
  withFolder(async (sessions) => {
    const slow: Made[] = Array.from({ length: 9 }, (_, index): Made => ({
      values: (index === 0 ? {} : { matrixLearningRate: 0.04 + index / 1000 }) as Made["values"],
      end: { bpb: 2 - index / 100, keep: index % 2 === 0, extra: { tokens: index < 5 ? 300_000 : 90_000 } },
    }));
    makeNight(sessions, "slow", lastNight, slow);
    const { executor, text } = await runTask("Report on last night's training session", {
      sessionsFolder: sessions,
      now,
    });
    same(executor, "report");
    match(text, /9 experiments: 5 kept, 4 discarded\./);
    match(text, /The best is exp_008: `matrixLearningRate 0\.046 → 0\.048`, commit `5555555`/);
    match(section(text, "Nearest misses"), /exp_003: matrixLearningRate/);
    match(section(text, "Where the ideas came from"), /\| search \(tpe\) \| 8 \| 4 \|/);
    match(section(text, "Time and memory"), /Run time 3 min 00 s in 9 experiments, median 20 s/);
    match(
      section(text, "Time and memory"),
      /median speed of the last 3 scored runs was 6000 tokens\/s, that of the first 3 20000 \(−70 %\)/,
    );
    match(text, /small differences may be chance/);
  }));

Deno.test("lost runs and the last words of failed ones are in the postmortem, and keys in them are not", () =>
  withFolder(async (sessions) => {
    const folder = makeNight(sessions, "lost", lastNight, [
      { values: {}, end: { bpb: 1.9, keep: true }, lost: "interrupted" },
      { values: { depth: 5 }, end: { status: "crash", reason: "the process ended", state: "crashed" } },
      { values: { depth: 6 }, end: { status: "crash", reason: "exit 9", state: "crashed" } },
    ]);
    const secret = ["sk", "ant", "q7Rw2ZkXc9LmVn4TbY8sHd3FgJ6pKe1a"].join("-");
    for (
      const [name, words] of [["exp_001", "allocating\nthe allocator gave up\n"], ["exp_002", `key ${secret}\nbye\n`]]
    ) {
      Deno.mkdirSync(`${folder}/runs/${name}`, { recursive: true });
      Deno.writeTextFileSync(`${folder}/runs/${name}/stderr.log`, words);
    }
    const { text, used } = await runTask("Draft a postmortem of session lost-x".replace("-x", ""), {
      sessionsFolder: sessions,
      now,
    });
    match(text, /1 run was begun and lost before the end/);
    match(text, /A run of baseline was lost\. The record says: `interrupted`/);
    match(text, /last words in the `stderr\.log` of exp_001: `allocating \/ the allocator gave up`/);
    ok(!text.includes(secret) && !text.includes("exp_002: `"), text);
    equal(used, [`${folder}/session.db`, `${folder}/runs/exp_001/stderr.log`]);
  }));

Deno.test("the timeline of a long night stays short: failures of one kind are one line, the largest gains stay", () =>
  withFolder(async (sessions) => {
    let best = 2;
    const trials = Array.from({ length: 150 }, (_, index): Made => {
      const values = { matrixLearningRate: 0.04 + index / 10_000 } as Made["values"];
      if (index % 3 === 1) {
        return { values, end: { status: "crash", reason: `out of memory: wanted ${index}`, state: "crashed" } };
      }
      if (index % 3 === 2) return { values, end: { bpb: 3, keep: false } };
      best -= index === 75 ? 0.1 : 0.001;
      return { values: index === 0 ? {} : values, end: { bpb: best, keep: true } };
    });
    makeNight(sessions, "long", lastNight, trials);
    const { text } = await runTask("Draft a postmortem of session long", { sessionsFolder: sessions, now });
    const lines = section(text, "Timeline").split("\n").filter((line) => line.startsWith("- "));
    ok(lines.length <= 42, String(lines.length));
    same(lines.filter((line) => line.includes("crashed")).length, 1);
    match(
      lines.find((line) => line.includes("crashed"))!,
      /exp_001 crashed: `out of memory: wanted 1` \(and 49 more of this kind, the last at 2026-11-22 22:5\d\)/,
    );
    ok(lines.some((line) => line.includes("exp_075 kept")) && lines.some((line) => line.includes("baseline kept")));
    ok(!lines.some((line) => line.includes("discarded")));
    match(lines.at(-1)!, /\(\d+ further entries are left out\)/);
  }));

Deno.test("a sweep summary ranks constants by rank correlation and finds what was tried twice", () =>
  withFolder(async (sessions) => {
    let seed = 3;
    const next = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
    const trials: Made[] = Array.from({ length: 24 }, (_, index): Made => {
      const rate = Number((0.01 + 0.1 * next()).toFixed(4)), warm = Number(next().toFixed(3));
      const activation = ["relu2", "gelu"][Math.floor(2 * next())];
      // The rate rules the score, the warm-down does nothing, the activation a little.
      const bpb = 2 + 3 * rate + (activation === "gelu" ? 0.05 : 0) + 0.002 * next();
      return {
        values: index === 0 ? {} : { matrixLearningRate: rate, warmDown: warm, activation },
        end: { bpb, keep: index === 0 },
      };
    });
    trials.push({ ...trials[5] }, { values: trials[5].values, end: { refused: "the same text as exp_005" } });
    makeNight(sessions, "sweep", lastNight, trials);
    const { executor, text } = await runTask("Summarize last night's hyperparameter sweep", {
      sessionsFolder: sessions,
      now,
    });
    same(executor, "sweep-summary");
    const rows = section(text, "Importance of constants").split("\n").filter((line) => /^\| \w+ \| \d/.test(line)).map((
      line,
    ) => line.split(" | "));
    equal([rows.length, rows[0][0]], [3, "| matrixLearningRate"]);
    ok(Number(rows[0][1]) > 0.85 && rows[0][3].includes("<"), rows[0].join());
    match(rows[0][2], /more goes with higher/);
    const idle = rows.find(([name]) => name === "| warmDown")!;
    ok(Number(idle[3]) > 0.05, idle.join());
    match(section(text, "Tried twice"), /exp_005, exp_024, exp_025; their scores differ by 0\.000000/);
    match(section(text, "Tried twice"), /1 proposal refused as tried before: exp_025/);
    match(text, /proves nothing/);
  }));
