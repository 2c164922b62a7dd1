/**
 * Checks files of training tasks: notation, edges of the marked parts, repeated tasks; prints counts.
 * `deno run --allow-read router/training/check.ts FILE…`
 */
import { domainOf, parseMarkup } from "./markup.ts";

const joiner =
  /^(and|then|n|&|but|before|after|while|afterwards|finally|whereupon|followed by|after that|only then)\b/i;
const seen = new Map<string, string>();
let errors = 0;
for (const path of Deno.args) {
  const counts: Record<string, number> = {};
  let tasks = 0, parts = 0, words = 0;
  for (const [index, line] of Deno.readTextFileSync(path).split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const complain = (what: string) => {
      errors++;
      console.error(`${path}:${index + 1}: ${what}: ${line.slice(0, 100)}`);
    };
    try {
      const { task, segments } = parseMarkup(line);
      tasks++;
      words += task.split(/\s+/).length;
      counts[domainOf(segments)] = (counts[domainOf(segments)] ?? 0) + 1;
      for (const { start, end } of segments) {
        const words = task.slice(start, end);
        parts++;
        if (words.trim() === "") complain("an empty part");
        if (/^[\s.,;:!?\-–•*]|[\s.,;:!?]$/.test(words)) {
          complain(`a part begins or ends with punctuation or space ("${words.slice(0, 30)}")`);
        }
        if (joiner.test(words)) complain(`a part begins with a joining word ("${words.slice(0, 30)}")`);
      }
      const key = task.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim() || task;
      const before = seen.get(key);
      if (before !== undefined) complain(`repeats ${before}`);
      seen.set(key, `${path}:${index + 1}`);
    } catch (error) {
      complain((error as Error).message);
    }
  }
  console.log(`${path}: ${tasks} tasks, ${parts} parts, ${words} words, ${JSON.stringify(counts)}`);
}
if (errors > 0) Deno.exit(1);
