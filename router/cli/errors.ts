/**
 * How a command ends. Every failure is one sentence on standard error and one of four exit codes.
 * @module
 */

/** Exit codes of the command line. */
export const exit = {
  /** The command did its work. Whether a task is finished says its `status`, not the exit code. */
  done: 0,
  /** Something could not be read, kept, run or verified. */
  failed: 1,
  /** The command line was wrong. */
  usage: 2,
  /** A permission of Deno is missing; the sentence names the flag. */
  permission: 3,
} as const;

/** A failure that a user can put right; the message is one sentence. */
export class CliError extends Error {
  /** Exit code. */
  readonly code: number;

  /** Makes one. @param message one sentence without a full stop @param code exit code */
  constructor(message: string, code: number = exit.failed, options?: ErrorOptions) {
    super(message, options);
    this.name = "CliError";
    this.code = code;
  }
}

/** A mistake on the command line. */
export function usageError(message: string): CliError {
  return new CliError(`${message}; see --help`, exit.usage);
}
