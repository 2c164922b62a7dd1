/**
 * Times of one classification: the first in a fresh process (the module is imported, the model is not opened yet), the
 * second of another task in the same process, and warm over tasks of `router/training/tasks`. The target is 2 ms.
 *
 * ```sh
 * deno task bench:router
 * ```
 */
import { parseArgs } from "node:util";
import { parseMarkupFile } from "../../router/training/markup.ts";
import { classify } from "../../router/classify.ts";

const usage = `Times of one classification: the first in a fresh process, the second there, and warm.

usage: deno task bench:router

  --help    this text`;

try {
  const { values } = parseArgs({ options: { help: { type: "boolean", short: "h" } } });
  if (values.help) {
    console.log(usage);
    Deno.exit(0);
  }
} catch (error) {
  console.error(`bench:router: ${(error as Error).message.split(/\.\s/)[0]}; see --help`);
  Deno.exit(2);
}

const folder = new URL("../../router/training/tasks/", import.meta.url);
const child = `const { classify } = await import(${
  JSON.stringify(new URL("../../router/classify.ts", import.meta.url).href)
});
const [first, second] = Deno.args;
const a = performance.now(); classify(first); const b = performance.now(); classify(second); const c = performance.now();
console.log(JSON.stringify([b - a, c - b]));`;

/** The value below which a share of the numbers lies. */
const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

function report(label: string, times: number[]): void {
  times.sort((a, b) => a - b);
  const [least, median, p99] = [times[0], quantile(times, 0.5), quantile(times, 0.99)].map((ms) => ms.toFixed(2));
  console.log(`${label.padEnd(28)} ${times.length} times  least ${least}  median ${median}  99 % ${p99} ms`);
}

const tasks: string[] = [];
for (const { name } of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  if (name.endsWith(".txt")) {
    tasks.push(...parseMarkupFile(Deno.readTextFileSync(new URL(name, folder))).map(({ task }) => task));
  }
}
const sample = tasks.filter((_, i) => i % Math.ceil(tasks.length / 2000) === 0);

const first: number[] = [], second: number[] = [];
for (let run = 0; run < 20; run++) {
  const { stdout } = await new Deno.Command("deno", {
    args: ["eval", "--no-check", child, sample[run * 17], sample[run * 17 + 1]],
    stderr: "inherit",
  }).output();
  const [a, b] = JSON.parse(new TextDecoder().decode(stdout)) as [number, number];
  first.push(a);
  second.push(b);
}
report("first in a fresh process", first);
report("second in that process", second);

for (const task of sample.slice(0, 300)) classify(task);
report(
  "warm",
  sample.map((task) => {
    const start = performance.now();
    classify(task);
    return performance.now() - start;
  }),
);
