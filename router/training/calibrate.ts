/**
 * Fits what turns the model's log-odds into decisions and probabilities, on tasks that were not trained on.
 * @module
 */
import { decode } from "../model/decode.ts";
import { describe } from "../model/features.ts";
import { type Calibration, certainty, type Model, personFrom } from "../model/file.ts";
import { toExample } from "./dataset.ts";
import { domainOf, type MarkedTask } from "./markup.ts";

/** Largest share of tasks with a human part that may be taken for purely digital, if accuracy can pay for it. */
const missedHumanWanted = 0.01;
/** Share of all tasks whose domain may be lost to it. */
const accuracyToPay = 0.04;

/** A part that was found: its log-odds, its tokens, and the truth of a marked part that it overlaps. */
interface Part {
  logit: number;
  tokens: number;
  human: boolean | undefined;
}

interface Outcome {
  parts: Part[];
  doubt: number;
  truth: string;
}

/** Logistic regression of one variable; gradient steps on the mean loss, with a weak pull towards slope 1. */
function fitLogistic(points: readonly { x: number; y: boolean }[]): { bias: number; slope: number } {
  const scale = Math.sqrt(points.reduce((sum, { x }) => sum + x * x, 0) / Math.max(1, points.length)) || 1;
  let bias = 0, slope = scale;
  for (let step = 0; step < 3000; step++) {
    let g0 = 0.001 * bias, g1 = 0.001 * (slope - scale);
    for (const { x, y } of points) {
      const error = 1 / (1 + Math.exp(-bias - slope * x / scale)) - Number(y);
      g0 += error / points.length;
      g1 += error * x / scale / points.length;
    }
    bias -= g0;
    slope -= g1;
  }
  return { bias, slope: slope / scale };
}

/** Fits the calibration of a model. @param tasks none of which it was trained on */
export function calibrate(model: Model, tasks: readonly MarkedTask[]): Calibration {
  const outcomes = tasks.map((task): Outcome => {
    const { tokens, parts } = toExample(task);
    const reading = model.network.read(describe(tokens, model.lexicon));
    const found = decode(tokens, reading, model.network.partBias);
    return {
      parts: found.map(({ from, to, logit }) => ({
        logit,
        tokens: to - from,
        human: parts.find((part) => part.from < to && part.to > from)?.human,
      })),
      doubt: reading.doubt,
      truth: domainOf(task.segments),
    };
  });
  const margin = ({ logit, tokens }: Part, threshold: number) => logit - personFrom({ threshold }, tokens);
  const domainAt = ({ parts }: Outcome, threshold: number) =>
    domainOf(parts.map((part) => ({ start: 0, end: 0, human: margin(part, threshold) > 0 })));
  const scoreAt = (threshold: number) => {
    let right = 0, human = 0, missed = 0;
    for (const outcome of outcomes) {
      const domain = domainAt(outcome, threshold);
      right += Number(domain === outcome.truth);
      if (outcome.truth === "human-action" || outcome.truth === "hybrid") {
        human++, missed += Number(domain === "text-based");
      }
    }
    return { threshold, accuracy: right / outcomes.length, missed: human === 0 ? 0 : missed / human };
  };
  const scores = Array.from({ length: 91 }, (_, i) => scoreAt(-i / 10));
  const top = Math.max(...scores.map((score) => score.accuracy));
  const { threshold } = scores.find((s) => s.missed <= missedHumanWanted && s.accuracy >= top - accuracyToPay) ??
    scores.filter((s) => s.accuracy >= top - accuracyToPay).sort((a, b) => a.missed - b.missed)[0];

  const part = fitLogistic(
    outcomes.flatMap(({ parts }) =>
      parts.flatMap((part) => part.human === undefined ? [] : [{ x: margin(part, threshold), y: part.human }])
    ),
  );
  const temperature = 1 / Math.max(0.05, part.slope);
  const whole = fitLogistic(outcomes.map((outcome) => ({
    x: certainty(outcome.parts.map((part) => margin(part, threshold)), outcome.doubt, { temperature }),
    y: domainAt(outcome, threshold) === outcome.truth,
  })));
  return { threshold, temperature, ...whole };
}
