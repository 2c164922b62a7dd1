/**
 * The built-in agent: an optimizer over the `#space` block of `train.ts`. It tries the published gains one at a time,
 * then proposes by a tree-structured Parzen estimator over everything that was tried, failures included. It edits
 * literals of the block and nothing else; where there is no valid block it says so. No network, no state of its own.
 * @module
 */
import type { Config } from "../../contract.ts";
import { checkValue, configOf, editSpace, parseSpace, type SpaceParameter } from "../../space.ts";
import { type GainContext, publishedGains } from "../search/gains.ts";
import { MixedSpace } from "../search/mixed.ts";
import { type Observation, rankedCandidates } from "../search/parzen.ts";
import { mixSeed, Random } from "../search/random.ts";
import type { Agent, AgentTools, Attempt, NoProposal, Proposal, ResearchRecord } from "./agent.ts";

/** Sets of candidates that are drawn before a space is taken to be used up. */
const DRAWS = 50;

/** An idea before it is checked. */
interface Idea {
  readonly origin: string;
  readonly hypothesis: string;
  readonly values: Config;
}

/** The constants of a text, or null where its block cannot be read. */
function configIn(source: string): Config | null {
  try {
    return configOf(parseSpace(source));
  } catch {
    return null;
  }
}

/** Everything that was tried in this space; a text with other constants says nothing about it. */
function observe(space: MixedSpace, attempts: readonly Attempt[]): { observations: Observation[]; taken: Set<string> } {
  const observations: Observation[] = [];
  const taken = new Set<string>();
  for (const attempt of attempts) {
    const config = configIn(attempt.source);
    const point = config === null ? null : space.encode(config);
    if (config === null || point === null) continue;
    taken.add(space.key(config));
    observations.push({ point, loss: attempt.valBpb });
  }
  return { observations, taken };
}

/** The next published gain that applies and was not tried, as new constants. */
function nextGains(
  record: ResearchRecord,
  parameters: readonly SpaceParameter[],
): Idea[] {
  const context: GainContext = { config: configOf(parameters), steps: record.best.steps };
  const proposals: Idea[] = [];
  for (const gain of publishedGains) {
    const origin = `published:${gain.name}`;
    const tried = record.attempts.filter((attempt) => attempt.origin === origin);
    if (tried.length >= gain.times || tried.some((attempt) => attempt.state !== "kept")) continue;
    const values = gain.apply(context);
    if (values === null) continue;
    const allowed = Object.entries(values).every(([name, value]) => {
      const parameter = parameters.find((candidate) => candidate.name === name);
      return parameter?.range !== undefined && checkValue(parameter, value) === null;
    });
    if (allowed) proposals.push({ origin, hypothesis: gain.hypothesis, values });
  }
  return proposals;
}

/** The `search` agent. */
export class SearchAgent implements Agent {
  /** Name on the command line and in the record. */
  readonly name = "search";

  /** The next edit: a published gain, or the estimator's best candidate. */
  async propose(record: ResearchRecord, tools: AgentTools): Promise<Proposal | NoProposal> {
    const { source } = record.best;
    let parameters: SpaceParameter[];
    try {
      parameters = parseSpace(source);
    } catch (error) {
      return { stop: `trainer/train.ts gives the search nothing to edit: ${(error as Error).message}` };
    }
    const current = configOf(parameters);
    const space = new MixedSpace(parameters);
    if (space.axes.length === 0) {
      return { stop: "trainer/train.ts gives the search nothing to edit: no constant of its #space block has a range" };
    }
    const { observations, taken } = observe(space, record.attempts);

    const gains = nextGains(record, parameters)
      .filter(({ values }) => !taken.has(space.key({ ...current, ...values })));
    const modelled = this.#modelled(record, space, observations, taken);
    const proposals = [...gains, ...modelled];
    if (proposals.length === 0) return { stop: "the search has tried every combination of its #space block" };
    const verdicts = await tools.valid(source, proposals.map(({ values }) => ({ ...current, ...values })));
    // Where none is valid the first one goes on: its refusal enters the record, and the model learns from it.
    const chosen = proposals[Math.max(0, verdicts.indexOf(true))];
    const values = Object.fromEntries(
      Object.entries(chosen.values).filter(([name, value]) => current[name] !== value),
    );
    editSpace(source, values); // throws here, not in the session, if this agent ever leaves a range
    return { edit: { kind: "space", values }, origin: chosen.origin, hypothesis: chosen.hypothesis };
  }

  /** The estimator's candidates; drawn again where all of them had been tried, as happens in small spaces. */
  #modelled(record: ResearchRecord, space: MixedSpace, observations: Observation[], taken: Set<string>): Idea[] {
    for (let draw = 0; draw < DRAWS; draw++) {
      const random = new Random(mixSeed(record.seed, record.attempts.length, draw));
      const points = rankedCandidates(space, observations, random, taken);
      if (points.length === 0) continue;
      return points.map((point) => ({
        origin: "tpe",
        hypothesis: "Most promising by the densities of good and of other experiments (Parzen estimator)",
        values: space.decode(point),
      }));
    }
    return [];
  }
}
