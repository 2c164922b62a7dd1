/**
 * The training tasks' notation: one task a line, `{+…}` around a part that software can do, `{-…}` around a part that
 * needs a person, `\n` for a line break, `\{` and `\}` for braces. Lines that begin with `#` are comments. A task with no
 * marked part is one of which nobody can tell what is to be done.
 * @module
 */

/** A marked part of a task, by its offsets in UTF-16 units. */
export interface MarkedSegment {
  /** First character. */
  readonly start: number;
  /** One past the last character. */
  readonly end: number;
  /** Whether it needs a person. */
  readonly human: boolean;
}

/** A task with its marked parts. */
export interface MarkedTask {
  /** The text without marks. */
  readonly task: string;
  /** Parts in order of appearance. */
  readonly segments: readonly MarkedSegment[];
}

/**
 * Reads one line of the notation.
 * @throws {SyntaxError} a mark is not closed, or opened inside of another
 */
export function parseMarkup(line: string): MarkedTask {
  let task = "";
  const segments: MarkedSegment[] = [];
  let open: { start: number; human: boolean } | undefined;
  for (let i = 0; i < line.length; i++) {
    const char = line[i];
    if (char === "\\" && i + 1 < line.length && "n{}\\".includes(line[i + 1])) {
      i++;
      task += line[i] === "n" ? "\n" : line[i];
    } else if (char === "{") {
      const kind = line[++i];
      if (kind !== "+" && kind !== "-") throw new SyntaxError(`"{" at ${i} is followed by neither + nor -`);
      if (open !== undefined) throw new SyntaxError(`a part opens at ${i} inside of another`);
      open = { start: task.length, human: kind === "-" };
    } else if (char === "}") {
      if (open === undefined) throw new SyntaxError(`"}" at ${i} closes nothing`);
      segments.push({ ...open, end: task.length });
      open = undefined;
    } else task += char;
  }
  if (open !== undefined) throw new SyntaxError("a part is not closed");
  return { task, segments };
}

/** Reads a file of the notation. @throws {SyntaxError} with the number of the line */
export function parseMarkupFile(text: string): MarkedTask[] {
  const tasks: MarkedTask[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    try {
      tasks.push(parseMarkup(line));
    } catch (error) {
      throw new SyntaxError(`line ${index + 1}: ${(error as Error).message}`, { cause: error });
    }
  }
  return tasks;
}

/** The domain that a task's parts give. */
export function domainOf(segments: readonly MarkedSegment[]): "text-based" | "human-action" | "hybrid" | "unknown" {
  if (segments.length === 0) return "unknown";
  const humans = segments.filter((segment) => segment.human).length;
  return humans === 0 ? "text-based" : humans === segments.length ? "human-action" : "hybrid";
}
