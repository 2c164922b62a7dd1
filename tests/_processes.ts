/** Looks for running processes by their command line, with `ps`: reading /proc would take every permission. */

/** Numbers of the processes, this one left out, whose command line holds `text`. */
export function processesWith(text: string): number[] {
  const { success, stdout } = new Deno.Command("ps", { args: ["-ww", "-eo", "pid=,args="] }).outputSync();
  if (!success) throw new Error("ps failed");
  return new TextDecoder().decode(stdout).split("\n")
    .filter((line) => line.includes(text))
    .map((line) => parseInt(line))
    .filter((pid) => pid !== Deno.pid);
}
