/**
 * Where the time of a training step goes: the library's profile by op, gathered into phases, each beside its floor.
 * @module
 */
import { check, type Library } from "../../cuda/lib.ts";

/** One op of the profile. */
interface OpTime {
  readonly name: string;
  readonly calls: number;
  readonly seconds: number;
  /** Counted floating-point operations. */
  readonly operations: number;
}

/** Phases in the order they are shown; an op belongs to the first whose pattern its name has. */
const phases: readonly (readonly [string, RegExp])[] = [
  ["products", /^matmul|^linear_rope/],
  ["attention", /^attention/],
  ["output layer and loss", /cross_entropy/],
  ["embeddings", /embedding/],
  ["norms and positions", /norm|rope/],
  ["optimizer", /^(adamw|muon)/],
  ["rest", /^/],
];

/** The ops that took time since the profile was started, the longest first. */
export function readProfile(library: Library): OpTime[] {
  const buffer = new Uint8Array(1 << 16);
  const length = library.symbols.rs_profile_report(buffer, buffer.length);
  const text = new TextDecoder().decode(buffer.subarray(0, length)).trim();
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [name, calls, seconds, operations] = line.split(" ");
    return { name, calls: Number(calls), seconds: Number(seconds), operations: Number(operations) };
  }).sort((a, b) => b.seconds - a.seconds);
}

/** Starts or stops the profile. While it is on, every op is waited for. */
export function profile(library: Library, on: boolean): void {
  check(library.symbols.rs_profile_enable(Number(on)), "profile_enable");
}

const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(3).padStart(10)} ms`;

/** Lines of every op: calls and time a step, share of all. */
export function opLines(ops: readonly OpTime[], steps: number): string[] {
  const total = ops.reduce((sum, { seconds }) => sum + seconds, 0);
  return ops.map(({ name, calls, seconds }) =>
    `${name.padEnd(28)} ${(calls / steps).toFixed(1).padStart(8)} calls ${milliseconds(seconds / steps)} ${
      (100 * seconds / total).toFixed(1).padStart(5)
    } %`
  );
}

/**
 * Lines of phases: milliseconds a step and, where operations are counted, their floor.
 * @param peak operations a second that the device can do
 */
export function phaseLines(ops: readonly OpTime[], steps: number, peak: number): string[] {
  const sums = new Map(phases.map(([name]) => [name, { seconds: 0, operations: 0 }]));
  for (const { name, seconds, operations } of ops) {
    const [phase] = phases.find(([, pattern]) => pattern.test(name))!;
    const sum = sums.get(phase)!;
    sum.seconds += seconds;
    sum.operations += operations;
  }
  const shown = (seconds: number) => (1000 * seconds / steps).toFixed(2);
  return [...sums].map(([name, { seconds, operations }]) => {
    const floor = operations > 0 ? `, floor ${shown(operations / peak)} ms` : "";
    return `phase ${name}: ${shown(seconds)} ms a step${floor}`;
  });
}
