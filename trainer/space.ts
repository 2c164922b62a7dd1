/**
 * The search space written in `train.ts`: the one parser and the one editor of its `#space` block.
 *
 * The block stands inside the object literal of `config`, between a line `// #space` and a line `// #end`, one constant
 * a line, each with a trailing comma. What may follow the comma:
 *
 * | comment | meaning |
 * | --- | --- |
 * | `// log 0.005..0.2` | a real number, searched on a logarithmic scale |
 * | `// linear 0..1` | a real number |
 * | `// int 4..16` | a whole number |
 * | `// logint 1024..65536` | a whole number on a logarithmic scale |
 * | `// of relu2 gelu swiglu` | one of these: bare words are strings, `true` and `false` booleans, numbers numbers, anything else stands in double quotes |
 * | `// fixed`, or none | not searched |
 *
 * A note may follow after a semicolon: `// int 4..16; layers`. Bounds belong to the range. Literals are numbers (decimal,
 * with an optional exponent; `4_096` is read, never written), strings in double quotes, `true` and `false`. Blank lines
 * and lines of comment are left alone; anything else in the block is an error. Nothing here runs the file.
 * @module
 */
import type { Config } from "./contract.ts";

/** What a constant of the block may be. */
export type Literal = number | string | boolean;

/** Values that a constant may take: an interval (bounds included) or a list. */
export type SpaceRange =
  | { readonly kind: "log" | "linear" | "int" | "logint"; readonly low: number; readonly high: number }
  | { readonly kind: "of"; readonly choices: readonly Literal[] };

/** One constant of the block. */
export interface SpaceParameter {
  /** Name of the constant. */
  readonly name: string;
  /** Its literal. */
  readonly value: Literal;
  /** Line in the file, from 1. */
  readonly line: number;
  /** Absent for a fixed constant. */
  readonly range?: SpaceRange;
}

/** A block that is missing or malformed, or a value that it does not allow. */
export class SpaceError extends Error {
  /** Name of the class, as errors print it. */
  override name = "SpaceError";
  /** @param line line of the file, from 1; 0 when the complaint is about no line in particular */
  /**
   * Creates one.
   * @param message one sentence
   * @param line line of the file, from 1
   */
  constructor(message: string, readonly line: number) {
    super(line > 0 ? `#space block, line ${line}: ${message}` : `#space block: ${message}`);
  }
}

/** A parameter and where its literal stands in the source. */
interface Entry extends SpaceParameter {
  readonly start: number;
  readonly end: number;
}

const NUMBER = String.raw`-?(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d+(?:_\d+)*)?(?:[eE][+-]?\d+)?`;
const STRING = String.raw`"(?:[^"\\]|\\.)*"`;
const NUMBER_ONLY = new RegExp(`^${NUMBER}$`);
const INTERVAL = new RegExp(`^(${NUMBER})\\.\\.(${NUMBER})$`);
const CONSTANT = new RegExp(`^(\\s*([A-Za-z_$][\\w$]*)\\s*:\\s*)(${STRING}|[^\\s,"]+)\\s*(,?)\\s*(//.*)?$`);
const CHOICE = new RegExp(`\\s*(${STRING}|[^\\s";]+)(?=[\\s;]|$)`, "y");

const show = (value: Literal) => JSON.stringify(value);

/** The value of a literal's text, or undefined where it is none of the kinds that the block allows. */
function literalOf(text: string): Literal | undefined {
  if (text === "true" || text === "false") return text === "true";
  if (NUMBER_ONLY.test(text)) {
    const value = Number(text.replaceAll("_", ""));
    return Number.isFinite(value) ? value : undefined;
  }
  if (!text.startsWith('"')) return undefined;
  try {
    return JSON.parse(text) as string;
  } catch {
    return undefined;
  }
}

function parseChoices(text: string, line: number): SpaceRange {
  const choices: Literal[] = [];
  CHOICE.lastIndex = 0;
  let end = 0;
  for (let match = CHOICE.exec(text); match; match = CHOICE.exec(text)) {
    end = CHOICE.lastIndex;
    const value = literalOf(match[1]) ?? (/^[A-Za-z]\w*$/.test(match[1]) ? match[1] : undefined);
    if (value === undefined) throw new SpaceError(`the choice ${match[1]} is no number, word or string`, line);
    if (choices.includes(value)) throw new SpaceError(`the choice ${show(value)} stands twice`, line);
    choices.push(value);
    CHOICE.lastIndex = end;
  }
  if (!/^\s*(;.*)?$/.test(text.slice(end))) {
    throw new SpaceError(`the list of choices cannot be read from "${text.slice(end).trim()}" on`, line);
  }
  if (choices.length < 2) throw new SpaceError("`of` needs two choices or more", line);
  return { kind: "of", choices };
}

