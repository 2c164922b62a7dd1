/**
 * Cuts a stream of bytes into lines without holding more than one of them.
 * @module
 */

/** One line; `text` is null where it was longer than the limit. */
export interface Line {
  /** 1, 2, 3 … */
  readonly number: number;
  /** The line without its break; broken UTF-8 is marked as such. */
  readonly text: string | null;
}

/**
 * The lines of a stream, in batches of what arrived together. A final line break makes no empty line.
 * @param limitBytes a longer line is given as null
 */
export async function* linesOf(stream: AsyncIterable<Uint8Array>, limitBytes: number): AsyncGenerator<Line[]> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  let number = 0;
  const end = (): Line => {
    number++;
    let text: string | null = null;
    if (length <= limitBytes) {
      const whole = new Uint8Array(length);
      let at = 0;
      for (const piece of pieces) {
        whole.set(piece, at);
        at += piece.length;
      }
      const decoded = new TextDecoder("utf-8", { ignoreBOM: number > 1 }).decode(whole);
      text = decoded.endsWith("\r") ? decoded.slice(0, -1) : decoded;
    }
    pieces = [];
    length = 0;
    return { number, text };
  };
  for await (const chunk of stream) {
    const lines: Line[] = [];
    let from = 0;
    for (let to = chunk.indexOf(10); to >= 0; to = chunk.indexOf(10, from)) {
      length += to - from;
      if (length <= limitBytes) pieces.push(chunk.subarray(from, to));
      lines.push(end());
      from = to + 1;
    }
    length += chunk.length - from;
    if (length <= limitBytes) {
      if (from < chunk.length) pieces.push(chunk.slice(from));
    } else {
      pieces = [];
    }
    if (lines.length > 0) yield lines;
  }
  if (length > 0) yield [end()];
}
