/**
 * `cli.ts handoff …`: what people still have to do, and the evidence that they did it.
 * @module
 */
import { basename } from "node:path";
import type { Handoff } from "../../memory/mod.ts";
import { redactSecrets } from "../executors/secrets.ts";
import { type Arguments, wholeNumber } from "./arguments.ts";
import { CliError, exit, usageError } from "./errors.ts";
import { absolute } from "./input.ts";
import { type Output, type Paint, visible, visibleLine } from "./output.ts";
import { granted, requirePermissions } from "./permissions.ts";
import { openForCommand, placeOf } from "./place.ts";

/** Bytes of a file of evidence at most. */
const EVIDENCE_LIMIT = 512 * 2 ** 20;

/** A handoff as JSON. */
export function handoffJson(handoff: Handoff): Record<string, unknown> {
  return {
    id: handoff.id,
    state: handoff.state,
    task: handoff.task,
    domain: handoff.domain,
    created_at: handoff.createdAt,
    closed_at: handoff.closedAt ?? null,
    entry: handoff.entryId ?? null,
    reason: handoff.reason ?? null,
    items: handoff.items.map((item) => ({
      item: item.item,
      state: item.state,
      action: item.action,
      safety: item.safety,
      evidence: item.evidence,
      evidence_given: item.evidenceGiven ?? null,
      done_at: item.doneAt ?? null,
    })),
  };
}

/** The lines of a checklist. */
export function checklistText(items: Handoff["items"], paint: Paint): string {
  return items.map(({ item, state, action, safety, evidence, evidenceGiven }) =>
    [
      `  ${item}. [${state === "done" ? "x" : " "}] ${visibleLine(action)}`,
      ...safety.map((note) => `       ! ${visibleLine(note)}`),
      `       ${paint.dim(`evidence: ${visibleLine(evidence)}`)}`,
      ...(evidenceGiven === undefined ? [] : [`       given: ${visibleLine(evidenceGiven)}`]),
    ].join("\n")
  ).join("\n");
}

function handoffText(handoff: Handoff, paint: Paint): string {
  const { id, state, task, createdAt, closedAt } = handoff;
  const since = paint.dim(`since ${visibleLine(closedAt ?? createdAt)}`);
  return `${paint.bold(`Handoff ${id}`)} ${visibleLine(state)} ${since}\n${visible(task)}\n\n${
    checklistText(handoff.items, paint)
  }`;
}

/** Number of a handoff and, behind a dot, of an item. */
function numbersOf(word: string): { id: number; item?: number } {
  const [, id, item] = /^(\d{1,15})(?:\.(\d{1,6}))?$/.exec(word) ?? [];
  if (id === undefined) throw usageError(`a handoff has a number, such as 3, or 3.1 for its first item; got "${word}"`);
  return { id: Number(id), item: item === undefined ? undefined : Number(item) };
}

/** A path rather than words: it begins like one, or is a single word with an ending such as `.jpg`. */
const pathLike = /^(?:~|\.{1,2})?\/(?:\S*|.*\.[a-z]\w{0,4})$|^[^\s:@]+\.[a-z]\w{0,4}$/i;

/** Evidence that is words, without what looks like a key or a password. */
function evidenceText(given: string, output: Output): string {
  const kept = redactSecrets(given);
  if (kept !== given) output.notice("what looks like a key or a password in the evidence is not kept");
  return kept;
}

/**
 * Evidence as it is kept: a text, or name, size and hash of a file.
 * @throws {CliError} it says nothing, or is the path of a file that shows nothing: closing a handoff cannot be undone
 */