/** The range in a comment (without its slashes), or undefined for `fixed`. */
function parseRange(comment: string, line: number): SpaceRange | undefined {
  const [, kind, rest] = comment.match(/^\s*(\w*)(.*)$/s)!;
  if (kind === "of") return parseChoices(rest, line);
  const text = rest.split(";", 1)[0].trim();
  if (kind === "fixed" || (kind === "" && text === "" && rest.includes(";"))) {
    if (text !== "") throw new SpaceError("a note begins after a semicolon: `// fixed; why`", line);
    return undefined;
  }
  if (kind !== "log" && kind !== "linear" && kind !== "int" && kind !== "logint") {
    throw new SpaceError(`the comment must be log, linear, int, logint, of or fixed, got "${comment.trim()}"`, line);
  }
  const bounds = text.match(INTERVAL);
  if (!bounds) throw new SpaceError(`${kind} needs bounds such as 1..8, got "${text}"`, line);
  const [low, high] = [literalOf(bounds[1]), literalOf(bounds[2])];
  if (typeof low !== "number" || typeof high !== "number") throw new SpaceError("a bound is too large", line);
  if (!(low < high)) throw new SpaceError(`the lower bound must be below the upper one, got ${low}..${high}`, line);
  if (kind.startsWith("log") && low <= 0) {
    throw new SpaceError(`${kind} needs a positive lower bound, got ${low}`, line);
  }
  if (kind.endsWith("int") && !(Number.isSafeInteger(low) && Number.isSafeInteger(high))) {
    throw new SpaceError(`${kind} needs whole bounds, got ${low}..${high}`, line);
  }
  return { kind, low, high };
}

/**
 * Says why `value` is not allowed for a parameter.
 * @returns null when it is allowed: the type of the present literal for a fixed constant, within the range otherwise
 */
export function checkValue(parameter: SpaceParameter, value: Literal): string | null {
  const { name, range } = parameter;
  if (typeof value === "number" && !Number.isFinite(value)) return `${name} must be finite, got ${value}`;
  if (range?.kind === "of") {
    return range.choices.includes(value)
      ? null
      : `${name} must be one of ${range.choices.map(show).join(", ")}, got ${show(value)}`;
  }
  if (!range) {
    return typeof value === typeof parameter.value
      ? null
      : `${name} must be a ${typeof parameter.value}, got ${show(value)}`;
  }
  if (typeof value !== "number") return `${name} must be a number, got ${show(value)}`;
  if (range.kind.endsWith("int") && !Number.isSafeInteger(value)) return `${name} must be a whole number, got ${value}`;
  if (value >= range.low && value <= range.high) return null;
  return `${name} must lie in ${range.low}..${range.high}, got ${value}`;
}

/** Start of every line and its text without the line end. */
function* linesOf(source: string): Generator<{ number: number; start: number; text: string }> {
  let start = 0;
  for (let number = 1; start <= source.length; number++) {
    let end = source.indexOf("\n", start);
    if (end < 0) end = source.length;
    yield { number, start, text: source.slice(start, end).replace(/\r$/, "") };
    start = end + 1;
  }
}

