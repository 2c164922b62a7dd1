/**
 * Finds the sessions that a task means: by their tag, by a time, or the last one; reads them through the memory's session
 * store. Says what was looked for and where, so that an empty answer is an answer.
 * @module
 */
import { join } from "node:path";
import type { Work } from "../define.ts";
import { pathTrouble } from "../files.ts";
import { inlineCode, oneLine } from "../safe_text.ts";
import type { ExecutorContext } from "../types.ts";
import { type Night, nightOf } from "./night.ts";
import { type Period, readPeriod, showDay, showTime, showZone } from "./when.ts";

/** Which sessions a task means. */
export type Wanted =
  | { readonly kind: "tags"; readonly tags: readonly string[] }
  | { readonly kind: "period"; readonly period: Period }
  | { readonly kind: "all" }
  | { readonly kind: "latest" };

/** What was found. */
export interface Search {
  /** Which sessions the task means. */
  readonly wanted: Wanted;
  /** The sessions, the oldest first. */
  readonly nights: readonly Night[];
  /** What was looked for and where, in sentences. */
  readonly account: string;
  /** Sessions that could not be read, each with a sentence. */
  readonly unreadable: readonly string[];
}

/** Sessions that one report covers at most. */
const MOST_NIGHTS = 12;

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\-]/g, "\\$&");

/** The tags that a text names, among those that exist. */
export function tagsIn(text: string, tags: readonly string[]): string[] {
  return tags.filter((tag) => {
    const word = escape(tag);
    const named = new RegExp(
      String
        .raw`(?:\b(?:sessions?|tags?|tagged|run|runs|night|researchswarm/|sessions/)|--tag|--resume)[\s:="'\x60“]*${word}(?![\w-])`,
      "i",
    );
    if (named.test(text)) return true;
    // A tag that is a day is one of the day's sessions, and a tag that is a plain word may be meant as a word.
    if (/^\d{4}-\d{2}-\d{2}$/.test(tag) || /^[A-Za-z]+$/.test(tag)) {
      return /^[A-Za-z]+$/.test(tag) &&
        new RegExp(`["'\`“‘]${word}["'\`”’]|\\b${word}['’]?s? session\\b`, "i").test(text);
    }
    return new RegExp(String.raw`(?<![\w.-])${word}(?![\w-]|\.\w)`, "i").test(text);
  });
}

