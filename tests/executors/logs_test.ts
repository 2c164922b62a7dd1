/** Logs of many writers, cut into entries and told by what they hold. */
import { deepStrictEqual as equal, match, ok, strictEqual as same } from "node:assert";
import { digestLog, shapeOf } from "../../router/executors/logs/digest.ts";
import { linesLeftOut, looksLikeLog, parseLog } from "../../router/executors/logs/parse.ts";
import { runTask } from "./_fixture.ts";

const now = new Date(2026, 10, 23, 9);

const trainer = `2026-11-22 22:00:01,123 INFO trainer: starting run exp_001 lr=0.04
2026-11-22 22:00:31,001 INFO trainer: step 100 loss 5.2 tokens/s 12000
2026-11-22 22:01:31,001 INFO trainer: step 200 loss 4.1 tokens/s 11800
2026-11-22 22:01:40,001 WARNING gpu: temperature 88 C, throttling
2026-11-22 22:02:31,001 ERROR trainer: CUDA out of memory
Traceback (most recent call last):
  File "train.py", line 10, in <module>
torch.OutOfMemoryError: tried to allocate 2.0 GiB
2026-11-22 23:40:00,000 INFO trainer: resumed because the supervisor lost its heartbeat
2026-11-22 23:40:10,000 INFO trainer: step 100 loss 5.3 tokens/s 12100
2026-11-22 23:41:10,000 ERROR trainer: CUDA out of memory
2026-11-22 23:41:20,000 INFO trainer: finished with 0 errors
`;

Deno.test("times and levels of common formats are read, traces belong to their entry", async () => {
  const cases: [line: string, time: string | null, level: string, message: string][] = [
    ["2026-11-22T22:00:01.5Z ERROR it broke", "2026-11-22T22:00:01.500Z", "error", "it broke"],
    ["2026-11-22 22:00:01+01:00 [WARN] low", "2026-11-22T21:00:01.000Z", "warning", "low"],
    ["[2026-11-22 22:00:01] INFO: fine", new Date(2026, 10, 22, 22, 0, 1).toISOString(), "info", "fine"],
    [
      "Nov 22 22:00:01 host sshd[12]: error: closed",
      new Date(2026, 10, 22, 22, 0, 1).toISOString(),
      "error",
      "host sshd[12]: error: closed",
    ],
    [
      "E1122 22:00:01.123456 99 file.cc:10] failed to open",
      new Date(2026, 10, 22, 22, 0, 1, 123).toISOString(),
      "error",
      "1122 22:00:01.123456 99 file.cc:10] failed to open",
    ],
    [
      '127.0.0.1 - - [22/Nov/2026:22:00:01 +0000] "GET / HTTP/1.1" 200 5',
      "2026-11-22T22:00:01.000Z",
      "none",
      '127.0.0.1 - - [22/Nov/2026:22:00:01 +0000] "GET / HTTP/1.1" 200 5',
    ],
    ['{"time":1795384801123,"level":50,"msg":"bad","n":1}', "2026-11-22T22:00:01.123Z", "error", "bad n=1"],
    ['{"ts":"2026-11-22T22:00:01Z","severity":"warn","message":"hm"}', "2026-11-22T22:00:01.000Z", "warning", "hm"],
    ['time=x level=error msg="no route"', null, "error", 'time=x level=error msg="no route"'],
    ["DEBUG waiting", null, "debug", "waiting"],
    ["all 12 tests passed, 0 failed", null, "none", "all 12 tests passed, 0 failed"],
    ["panic: runtime error: index out of range", null, "error", "runtime error: index out of range"],
  ];
  for (const [line, time, level, message] of cases) {
    const [entry] = await parseLog(line, now);
    equal([entry.time === null ? null : new Date(entry.time).toISOString(), entry.level, entry.message], [
      time,
      level,
      message,
    ], line);
  }
  const entries = await parseLog(trainer, now);
  equal(entries.map(({ line, level, more }) => [line, level, more.length]), [
    [1, "info", 0],
    [2, "info", 0],
    [3, "info", 0],
    [4, "warning", 0],
    [5, "error", 3],
    [9, "info", 0],
    [10, "info", 0],
    [11, "error", 0],
    [12, "info", 0],
  ]);
});

