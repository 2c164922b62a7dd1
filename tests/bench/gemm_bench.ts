/**
 * Products of the library beside other libraries' on the shapes of the presets `cpu` and `cpu-tiny`. The libraries take
 * turns and the ratio is the middle one of all rounds, so that what else the machine does falls on all alike. A weight
 * is written to before each of our products: the time includes packing it, which training does once a step.
 * @module
 */
import { check, type Library } from "../../cuda/lib.ts";
import { enums } from "../../cuda/symbols.gen.ts";
import type { Blas, ProductShape } from "./blas_peer.ts";
import { median, Pool } from "./pool.ts";
import type { Torch } from "./torch_peer.ts";

/** Libraries to compare with; null where none was given. */
export interface Peers {
  readonly blas: Blas | null;
  readonly torch: Torch | null;
}

const TOKENS = 4096;

const delay = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

function shapesOf(width: number, vocabulary: number): ProductShape[] {
  const matrices = [[width, width], [4 * width, width], [width, 4 * width], [vocabulary, width]];
  const products = (shape: (outputs: number, inputs: number) => ProductShape) => matrices.map(([o, i]) => shape(o, i));
  return [
    ...products((n, k) => ({ m: TOKENS, n, k, transA: false, transB: true })),
    ...products((k, n) => ({ m: TOKENS, n, k, transA: false, transB: false })),
    ...products((m, n) => ({ m, n, k: TOKENS, transA: true, transB: false })),
  ];
}

/** Calls of one library before the next one's turn: short enough to take turns often, long enough for the clock. */
const ROUND_SECONDS = 0.03;

/** Before each turn: the threads of other libraries go on looking for work for tens of milliseconds after a call. */
const PAUSE_MILLISECONDS = 60;

/** After a pause both threads may wake on one core, which the system takes some milliseconds to mend. */
const WARM_UP_MILLISECONDS = 25;

/** Seconds of one call, after some that are not counted. */
function timed(repeats: number, call: () => void): number {
  const begin = performance.now();
  while (performance.now() - begin < WARM_UP_MILLISECONDS) call();
  const start = performance.now();
  for (let i = 0; i < repeats; i++) call();
  return (performance.now() - start) / 1000 / repeats;
}

/**
 * Compares shape by shape.
 * @param seconds time for one shape and library
 * @returns lines to print, the last ones a summary or why there is no comparison
 */
export async function* compareProducts(library: Library, peers: Peers, seconds: number): AsyncGenerator<string> {
  const { blas, torch } = peers;
  yield `\nproducts beside ${blas ? "OpenBLAS" : "OpenBLAS (skipped: no --blas PATH)"} and ${
    torch ? torch.name : "PyTorch (skipped: no --torch PYTHON)"
  }: GFLOP/s, and our speed over theirs`;
  if (!blas && !torch) return;
  const ratios: number[] = [];
  for (const shape of [...shapesOf(256, 2048), ...shapesOf(128, 1024)]) {
    const { line, ratio } = await compareOne(library, peers, shape, seconds);
    ratios.push(ratio);
    yield line;
  }
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  yield `our speed over the better one's: ${mean.toFixed(2)} (geometric mean), lowest ${
    Math.min(...ratios).toFixed(2)
  }`;
}

async function compareOne(library: Library, { blas, torch }: Peers, shape: ProductShape, seconds: number) {
  const { m, n, k, transA, transB } = shape, rs = library.symbols;
  using pool = new Pool(library);
  const a = pool.floats(m * k), b = pool.floats(n * k, -1, !transA), c = pool.floats(m * n);
  const first = rs.rs_tensor_view(b, 0, 1);
  const ours = () => {
    if (!transA) check(rs.rs_tensor_fill(first, 0.5), "tensor_fill");
    const none = enums.RS_EPILOGUE_NONE;
    check(rs.rs_matmul(c, a, b, 0, 1, m, n, k, +transA, +transB, 0, none), "matmul");
  };
  const [hostA, hostB, hostC] = [pool.read(a, m * k), pool.read(b, n * k), new Float32Array(m * n)];
  const theirs = blas ? () => blas.sgemm(hostC, hostA, hostB, shape) : null;
  ours();
  theirs?.();
  const repeats = Math.max(1, Math.round(ROUND_SECONDS / timed(3, ours)));
  const rounds = Math.max(3, Math.round(seconds / ROUND_SECONDS));
  const times = { ours: [] as number[], blas: [] as number[], torch: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    await delay(PAUSE_MILLISECONDS);
    times.ours.push(timed(repeats, ours));
    await delay(PAUSE_MILLISECONDS);
    if (theirs) times.blas.push(timed(repeats, theirs));
    await delay(PAUSE_MILLISECONDS);
    if (torch) times.torch.push(await torch.seconds(shape, repeats));
  }
  check(rs.rs_tensor_destroy(first), "tensor_destroy");
  const rate = (list: number[]) => (2 * m * n * k / median(list) / 1e9).toFixed(1).padStart(6);
  const ratioTo = (list: number[]) => median(list.map((time, i) => time / times.ours[i]));
  const peers = ([["OpenBLAS", times.blas], ["PyTorch", times.torch]] as const).filter(([, list]) => list.length > 0);
  const ratio = Math.min(...peers.map(([, list]) => ratioTo(list)));
  const name = `${transA ? `[${k},${m}]ᵀ` : `[${m},${k}]`}·${transB ? `[${n},${k}]ᵀ` : `[${k},${n}]`}`;
  const others = peers.map(([peer, list]) => `${peer} ${rate(list)} ×${ratioTo(list).toFixed(2)}`).join("  ");
  return { ratio, line: `${name.padEnd(26)} ours ${rate(times.ours)}  ${others}` };
}
