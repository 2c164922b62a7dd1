/**
 * Drafts a postmortem from sessions or logs: timeline, impact, what failed and why by the record, what was kept, what to
 * look at next. Causes are quoted, never guessed.
 * @module
 */
import { join } from "node:path";
import type { Outcome, Work } from "../define.ts";
import { logCauses, logFailures, logFollowUps, logHead, logTimeline } from "../logs/tell.ts";
import { inlineCode, markdownTable, oneLine } from "../safe_text.ts";
import { secretContent } from "../secrets.ts";
import type { ExecutorContext } from "../types.ts";
import { nothingFound } from "./report.ts";
import { gatherMaterial, type LogMaterial } from "./material.ts";
import { baselineOf, bestOf, type Night, type Trial } from "./night.ts";
import {
  facts,
  failuresOf,
  failureTable,
  keptTable,
  names,
  outcome,
  percent,
  plural,
  silencesOf,
  slowdown,
  tally,
  tallyLine,
} from "./tell.ts";
import { timeline } from "./timeline.ts";
import { showDuration, showTime, showZone } from "./when.ts";

/** Failed runs whose `stderr.log` is looked at. */
const MOST_STDERR = 8;
/** A gain that a change of the seed alone can make. */
const SMALL_GAIN = 0.002;

function impact(night: Night): string {
  const { all, lostRuns } = tally(night);
  const failed = night.trials.filter(({ failure }) => failure !== null);
  const time = (trials: readonly Trial[]) => trials.reduce((sum, { seconds }) => sum + seconds, 0);
  const [lostSeconds, seconds] = [time(failed), time(night.trials)];
  const lines: string[] = [];
  lines.push(
    failed.length === 0
      ? `- Every decided experiment gave a score (${all}).`
      : `- ${failed.length} of ${plural(all, "experiment")} (${percent(failed.length, all)}) gave no score.`,
  );
  if (failed.length > 0 && seconds > 0) {
    lines.push(
      `- ${showDuration(lostSeconds)} of ${showDuration(seconds)} of run time (${
        percent(lostSeconds, seconds)
      }) went into them.`,
    );
  }
  if (lostRuns > 0) {
    lines.push(`- ${plural(lostRuns, "run")} ${lostRuns === 1 ? "was" : "were"} begun and lost before the end.`);
  }
  for (const silence of silencesOf(night).slice(0, 2)) {
    lines.push(`- Nothing was recorded for ${showDuration(silence.seconds)} from ${showTime(silence.from)} on.`);
  }
  const { hours, experiments } = night.settings;
  if (
    typeof hours === "number" && night.activeSeconds !== null && night.activeSeconds < 0.9 * 3600 * hours &&
    night.status !== "finished"
  ) {
    lines.push(`- ${showDuration(night.activeSeconds)} of ${hours} h were used.`);
  }
  if (typeof experiments === "number" && night.status !== "finished") {
    lines.push(`- ${Math.max(0, all - 1)} of ${experiments} experiments were made.`);
  }
  lines.push(`- ${outcome(night)}`);
  return lines.join("\n");
}

/** What the record itself says about why. */
function causes(night: Night, words: ReadonlyMap<string, string>): string {
  const lines: string[] = [];
  if (night.status === "stopped") {
    lines.push(
      night.reason === ""
        ? "- The session stopped; the record gives no reason."
        : `- The session stopped. The record says: ${inlineCode(night.reason, 300)}`,
    );
  }
  for (const { kind, reason, trials, meaning } of failuresOf(night)) {
    lines.push(
      `- ${names(trials)}: ${kind} (${meaning}). ` +
        (reason === "" ? "The record gives no reason." : `The record says: ${inlineCode(reason, 300)}`),
    );
    for (const trial of trials) {
      const last = words.get(trial.name);
      if (last !== undefined) {
        lines.push(`  - last words in the ${inlineCode("stderr.log")} of ${trial.name}: ${inlineCode(last, 300)}`);
      }
    }
  }
  const lost = night.trials.filter(({ lostRuns }) => lostRuns.length > 0);
  for (const trial of lost) {
    for (const { reason } of trial.lostRuns.slice(0, 3)) {
      lines.push(
        `- A run of ${trial.name} was lost. ` +
          (reason === "" ? "The record gives no reason." : `The record says: ${inlineCode(reason, 300)}`),
      );
    }
  }
  const slow = slowdown(night);
  if (slow !== null) lines.push(`- ${slow.sentence}`);
  if (lines.length === 0) return "Nothing failed, so there is no cause to look for.";
  return lines.join("\n") + "\n\nWhat lies behind these reasons is not in the record and is not guessed here.";
}

