/**
 * The commands and their options, as data: the reader of arguments, the help and the completions stand on this one table.
 * @module
 */
import { entryTypes } from "../../memory/entries.ts";

/** One option. */
export interface Option {
  /** Whether a value follows. */
  readonly type: "boolean" | "string";
  /** Whether it may be given more than once. */
  readonly multiple?: boolean;
  /** One letter. */
  readonly short?: string;
  /** What stands for the value in the help. */
  readonly value?: string;
  /** What it does, without a full stop. */
  readonly text: string;
  /** The only values that it takes. */
  readonly choices?: readonly string[];
  /** Whether its value names a file, for completions. */
  readonly file?: boolean;
}

/** All options by name; a name means the same in every command. */
export const options = {
  file: {
    type: "string",
    multiple: true,
    value: "FILE",
    file: true,
    text: "a file that the task is about; - for standard input; may be repeated",
  },
  "input-text": { type: "string", value: "TEXT", text: "a text that the task is about" },
  "route-only": { type: "boolean", text: "plan only, run no executor" },
  "run-prepare": { type: "boolean", text: "really prepare the data where the task asks for it" },
  "run-train": { type: "boolean", text: "really train where the task asks for it" },
  preset: {
    type: "string",
    value: "NAME",
    // Those of trainer/presets.ts, which planning does not load; a test compares the two.
    choices: ["h100", "upstream", "gpu-small", "cpu", "cpu-tiny"],
    text: "with --run-prepare or --run-train: the preset",
  },
  source: { type: "string", value: "SOURCE", text: "with --run-prepare or --run-train: the text to train on" },
  seconds: { type: "string", value: "S", text: "with --run-train: training time of a run" },
  hours: { type: "string", value: "H", text: "with --run-train: hours of a session" },
  experiments: { type: "string", value: "N", text: "with --run-train: experiments of a session" },
  judge: {
    type: "string",
    value: "KIND:MODEL",
    text: "let a language model check the routing: openai:MODEL or anthropic:MODEL",
  },
  db: {
    type: "string",
    value: "FILE",
    file: true,
    text: "the memory to use (default: AI-Memory/memory.db of this repository)",
  },
  format: {
    type: "string",
    value: "FORMAT",
    choices: ["json", "text"],
    text: "json or text (default: text on a terminal, else json)",
  },
  quiet: { type: "boolean", short: "q", text: "no notices on standard error" },
  jsonl: { type: "string", value: "FILE", file: true, text: 'classify one {"task": …} a line, - for standard input' },
  evidence: {
    type: "string",
    value: "TEXT|FILE",
    text: "what shows that it was done: a text, or a file whose hash is kept",
    file: true,
  },
  item: { type: "string", value: "K", text: "only this item of the checklist" },
  reason: { type: "string", value: "TEXT", text: "why it is cancelled" },
  state: {
    type: "string",
    value: "STATE",
    choices: ["open", "done", "cancelled", "all"],
    text: "open, done, cancelled or all (default: open)",
  },
  limit: { type: "string", value: "N", text: "how many at most (default: 10)" },
  type: {
    type: "string",
    value: "TYPE",
    text: "only entries of this type",
    choices: entryTypes,
  },
  anchor: { type: "string", value: "HEAD", text: "a head that an earlier check printed and that must still be there" },
  help: { type: "boolean", short: "h", text: "this text" },
  version: { type: "boolean", short: "V", text: "the version" },
} as const satisfies Record<string, Option>;

/** Name of an option. */
export type OptionName = keyof typeof options;

/** One command. */
export interface Command {
  /** Words after the name of the script. */
  readonly name: string;
  /** What stands behind it in the usage line. */
  readonly usage: string;
  /** One sentence. */
  readonly summary: string;
  /** What else a user has to know. */
  readonly details?: string;
  /** Options beside the general ones. */
  readonly options: readonly OptionName[];
  /** How many arguments it takes: least and most. */
  readonly positionals: readonly [least: number, most: number];
  /** The only values of its first argument. */
  readonly choices?: readonly string[];
}

