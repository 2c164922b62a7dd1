/**
 * The work of the sweep summary, over one session or several together.
 * @module
 */
import type { Outcome, Work } from "../define.ts";
import { InputError } from "../files.ts";
import { inlineCode, markdownTable, oneLine } from "../safe_text.ts";
import { gatherMaterial } from "../sessions/material.ts";
import { baselineOf, bestOf, type Constant, type Night } from "../sessions/night.ts";
import { nothingFound } from "../sessions/report.ts";
import { keptTable, names, outcome, plural, score, signed, tallyLine } from "../sessions/tell.ts";
import type { ExecutorContext } from "../types.ts";
import { duplicates, importances } from "./importance.ts";

const show = (value: Constant): string =>
  typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value);

/** Values of a constant, all of them where they are few. */
function showValues(values: readonly Constant[]): string {
  if (values.length <= 5) return values.map(show).join(", ");
  return typeof values[0] === "number"
    ? `${show(values[0])} … ${show(values[values.length - 1])} (${values.length} values)`
    : `${values.slice(0, 5).map(show).join(", ")} …`;
}

async function nightSweep(night: Night, work: Work): Promise<string> {
  const best = bestOf(night), baseline = baselineOf(night);
  const ranked = await importances(night.trials, () => work.pause());
  work.did(
    `Ranked ${ranked.length} constants over ${
      night.trials.filter(({ valBpb }) => valBpb !== null).length
    } scored experiments of ${oneLine(night.tag)}`,
  );
  const changed = best === null || baseline === null
    ? []
    : [...best.constants].filter(([name, value]) =>
      baseline.constants.has(name) && baseline.constants.get(name) !== value
    );
  const gains = night.trials.filter(({ state, delta }) => state === "kept" && delta !== null).sort((a, b) =>
    a.delta! - b.delta!
  ).slice(0, 10);
  const twice = duplicates(night.trials);
  const refused = night.trials.filter(({ state, reason }) =>
    state === "refused" && /same text|already|duplicate/i.test(reason)
  );
  const clear = ranked.filter(({ chance }) => chance < 0.05);
  const parts = [
    `${tallyLine(night)}. ${outcome(night)}`,
    best !== null && changed.length > 0
      ? `## Best\n\n${best.name}, val_bpb ${score(best.valBpb)}; it differs from the baseline in:\n\n${
        markdownTable(
          ["constant", "baseline", "best"],
          changed.map(([name, value]) => [name, show(baseline!.constants.get(name)!), show(value)]),
          [1, 2],
        )
      }`
      : "",
    ranked.length > 0
      ? `## Importance of constants\n\n${
        markdownTable(
          ["constant", "strength", "direction", "chance", "experiments", "values", "at the lowest score"],
          ranked.slice(0, 25).map(({ name, strength, correlation, chance, count, values, best }) => [
            name,
            strength.toFixed(2),
            correlation === null ? "—" : correlation < 0 ? "more goes with lower" : "more goes with higher",
            chance < 0.001 ? "< 0.001" : chance.toFixed(3),
            String(count),
            showValues(values),
            show(best),
          ]),
          [1, 3, 4],
        )
      }\n\n${
        clear.length > 0
          ? `${
            plural(clear.length, "constant")
          } of ${ranked.length} went with the score more than chance would have it (below 0.05): ${
            clear.map(({ name }) => inlineCode(name)).join(", ")
          }.` +
            (ranked.length * 0.05 >= 1
              ? ` With ${ranked.length} constants, about ${
                Math.round(ranked.length * 0.05)
              } would be among them by chance.`
              : "")
          : "None of them went with the score more than chance would have it (below 0.05); there are too few experiments, or the effects are small."
      } Strength is |ρ| (Spearman) for numbers and √η² for words; chance is the share of ${"2000"} random orders at least as strong. Experiments that build on the best so far change several things over time, so this ranks what to look at and proves nothing.`
      : "## Importance of constants\n\nNo constant takes two values in four scored experiments, so none can be ranked.",
    gains.length > 0
      ? `## Gains\n\n${
        markdownTable(
          ["experiment", "change", "Δ val_bpb"],
          gains.map(({ name, change, delta }) => [name, change, signed(delta, 6)]),
          [2],
        )
      }`
      : `## Gains\n\n${keptTable(night)}`,
    `## Tried twice\n\n${
      twice.length === 0 && refused.length === 0 ? "No two experiments have the same constants and text." : [
        ...twice.slice(0, 10).map((group) => {
          const scores = group.filter(({ valBpb }) => valBpb !== null).map(({ valBpb }) => valBpb!);
          const spread = scores.length > 1
            ? `; their scores differ by ${(Math.max(...scores) - Math.min(...scores)).toFixed(6)}`
            : "";
          return `- ${names(group, 8)}${spread}`;
        }),
        refused.length > 0
          ? `- ${plural(refused.length, "proposal")} refused as tried before: ${names(refused, 6)}`
          : "",
      ].filter((line) => line !== "").join("\n")
    }`,
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

/** Summarises the sweep that the task means. */
export async function runSweepSummary(context: ExecutorContext, work: Work): Promise<Outcome> {
  const material = await gatherMaterial(context, work);
  const { nights, logs, account, unreadable } = material;
  if (nights.length === 0 && logs.length > 0) {
    throw new InputError(
      `${
        oneLine(logs[0].name)
      } is no table of results: a results.tsv or a session's database is needed (header: commit, val_bpb, memory_gb, status, description).`,
      "needs-input",
    );
  }
  if (nights.length === 0) return nothingFound("sweep summary", material);
  const parts: string[] = [];
  for (const night of nights) {
    parts.push((nights.length > 1 ? `# Session ${night.tag}\n\n` : "") + await nightSweep(night, work));
  }
  const title = `Sweep summary: ${oneLine(nights.map(({ tag }) => tag).join(", "), 120)}`;
  return {
    title,
    text: [`# ${title}`, ...parts, ...[account, ...unreadable].filter((note) => note !== "").map((note) => `_${note}_`)]
      .join("\n\n"),
  };
}
