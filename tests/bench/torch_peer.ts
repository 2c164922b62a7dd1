/**
 * Products of PyTorch in a Python process of its own, which waits for one shape after another so that measurements can
 * take turns. Only benchmarks use it.
 * @module
 */
import type { ProductShape } from "./blas_peer.ts";

/** A running PyTorch. */
export interface Torch extends AsyncDisposable {
  /** Such as `PyTorch 2.13.0`. */
  readonly name: string;
  /** Seconds of one product of this shape, the middle of `repeats`. */
  seconds(shape: ProductShape, repeats: number): Promise<number>;
}

// Matrices of a shape are kept until the next shape comes.
const program = `
import sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
print(torch.__version__, flush=True)
last = None
for line in sys.stdin:
    m, n, k, ta, tb, repeats = map(int, line.split())
    if last != (m, n, k, ta, tb):
        last = (m, n, k, ta, tb)
        a = torch.rand((k, m) if ta else (m, k)) - 0.5
        b = torch.rand((n, k) if tb else (k, n)) - 0.5
        a, b = a.T if ta else a, b.T if tb else b
        c = torch.mm(a, b)
    begin = time.perf_counter()
    while time.perf_counter() - begin < 0.025:
        torch.mm(a, b, out=c)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, b, out=c)
        times.append(time.perf_counter() - start)
    print(sorted(times)[len(times) // 2], flush=True)
`;

/**
 * Starts a Python with PyTorch.
 * @param python the command; without one the result is null
 * @throws Error in one sentence when it can't be run or has no torch
 */
export async function startTorch(python: string | undefined, threads: number): Promise<Torch | null> {
  if (python === undefined) return null;
  let child: Deno.ChildProcess;
  try {
    const args = ["-c", program, String(threads)];
    child = new Deno.Command(python, { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  } catch (cause) {
    throw new Error(`--torch ${python} can't be run: ${(cause as Error).message}`, { cause });
  }
  const writer = child.stdin.getWriter();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const nextLine = async (): Promise<string> => {
    while (!rest.includes("\n")) {
      const { value, done } = await lines.read();
      if (done) throw new Error(`--torch ${python} ended without an answer; can it import torch?`);
      rest += value;
    }
    const [line, ...others] = rest.split("\n");
    rest = others.join("\n");
    return line;
  };
  return {
    name: `PyTorch ${await nextLine()}`,
    async seconds({ m, n, k, transA, transB }, repeats) {
      await writer.write(new TextEncoder().encode(`${[m, n, k, +transA, +transB, repeats].join(" ")}\n`));
      return Number(await nextLine());
    },
    async [Symbol.asyncDispose]() {
      await writer.close();
      await child.status;
    },
  };
}
