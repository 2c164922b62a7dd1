/**
 * `bench ops`: the library's ops one by one. The cases stand beside the tests of the ops, whose shapes they share.
 * @module
 */

/** The command line of `bench ops`. */
export async function benchOpsCommand(args: string[]): Promise<void> {
  const module = await import(new URL("../../tests/bench/ops_bench.ts", import.meta.url).href);
  await module.opsBenchCommand(args);
}
