/**
 * From the model's numbers to parts: the likeliest sequence of tags in which no part begins with its inside, then each
 * part's own odds.
 * @module
 */
import type { Token } from "../text/tokens.ts";
import type { Reading } from "./network.ts";

/** A part as tokens. */
export interface DecodedPart {
  /** First token. */
  readonly from: number;
  /** One past the last. */
  readonly to: number;
  /** Log-odds that it needs a person, before calibration. */
  readonly logit: number;
}

const OUTSIDE = 0, BEGIN = 1, INSIDE = 2;

/** The likeliest tags of which no INSIDE follows an OUTSIDE or opens the task (Viterbi). */
export function bestTags(tags: Float32Array): Uint8Array {
  const count = tags.length / 3;
  const from = new Uint8Array(count * 3);
  let score = [0, 0, -Infinity];
  for (let t = 0; t < count; t++) {
    const next = [0, 0, 0];
    for (let tag = 0; tag < 3; tag++) {
      let best = tag === INSIDE ? BEGIN : OUTSIDE;
      for (let before = best; before < 3; before++) if (score[before] > score[best]) best = before;
      from[t * 3 + tag] = best;
      next[tag] = t === 0 ? (tag === INSIDE ? -Infinity : tags[tag]) : score[best] + tags[t * 3 + tag];
    }
    score = next;
  }
  const path = new Uint8Array(count);
  let tag = score.indexOf(Math.max(...score));
  for (let t = count - 1; t >= 0; t--) {
    path[t] = tag;
    tag = from[t * 3 + tag];
  }
  return path;
}

/** Parts of a task. @param tokens its tokens @param reading what the model says of them @param partBias the model's */
export function decode(tokens: readonly Token[], reading: Reading, partBias: number): DecodedPart[] {
  const path = bestTags(reading.tags);
  const parts: DecodedPart[] = [];
  for (let t = 0; t < path.length; t++) {
    if (path[t] !== BEGIN) continue;
    let to = t + 1;
    while (to < path.length && path[to] === INSIDE) to++;
    let from = t;
    while (from < to && isEdge(tokens[from], true)) from++;
    while (to > from && isEdge(tokens[to - 1], false)) to--;
    if (!tokens.slice(from, to).some((token) => token.word)) continue;
    let logit = partBias;
    for (let i = from; i < to; i++) logit += reading.votes[i];
    parts.push({ from, to, logit });
    t = Math.max(t, to - 1);
  }
  return joinConditions(tokens, parts, partBias);
}

const conditions =
  /^(?:if|unless|whenever|wherever|provided|assuming|should|except|in case|in the event|as long as|as soon as|on condition|on the condition|in the case)\b/i;

/** A condition is no part of its own: it goes with the first part that it governs, which alone decides. */
function joinConditions(tokens: readonly Token[], parts: readonly DecodedPart[], partBias: number): DecodedPart[] {
  const joined: DecodedPart[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i], next = parts[i + 1];
    const words = tokens.slice(part.from, part.from + 4).map((token) => token.text).join(" ");
    const between = next === undefined ? [] : tokens.slice(part.to, next.from).map((token) => token.text);
    if (next !== undefined && between.join(" ").replace(/ ?then$/i, "") === "," && conditions.test(words)) {
      joined.push({
        from: part.from,
        to: next.to,
        logit: Math.abs(next.logit) > 0.5 ? next.logit : next.logit + part.logit - partBias,
      });
      i++;
    } else joined.push(part);
  }
  return joined;
}

/** Whether a token is punctuation that stands in no part's edge. */
function isEdge({ text, word }: Token, first: boolean): boolean {
  if (word) return false;
  if (".,;:?!\n".includes(text)) return true;
  return first && "-–—*•)]&/+>".includes(text);
}
