/**
 * `deno task demo`: a small session from start to end, to see that everything works on this machine.
 * @module
 */
import { main } from "./cli.ts";

const usage =
  `Shows a session from start to end: builds the library, prepares real text, trains the baseline and six experiments
of 15 s each, prints the table. Under five minutes on two cores. Each call is a session of its own.

usage: deno task demo [--preset NAME] [--experiments N] [--seconds S] [--seed N] [--tag TAG] [--threads N]
       deno task demo --resume [TAG] [--experiments N]

  --help    this text; deno task overnight --help has every option, and the demo takes them all`;

if (import.meta.main) {
  const defaults = { preset: "cpu-tiny", experiments: "6", seconds: "15" };
  Deno.exit(await main(Deno.args, { usage, defaults, tagPrefix: "demo-" }));
}
