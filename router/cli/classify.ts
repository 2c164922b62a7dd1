/**
 * `cli.ts classify`: the five fields of the original's example for one task, or for each line of a file.
 * @module
 */
import { classify, longestTask } from "../classify.ts";
import type { Classification } from "../types.ts";
import type { Arguments } from "./arguments.ts";
import { CliError, exit, usageError } from "./errors.ts";
import { readTask } from "./input.ts";
import { linesOf } from "./lines.ts";
import { type Output, safeJson, visibleLine } from "./output.ts";
import { requirePermissions } from "./permissions.ts";

/** Bytes of a line at most. */
const LINE_LIMIT = 16 * 2 ** 20;

/** The example of the original README, field for field. */
export interface FiveFields {
  /** What the task needs. */
  readonly domain: string;
  /** How sure that is, rounded down to three decimals. */
  readonly confidence: number;
  /** Parts for software. */
  readonly digital_segments: string[];
  /** Parts for a person. */
  readonly human_segments: string[];
  /** What to do next. */
  readonly recommended_action: string;
}

/** A number rounded down to three decimals: nothing becomes certain by rounding. */
export const rounded = (confidence: number): number => Math.floor(confidence * 1000) / 1000;

/** The five fields of a classification. */
export function fiveFields(classification: Classification): FiveFields {
  const { domain, confidence, segments, recommendedAction } = classification;
  const textOf = (needs: string) => segments.filter((one) => one.domain === needs).map(({ text }) => text);
  return {
    domain,
    confidence: rounded(confidence),
    digital_segments: textOf("text-based"),
    human_segments: textOf("human-action"),
    recommended_action: recommendedAction,
  };
}

/** Said where the end of a long task was not read. */
export const cutNotice = `only the first ${longestTask} characters of the task were read`;

/** The task of one line. @throws an error whose message says what is wrong with the line */
function taskOf(line: string | null): string {
  if (line === null) throw new Error(`the line is longer than ${LINE_LIMIT / 2 ** 20} MiB`);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error("the line is not JSON");
  }
  const task = typeof value === "object" && value !== null ? (value as Record<string, unknown>).task : undefined;
  if (typeof task !== "string") throw new Error('the line is no object with a text "task"');
  return task;
}

/** Classifies every line. @returns the exit code */
async function classifyLines(file: string, output: Output): Promise<number> {
  if (file !== "-") requirePermissions("reading the file", [{ name: "read", path: file }]);
  let stream: ReadableStream<Uint8Array>;
  try {
    if (file !== "-" && Deno.statSync(file).isDirectory) throw new Error("it is a folder");
    stream = file === "-" ? Deno.stdin.readable : (await Deno.open(file)).readable;
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "it does not exist" : (error as Error).message;
    throw new CliError(`${file} cannot be read: ${reason}`, exit.failed, { cause: error });
  }
  let bad = 0, cut = 0;
  for await (const lines of linesOf(stream, LINE_LIMIT)) {
    const results = lines.map(({ number, text }) => {
      try {
        const classification = classify(taskOf(text));
        if (classification.truncated) cut++;
        return safeJson(fiveFields(classification));
      } catch (error) {
        bad++;
        return safeJson({ error: (error as Error).message, line: number });
      }
    });
    output.write(`${results.join("\n")}\n`);
  }
  if (cut > 0) output.notice(`${cutNotice} in ${cut} ${cut === 1 ? "line" : "lines"}`);
  if (bad > 0) output.notice(`${bad} ${bad === 1 ? "line" : "lines"} could not be read`);
  return bad > 0 ? exit.failed : exit.done;
}

/** Runs the command. @returns the exit code */
export async function runClassify({ positionals, values }: Arguments, output: Output): Promise<number> {
  if (values.jsonl !== undefined) {
    if (positionals.length > 0) throw usageError("--jsonl and a task exclude each other");
    if (values.judge !== undefined) throw usageError("--jsonl and --judge exclude each other");
    return await classifyLines(values.jsonl, output);
  }
  if (positionals.length === 0) throw usageError('"classify" needs a task, - or --jsonl FILE');
  // A judge that cannot be asked is an error before any work.
  const judging = values.judge === undefined ? null : await import("./judging.ts");
  const judge = judging?.judgeOptions(values.judge!);
  let classification = classify(await readTask(positionals));
  if (judging !== null) classification = await judging.askJudge(judge!, classification, output);
  if (classification.truncated) output.notice(cutNotice);
  const fields = fiveFields(classification);
  output.result(fields, (paint) => {
    const list = (title: string, parts: readonly string[]) =>
      parts.length === 0 ? "" : `${paint.bold(title)}\n${parts.map((part) => `  - ${visibleLine(part)}`).join("\n")}\n`;
    return `${paint.bold(fields.domain)} ${paint.dim(`(${Math.floor(100 * fields.confidence)} %)`)}\n` +
      list("Digital", fields.digital_segments) + list("Person", fields.human_segments) + fields.recommended_action;
  });
  return exit.done;
}
