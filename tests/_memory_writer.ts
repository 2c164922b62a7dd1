/**
 * One writing process of `_memory_writers.ts`: appends entries of its own and prints a line for each one that the memory
 * has acknowledged. Arguments: file, name, entries.
 */
import { openMemory } from "../memory/mod.ts";

const [path, name, count] = Deno.args;
const encoder = new TextEncoder();
const write = (line: string) => Deno.stdout.writeSync(encoder.encode(`${line}\n`));

using memory = openMemory(path, { wait: 60_000 });
write("open");
for (let number = 0; number < Number(count); number++) {
  const { id, stored } = memory.append({
    fileType: "PROGRESS",
    tag: `WRITER:${name}`,
    content: `Writer ${name} reports measurement ${number}: the pump of tank ${number % 97} delivers ${
      number * 3
    } litres.`,
    metadata: { name, number },
  });
  if (!stored) throw new Error(`${name} ${number} was not stored`);
  write(`${number} ${id}`);
}
write("end");
