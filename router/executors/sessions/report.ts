/**
 * Reports on sessions or logs: what was tried, what helped, how fast it went, what it cost. Figures come from the record
 * alone.
 * @module
 */
import type { Outcome, Work } from "../define.ts";
import { logFailures, logFigures, logHead, logMessages } from "../logs/tell.ts";
import { inlineCode, markdownTable, oneLine } from "../safe_text.ts";
import type { ExecutorContext } from "../types.ts";
import { gatherMaterial, type LogMaterial, type Material } from "./material.ts";
import { bestOf, type Night, type Trial } from "./night.ts";
import {
  facts,
  failureTable,
  keptTable,
  median,
  outcome,
  percent,
  plural,
  score,
  signed,
  slowdown,
  tallyLine,
} from "./tell.ts";
import { showDuration, showTime } from "./when.ts";

/** Rows of a table of experiments. */
const MOST_ROWS = 30;

/** The answer where there is nothing to write about: what was looked for, where, and what would help. */
export function nothingFound(kind: string, { account, unreadable }: Material): Outcome {
  const help = "Name a session by its tag or its day, or pass a log with `--file LOG` or `--input-text TEXT`.";
  return {
    status: "needs-input",
    title: `No record for the ${kind}`,
    text: [`There is no record to write the ${kind} from.`, account, ...unreadable, help].filter((part) => part !== "")
      .join("\n\n"),
  };
}

/** Which sources of ideas brought how much. */
function originTable({ trials }: Night): string {
  const groups = Map.groupBy(
    trials.filter(({ origin, name }) => origin !== "" && name !== "baseline"),
    ({ origin }) => origin,
  );
  if (groups.size === 0) return "";
  const rows = [...groups].map(([origin, group]) => {
    const kept = group.filter(({ state }) => state === "kept");
    return { origin, group, kept, gain: kept.reduce((sum, { delta }) => sum + (delta ?? 0), 0) };
  }).sort((a, b) => a.gain - b.gain || b.group.length - a.group.length).slice(0, 15);
  return markdownTable(
    ["source of the idea", "tried", "kept", "Δ of the kept"],
    rows.map((
      { origin, group, kept, gain },
    ) => [origin, String(group.length), String(kept.length), kept.length > 0 ? signed(gain) : "—"]),
    [1, 2, 3],
  );
}

/** The experiments, all of them where they are few, else the nearest misses and the best. */
function trialTable({ trials }: Night): string {
  const shown = trials.length <= MOST_ROWS
    ? trials
    : trials.filter(({ state }) => state === "kept" || state === "open").slice(-MOST_ROWS);
  const table = markdownTable(
    ["experiment", "change", "val_bpb", "Δ", "ended", "tokens/s", "time"],
    shown.map(({ name, change, valBpb, delta, state, failure, tokensPerSecond, seconds }) => [
      name,
      change,
      score(valBpb),
      signed(delta),
      failure ?? state,
      tokensPerSecond === null ? "—" : String(Math.round(tokensPerSecond)),
      seconds > 0 ? showDuration(seconds) : "—",
    ]),
    [2, 3, 5, 6],
  );
  return table +
    (shown.length < trials.length ? `\n\n${trials.length - shown.length} that were not kept are left out.` : "");
}

function effort(night: Night): string {
  const { trials } = night;
  const number = (pick: (trial: Trial) => number | null) =>
    trials.map(pick).filter((value) => value !== null && value > 0) as number[];
  const [times, speeds, peaks] = [
    number(({ seconds }) => seconds),
    number(({ tokensPerSecond }) => tokensPerSecond),
    number(({ peakBytes }) => peakBytes),
  ];
  const lines: string[] = [];
  if (times.length > 0) {
    const total = times.reduce((sum, value) => sum + value, 0);
    lines.push(
      `- Run time ${showDuration(total)} in ${plural(times.length, "experiment")}, median ${
        showDuration(median(times))
      }.`,
    );
    if (night.activeSeconds) {
      lines.push(`- ${percent(total, night.activeSeconds)} of the session's working time were runs.`);
    }
  }
  if (speeds.length > 0) {
    lines.push(
      `- Speed ${Math.round(median(speeds))} tokens/s in the median run (${Math.round(Math.min(...speeds))} to ${
        Math.round(Math.max(...speeds))
      }).`,
    );
  }
  if (peaks.length > 0) lines.push(`- Most memory of a run: ${(Math.max(...peaks) / 2 ** 30).toFixed(2)} GiB.`);
  const slow = slowdown(night);
  if (slow !== null) lines.push(`- ${slow.sentence}`);
  return lines.length > 0 ? lines.join("\n") : "The record holds no times.";
}

