/**
 * Reads the command line by the table of `commands.ts`. Every mistake is one sentence, with the nearest option or command
 * where one is near.
 * @module
 */
import { parseArgs } from "node:util";
import {
  type Command,
  commands,
  commandWords,
  generalOptions,
  type OptionName,
  options,
  taskCommand,
} from "./commands.ts";
import { CliError, exit, usageError } from "./errors.ts";

/** What a command line says. */
export interface Arguments {
  /** The command. */
  readonly command: Command;
  /** Words behind it. */
  readonly positionals: readonly string[];
  /** Options that were given. */
  readonly values: {
    readonly [name in OptionName]?: (typeof options)[name]["type"] extends "boolean" ? boolean : string;
  };
  /** Every `--file`, in order. */
  readonly files: readonly string[];
  /** The command that the first word of a task is near to. */
  readonly near?: string;
}

/** How many letters have to change to make one word of another. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/** The nearest of some words, where one is near enough to be meant. */
export function nearest(word: string, choices: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const choice of choices) {
    const distance = choice.startsWith(word) && word.length >= 2 ? 1 : editDistance(word.slice(0, 40), choice);
    if (distance < least) {
      least = distance;
      best = choice;
    }
  }
  return best;
}

/** The word in quotation marks with its control characters spelled out, cut where it is long. */
export function quoted(word: string): string {
  const cut = word.length > 60 ? `${word.slice(0, 60)}…` : word;
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const helpCommand = commands.find(({ name }) => name === "help")!;

/** The command that words name, and how many of them name it. */
function findCommand(words: readonly string[]): { command: Command; used: number } {
  const [first, second] = words;
  if (first === undefined || !commandWords.has(first)) return { command: taskCommand, used: 0 };
  const single = commands.find(({ name }) => name === first);
  if (single !== undefined) return { command: single, used: 1 };
  const group = commands.filter(({ name }) => name.startsWith(`${first} `));
  const double = group.find(({ name }) => name === `${first} ${second}`);
  if (double !== undefined) return { command: double, used: 2 };
  const names = group.map(({ name }) => name.slice(first.length + 1));
  if (second === undefined) throw usageError(`${first} needs one of ${names.join(", ")}`);
  const near = nearest(second, names);
  throw usageError(
    `there is no "${first} ${quoted(second).slice(1, -1)}"${
      near === undefined ? `, only ${names.join(", ")}` : `; did you mean "${first} ${near}"`
    } (a task that begins with "${first}" goes in quotation marks or behind --)`,
  );
}

/**
 * Reads a command line.
 * @throws {CliError} exit code 2
 */
export function readArguments(args: readonly string[]): Arguments {
  // Not strict: the words of our own errors are better, and parseArgs knows no commands.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const end = tokens.find(({ kind }) => kind === "option-terminator")?.index ?? Infinity;
  const words = tokens.flatMap((token) => token.kind === "positional" ? [token] : []);
  const named = words.filter(({ index }) => index < end).map(({ value }) => value);
  if (tokens.some((token) => token.kind === "option" && token.name === "help")) {
    const topic = named.length > 0 && commandWords.has(named[0]) ? named.slice(0, 2) : [];
    return { command: helpCommand, positionals: topic, values: {}, files: [] };
  }
  const { command, used } = findCommand(named);
  const allowed: readonly string[] = [...command.options, ...generalOptions];
  const values: Record<string, string | boolean> = {};
  const files: string[] = [];
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const option = (options as Record<
      string,
      (typeof options)[OptionName] & { multiple?: boolean; file?: boolean; choices?: readonly string[] }
    >)[
      name
    ];
    if (option === undefined || !Object.hasOwn(options, name)) {
      const near = name.length < 2 ? undefined : nearest(name, allowed);
      const hint = near !== undefined
        ? `; did you mean --${near}`
        : command.name === "" && !rawName.startsWith("--")
        ? " (a task that begins with a dash goes behind --)"
        : "";
      throw usageError(`there is no option ${quoted(rawName).slice(1, -1)}${hint}`);
    }
    if (!allowed.includes(name)) {
      const owners = [taskCommand, ...commands].filter((one) => one.options.includes(name as OptionName));
      const owner = owners.map((one) => one.name === "" ? "a task" : `"${one.name}"`).slice(0, 3).join(", ");
      throw usageError(
        `--${name} does not go with ${command.name === "" ? "a task" : `"${command.name}"`}, only with ${owner}`,
      );
    }
    if (option.type === "boolean") {
      if (value !== undefined) throw usageError(`--${name} takes no value`);
      values[name] = true;
      continue;
    }
    const missing = value === undefined || (value === "" && option.file) || (!token.inlineValue && /^--./.test(value));
    if (missing) throw usageError(`--${name} needs a value`);
    if (option.choices !== undefined && !option.choices.includes(value)) {
      throw usageError(`--${name} must be ${option.choices.join(" or ")}, got ${quoted(value)}`);
    }
    if (option.multiple) files.push(value);
    else if (name in values) throw usageError(`--${name} was given twice`);
    values[name] = value;
  }
  const positionals = words.slice(used).map(({ value }) => value);
  if (!values.version) checkPositionals(command, positionals);
  const near = used === 0 && /^[a-z]{3,14}$/i.test(named[0] ?? "") ? nearest(named[0], commandWords) : undefined;
  return { command, positionals, values, files, near };
}

function checkPositionals(command: Command, positionals: readonly string[]): void {
  const [least, most] = command.positionals;
  const name = command.name === "" ? "a task" : `"${command.name}"`;
  if (positionals.length < least) {
    throw command.name === ""
      ? new CliError("give a task in quotation marks, or - to read it from standard input; see --help", exit.usage)
      : usageError(`${name} needs ${command.usage}`);
  }
  if (positionals.length > most) {
    const word = command.name.split(" ")[0];
    throw usageError(
      `${name} takes no ${
        quoted(positionals[most])
      } (a task that begins with "${word}" goes in quotation marks or behind --)`,
    );
  }
  if (command.choices !== undefined && !command.choices.includes(positionals[0])) {
    throw usageError(`${name} knows ${command.choices.join(", ")}, not ${quoted(positionals[0])}`);
  }
}

/** A whole number of the command line. @throws {CliError} it is none, or outside the bounds */
export function wholeNumber(what: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < low || value > high) {
    throw usageError(`${what} needs a whole number from ${low} to ${high}, got ${quoted(text)}`);
  }
  return value;
}