/** Options of every command. */
export const generalOptions: readonly OptionName[] = ["format", "quiet", "help"];

/** What `cli.ts "<task>"` is; it has no word of its own. */
export const taskCommand: Command = {
  name: "",
  usage: '"<task>" | -',
  summary: "Routes a task: does the digital part where that only reads, hands the rest to a person, remembers it.",
  options: [
    "file",
    "input-text",
    "route-only",
    "run-prepare",
    "run-train",
    "preset",
    "source",
    "seconds",
    "hours",
    "experiments",
    "judge",
    "db",
    "version",
  ],
  positionals: [1, Infinity],
};

/** The subcommands, in the order of the help. */
export const commands: readonly Command[] = [
  {
    name: "classify",
    usage: '"<task>" | - | --jsonl FILE',
    summary: "Says what of a task needs software and what a person; plans and remembers nothing.",
    details:
      `With --jsonl each line is an object with a "task"; each line of the output is its classification, in the same
order. A line that cannot be read gives {"error": …, "line": …}, and the exit code is 1.`,
    options: ["jsonl", "judge"],
    positionals: [0, Infinity],
  },
  {
    name: "handoff list",
    usage: "",
    summary: "Lists handoffs, the open ones unless --state says otherwise.",
    options: ["state", "db"],
    positionals: [0, 0],
  },
  {
    name: "handoff show",
    usage: "N",
    summary: "Shows a handoff with its checklist, safety notes and evidence.",
    options: ["db"],
    positionals: [1, 1],
  },
  {
    name: "handoff done",
    usage: "N[.ITEM] --evidence TEXT|FILE",
    summary: "Closes a handoff, or one item of it, with evidence.",
    details:
      `Evidence that is the path of a file is kept as the file's name, size and SHA-256; anything else is kept as text.
Without an item every open item gets the evidence.`,
    options: ["evidence", "item", "db"],
    positionals: [1, 1],
  },
  {
    name: "handoff cancel",
    usage: "N",
    summary: "Cancels a handoff that nobody is going to do.",
    options: ["reason", "db"],
    positionals: [1, 1],
  },
  {
    name: "memory search",
    usage: "WORDS",
    summary: "Finds entries of the memory.",
    options: ["limit", "type", "db"],
    positionals: [1, Infinity],
  },
  {
    name: "memory recent",
    usage: "",
    summary: "Shows the latest entries of the memory.",
    options: ["limit", "type", "db"],
    positionals: [0, 0],
  },
  {
    name: "memory export",
    usage: "",
    summary: "Writes all entries of the memory, one JSON object a line.",
    options: ["db"],
    positionals: [0, 0],
  },
  {
    name: "memory verify",
    usage: "",
    summary: "Checks the memory's audit chain, its file and its index; exit code 1 if anything is wrong.",
    details:
      `The report ends with the chain's head. Whoever notes it down elsewhere and gives it to a later check with --anchor
finds also a chain that was computed anew as a whole.`,
    options: ["anchor", "db"],
    positionals: [0, 0],
  },
  {
    name: "memory stats",
    usage: "",
    summary: "Counts what the memory holds.",
    options: ["db"],
    positionals: [0, 0],
  },
  {
    name: "completions",
    usage: "bash | zsh | fish",
    summary: "Prints completions for a shell, for a command named researchswarm.",
    details: `Install the command first, for instance with
  deno install --global --name researchswarm --allow-read=… --allow-write=… cli.ts
or as a shell function, then: source <(researchswarm completions bash)`,
    options: [],
    positionals: [1, 1],
    choices: ["bash", "zsh", "fish"],
  },
  {
    name: "help",
    usage: "[command]",
    summary: "Explains a command.",
    options: [],
    positionals: [0, 2],
  },
];

/** First words of commands: a task that begins with one of these as a word of its own goes behind --. */
export const commandWords: ReadonlySet<string> = new Set(commands.map(({ name }) => name.split(" ")[0]));
