/**
 * Runs a command line to its exit code. Planning's import graph begins here: no npm package, no FFI, and everything that
 * not every command needs is imported when it is needed.
 * @module
 */
import { readArguments } from "./arguments.ts";
import { CliError, exit } from "./errors.ts";
import { Output, OutputClosed, tell } from "./output.ts";
import type { Wiring } from "./wiring.ts";

async function run(args: readonly string[], wiring: Wiring): Promise<number> {
  const parsed = readArguments(args);
  const { command, positionals, values } = parsed;
  const output = new Output(values.format, values.quiet === true);
  if (values.version) {
    output.write(`researchswarm ${wiring.version}\n`);
    return exit.done;
  }
  switch (command.name.split(" ")[0]) {
    case "help": {
      const { helpOf } = await import("./help.ts");
      output.write(helpOf(positionals));
      return exit.done;
    }
    case "completions": {
      const { completionsOf } = await import("./completions.ts");
      output.write(completionsOf(positionals[0]));
      return exit.done;
    }
    case "classify":
      return await (await import("./classify.ts")).runClassify(parsed, output);
    case "handoff":
      return await (await import("./handoff.ts")).runHandoff(parsed, wiring.memoryPath, output);
    case "memory":
      return await (await import("./memory.ts")).runMemory(parsed, wiring.memoryPath, output);
    default:
      return await (await import("./task.ts")).runTask(parsed, wiring, output);
  }
}

/**
 * Runs a command line.
 * @param args what stands behind the name of the script
 * @returns the exit code; `help` has the list
 */
export async function main(args: readonly string[], wiring: Wiring): Promise<number> {
  try {
    return await run(args, wiring);
  } catch (error) {
    if (error instanceof OutputClosed) return exit.failed;
    if (error instanceof CliError) {
      tell(`error: ${error.message}`);
      return error.code;
    }
    if (error instanceof Error && (error.name === "DatabaseError" || error.name === "MemoryError")) {
      tell(`error: ${error.message.replace(/\.$/, "")}`);
      return exit.failed;
    }
    if (error instanceof Deno.errors.NotCapable) {
      tell(`error: a permission is missing: ${error.message}`);
      return exit.permission;
    }
    tell(`error: ${error instanceof Error ? error.message : String(error)}`);
    // A defect of the program: the stack helps whoever mends it.
    if (error instanceof Error && error.stack !== undefined) {
      for (const line of error.stack.split("\n").slice(1, 8)) tell(line.trim());
    }
    return exit.failed;
  }
}