async function evidenceFrom(given: string, output: Output): Promise<string> {
  if (!/[\p{L}\p{N}]/u.test(given)) throw usageError("--evidence is empty: say what shows that it was done");
  if (/\n/.test(given) || given.length > 1024) return evidenceText(given, output);
  const path = absolute(given);
  const meansFile = pathLike.test(given);
  if (meansFile) requirePermissions("reading the evidence", [{ name: "read", path }]);
  else if (!granted({ name: "read", path })) return evidenceText(given, output);
  let size: number;
  try {
    const { isFile, isDirectory, size: bytes } = Deno.statSync(path);
    if (!isFile) throw new Error(`it is ${isDirectory ? "a folder" : "no regular file"}`);
    size = bytes;
  } catch (error) {
    if (!meansFile) return evidenceText(given, output);
    const reason = error instanceof Deno.errors.NotFound ? "it does not exist" : (error as Error).message;
    throw new CliError(`the evidence ${given} cannot be read: ${reason}`, exit.failed, { cause: error });
  }
  if (size > EVIDENCE_LIMIT) throw new CliError(`${given} is larger than ${EVIDENCE_LIMIT / 2 ** 20} MiB`);
  if (size === 0) throw new CliError(`${given} is empty and shows nothing`);
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  try {
    using file = await Deno.open(path);
    for await (const chunk of file.readable) hash.update(chunk);
  } catch (error) {
    throw new CliError(`${given} cannot be read: ${(error as Error).message}`, exit.failed, { cause: error });
  }
  return `file ${basename(path)}, ${size} bytes, sha256 ${hash.digest("hex")}`;
}

/** Runs a handoff command. @returns the exit code */
export async function runHandoff(
  { command, positionals, values }: Arguments,
  standard: string,
  output: Output,
): Promise<number> {
  const action = command.name.split(" ")[1];
  const place = placeOf(values.db, standard);
  const target = positionals[0] === undefined ? undefined : numbersOf(positionals[0]);
  if (action !== "done" && target?.item !== undefined) {
    throw usageError(`"${command.name}" takes a handoff, not an item`);
  }
  let item = target?.item;
  if (values.item !== undefined) {
    if (item !== undefined) throw usageError("--item and N.ITEM exclude each other");
    item = wholeNumber("--item", values.item, 1, 999_999);
  }
  let evidence = "";
  if (action === "done") {
    if (values.evidence === undefined) {
      throw usageError('"handoff done" needs --evidence: a text or a file that shows it');
    }
    evidence = await evidenceFrom(values.evidence, output);
  }
  const writes = action === "done" || action === "cancel";
  using opened = await openForCommand(place, `"${command.name}"`, writes);
  if (action === "list") {
    const state = values.state ?? "open";
    const all = opened?.memory.handoffs.list(state === "all" ? {} : { state: state as Handoff["state"] }) ?? [];
    if (opened === null) output.notice(`there is no memory yet in ${place.path}`);
    output.result({ handoffs: all.map(handoffJson), notices: output.notices }, (paint) => {
      if (all.length === 0) return state === "all" ? "There is no handoff." : `There is no ${state} handoff.`;
      return all.map(({ id, state, task, items, createdAt }) => {
        const done = items.filter((one) => one.state === "done").length;
        const head = `${paint.bold(String(id))}  ${visibleLine(state)}  ${done}/${items.length} done`;
        return `${head}  ${paint.dim(visibleLine(createdAt).slice(0, 16))}  ${visibleLine(task).slice(0, 100)}`;
      }).join("\n");
    });
    return exit.done;
  }
  const { id } = target!;
  const handoffs = opened?.memory.handoffs;
  const before = handoffs?.get(id);
  if (handoffs === undefined || before === undefined) throw new CliError(`there is no handoff ${id} in ${place.path}`);
  if (item !== undefined && (item < 1 || item > before.items.length)) {
    const count = before.items.length;
    throw new CliError(`handoff ${id} has ${count} ${count === 1 ? "item" : "items"}, no item ${item}`);
  }
  if (action === "cancel") handoffs.cancel(id, values.reason);
  else if (action === "done" && item !== undefined) handoffs.completeItem(id, item, evidence);
  else if (action === "done") handoffs.complete(id, evidence);
  const after = handoffs.get(id)!;
  if (action === "done" && after.state === "done" && after.domain === "hybrid") {
    output.notice("the person's part is closed; a digital step that waited for it is run when it is given as a task");
  }
  output.result({ ...handoffJson(after), notices: output.notices }, (paint) => handoffText(after, paint));
  return exit.done;
}