function parseEntries(source: string): Entry[] {
  const entries: Entry[] = [];
  let state: "before" | "inside" | "after" = "before";
  for (const { number, start, text } of linesOf(source)) {
    const trimmed = text.trim();
    if (/^\/\/\s*#space\b/.test(trimmed)) {
      if (trimmed !== "// #space") throw new SpaceError("the line must be exactly `// #space`", number);
      if (state === "inside") throw new SpaceError("`// #space` inside a block", number);
      if (state === "after") throw new SpaceError("a second block; there must be one", number);
      state = "inside";
      continue;
    }
    if (/^\/\/\s*#end\b/.test(trimmed)) {
      if (trimmed !== "// #end") throw new SpaceError("the line must be exactly `// #end`", number);
      if (state !== "inside") throw new SpaceError("`// #end` without `// #space` before it", number);
      state = "after";
      continue;
    }
    if (state !== "inside" || trimmed === "" || trimmed.startsWith("//")) continue;
    const match = text.match(CONSTANT);
    if (!match) throw new SpaceError(`expected \`name: literal, // range\`, got "${trimmed}"`, number);
    const [, before, name, literal, comma, comment] = match;
    if (name === "__proto__") throw new SpaceError("`__proto__` is no name for a constant", number);
    if (entries.some((entry) => entry.name === name)) throw new SpaceError(`${name} is defined twice`, number);
    const value = literalOf(literal);
    if (value === undefined) {
      throw new SpaceError(
        `${name} must be a number, a string in double quotes, true or false, got ${literal}`,
        number,
      );
    }
    if (comma === "") throw new SpaceError(`a comma must follow the literal of ${name}`, number);
    const range = comment === undefined ? undefined : parseRange(comment.slice(2), number);
    const from = start + before.length;
    const entry: Entry = {
      name,
      value,
      line: number,
      ...(range && { range }),
      start: from,
      end: from + literal.length,
    };
    const complaint = checkValue(entry, value);
    if (complaint) throw new SpaceError(complaint, number);
    entries.push(entry);
  }
  if (state === "before") throw new SpaceError("there is none; it begins with a line `// #space`", 0);
  if (state === "inside") throw new SpaceError("`// #space` without a line `// #end`", 0);
  if (entries.length === 0) throw new SpaceError("it is empty", 0);
  return entries;
}

/**
 * Reads the block of a `train.ts`.
 * @param source text of the whole file
 * @returns the constants in the order of the file
 * @throws SpaceError, with the line, where the block is missing, doubled or malformed, or a literal lies outside its range
 * @example
 * ```ts
 * const [depth] = parseSpace("export const config = {\n  // #space\n  depth: 8, // int 4..16\n  // #end\n};");
 * if (depth.value !== 8 || depth.line !== 3 || depth.range?.kind !== "int") throw new Error("unexpected");
 * ```
 */
export function parseSpace(source: string): SpaceParameter[] {
  return parseEntries(source).map(({ start: _start, end: _end, ...parameter }) => parameter);
}

/** The constants of a block as the `config` that `train.ts` exports. */
export function configOf(parameters: readonly SpaceParameter[]): Config {
  return Object.fromEntries(parameters.map(({ name, value }) => [name, value]));
}

/**
 * Replaces literals of the block; every other byte stays, and so does the literal of a value that does not change.
 * @param source text of the whole file
 * @param values new values by name
 * @returns the new text; parsing it gives `values`
 * @throws SpaceError for a malformed block, an unknown name, or a value outside the range (for a fixed constant: of
 * another type)
 */
export function editSpace(source: string, values: Partial<Config>): string {
  const entries = parseEntries(source);
  for (const name of Object.keys(values)) {
    if (!entries.some((entry) => entry.name === name)) throw new SpaceError(`there is no constant ${name}`, 0);
  }
  let result = "";
  let copied = 0;
  for (const entry of entries) {
    const value = Object.hasOwn(values, entry.name) ? values[entry.name] : undefined;
    if (value === undefined || value === entry.value) continue;
    const complaint = checkValue(entry, value);
    if (complaint) throw new SpaceError(complaint, entry.line);
    result += source.slice(copied, entry.start) + show(value);
    copied = entry.end;
  }
  return result + source.slice(copied);
}

/**
 * Reads settings such as `depth=6`, as `--set` takes them.
 * @param source text of the whole file
 * @param words each a name, `=`, and a number, true, false or a word
 * @returns the values by name
 * @throws Error, in one sentence that begins with the setting, for one that is none, stands twice, names no constant, or
 * is outside its range; SpaceError for a malformed block
 */
export function settingsOf(source: string, words: readonly string[]): Config {
  const parameters = parseEntries(source);
  const settings: Config = {};
  for (const word of words) {
    const refuse = (why: string) => new Error(`--set ${word}: ${why}`);
    const [, name, text] = word.match(/^([^=]+)=(.+)$/s) ?? [];
    if (name === undefined) throw refuse("must be NAME=VALUE");
    const parameter = parameters.find((one) => one.name === name);
    if (parameter === undefined) throw refuse(`there is no constant ${name}`);
    if (Object.hasOwn(settings, name)) throw refuse(`${name} is set twice`);
    const value = literalOf(text) ?? text;
    const complaint = checkValue(parameter, value);
    if (complaint !== null) throw refuse(complaint);
    settings[name] = value;
  }
  return settings;
}
