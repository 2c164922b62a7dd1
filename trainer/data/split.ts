/**
 * Which document goes where: by its hash alone, so that neither the order of the files nor the day matters. Documents
 * are ranked by hash; the first 4 % of the text are the validation split, the next 2 % the sealed one, the rest trains.
 */
import { DataError } from "./error.ts";
import type { Spool } from "./spool.ts";

/** Share of the text that the validation split gets, of 1; the sealed one gets half of it. */
const SHARE = 0.04;
/** The share where 4 % are too little for the rows that a preset scores. */
const LARGEST_SHARE = 0.1;
/** Bytes of text that the validation split gets at most. */
const MOST_BYTES = 1 << 26;

/** Numbers of documents by split, each list ascending. */
export interface Splits {
  readonly train: number[];
  readonly val: number[];
  readonly sealed: number[];
}

/**
 * Divides the documents `first … first+count` of a spool.
 * @param wanted bytes that the validation split should have if that is at most a tenth of the text; 0 when validation
 * documents come from elsewhere, then only the sealed split is cut off
 * @throws DataError when there are too few documents for three splits
 */
export function splitDocuments(spool: Spool, first: number, count: number, wanted: number): Splits {
  const ranked = Array.from({ length: count }, (_, i) => first + i).sort((a, b) =>
    spool.rank(a) - spool.rank(b) || a - b
  );
  let total = 0;
  for (const document of ranked) total += spool.size(document);
  const share = Math.max(SHARE, Math.min(LARGEST_SHARE, wanted / total));
  const valBytes = wanted > 0 ? Math.min(MOST_BYTES, share * total) : 0;
  const sealedBytes = Math.min(MOST_BYTES, share * total) / 2;
  const splits: Splits = { train: [], val: [], sealed: [] };
  let val = 0;
  let sealed = 0;
  for (const document of ranked) {
    const size = spool.size(document);
    if (val < valBytes) {
      splits.val.push(document);
      val += size;
    } else if (sealed < sealedBytes) {
      splits.sealed.push(document);
      sealed += size;
    } else splits.train.push(document);
  }
  if (splits.train.length === 0 || splits.sealed.length === 0 || (wanted > 0 && splits.val.length === 0)) {
    throw new DataError(`the text is too small: ${count} different document(s) cannot fill three splits`);
  }
  for (const list of [splits.train, splits.val, splits.sealed]) list.sort((a, b) => a - b);
  return splits;
}
