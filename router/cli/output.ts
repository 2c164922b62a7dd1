/**
 * What a command writes: its result on standard output, notices of one line each on standard error. Text that came from
 * a task or a file cannot steer a terminal. Needs no permission.
 * @module
 */
import { CliError, exit } from "./errors.ts";

/** Codes that a terminal acts on, marks that turn the direction of writing, invisible letters, halves of pairs. */
const unseen =
  // deno-lint-ignore no-control-regex
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;

/** The text with everything spelled out that a terminal would act on or not show: ␛ for an escape, <U+202E> and the like. */
export function visible(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(unseen, (character) => {
    const code = character.codePointAt(0)!;
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return code === 0x7f ? "␡" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
  });
}

/** The text as `visible` gives it, on one line. */
export function visibleLine(text: string): string {
  return visible(text.replace(/\s+/g, " ").trim());
}

/** JSON that is harmless on a terminal and the same to a program: what JSON.stringify leaves raw is escaped. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Nobody reads standard output any more, as in `… | head -1`. */
export class OutputClosed extends Error {
  /** Name of the class, as errors print it. */
  override name = "OutputClosed";
}

/** Writes all of it; `writeSync` alone may write a part. @throws {OutputClosed | CliError} such as a full disk */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(stream.writeSync(bytes));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) throw new OutputClosed("standard output was closed");
      if (!(error instanceof Deno.errors.WouldBlock)) {
        throw new CliError(`the output cannot be written: ${(error as Error).message}`, exit.failed, { cause: error });
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** How a command speaks. */
export class Output {
  /** Whether the result is one JSON object. */
  readonly json: boolean;
  /** Every notice so far; the JSON carries them too. */
  readonly notices: string[] = [];
  readonly #quiet: boolean;
  readonly #color: boolean;

  /** Looks at standard output where no format was asked for. */
  constructor(format: string | undefined, quiet: boolean) {
    const terminal = Deno.stdout.isTerminal();
    this.json = format === undefined ? !terminal : format === "json";
    this.#quiet = quiet;
    this.#color = terminal && !Deno.noColor;
  }

  /** Says something beside the result, in one line on standard error. */
  notice(text: string): void {
    if (this.notices.includes(text)) return;
    this.notices.push(text);
    if (!this.#quiet) tell(`note: ${text}`);
  }

  /** Writes text as it is; what came from outside has to be `visible` already. @throws {OutputClosed} */
  write(text: string): void {
    writeAll(Deno.stdout, text);
  }

  /** Writes the result: the object as JSON, or the text that `render` makes of it. @throws {OutputClosed} */
  result(object: unknown, render: (paint: Paint) => string): void {
    if (this.json) this.write(`${safeJson(object, 2)}\n`);
    else this.write(`${render(new Paint(this.#color)).replace(/\n*$/, "")}\n`);
  }
}

/** One line on standard error. */
export function tell(line: string): void {
  try {
    writeAll(Deno.stderr, `${visibleLine(line)}\n`);
  } catch {
    // Nobody hears it.
  }
}

/** Emphasis, where a terminal shows it. */
export class Paint {
  readonly #on: boolean;

  /** Emphasises if `on`. */
  constructor(on: boolean) {
    this.#on = on;
  }

  #wrap(text: string, on: number, off: number): string {
    return this.#on ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  }

  /** A heading. */
  bold(text: string): string {
    return this.#wrap(text, 1, 22);
  }

  /** Something of less weight. */
  dim(text: string): string {
    return this.#wrap(text, 2, 22);
  }
}
