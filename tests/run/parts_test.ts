/** Frames, clocks, command lines and pins by themselves: the parts of a run that need no process. */
import { join } from "node:path";
import {
  budgetOf,
  freeSetupSeconds,
  killAfter,
  latestReturn,
  latestSave,
  parseClock,
  StepClock,
} from "../../trainer/run/clock.ts";
import { pinTree } from "../../trainer/run/pin.ts";
import { childArguments } from "../../trainer/run/processes.ts";
import { scoringLimit } from "../../trainer/run/supervisor.ts";
import {
  decodeFailure,
  encodeFrame,
  encodeJson,
  Frame,
  FrameReader,
  ProtocolError,
  readFrameSync,
} from "../../trainer/run/protocol.ts";

function equal(actual: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`got ${a}, wanted ${b}`);
}

function throws(fn: () => unknown, message: RegExp): void {
  try {
    fn();
  } catch (error) {
    if (message.test((error as Error).message)) return;
    throw new Error(`should say ${message}, says ${(error as Error).message}`);
  }
  throw new Error(`should have failed with ${message}`);
}

/** A stream of `bytes` in pieces of `size`. */
const stream = (bytes: Uint8Array, size: number) =>
  ReadableStream.from((function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  })());

Deno.test("frames come out as they went in, however the pipe cuts them", async () => {
  const payloads = [0, 1, 4, 5, 300].map((length) => Uint8Array.from({ length }, (_, index) => index * 7));
  const bytes = new Uint8Array(
    await new Blob(payloads.map((payload) => encodeFrame(Frame.batch, payload))).arrayBuffer(),
  );
  for (const size of [1, 2, 3, 7, 64, 1000]) {
    const reader = new FrameReader(stream(bytes, size));
    for (const payload of payloads) {
      const frame = await reader.next();
      equal(frame?.kind, Frame.batch);
      equal([...frame!.payload], [...payload]);
    }
    equal(await reader.next(), null);
    let at = 0;
    const read = (buffer: Uint8Array) => {
      const part = bytes.subarray(at, at + Math.min(size, buffer.length));
      buffer.set(part);
      at += part.length;
      return part.length === 0 ? null : part.length;
    };
    for (const payload of payloads) equal([...readFrameSync(read)!.payload], [...payload]);
    equal(readFrameSync(read), null);
  }
});

Deno.test("a frame beyond its limit, or cut short, is an error and no allocation", async () => {
  for (
    const [bytes, reason] of [
      [new Uint8Array(100).fill(255), /says that it has 4294967295 bytes, 1000 are allowed/],
      [encodeFrame(Frame.log, new Uint8Array(1001)), /1001 bytes/],
      [encodeFrame(Frame.log, new Uint8Array(12)).slice(0, 9), /ended within a frame/],
      [new Uint8Array(3), /ended within a frame/],
    ] as const
  ) {
    const error = await new FrameReader(stream(bytes, 10), 1000).next().then(() => null, (reason) => reason);
    if (!(error instanceof ProtocolError) || !reason.test(error.message)) throw new Error(`got ${error}`);
  }
});

Deno.test("what a child says about its failure is cut to size and never trusted to have a form", () => {
  equal(decodeFailure(encodeJson({ phase: "train", name: "E", message: "x".repeat(9000) })).message.length, 4000);
  equal(decodeFailure(encodeJson(null)), { phase: "unknown", name: "Error", message: "no message" });
  equal(decodeFailure(encodeJson({ phase: 1, message: ["a"] })).message, "no message");
  throws(() => decodeFailure(new Uint8Array([1, 2, 3])), /should hold JSON/);
});

