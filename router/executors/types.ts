/**
 * What an executor is and what it promises. An executor does one kind of digital work for a task: it reads what it was
 * given, says what it really used, and gives back Markdown. Types only.
 * @module
 */

/** A text that came with the task (`--file`, `--input-text`, standard input). */
export interface ExecutorInput {
  /** What to call it: the path as the user wrote it, or "the given text". */
  readonly name: string;
  /** Its text, decoded. */
  readonly text: string;
  /** Its bytes, where it was a file; encodings, binary files and sizes are told from these. */
  readonly bytes?: Uint8Array;
  /** Bytes of the whole file, where `bytes` holds its beginning only. */
  readonly size?: number;
  /** Path after every link was followed, where it was a file; its name is checked too. */
  readonly realPath?: string;
}

/** What is known of a path without reading it. */
export interface FileFacts {
  /** What is there; pipes, devices and sockets are `other`. */
  readonly kind: "file" | "folder" | "other";
  /** Bytes. */
  readonly size: number;
  /** Path after every link was followed. */
  readonly realPath: string;
}

/** How an executor reaches files; `localFiles` is the real one. */
export interface FileAccess {
  /**
   * Bytes of a regular file.
   * @param path absolute, or relative to the current folder
   * @param limitBytes read no more than this from its beginning
   * @throws when it cannot be read
   */
  readFile(path: string, limitBytes?: number): Promise<Uint8Array>;
  /** Names in a folder, sorted. @throws when it cannot be read */
  listFolder(path: string): Promise<string[]>;
  /** What is there, links followed. @throws when nothing is there or it cannot be seen */
  fileFacts?(path: string): Promise<FileFacts>;
}

/** What an executor is given. */
export interface ExecutorContext extends FileAccess {
  /** The whole task. */
  readonly task: string;
  /** The part of it that this executor was chosen for. */
  readonly segment: string;
  /** A text that came with the task. */
  readonly input?: ExecutorInput;
  /** `sessions/` of the home folder, where sessions lie; absent: sessions are not looked for. */
  readonly sessionsFolder?: string;
  /** Folder of data, libraries and sessions. */
  readonly home?: string;
  /** What "yesterday" is counted from. */
  readonly now: Date;
  /** Ends the work early. */
  readonly signal?: AbortSignal;
}

/**
 * How an executor's work ended. `planned`: nothing was run, the text says what would be. `needs-input`: something is
 * missing, the text says what. `refused`: it must not be done, such as reading a key file.
 */
export type ExecutorStatus = "done" | "planned" | "needs-input" | "refused" | "failed";

/** What an executor gives back. Free of control characters and of secrets, wherever its words came from. */
export interface ExecutorResult {
  /** How it ended. */
  readonly status: ExecutorStatus;
  /** One line. */
  readonly title: string;
  /** Markdown. */
  readonly text: string;
  /** Files, sessions and memory entries that were really read. */
  readonly used: readonly string[];
  /** What was really done, in order. */
  readonly steps: readonly string[];
}

/** One kind of digital work. */
export interface Executor {
  /** Such as `summarizer`. */
  readonly name: string;
  /** One sentence for people. */
  readonly purpose: string;
  /** `read`: runs at once, changes nothing. `train`: runs only with its flag. */
  readonly effect: "read" | "train";
  /**
   * How well it fits.
   * @param segment one digital part of the task
   * @param task the whole task
   * @param hasInput whether a text came with the task
   * @returns 0 (not at all) to 1
   */
  match(segment: string, task: string, hasInput: boolean): number;
  /** What it would do, in order, without doing it. */
  steps(context: ExecutorContext): string[];
  /** Does it. Never throws: what goes wrong is a result of status `failed`. */
  run(context: ExecutorContext): Promise<ExecutorResult>;
}