/** The nearest misses: scored, not kept, closest to the best of their time. */
function nearMisses({ trials }: Night): string {
  const near = trials.filter(({ state, delta }) => state === "discarded" && delta !== null).sort((a, b) =>
    a.delta! - b.delta!
  ).slice(0, 3);
  return near.map(({ name, change, delta }) => `- ${name}: ${oneLine(change, 100)} (${signed(delta)})`).join("\n");
}

function nightReport(night: Night, work: Work): string {
  work.did(`Reported on ${night.tag}: ${tallyLine(night)}`);
  const best = bestOf(night);
  const misses = nearMisses(night), origins = originTable(night);
  return [
    `${tallyLine(night)}. ${outcome(night)}` +
    (best !== null && best.name !== "baseline"
      ? ` The best is ${best.name}: ${inlineCode(best.change, 120)}${
        best.commit === null ? "" : `, commit ${inlineCode(best.commit.slice(0, 7))}`
      }.`
      : ""),
    `## What was kept\n\n${keptTable(night)}`,
    misses === "" ? "" : `## Nearest misses\n\n${misses}`,
    `## What failed\n\n${failureTable(night)}`,
    origins === "" ? "" : `## Where the ideas came from\n\n${origins}`,
    `## Time and memory\n\n${effort(night)}`,
    `## Experiments\n\n${trialTable(night)}`,
    `## Record\n\n${facts(night)}`,
    night.settings.decide === "greedy" ? "_Each score is one run with one seed; small differences may be chance._" : "",
  ].filter((part) => part !== "").join("\n\n");
}

/** A report on one log. */
export function logReport(log: LogMaterial): string {
  return [
    logHead(log),
    `## Trouble\n\n${logFailures(log)}`,
    logFigures(log) === "" ? "" : `## Figures\n\n${logFigures(log)}`,
    `## Messages\n\n${logMessages(log)}`,
    `## Record\n\n- ${inlineCode(log.name, 300)}${log.notes.map((note) => `\n- ${note}`).join("")}`,
  ].filter((part) => part !== "").join("\n\n");
}

/** Writes the report. */
export async function writeReport(context: ExecutorContext, work: Work): Promise<Outcome> {
  const material = await gatherMaterial(context, work);
  const { nights, logs, account, unreadable } = material;
  if (nights.length === 0 && logs.length === 0) return nothingFound("report", material);
  const several = nights.length + logs.length > 1;
  const parts: string[] = [];
  if (nights.length > 1) {
    parts.push(markdownTable(
      ["session", "begun", "experiments", "kept", "best val_bpb", "status"],
      nights.map((night) => [
        night.tag,
        night.begun === null ? "—" : showTime(night.begun),
        String(night.trials.length),
        String(night.trials.filter(({ state }) => state === "kept").length),
        score(bestOf(night)?.valBpb ?? null),
        night.status,
      ]),
      [2, 3, 4],
    ));
  }
  for (const night of nights) {
    await work.pause();
    parts.push((several ? `# Session ${night.tag}\n\n` : "") + nightReport(night, work));
  }
  for (const log of logs) {
    work.did(`Reported on the log ${log.name}`);
    parts.push((several ? `# Log ${oneLine(log.name)}\n\n` : "") + logReport(log));
  }
  const title = `Report: ${
    oneLine([...nights.map(({ tag }) => tag), ...logs.map(({ name }) => name)].join(", "), 120)
  }`;
  const notes = [account, ...unreadable].filter((note) => note !== "").map((note) => `_${note}_`);
  return { title, text: [`# ${title}`, ...parts, ...notes].join("\n\n") };
}
