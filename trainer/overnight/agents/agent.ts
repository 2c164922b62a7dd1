/**
 * What a session and an agent promise each other: an agent sees the record so far and proposes one edit. It never runs
 * anything and keeps no state of its own: the same record gives the same proposal, so a session can be resumed.
 * @module
 */
import type { Config } from "../../contract.ts";

/** One experiment as an agent sees it. */
export interface Attempt {
  /** Number in the session; 0 is the first baseline. */
  readonly id: number;
  /** Experiment whose file was edited; null for a baseline. */
  readonly parent: number | null;
  /** How it ended: only decided experiments are shown. */
  readonly state: "kept" | "discarded" | "crashed" | "refused";
  /** Who proposed it. */
  readonly agent: string;
  /** The agent's own name for where the idea came from. */
  readonly origin: string;
  /** What was expected. */
  readonly hypothesis: string;
  /** `train.ts` with the edit; empty where the edit could not be applied. */
  readonly source: string;
  /** Bits per byte, lower is better; null without a score. */
  readonly valBpb: number | null;
  /** Why it ended so. */
  readonly reason: string;
  /** Optimizer steps of its run; null where none was counted. */
  readonly steps: number | null;
}

/** The record of a session up to now. */
export interface ResearchRecord {
  /** Seed of the session; whatever an agent draws at random comes from it and the record. */
  readonly seed: number;
  /** The kept experiment with the lowest score: the file that the next edit starts from. */
  readonly best: Attempt & { readonly valBpb: number };
  /** All decided experiments in order, the best among them. */
  readonly attempts: readonly Attempt[];
}

/** What a session offers to agents. */
export interface AgentTools {
  /**
   * Asks `valid` of a `train.ts` about combinations of constants, in a process that may do nothing.
   * @returns one answer a combination: true, or what is wrong
   */
  valid(source: string, configs: readonly Config[]): Promise<(true | string)[]>;
}

/** An edit of `train.ts`: literals of the `#space` block, or a whole new text. */
export type Edit =
  | { readonly kind: "space"; readonly values: Config }
  | { readonly kind: "source"; readonly source: string };

/** One idea. */
export interface Proposal {
  /** What changes, against the best file. */
  readonly edit: Edit;
  /** The agent's own name for where the idea comes from. */
  readonly origin: string;
  /** What is expected and why; one line. */
  readonly hypothesis: string;
}

/** Why an agent has nothing to propose; ends the session. */
export interface NoProposal {
  /** One sentence. */
  readonly stop: string;
}

/** Proposes edits. */
export interface Agent {
  /** Name on the command line and in the record. */
  readonly name: string;
  /** The next edit of `record.best`. */
  propose(record: ResearchRecord, tools: AgentTools): Promise<Proposal | NoProposal>;
}

const show = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value);

/** What differs, for people: `depth 3 → 4, width 128 → 192` */
export function describeChange(from: Config, to: Config): string {
  return Object.keys(to).filter((name) => to[name] !== from[name])
    .map((name) => `${name} ${show(from[name])} → ${show(to[name])}`).join(", ");
}
