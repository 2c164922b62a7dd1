/** Asks judges over the network, which the tests themselves may not: cases in on standard input, results out. */
import { judge } from "../../router/judge.ts";

const cases = JSON.parse(await new Response(Deno.stdin.readable).text());
const results = [];
for (const { classification, options } of cases) {
  const start = performance.now();
  results.push({ ...await judge(classification, options), milliseconds: performance.now() - start });
}
console.log(JSON.stringify(results));
