/**
 * Gathers what an executor works on: the text that came with the task, or the files that the task names. The gates for
 * secrets stand here, so nothing else in this folder opens a file by itself.
 * @module
 */
import type { Work } from "./define.ts";
import { checkContent, checkNames, InputError, pathTrouble, READ_LIMIT, readInput } from "./files.ts";
import { pathsIn } from "./paths.ts";
import { oneLine } from "./safe_text.ts";
import type { ExecutorContext, ExecutorInput } from "./types.ts";

/** Files of one task at most. */
const MOST_FILES = 20;

/** What a source may be. */
export interface SourceOptions {
  /** Whether a folder stands for the files in it; those with these endings. */
  readonly folders?: RegExp;
  /** Whether files that the task names are looked for when a text came along; default false. */
  readonly beside?: boolean;
}

const checked = new WeakSet<ExecutorInput>();

/** The text that came with the task, after the gates. @throws {InputError} it holds a secret */
function givenInput(context: ExecutorContext, work: Work): ExecutorInput | null {
  const { input } = context;
  if (input === undefined) return null;
  if (!checked.has(input)) {
    checkNames(input.name, input.realPath);
    checkContent(input.name, input.text);
    checked.add(input);
  }
  const size = input.size ?? input.bytes?.length ?? input.text.length;
  work.read(input.name);
  work.did(`Read ${oneLine(input.name)} (${size} bytes)`);
  return input;
}

/** What is at a path, or null where nothing is; an unanswered question counts as a file. */
async function kindOf(context: ExecutorContext, path: string): Promise<"file" | "folder" | "other" | null> {
  if (context.fileFacts === undefined) return "file";
  try {
    return (await context.fileFacts(path)).kind;
  } catch (error) {
    if (error instanceof Error && error.name === "NotFound") return null;
    throw pathTrouble(path, error);
  }
}

async function readNamed(context: ExecutorContext, work: Work, path: string): Promise<ExecutorInput> {
  const input = await readInput(path, context);
  checked.add(input);
  work.read(path);
  work.did(`Read ${oneLine(path)} (${input.size} bytes)`);
  await work.pause();
  return input;
}

/**
 * What there is to work on.
 * @returns the given text, else the files that the segment names, else those of the whole task, in this order; empty
 * where there is nothing
 * @throws {InputError} a named file is absent, unreadable, or holds secrets
 */
export async function gatherSources(
  context: ExecutorContext,
  work: Work,
  options: SourceOptions = {},
): Promise<ExecutorInput[]> {
  const given = givenInput(context, work);
  if (given !== null && !options.beside) return [given];
  const sources = given === null ? [] : [given];
  const named = (text: string) => pathsIn(text).filter(({ target }) => !target);
  const inSegment = named(context.segment);
  for (const { path, certain } of inSegment.length > 0 ? inSegment : named(context.task)) {
    if (sources.length >= MOST_FILES) break;
    checkNames(path);
    let kind: Awaited<ReturnType<typeof kindOf>>;
    try {
      kind = await kindOf(context, path);
    } catch (error) {
      if (certain) throw error;
      continue;
    }
    if (kind === null || (!certain && context.fileFacts === undefined)) {
      if (certain) throw new InputError(`There is no file ${oneLine(path)}.`, "needs-input");
      continue;
    }
    if (kind === "folder" && options.folders !== undefined) {
      for (const name of (await context.listFolder(path)).filter((name) => options.folders!.test(name))) {
        if (sources.length >= MOST_FILES) break;
        sources.push(await readNamed(context, work, `${path.replace(/\/+$/, "")}/${name}`));
      }
    } else if (kind === "folder" && !certain) continue;
    else sources.push(await readNamed(context, work, path));
  }
  return sources;
}

/** Whether a file is longer than what was read of it, in words for the reader; empty where it is not. */
export function cutNote(input: ExecutorInput): string {
  const read = input.bytes?.length ?? 0;
  return input.size !== undefined && input.size > read && input.bytes !== undefined
    ? `Only the first ${read} of ${input.size} bytes were read (the limit is ${READ_LIMIT}).`
    : "";
}