function followUps(night: Night): string {
  const lines: string[] = [];
  const add = (text: string) => lines.push(`- [ ] ${text}`);
  for (const { kind, trials } of failuresOf(night)) {
    const first = trials[0];
    if (kind === "refused before the run") {
      if (trials.length > 2) {
        add(`See why ${trials.length} proposals were refused before they ran (${names(trials, 3)}).`);
      }
    } else if (kind === "timed out" || kind === "voided") add(`Find out why ${names(trials, 3)} ended as "${kind}".`);
    else {add(
        `Reproduce ${first.name} (${kind})${
          first.source !== "" ? `; its file is ${inlineCode(`snapshots/${first.name}.ts`)}` : ""
        }.`,
      );}
  }
  if (night.trials.some(({ lostRuns }) => lostRuns.length > 0)) {
    add("Find out what ended the runs that were lost; the record names no cause outside of the session.");
  }
  if (silencesOf(night).length > 0) add("Find out what the machine did while nothing was recorded.");
  if (slowdown(night) !== null) add("Find out why the speed changed during the night, before scores are compared.");
  const open = night.trials.filter(({ state }) => state === "open");
  if (night.status === "stopped" || (night.status === "open" && open.length > 0)) {
    add(
      `Decide whether to go on: ${inlineCode(`deno task overnight --resume ${night.tag}`)}` +
        (open.length > 0 ? ` (${names(open, 3)} ${open.length === 1 ? "is" : "are"} undecided).` : "."),
    );
  }
  const small = night.trials.filter(({ state, delta }) => state === "kept" && delta !== null && delta > -SMALL_GAIN);
  if (small.length > 0) add(`Repeat ${names(small, 4)} with other seeds: gains below ${SMALL_GAIN} may be chance.`);
  return lines.length > 0 ? lines.join("\n") : "Nothing in the record asks for one.";
}

/** The last words of failed runs, from the files beside the record. */
async function lastWords(night: Night, context: ExecutorContext, work: Work): Promise<Map<string, string>> {
  const words = new Map<string, string>();
  if (night.begun === null || !night.path.endsWith("session.db")) return words;
  const folder = night.path.slice(0, -"session.db".length);
  for (
    const trial of night.trials.filter(({ failure }) => failure !== null && failure !== "refused before the run").slice(
      0,
      MOST_STDERR,
    )
  ) {
    const path = join(
      folder,
      "runs",
      trial.name === "baseline" ? `exp_${String(trial.id).padStart(3, "0")}` : trial.name,
      "stderr.log",
    );
    try {
      const text = new TextDecoder().decode(await context.readFile(path, 2 ** 18));
      const last = text.split("\n").map((line) => line.trim()).filter((line) => line !== "").slice(-2).join(" / ");
      if (last === "" || secretContent(text) !== null || trial.reason.includes(last.slice(-60))) continue;
      words.set(trial.name, last);
      work.read(path);
    } catch {
      // Most runs leave none.
    }
  }
  return words;
}

