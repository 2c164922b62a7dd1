/** Times in tasks, counted from Monday, 23 November 2026, 09:30 local time. */
import { deepStrictEqual as equal, strictEqual as same } from "node:assert";
import { tagsIn } from "../../router/executors/sessions/find.ts";
import { readPeriod, showDuration, showTime } from "../../router/executors/sessions/when.ts";

const now = new Date(2026, 10, 23, 9, 30);

Deno.test("days, nights, dates and stretches are understood as people mean them", () => {
  const cases: Record<string, [from: string, to: string]> = {
    "Draft a postmortem from yesterday's run logs": ["2026-11-22 00:00", "2026-11-23 00:00"],
    "what happened last night": ["2026-11-22 17:00", "2026-11-23 12:00"],
    "report on 2026-11-21": ["2026-11-21 00:00", "2026-11-22 00:00"],
    "the session of 21 November": ["2026-11-21 00:00", "2026-11-22 00:00"],
    "Nov 21st, 2025": ["2025-11-21 00:00", "2025-11-22 00:00"],
    "21.11.2026": ["2026-11-21 00:00", "2026-11-22 00:00"],
    "11/21/2026": ["2026-11-21 00:00", "2026-11-22 00:00"],
    "December 24": ["2025-12-24 00:00", "2025-12-25 00:00"],
    "on Friday": ["2026-11-20 00:00", "2026-11-21 00:00"],
    "Friday night's run": ["2026-11-20 17:00", "2026-11-21 12:00"],
    "last Monday": ["2026-11-16 00:00", "2026-11-17 00:00"],
    "the last three days": ["2026-11-20 00:00", "2026-11-24 00:00"],
    "the past 24 hours": ["2026-11-22 09:30", "2026-11-23 09:30"],
    "two nights ago": ["2026-11-21 17:00", "2026-11-22 12:00"],
    "since Friday": ["2026-11-20 00:00", "2026-11-23 09:30"],
    "from 3 to 5 May": ["2026-05-03 00:00", "2026-05-06 00:00"],
    "between 2026-11-20 and 2026-11-22": ["2026-11-20 00:00", "2026-11-23 00:00"],
    "last week": ["2026-11-16 00:00", "2026-11-23 00:00"],
    "the weekend's runs over the weekend": ["2026-11-20 17:00", "2026-11-23 12:00"],
    "in October": ["2026-10-01 00:00", "2026-11-01 00:00"],
    "the day before yesterday": ["2026-11-21 00:00", "2026-11-22 00:00"],
    "die Läufe von gestern": ["2026-11-22 00:00", "2026-11-23 00:00"],
  };
  for (const [task, [from, to]] of Object.entries(cases)) {
    const period = readPeriod(task, now)!;
    equal([showTime(period.from), showTime(period.to)], [from, to], task);
  }
});

Deno.test("names, versions, fractions and everyday words are no times", () => {
  for (
    const task of [
      "session demo-2026-11-22",
      "version 2.9.6",
      "at 3/4 of the way",
      "it sat there",
      "Report on the run",
      "I may go",
      "2026-13-40",
      "31.02.2026",
    ]
  ) {
    same(readPeriod(task, now), null, task);
  }
});

Deno.test("a session is meant by its tag where the tag cannot be a word or a day, or where the task says so", () => {
  const tags = ["monday", "demo-2026-11-22", "2026-11-22", "nov23", "night", "a.b"];
  const cases: Record<string, string[]> = {
    "Report on demo-2026-11-22": ["demo-2026-11-22"],
    "Report on 2026-11-22": [],
    "Postmortem of session monday": ["monday"],
    "Postmortem of Monday's run": [],
    "Report on `night`": ["night"],
    "what happened last night": [],
    "compare nov23 and a.b": ["nov23", "a.b"],
    "nov234 is another": [],
  };
  for (const [task, wanted] of Object.entries(cases)) equal(tagsIn(task, tags), wanted, task);
});

Deno.test("durations read well at every length", () => {
  equal([4.21, 59.6, 200, 3600, 7325, NaN].map(showDuration), [
    "4.2 s",
    "1 min 00 s",
    "3 min 20 s",
    "1 h 00 min",
    "2 h 02 min",
    "—",
  ]);
});
