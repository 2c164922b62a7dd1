// Schedules: the shapes that train.ts relies on, and the peer's numbers.
import assert from "node:assert/strict";
import { decayToZero, learningRateFactor, ramp, rereadFactor } from "../trainer/schedule.ts";

const near = (a: number, b: number) => assert(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

Deno.test("the learning rate stays, then falls over the warm-down as min(1, (1 − progress) / warmDown) does", () => {
  const schedule = { warmUp: 0, warmDown: 0.5, finalFraction: 0 };
  for (let progress = 0; progress <= 1; progress += 1 / 64) {
    near(learningRateFactor(progress, schedule), Math.min(1, (1 - progress) / 0.5));
  }
  near(learningRateFactor(1.2, schedule), 0);
});

Deno.test("the learning rate rises from 0 over the warm-up and ends at its final fraction", () => {
  const schedule = { warmUp: 0.2, warmDown: 0.25, finalFraction: 0.1 };
  const at = (progress: number) => learningRateFactor(progress, schedule);
  for (const [progress, factor] of [[0, 0], [0.1, 0.5], [0.2, 1], [0.75, 1], [0.875, 0.55], [1, 0.1]]) {
    near(at(progress), factor);
  }
});

Deno.test("a cosine warm-down starts and ends flat and passes the middle at half", () => {
  const schedule = { warmUp: 0, warmDown: 1, finalFraction: 0, shape: "cosine" } as const;
  near(learningRateFactor(0, schedule), 1);
  near(learningRateFactor(0.5, schedule), 0.5);
  near(learningRateFactor(1, schedule), 0);
  assert(learningRateFactor(0.1, schedule) > 0.95 && learningRateFactor(0.9, schedule) < 0.05);
});

Deno.test("no warm-down leaves the learning rate as it is", () => {
  near(learningRateFactor(1, { warmUp: 0, warmDown: 0, finalFraction: 0 }), 1);
});

Deno.test("momentum climbs for so many steps and stays; decay falls to 0 with progress", () => {
  near(ramp(1, 0.85, 0.95, 300), 0.85 + 0.1 / 300);
  near(ramp(300, 0.85, 0.95, 300), 0.95);
  near(ramp(9000, 0.85, 0.95, 300), 0.95);
  near(ramp(1, 0.85, 0.95, 0), 0.95);
  near(decayToZero(0.2, 0.25), 0.15);
  near(decayToZero(0.2, 1.1), 0);
});

Deno.test("what acts on rows that are read again is 0 in their first pass and 1 from the third on", () => {
  for (const [epochs, factor] of [[0, 0], [1, 0], [1.25, 0.25], [2, 1], [9, 1]]) near(rereadFactor(epochs), factor);
});