Deno.test("a clock goes by time, by steps or as recorded", () => {
  const timed = new StepClock({ seconds: 10 });
  equal([0, 0.5, 1, 9.5, 9.99].map((seconds) => timed.begin(seconds)), [0, 0.05, 0.1, null, null]);
  const steps = new StepClock({ steps: 4 });
  equal([0, 100, 200, 300, 400].map((seconds) => steps.begin(seconds)), [0, 0.25, 0.5, 0.75, null]);
  const replay = new StepClock({ clock: [0, 0.25, 0.999] });
  equal([7, 7, 7, 7].map((seconds) => replay.begin(seconds)), [0, 0.25, 0.999, null]);
  equal(replay.share(7), 1);
});

Deno.test("a timed run begins no step that would end too late to count", () => {
  const run = (stepSeconds: number) => {
    const clock = new StepClock({ seconds: 10 });
    let now = 0;
    while (clock.begin(now) !== null) now += stepSeconds;
    return now;
  };
  // Short steps run up to the deadline, long ones stop where the next could not be saved by 11 s.
  for (const [stepSeconds, end] of [[0.25, 10], [0.5, 10], [2, 10], [3, 9], [4, 8]] as const) {
    equal(run(stepSeconds), end);
  }
});

Deno.test("a step gets no batches without end: where it begins is the word of the code under test", () => {
  const served = (clock: StepClock, seconds: number, rows: number, most: number) => {
    let count = 0;
    while (count < most && clock.serves(seconds, rows)) count++;
    return count;
  };
  const timed = new StepClock({ seconds: 10 });
  equal(served(timed, 0, 8, 1), 0);
  timed.begin(0);
  equal(served(timed, 9.9, 8, 100), 100);
  equal(served(timed, 10, 8, 100), 0);
  const accumulating = new StepClock({ seconds: 10 });
  accumulating.begin(0);
  equal(served(accumulating, 0, 8, 5), 5);
  accumulating.begin(4);
  equal(served(accumulating, 9.9, 8, 2), 2);
  // After the deadline the running step may still have what the one before had, before the last moment to save.
  equal([served(accumulating, 10.5, 8, 100), served(accumulating, 11.1, 1, 1)], [3, 0]);
  for (const budget of [{ steps: 2 }, { clock: [0, 0.5] }]) {
    const steps = new StepClock(budget);
    steps.begin(0);
    equal(served(steps, 0, 1, 3), 3);
    steps.begin(1);
    equal(served(steps, 1, 1, 1e6), 6);
  }
  const one = new StepClock({ steps: 1 });
  one.begin(0);
  equal(served(one, 0, 1, 1e6), 4096);
});

Deno.test("budgets have the limits of the design", () => {
  equal([8, 300].map((seconds) => freeSetupSeconds({ seconds })), [2, 60]);
  equal([8, 300].map((seconds) => latestReturn({ seconds })), [9, 306]);
  // 200 MB take 2 s more where the budget is short; no file buys more than a tenth of it or 5 s, and none any of a long
  // budget.
  equal([0, 50e6, 1e15].map((bytes) => latestSave({ seconds: 8 }, bytes)), [9, 9.5, 9.8]);
  equal([0, 200e6, 1e15].map((bytes) => latestSave({ seconds: 100 }, bytes)), [102, 103, 106]);
  equal([0, 200e6, 1e15].map((bytes) => latestSave({ seconds: 300 }, bytes)), [306, 306, 306]);
  equal(killAfter({ seconds: 300 }), 600);
  throws(() => budgetOf({}), /needs one of/);
  throws(() => budgetOf({ steps: 3, budgetSeconds: 3 }), /needs one of/);
  for (const budgetSeconds of [0, -1, NaN, Infinity]) throws(() => budgetOf({ budgetSeconds }), /above 0/);
  for (const steps of [0, 1.5, NaN]) throws(() => budgetOf({ steps }), /whole number/);
});