Deno.test("messages that differ in figures, names of files and texts are one kind", () => {
  same(
    shapeOf("worker 3 took 1.5 ms for /var/tmp/a.bin 'x y z' at 0xdeadbeef"),
    shapeOf("worker 12 took 0.25 ms for /home/u/b.bin 'q r' at 0x1f"),
  );
  ok(shapeOf("worker 3 stopped") !== shapeOf("worker 3 started"));
});

Deno.test("a digest counts kinds, finds the silence, the figures and the causes that the log names", async () => {
  const digest = await digestLog(await parseLog(trainer, now));
  equal(digest.levels, { debug: 0, info: 6, warning: 1, error: 2, none: 0 });
  equal(digest.errors.map(({ shape, count }) => [shape, count]), [["trainer: CUDA out of memory", 2]]);
  equal(digest.silences.map(({ seconds }) => Math.round(seconds)), [5849]);
  const loss = digest.series.find(({ name }) => name === "loss")!;
  equal([loss.count, loss.first, loss.last, loss.low, loss.high], [3, 5.2, 5.3, 4.1, 5.3]);
  equal(digest.causes.map(({ line }) => line), [9]);
});

Deno.test("a postmortem of a log quotes its causes, counts its errors and claims nothing beyond", async () => {
  const { status, text, executor } = await runTask("Draft a postmortem", { text: trainer, now });
  equal([status, executor], ["done", "postmortem"]);
  match(text, /holds 9 entries from 2026-11-22 22:00:01 to 2026-11-22 23:41:20[^:]*: 2 errors of 1 kind and 1 warning/);
  match(
    text,
    /- 22:02:31 error: `trainer: CUDA out of memory … torch\.OutOfMemoryError: tried to allocate 2\.0 GiB` \(2 times, the last at 2026-11-22 23:41:10\)/,
  );
  match(text, /no entry for 1 h 37 min/);
  match(text, /line 9: `trainer: resumed because the supervisor lost its heartbeat`/);
  match(text, /is not guessed here/);
  const quiet = await runTask("Draft a postmortem", {
    text: trainer.replace("because the supervisor lost its heartbeat", ""),
    now,
  });
  match(quiet.text, /The log names no cause/);
});

Deno.test("of a log of several days only the time that the task names is used, and it is said", async () => {
  const log = `2026-11-21 10:00:00 ERROR old trouble\n${trainer}2026-11-23 08:00:00 ERROR new trouble\n`;
  const { text } = await runTask("Draft a postmortem from yesterday's log", { text: log, now });
  match(text, /Only its entries of `yesterday` were used \(9 of 11\)/);
  ok(!/old trouble|new trouble/.test(text));
  const none = await runTask("Draft a postmortem of 2026-10-01", { text: log, now });
  match(
    none.text,
    /No entry of it is from `2026-10-01`: it reaches from 2026-11-21 10:00 to 2026-11-23 08:00, and all of it was used/,
  );
});

Deno.test("a report of a log has its figures and commonest messages", async () => {
  const { text, executor } = await runTask("Report on this run log", { text: trainer, now });
  same(executor, "report");
  match(text, /\| loss \| 3 \| 5\.2 \| 5\.3 \| 4\.1 \| 5\.3 \|/);
  match(text, /\| 3 \| `trainer: step ‹n› loss ‹n› tokens\/s ‹n›` \|/);
});

Deno.test("prose, code and tables are no logs", () => {
  ok(looksLikeLog(trainer));
  ok(!looksLikeLog("The first error came late.\nWe saw it at 10:00:01.\nThen we went home.\n"));
  ok(!looksLikeLog("a,b\n1,2\n3,4\n5,6\n"));
  ok(!looksLikeLog('{"a": 1}\n{"a": 2}\n{"a": 3}\n'));
});

Deno.test("of a log with millions of lines the beginning and the end are read, and the gap is counted", async () => {
  const text = Array.from({ length: 400_000 }, (_, index) => `i${index}`).join("\n");
  const entries = await parseLog(text, now);
  equal([entries[0].message, entries.at(-1)!.message, entries.at(-1)!.line], ["i0", "i399999", 400_000]);
  ok(Math.abs(entries.length + linesLeftOut(text) - 400_000) <= 1, `${entries.length} ${linesLeftOut(text)}`);
});
