/**
 * The model file: JSON with sizes and one base64 text that holds, each at a multiple of 4 bytes, the lexicon's hashes,
 * classes and vectors, and the network's weights as 8-bit numbers with a scale a row. It is imported, so reading it needs
 * no permission.
 * @module
 */
import { Lexicon } from "./lexicon.ts";
import { Network, type NetworkSizes, type QuantizedMatrix, weightShapes } from "./network.ts";

/** Contents of `model.json`. */
export interface ModelFile {
  /** Rises when the layout changes. */
  readonly format: number;
  /** Sizes of the network. */
  readonly sizes: NetworkSizes;
  /** Words in the lexicon. */
  readonly words: number;
  /** Numbers that turn log-odds into probabilities, see `calibration.ts`. */
  readonly calibration: Calibration;
  /** Everything else. */
  readonly data: string;
}

/** How log-odds become decisions and probabilities; fitted on tasks that were not trained on. */
export interface Calibration {
  /** Log-odds from which a long part counts as a person's, see `personFrom`. Below zero: a doubtful part is a person's. */
  readonly threshold: number;
  /** Log-odds are divided by it. */
  readonly temperature: number;
  /** Confidence in a domain: logistic of `bias + slope·(log-odds of the least certain decision)`. */
  readonly bias: number;
  /** See `bias`. */
  readonly slope: number;
}

/** Layout that this program reads. */
export const modelFormat = 1;

/** A model that is ready to use. */
export interface Model {
  /** Words. */
  readonly lexicon: Lexicon;
  /** Reads tokens. */
  readonly network: Network;
  /** Turns log-odds into probabilities. */
  readonly calibration: Calibration;
}

/** Opens a model. @throws Error for a file of another layout or a truncated one */
export function openModel(file: ModelFile): Model {
  if (file.format !== modelFormat) throw new Error(`the router's model has layout ${file.format}, not ${modelFormat}`);
  // Into an array of the right size: V8's `fromBase64` first guesses one and copies, which takes twice as long.
  const digits = file.data.length - (file.data.endsWith("==") ? 2 : file.data.endsWith("=") ? 1 : 0);
  const bytes = new Uint8Array(Math.floor(digits * 3 / 4));
  bytes.setFromBase64(file.data);
  let at = 0;
  const take = (length: number) => {
    const part = bytes.subarray(at, at + length);
    if (part.length !== length) throw new Error("the router's model is truncated");
    at += Math.ceil(length / 4) * 4;
    return part;
  };
  const floats = (count: number) => {
    const part = take(4 * count);
    return new Float32Array(part.buffer, part.byteOffset, count);
  };
  const { words, sizes } = file;
  const hashes = take(4 * words);
  const lexicon = new Lexicon(
    new Uint32Array(hashes.buffer, hashes.byteOffset, words),
    take(words),
    take(words * sizes.lexicon / 2),
    floats(sizes.lexicon),
  );
  const weights = new Map<string, QuantizedMatrix>();
  for (const [name, [rows, columns]] of weightShapes(sizes)) {
    weights.set(name, { scales: floats(rows), bytes: take(rows * columns) });
  }
  return { lexicon, network: new Network(sizes, weights, lexicon), calibration: file.calibration };
}

/** Tokens from which a part counts as long. */
const longPart = 12;

/**
 * Log-odds from which a part counts as a person's. They are a sum over tokens, so that those of a short part are near zero
 * and the threshold of a short part is, too.
 * @param tokens length of the part
 */
export function personFrom({ threshold }: Pick<Calibration, "threshold">, tokens: number): number {
  return threshold * Math.min(1, tokens / longPart);
}

/**
 * How sure the reading of a whole task is, before it is calibrated: the log-odds of its least certain decision.
 * @param margins log-odds of its parts beyond `personFrom`
 * @param doubt log-odds against the tags that were chosen, see `Reading`
 */
export function certainty(
  margins: readonly number[],
  doubt: number,
  { temperature }: Pick<Calibration, "temperature">,
): number {
  let least = -doubt;
  for (const margin of margins) least = Math.min(least, Math.abs(margin) / temperature);
  return least;
}

/** Calibrated probability that the domain of a task is right. Arguments as of `certainty`. */
export function confidence(margins: readonly number[], doubt: number, calibration: Calibration): number {
  return 1 / (1 + Math.exp(-calibration.bias - calibration.slope * certainty(margins, doubt, calibration)));
}
