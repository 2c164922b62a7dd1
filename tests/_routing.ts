/** Classifications written by hand, so that what stands on the classifier can be tested without it. */
import type { Classification, Segment } from "../router/types.ts";

/**
 * A classification from marks: `{+…}` is a part for software, `{-…}` one for a person, `{?…}` one for software that the
 * router is not sure of. Without a part the domain is `unknown`.
 */
export function routed(marked: string, changes: Partial<Classification> = {}): Classification {
  const segments: Segment[] = [];
  let task = "";
  for (const [, sign, inside, outside] of marked.matchAll(/\{([+?-])([^}]*)\}|([^{]+)/g)) {
    if (outside !== undefined) {
      task += outside;
      continue;
    }
    const start = task.length;
    task += inside;
    segments.push({
      text: inside,
      start,
      end: task.length,
      domain: sign === "-" ? "human-action" : "text-based",
      confidence: sign === "?" ? 0.55 : 0.97,
      signals: [],
    });
  }
  const domains = new Set(segments.map(({ domain }) => domain));
  const domain = domains.size === 2 ? "hybrid" : domains.size === 0 ? "unknown" : [...domains][0];
  return {
    task,
    domain,
    confidence: 0.9,
    segments,
    excluded: [],
    reasons: ["written by hand"],
    recommendedAction: "",
    truncated: false,
    ...changes,
  };
}
