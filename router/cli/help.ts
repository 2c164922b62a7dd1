/**
 * The manual, made of the table of commands.
 * @module
 */
import {
  type Command,
  commands,
  generalOptions,
  type Option,
  type OptionName,
  options,
  taskCommand,
} from "./commands.ts";
import { usageError } from "./errors.ts";

const SCRIPT = "deno run cli.ts";

/** One line for each option, texts in one column. */
function optionLines(names: readonly OptionName[]): string {
  const rows = names.map((name) => {
    const option: Option = options[name];
    const short = option.short === undefined ? "" : `-${option.short}, `;
    return [`${short}--${name}${option.value === undefined ? "" : ` ${option.value}`}`, option.text];
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, text]) => `  ${left.padEnd(width)}  ${text}`).join("\n");
}

const general =
  `Reads a task, says what of it software can do and what needs a person, does the digital part where that only reads,
and hands the rest over as a checklist that stays open until somebody gives evidence.

usage: ${SCRIPT} [options] "<task>"      or - to read the task from standard input
       ${SCRIPT} <command> …
`;

const after = `
A task whose first word is a command goes in quotation marks ("memory leak in the loader: find it") or behind --.
--run-prepare and --run-train need --allow-run=deno before the name of the script; everything else that a task needs is
said in one sentence when it is missing. Without --allow-read=AI-Memory --allow-write=AI-Memory nothing is remembered.

Environment: NO_COLOR; for --judge OPENAI_API_KEY and OPENAI_BASE_URL, or ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL.

Exit codes: 0 the command did its work (whether the task is finished says "status": planned, done, awaiting-human,
needs-clarification or failed); 1 something could not be read, kept, run or verified; 2 the command line is wrong;
3 a permission is missing, and the message names the flag.`;

/** The whole manual. */
export function generalHelp(): string {
  const width = Math.max(...commands.map(({ name, usage }) => `${name} ${usage}`.length));
  const list = commands.map(({ name, usage, summary }) => `  ${`${name} ${usage}`.padEnd(width)}  ${summary}`).join(
    "\n",
  );
  return `${general}\n${optionLines([...taskCommand.options, ...generalOptions])}\n\nCommands:\n${list}\n${after}\n`;
}

/** The manual of one command. */
function commandHelp({ name, usage, summary, details, options }: Command): string {
  return `${summary}\n\nusage: ${SCRIPT} ${name} ${usage}`.trimEnd() +
    `\n\n${details === undefined ? "" : `${details}\n\n`}${optionLines([...options, ...generalOptions])}\n`;
}

/** The manual of what words name; all of it for none. @throws {CliError} there is no such command */
export function helpOf(words: readonly string[]): string {
  if (words.length === 0) return generalHelp();
  const name = words.join(" ");
  const exact = commands.filter((command) => command.name === name);
  const found = exact.length > 0 ? exact : commands.filter((command) => command.name.startsWith(`${name} `));
  if (found.length === 0) {
    const single = commands.find((command) => command.name === words[0]);
    if (single !== undefined && words.length === 1) return commandHelp(single);
    throw usageError(`there is no command "${name}", only ${commands.map((command) => command.name).join(", ")}`);
  }
  return found.map(commandHelp).join("\n");
}
