/**
 * `deno task bench`: hands its arguments to one of the benchmarks, which are loaded when they are asked for.
 * @module
 */

/** The benchmarks and what they are for. */
const commands: { readonly [name: string]: { about: string; run: (args: string[]) => Promise<void> } } = {
  train: {
    about: "train.ts on random tokens or on exported rows: tokens per second and distance to the machine's floor",
    run: async (args) => (await import("./bench/train.ts")).benchTrainCommand(args),
  },
  ops: {
    about: "every op of the library: time, GB/s or GFLOP/s and the share of the machine's peak",
    run: async (args) => (await import("./bench/ops.ts")).benchOpsCommand(args),
  },
  "export-rows": {
    about: "writes a data set's rows as plain files, to train a peer on the same tokens",
    run: async (args) => (await import("./data/export_rows.ts")).exportRowsCommand(args),
  },
};

const usage = `Benchmarks.

usage: deno task bench COMMAND [options]

${Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(12)} ${about}`).join("\n")}

  --help       this text; after a command, its options`;

/** Runs one command line and says how it ended. */
async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--help" || name === "-h") {
    console.log(usage);
    return 0;
  }
  if (name === undefined || !Object.hasOwn(commands, name)) {
    const names = Object.keys(commands).join(", ");
    console.error(
      `bench: ${name === undefined ? "needs a command" : `there is no ${name}`}: one of ${names}; see --help`,
    );
    return 2;
  }
  try {
    await commands[name].run(rest);
    return 0;
  } catch (error) {
    console.error(`bench ${name}: ${(error as Error).message}`);
    return (error as Error).name === "UsageError" ? 2 : 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
