/** What the tests of the memory share: a folder of their own, entries by number, a memory with something of everything. */
import { type Entry, type Memory, openMemory } from "../memory/mod.ts";

/** Runs `work` with a fresh folder, which is removed afterwards. */
export async function withFolder(work: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Names of what lies in a folder, in order. */
export function namesIn(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
}

/** The Python original's memory as it was published. */
export const originalPath = new URL("data/memory-original.db", import.meta.url).pathname;

/** An entry that differs from every other number's. */
export function entry(number: number): Entry {
  return {
    fileType: "DECISION",
    tag: `TEST:${number}`,
    content: `Decision ${number}: the valve of tank ${number * 7} stays closed until inspection ${
      number * 13
    } is over.`,
    timestamp: new Date(Date.UTC(2026, 0, 1) + number * 3_600_000).toISOString(),
  };
}

/** Adds entries, a repeat and three handoffs, of which one is done and one cancelled. */
export function fill(memory: Memory, count = 40): void {
  memory.appendAll(Array.from({ length: count }, (_, index) => entry(index + 1)));
  memory.append(entry(3));
  const items = [
    { action: "Unplug the node", safety: ["Switch off the breaker first"], evidence: "a photo of the plug" },
    { action: "Swap the fan", safety: [], evidence: "the serial number" },
  ];
  const ids = [1, 2, 3].map((n) =>
    memory.handoffs.create({ task: `Repair ${n}`, domain: "hybrid", items, entryId: n })
  );
  memory.handoffs.completeItem(ids[0], 2, "SN 4471");
  memory.handoffs.complete(ids[0], "IMG_0031.jpg");
  memory.handoffs.cancel(ids[1], "the node was sold");
}

/** Makes a closed memory file with something of everything in it. */
export function makeMemory(path: string, count = 40): void {
  using memory = openMemory(path);
  fill(memory, count);
}