async function nightPostmortem(night: Night, context: ExecutorContext, work: Work): Promise<string> {
  const words = await lastWords(night, context, work);
  const { begun } = night;
  const best = bestOf(night), baseline = baselineOf(night);
  const groups = failuresOf(night);
  const ended = night.status === "finished"
    ? "ran to its end"
    : night.status === "stopped"
    ? "was stopped by a failure"
    : night.status === "open"
    ? "has not ended by its record"
    : "is known from a table without times";
  const failed = groups.reduce((sum, { trials }) => sum + trials.length, 0);
  const summary = `Session ${inlineCode(night.tag)}${begun === null ? "" : `, begun ${showTime(begun)},`} ${ended}` +
    `${night.status === "finished" && night.reason !== "" ? ` (${inlineCode(night.reason)})` : ""}. ${
      tallyLine(night)
    }. ` +
    (failed === 0
      ? "Nothing failed. "
      : `${plural(failed, "experiment")} failed, most often: ${groups[0].kind} (${groups[0].trials.length}). `) +
    (best !== null && baseline !== null ? outcome(night) : "No experiment has a score.");
  const zone = begun === null ? "" : ` (local time, ${showZone(begun)})`;
  work.did(`Drafted a postmortem of ${night.tag}: ${tallyLine(night)}`);
  return [
    `## Summary\n\n${summary}`,
    `## Impact\n\n${impact(night)}`,
    `## Timeline${zone}\n\n${timeline(night)}`,
    `## What failed\n\n${failureTable(night)}`,
    `## Causes, as far as the record states them\n\n${causes(night, words)}`,
    `## What was kept\n\n${keptTable(night)}`,
    `## Follow-ups to consider\n\n${followUps(night)}`,
    `## Record\n\n${facts(night)}`,
  ].join("\n\n");
}

function logPostmortem(log: LogMaterial): string {
  return [
    `## Summary\n\n${logHead(log)}`,
    `## Timeline\n\n${logTimeline(log)}`,
    `## What failed\n\n${logFailures(log)}`,
    `## Causes, as far as the log states them\n\n${logCauses(log)}`,
    `## Follow-ups to consider\n\n${logFollowUps(log)}`,
    `## Record\n\n- ${inlineCode(log.name, 300)}${log.notes.map((note) => `\n- ${note}`).join("")}`,
  ].join("\n\n");
}

/** Drafts the postmortem. */
export async function writePostmortem(context: ExecutorContext, work: Work): Promise<Outcome> {
  const material = await gatherMaterial(context, work);
  const { nights, logs, unreadable } = material;
  if (nights.length === 0 && logs.length === 0) return nothingFound("postmortem", material);
  const parts: string[] = [];
  for (const night of nights) {
    await work.pause();
    parts.push(
      (nights.length + logs.length > 1 ? `# Session ${night.tag}\n\n` : "") +
        await nightPostmortem(night, context, work),
    );
  }
  for (const log of logs) {
    work.did(`Drafted a postmortem of the log ${log.name}`);
    parts.push((nights.length + logs.length > 1 ? `# Log ${oneLine(log.name)}\n\n` : "") + logPostmortem(log));
  }
  const what = [...nights.map(({ tag }) => tag), ...logs.map(({ name }) => name)].join(", ");
  const title = `Postmortem (draft): ${oneLine(what, 120)}`;
  const overview = nights.length > 1
    ? markdownTable(
      ["session", "begun", "experiments", "failed", "status"],
      nights.map((night) => [
        night.tag,
        night.begun === null ? "—" : showTime(night.begun),
        String(night.trials.length),
        String(failuresOf(night).reduce((sum, { trials }) => sum + trials.length, 0)),
        night.status,
      ]),
      [2, 3],
    ) + "\n\n"
    : "";
  const notes = [material.account, ...unreadable].filter((note) => note !== "").map((note) => `_${note}_`).join("\n\n");
  return {
    title,
    text:
      `# ${title}\n\n_A draft from the record; people, decisions and anything outside of it are missing._\n\n${overview}${
        parts.join("\n\n")
      }${notes === "" ? "" : `\n\n${notes}`}`,
  };
}
