/**
 * `deno task bench ops`: times every op of the library and says how far it is from what the machine could do, then
 * products beside those of OpenBLAS and PyTorch where they are given.
 *
 * The floor of a call is the larger of (operations that the library counted ÷ measured multiply-add peak) and (bytes of
 * its tensors, each read or written once ÷ measured copy bandwidth); `of peak` is floor ÷ time. Small tensors stay in
 * the caches, whose bandwidth is beyond the one measured, so they may exceed 100 %.
 * @module
 */
import { parseArgs } from "node:util";
import { ensureLibrary } from "../../cuda/build.ts";
import { resolveHome } from "../../cuda/home.ts";
import { check, type Library, openLibrary } from "../../cuda/lib.ts";
import { openBlas } from "./blas_peer.ts";
import { compareProducts } from "./gemm_bench.ts";
import { type BenchArgument, type BenchCase, benchCases } from "./ops_cases.ts";
import { median, Pool } from "./pool.ts";
import { startTorch } from "./torch_peer.ts";

/** Bad flags. */
class UsageError extends Error {
  override name = "UsageError";
}

const usage = `Times every op, and products beside other libraries.

usage: deno task bench ops [options]

  --only TEXT      ops and shapes whose line contains TEXT; "products" for the comparison alone
  --seconds N      time spent on each line (default 0.2)
  --threads N      (default: all cores)
  --blas PATH      a libopenblas.so to compare products with
  --torch PYTHON   a python3 that can import torch, to compare products with; the task may run one named python3
  --help           this text`;

/** The machine's measured limits. */
interface Peaks {
  /** Multiply-add GFLOP/s of all threads. */
  readonly gflops: number;
  /** GB/s of a copy, read and written. */
  readonly bandwidth: number;
}

function measurePeaks(library: Library): Peaks {
  const out = new Float64Array(2);
  check(library.symbols.rs_measure_peaks(out, out.byteLength, 1), "measure_peaks");
  return { gflops: out[0], bandwidth: out[1] };
}

function countedOperations(library: Library): number {
  const out = new Float64Array(8);
  check(library.symbols.rs_counters(out, out.byteLength), "counters");
  return out[5];
}

/** Turns one case's arguments into tensors and gives back the call and the bytes it must move. */
function prepare(pool: Pool, op: string, args: readonly BenchArgument[]): { call: () => void; bytes: number } {
  let bytes = 0;
  const values: (number | ArrayBufferView)[] = [], slots: number[] = [];
  const tensorOf = (argument: BenchArgument): number => {
    if (argument === null) return 0;
    if (typeof argument === "number") return argument;
    if ("floats" in argument) {
      bytes += argument.floats * 4 * (argument.use === "update" ? 2 : 1);
      return pool.floats(argument.floats, argument.low, argument.weight);
    }
    if ("ids" in argument) {
      bytes += argument.ids * 4;
      return pool.ids(argument.ids, argument.below);
    }
    if ("numbers" in argument) return pool.numbers(argument.numbers);
    if ("same" in argument) return slots[argument.same];
    throw new TypeError("a table or a buffer inside a table");
  };
  for (const argument of args) {
    if (argument !== null && typeof argument === "object" && "rows" in argument) {
      const table = Uint32Array.from(argument.rows.flatMap((row) => row.map(tensorOf)));
      values.push(table, table.byteLength);
      slots.push(0);
    } else if (argument !== null && typeof argument === "object" && "buffer" in argument) {
      bytes += argument.buffer.byteLength;
      values.push(argument.buffer, argument.buffer.byteLength);
      slots.push(0);
    } else {
      slots.push(tensorOf(argument));
      values.push(slots[slots.length - 1]);
    }
  }
  const name = op as keyof Library["symbols"];
  const run = pool.library.symbols[name] as unknown as (...values: (number | ArrayBufferView)[]) => number;
  return { bytes, call: () => check(run(...values), op.replace("rs_", "")) };
}

function timeCase(library: Library, op: string, { label, args }: BenchCase, peaks: Peaks, seconds: number): string {
  using pool = new Pool(library);
  const { call, bytes } = prepare(pool, op, args);
  const before = countedOperations(library);
  call();
  const operations = countedOperations(library) - before;
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (times.length < 3 || performance.now() < end) {
    const start = performance.now();
    call();
    check(library.symbols.rs_sync(), "sync");
    times.push((performance.now() - start) / 1000);
  }
  const time = median(times);
  const floor = Math.max(operations / (peaks.gflops * 1e9), bytes / (peaks.bandwidth * 1e9));
  const rate = operations > 0
    ? `${(operations / time / 1e9).toFixed(1).padStart(7)} GFLOP/s`
    : `${(bytes / time / 1e9).toFixed(1).padStart(7)} GB/s   `;
  return `${op.slice(3).padEnd(24)} ${label.padEnd(36)} ${(time * 1e3).toFixed(3).padStart(9)} ms ${rate} ${
    (100 * floor / time).toFixed(0).padStart(4)
  } % of peak`;
}

/** Reads the flags; null for --help. */
function readOptions(args: string[]) {
  const text = { type: "string" } as const;
  const { values } = (() => {
    try {
      return parseArgs({
        args,
        options: {
          only: text,
          seconds: text,
          threads: text,
          blas: text,
          torch: text,
          help: { type: "boolean", short: "h" },
        },
      });
    } catch (error) {
      throw new UsageError(`${(error as Error).message.split(/\.\s/)[0]}; see --help`);
    }
  })();
  if (values.help) return null;
  const seconds = Number(values.seconds ?? 0.2), threads = Number(values.threads ?? 0);
  if (!(seconds > 0 && seconds <= 60)) {
    throw new UsageError(`--seconds must be above 0 and at most 60, got "${values.seconds}"`);
  }
  if (!Number.isSafeInteger(threads) || threads < 0 || threads > 1024) {
    throw new UsageError(`--threads must be a whole number from 0 to 1024, got "${values.threads}"`);
  }
  return { ...values, seconds, threads };
}

/**
 * The command line of `bench ops`.
 * @param args flags, see `--help`
 * @throws Error in one sentence when a flag is wrong or a library that was asked for cannot be used
 */
export async function opsBenchCommand(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (!options) return console.log(usage);
  const threads = options.threads || navigator.hardwareConcurrency;
  const library = openLibrary(await ensureLibrary(resolveHome()), { threads });
  const peaks = measurePeaks(library);
  console.log(`${library.description}: ${peaks.gflops.toFixed(0)} GFLOP/s, copies ${peaks.bandwidth.toFixed(0)} GB/s`);
  const matches = (text: string) => options.only === undefined || text.includes(options.only);
  for (const [op, cases] of Object.entries(benchCases)) {
    for (const one of cases) {
      if (matches(`${op.slice(3)} ${one.label}`)) console.log(timeCase(library, op, one, peaks, options.seconds));
    }
  }
  if (!matches("products")) return;
  using blas = openBlas(options.blas, threads);
  await using torch = await startTorch(options.torch, threads);
  for await (const line of compareProducts(library, { blas, torch }, options.seconds)) console.log(line);
}
