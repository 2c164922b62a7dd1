/** Promises of handoffs: a checklist stays open until there is evidence for every item of it. */
import { deepStrictEqual as equal, ok, throws } from "node:assert";
import { MemoryError, type NewHandoff, openMemory, openMemoryInRam, readMemory } from "../memory/mod.ts";
import { withFolder } from "./_memory.ts";

const repair: NewHandoff = {
  task: "Summarize the logs and reseat the power cable of node heron",
  domain: "hybrid",
  items: [
    {
      action: "Reseat the power cable",
      safety: ["Switch the node off first", "Wear a wrist strap"],
      evidence: "a photo",
    },
    { action: "Switch the node on", safety: [], evidence: "the time at which it answered" },
  ],
  entryId: 12,
};

const refuses = (work: () => unknown, message: RegExp) =>
  throws(work, (error: unknown) => {
    ok(error instanceof MemoryError && message.test(error.message) && !error.message.includes("\n"), `${error}`);
    return true;
  });

Deno.test("a handoff is open as a whole until its last item has evidence", () => {
  using memory = openMemoryInRam();
  const id = memory.handoffs.create(repair);
  const { createdAt, ...created } = memory.handoffs.get(id)!;
  ok(Date.parse(createdAt) <= Date.now());
  equal(created, {
    id: 1,
    ...repair,
    state: "open",
    items: repair.items.map((item, index) => ({ item: index + 1, ...item, state: "open" })),
  });
  const halfway = memory.handoffs.completeItem(id, 2, "14:05");
  equal([halfway.state, halfway.items.map(({ state }) => state)], ["open", ["open", "done"]]);
  const closed = memory.handoffs.completeItem(id, 1, "IMG_0031.jpg");
  equal([closed.state, closed.items.map(({ evidenceGiven }) => evidenceGiven)], ["done", ["IMG_0031.jpg", "14:05"]]);
  ok(closed.closedAt !== undefined && closed.items.every(({ doneAt }) => doneAt !== undefined));
  ok(memory.verify().ok);
});

Deno.test("complete() gives one evidence to the items that are still open", () => {
  using memory = openMemoryInRam();
  const id = memory.handoffs.create(repair);
  memory.handoffs.completeItem(id, 1, "IMG_0031.jpg");
  const { state, items } = memory.handoffs.complete(id, "seen at 14:05");
  equal([state, items.map(({ evidenceGiven }) => evidenceGiven)], ["done", ["IMG_0031.jpg", "seen at 14:05"]]);
});

Deno.test("nothing is done without evidence, twice, or after the end", () => {
  using memory = openMemoryInRam();
  const id = memory.handoffs.create(repair);
  for (const nothing of ["", "  \n", "\u0000\u0007"]) {
    refuses(() => memory.handoffs.complete(id, nothing), /evidence (is empty|holds nothing)/);
    refuses(() => memory.handoffs.completeItem(id, 1, nothing), /evidence (is empty|holds nothing)/);
  }
  refuses(() => memory.handoffs.completeItem(id, 3, "x"), /handoff 1 has no item 3/);
  refuses(() => memory.handoffs.completeItem(9, 1, "x"), /there is no handoff 9/);
  refuses(() => memory.handoffs.cancel(9), /there is no handoff 9/);
  memory.handoffs.completeItem(id, 1, "x");
  refuses(() => memory.handoffs.completeItem(id, 1, "y"), /item 1 of handoff 1 is done already/);
  const cancelled = memory.handoffs.cancel(id, "the node was sold");
  equal([cancelled.state, cancelled.reason, cancelled.items[1].state], ["cancelled", "the node was sold", "open"]);
  refuses(() => memory.handoffs.complete(id, "x"), /handoff 1 is cancelled already/);
  refuses(() => memory.handoffs.cancel(id), /handoff 1 is cancelled already/);
  const { records } = memory.stats();
  equal(records, 4, "refusals leave no record: start, created, item done, cancelled");
});

Deno.test("a handoff without items, task or texts is not created", () => {
  using memory = openMemoryInRam();
  refuses(() => memory.handoffs.create({ ...repair, items: [] }), /at least one item/);
  refuses(() => memory.handoffs.create({ ...repair, task: " " }), /the task of a handoff is empty/);
  const [item] = repair.items;
  refuses(
    () => memory.handoffs.create({ ...repair, items: [item, { ...item, action: "" }] }),
    /action of item 2 is empty/,
  );
  refuses(
    () => memory.handoffs.create({ ...repair, items: [{ ...item, evidence: "" }] }),
    /evidence wanted for item 1/,
  );
  refuses(() => memory.handoffs.create({ ...repair, domain: "text-based" as "hybrid" }), /not for "text-based"/);
  equal(memory.handoffs.list(), []);
});

Deno.test("handoffs are listed by state, and read from another process's file", () =>
  withFolder((folder) => {
    const path = `${folder}/memory.db`;
    {
      using memory = openMemory(path);
      for (let n = 1; n <= 4; n++) memory.handoffs.create({ ...repair, task: `Task ${n}` });
      memory.handoffs.complete(2, "seen");
      memory.handoffs.cancel(3);
    }
    using reader = readMemory(path);
    const ids = (state?: "open" | "done" | "cancelled") => reader.handoffs.list({ state }).map(({ id }) => id);
    equal([ids(), ids("open"), ids("done"), ids("cancelled")], [[1, 2, 3, 4], [1, 4], [2], [3]]);
    equal(reader.handoffs.get(3)!.reason, undefined);
    equal(reader.handoffs.get(5), undefined);
  }));
