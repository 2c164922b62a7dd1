/**
 * Scores of a model on marked tasks: macro-F1 of the domain, human work taken for purely digital, overlap of the parts.
 * @module
 */
import { decode } from "../model/decode.ts";
import { describe } from "../model/features.ts";
import { confidence, type Model, personFrom } from "../model/file.ts";
import { toExample } from "./dataset.ts";
import { domainOf, type MarkedTask } from "./markup.ts";

/** Scores. */
export interface Scores {
  /** Mean over the four domains of F1. */
  macroF1: number;
  /** Share of domains that are right. */
  accuracy: number;
  /** Share of human and hybrid tasks that were called text-based. */
  missedHuman: number;
  /** F1 over pairs of a token and the kind of its part. */
  overlapF1: number;
  /** F1 over parts with the same tokens and kind. */
  exactF1: number;
  /** Mean distance between confidence and share of right domains, over ten bins of confidence. */
  calibrationError: number;
  /** What was right and what was said, where they differ. */
  mistakes: string[];
}

const domains = ["text-based", "human-action", "hybrid", "unknown"] as const;

/** Scores a model. */
export function judge({ network, lexicon, calibration }: Model, tasks: readonly MarkedTask[]): Scores {
  const counts = new Map<string, number>();
  let right = 0, human = 0, missed = 0, both = 0, said = 0, meant = 0, exact = 0, saidParts = 0, meantParts = 0;
  const mistakes: string[] = [];
  const bins = new Float64Array(10); // Σ confidence − Σ right
  for (const task of tasks) {
    const { tokens, parts } = toExample(task);
    const reading = network.read(describe(tokens, lexicon));
    const found = decode(tokens, reading, network.partBias)
      .map(({ from, to, logit }) => ({ from, to, human: logit > personFrom(calibration, to - from), logit }));
    const truth = domainOf(task.segments);
    const answer = domainOf(found.map(({ human }) => ({ start: 0, end: 0, human })));
    counts.set(`${truth} ${answer}`, (counts.get(`${truth} ${answer}`) ?? 0) + 1);
    right += Number(truth === answer);
    const margins = found.map(({ from, to, logit }) => logit - personFrom(calibration, to - from));
    const sure = confidence(margins, reading.doubt, calibration);
    bins[Math.min(9, Math.floor(10 * sure))] += sure - Number(truth === answer);
    if (truth === "human-action" || truth === "hybrid") human++, missed += Number(answer === "text-based");
    const kinds = (list: readonly { from: number; to: number; human: boolean }[]) => {
      const kind = new Array(tokens.length).fill(-1);
      for (const { from, to, human } of list) kind.fill(Number(human), from, to);
      return kind;
    };
    const a = kinds(parts), b = kinds(found);
    for (let i = 0; i < tokens.length; i++) {
      if (!tokens[i].word) continue;
      meant += Number(a[i] >= 0), said += Number(b[i] >= 0), both += Number(a[i] >= 0 && a[i] === b[i]);
    }
    meantParts += parts.length, saidParts += found.length;
    exact += parts.filter((p) => found.some((q) => p.from === q.from && p.to === q.to && p.human === q.human)).length;
    if (truth !== answer) {
      mistakes.push(
        `${truth} -> ${answer}: ${task.task} ## ${
          found.map((p) =>
            `${p.human ? "-" : "+"}${p.logit.toFixed(1)} ${tokens.slice(p.from, p.to).map((t) => t.text).join(" ")}`
          ).join(" | ")
        }`,
      );
    }
  }
  const f1 = domains.map((domain) => {
    const hit = counts.get(`${domain} ${domain}`) ?? 0;
    let given = 0, called = 0;
    for (const [key, n] of counts) {
      if (key.startsWith(domain + " ")) given += n;
      if (key.endsWith(" " + domain)) called += n;
    }
    return given + called === 0 ? 1 : 2 * hit / (given + called);
  });
  return {
    macroF1: f1.reduce((x, y) => x + y) / 4,
    accuracy: right / tasks.length,
    missedHuman: human === 0 ? 0 : missed / human,
    overlapF1: 2 * both / (said + meant),
    exactF1: 2 * exact / (saidParts + meantParts),
    calibrationError: bins.reduce((sum, bin) => sum + Math.abs(bin), 0) / tasks.length,
    mistakes,
  };
}

/** One line. */
export function showScores(s: Scores): string {
  const percent = (x: number) => (100 * x).toFixed(1);
  return `macro-F1 ${percent(s.macroF1)}, accuracy ${percent(s.accuracy)}, missed human ${
    percent(s.missedHuman)
  }, overlap ${percent(s.overlapF1)}, exact parts ${percent(s.exactF1)}, calibration error ${
    percent(s.calibrationError)
  }`;
}
