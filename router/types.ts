/**
 * What the router says of a task: its parts, what each needs, and how sure that is. Plain data; every other module of the
 * router reads or writes these.
 * @module
 */

/** What a whole task needs: software alone, a person alone, both, or nobody can tell. */
export type Domain = "text-based" | "human-action" | "hybrid" | "unknown";

/** What one part of a task needs. */
export type PartDomain = "text-based" | "human-action";

/** What kind of evidence a signal is. */
export type SignalKind =
  | "action"
  | "object"
  | "instrument"
  | "place"
  | "person"
  | "authority"
  | "talk-about"
  | "quotation"
  | "negation"
  | "condition"
  | "injection";

/** A word or phrase of the task that moved the decision, or that was left out of it. */
export interface Signal {
  /** What kind of evidence it is. */
  readonly kind: SignalKind;
  /** The words, as they stand in the task. */
  readonly text: string;
  /** Offset of the first character in the task, in UTF-16 units. */
  readonly start: number;
  /** One past the last character. */
  readonly end: number;
  /** Where it points; null where it points nowhere (a negation, an injection). */
  readonly towards: PartDomain | null;
  /** How much it moved the log-odds of its part, in nats; positive towards `human-action`. */
  readonly weight: number;
}

/** One part of a task: a clause with its own action. */
export interface Segment {
  /** Its words, as they stand in the task. */
  readonly text: string;
  /** Offset of the first character in the task, in UTF-16 units. */
  readonly start: number;
  /** One past the last character. */
  readonly end: number;
  /** What it needs. */
  readonly domain: PartDomain;
  /** Calibrated probability that `domain` is right, 0.5 to 1. */
  readonly confidence: number;
  /** Its main verb as written, where one was found. */
  readonly verb?: string;
  /** Its object as written, where one was found. */
  readonly object?: string;
  /** What spoke for and against, strongest first. */
  readonly signals: readonly Signal[];
}

/** What the router says of a task. */
export interface Classification {
  /** The text that was read. */
  readonly task: string;
  /** What the task needs. */
  readonly domain: Domain;
  /** Calibrated probability that `domain` is right, 0 to 1. */
  readonly confidence: number;
  /** Parts in order of appearance. */
  readonly segments: readonly Segment[];
  /** Words that were left out on purpose: negated parts, attempts to steer the router. */
  readonly excluded: readonly Signal[];
  /** One sentence each on why. */
  readonly reasons: readonly string[];
  /** One sentence on what to do next. */
  readonly recommendedAction: string;
  /** Whether only the beginning of a very long task was read. */
  readonly truncated: boolean;
}