/** A tag that a text names although no such session exists. */
function missingTag(text: string): string | null {
  return text.match(
    /(?:\bsession\s+(?:named\s+|called\s+|tag(?:ged)?\s+)?|\btag\s+|--tag[\s=]+)["'`“]?([A-Za-z0-9][\w.-]{0,63})["'`”]?/i,
  )?.[1]
    ?.match(/^(?=.*[\d_-])[\w.-]+$/)?.[0].replace(/[.]+$/, "") ?? null;
}

/** Which sessions a task means. */
export function readWanted(task: string, tags: readonly string[], now: Date): Wanted {
  const named = tagsIn(task, tags);
  if (named.length > 0) return { kind: "tags", tags: named };
  const missing = missingTag(task);
  const period = readPeriod(task, now);
  if (missing !== null && !/^\d{4}-\d{2}-\d{2}$/.test(missing)) return { kind: "tags", tags: [missing] };
  if (period !== null) return { kind: "period", period };
  return /\b(?:all|every|each)\s+(?:of\s+)?(?:the\s+|our\s+|my\s+)?(?:\w+\s+)?(?:sessions?|nights?|runs?)\b/i.test(task)
    ? { kind: "all" }
    : { kind: "latest" };
}

/** The folders in `sessions/`; none where it does not exist. */
async function folders(context: ExecutorContext): Promise<string[]> {
  try {
    return await context.listFolder(context.sessionsFolder!);
  } catch (error) {
    if (error instanceof Error && error.name === "NotFound") return [];
    throw pathTrouble(context.sessionsFolder!, error);
  }
}

const touches = ({ begun, last }: Night, { from, to }: Period): boolean =>
  begun !== null && begun < to && (last ?? begun) >= from;

/** One line about a session, for lists. */
export const nightLine = ({ tag, begun, trials, status }: Night): string =>
  `${inlineCode(tag)}: ${
    begun === null ? "no time recorded" : `begun ${showTime(begun)}`
  }, ${trials.length} experiments, ${status}`;

/** Finds and reads the sessions that the task means. @throws {InputError} the folder cannot be read */
export async function findNights(context: ExecutorContext, work: Work): Promise<Search> {
  const { sessionsFolder, now } = context;
  const nothing = { wanted: { kind: "latest" } as Wanted, nights: [], unreadable: [] };
  if (sessionsFolder === undefined) {
    return { ...nothing, account: "No folder of sessions was given to look in (it lies under RESEARCHSWARM_HOME)." };
  }
  const { SessionStore } = await import("../../../memory/sessions.ts");
  const names = await folders(context);
  const wanted = readWanted(`${context.segment}\n${context.task}`, names, now);
  const all: Night[] = [];
  const unreadable: string[] = [];
  let withoutDatabase = 0;
  for (const name of names) {
    await work.pause();
    if (wanted.kind === "tags" && !wanted.tags.some((tag) => tag.toLowerCase() === name.toLowerCase())) continue;
    const path = join(sessionsFolder, name, "session.db");
    try {
      await context.readFile(path, 16);
    } catch (error) {
      if (error instanceof Error && error.name === "NotCapable") throw pathTrouble(path, error);
      withoutDatabase++;
      continue;
    }
    try {
      const store = SessionStore.open(path, { readOnly: true });
      try {
        all.push(nightOf(store, path));
      } finally {
        store.close();
      }
    } catch (error) {
      unreadable.push(
        `${inlineCode(name)} could not be read: ${
          oneLine(error instanceof Error ? error.message : String(error), 300)
        }`,
      );
    }
  }
  all.sort((a, b) => +(a.begun ?? 0) - +(b.begun ?? 0));
  const nights = choose(all, wanted);
  // Where none is meant, the others are listed, which uses them too.
  for (const { path } of nights.length > 0 ? nights : all.slice(-8)) work.read(path);
  const where = inlineCode(sessionsFolder, 300);
  work.did(
    `Looked for ${
      describe(wanted)
    } in ${sessionsFolder} (${names.length} there), opened ${all.length}, used ${nights.length}`,
  );
  const account = [
    `Looked for ${describe(wanted)} in ${where}.`,
    names.length === 0 ? "There is no session there." : "",
    nights.length === 0 && all.length > 0
      ? `${all.length === 1 ? "There is one other" : `There are ${all.length} others`}:\n\n${
        all.slice(-8).reverse().map((one) => `- ${nightLine(one)}`).join("\n")
      }`
      : "",
    nights.length === 0 && all.length === 0 && withoutDatabase > 0 && wanted.kind !== "tags"
      ? `The ${withoutDatabase} folders there hold no session.db.`
      : "",
    nights.length === 0 && wanted.kind === "tags" && names.length > 0
      ? `There are: ${names.slice(-12).map((name) => inlineCode(name)).join(", ")}.`
      : "",
  ].filter((line) => line !== "").join(" ");
  return { wanted, nights, account, unreadable };
}

function choose(nights: readonly Night[], wanted: Wanted): Night[] {
  // A session in which nothing was tried is of no use unless it is asked for by name.
  const begun = nights.filter(({ trials }) => trials.length > 0);
  switch (wanted.kind) {
    case "tags":
      return [...nights];
    case "period":
      return nights.filter((night) => touches(night, wanted.period)).slice(-MOST_NIGHTS);
    case "all":
      return begun.slice(-MOST_NIGHTS);
    case "latest":
      return [...begun].sort((a, b) => +(a.last ?? 0) - +(b.last ?? 0)).slice(-1);
  }
}

/** Which sessions are meant, in words. */
export function describe(wanted: Wanted): string {
  switch (wanted.kind) {
    case "tags":
      return `the session${wanted.tags.length > 1 ? "s" : ""} ${wanted.tags.map((tag) => inlineCode(tag)).join(", ")}`;
    case "period": {
      const { from, to, said } = wanted.period;
      const end = new Date(+to - 1);
      const whole = from.getHours() === 0 && to.getHours() === 0 && from.getMinutes() === 0;
      const shown = !whole
        ? `${showTime(from)} to ${showTime(to)}`
        : showDay(from) === showDay(end)
        ? showDay(from)
        : `${showDay(from)} to ${showDay(end)}`;
      return `sessions at work ${inlineCode(said)} (${shown}, ${showZone(from)})`;
    }
    case "all":
      return "all sessions";
    case "latest":
      return "the latest session";
  }
}