Deno.test("the time for scoring follows the speed of the training, but not without end", () => {
  const limit = (seconds: number, tokens: number, budget: Parameters<typeof scoringLimit>[1]) =>
    scoringLimit({ trainingSeconds: seconds, tokens }, budget, 1000, 100);
  equal(limit(10, 1e6, { seconds: 10 }), 60);
  equal(limit(300, 3e6, { seconds: 300 }), 600);
  equal(limit(300, 2.4e5, { seconds: 300 }), 1000);
  // A train.ts that asks for few tokens in all of its time would have 8 million seconds.
  equal(limit(300, 1, { seconds: 300 }), 1200);
  equal(limit(8, 1, { seconds: 8 }), 120);
  equal(limit(300, 1, { steps: 5 }), 1800);
  equal(limit(300, 1, { clock: [0, 0.5] }), 1800);
});

Deno.test("a recorded clock is read strictly", () => {
  equal(parseClock("[0, 0.5, 0.5, 1]"), [0, 0.5, 0.5, 1]);
  throws(() => parseClock("[0, 0.5"), /no JSON/);
  throws(() => parseClock("[]"), /a number for each step/);
  throws(() => parseClock('{"0": 1}'), /a number for each step/);
  throws(() => parseClock("[0, 1.5]"), /entry 1/);
  throws(() => parseClock("[0, 0.5, 0.4]"), /entry 2/);
  throws(() => parseClock('[0, "1"]'), /entry 1/);
});

Deno.test("children start with the flags of the design and nothing else", () => {
  equal(childArguments("worker.ts", { ffi: "/lib.so", read: ["/code/cuda", "/run"], write: ["/run"] }), [
    "run",
    "--quiet",
    "--no-prompt",
    "--no-remote",
    "--no-npm",
    "--cached-only",
    "--no-config",
    "--no-lock",
    "--no-check",
    "--allow-ffi=/lib.so",
    "--allow-read=/code/cuda,/run",
    "--allow-write=/run",
    "worker.ts",
  ]);
  // Deno reads two commas as an empty path between two others.
  throws(
    () => childArguments("worker.ts", { ffi: "/l,ib.so", read: [], write: [] }),
    /permissions cannot name \/l,ib.so/,
  );
});

Deno.test("a pin sees every change but those to train.ts", async () => {
  const folder = await Deno.makeTempDir({ prefix: "researchswarm_pin_" });
  try {
    const write = async (path: string, text: string) => {
      await Deno.mkdir(join(folder, path, ".."), { recursive: true });
      await Deno.writeTextFile(join(folder, path), text);
    };
    for (const path of ["cuda/lib.ts", "trainer/train.ts", "trainer/data/a.ts", "program.md", "lib.so"]) {
      await write(path, path);
    }
    for (const args of [["init", "-q"], ["add", "cuda", "trainer", "program.md"]]) {
      await new Deno.Command("git", { args, cwd: folder }).output();
    }
    const libraryPath = join(folder, "lib.so");
    const pin = () => pinTree(folder, { files: "tracked", libraryPath });
    const before = await pin();
    await write("trainer/train.ts", "changed");
    await write("notes.txt", "untracked, outside of the code");
    equal(await pin(), before);
    const changes: [string, string][] = [
      ["program.md", "changed"],
      ["cuda/lib.ts", "changed"],
      ["trainer/data/new.ts", "untracked, but a child could load it"],
      ["trainer/data/rows.bin", "untracked, but a child could load it"],
      ["lib.so", "changed"],
    ];
    for (const [path, text] of changes) {
      const old = await Deno.readTextFile(join(folder, path)).catch(() => null);
      await write(path, text);
      if (await pin() === before) throw new Error(`a change of ${path} was not seen`);
      if (old === null) await Deno.remove(join(folder, path));
      else await write(path, old);
    }
    equal(await pin(), before);
    await Deno.symlink("/etc/passwd", join(folder, "trainer/data/link.ts"));
    if (await pin() === before) throw new Error("a link was not seen");
    await Deno.remove(join(folder, "trainer/data/link.ts"));
    await Deno.remove(join(folder, "program.md"));
    if (await pin() === before) throw new Error("a removed file was not seen");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
