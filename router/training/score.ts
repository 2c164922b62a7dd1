/**
 * Scores the shipped model on the validation tasks and on the public ones:
 * `deno run --allow-read router/training/score.ts`.
 */
import { fileURLToPath } from "node:url";
import { shippedModel } from "../classify.ts";
import { readJsonl, readTasks, splitTasks } from "./dataset.ts";
import { judge, showScores } from "./evaluate.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
console.log("validation:", showScores(judge(shippedModel(), splitTasks(readTasks(path("tasks"))).validation)));
console.log("public:    ", showScores(judge(shippedModel(), readJsonl(path("../../tests/data/router-public.jsonl")))));
