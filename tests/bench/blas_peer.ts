/**
 * Single-precision products of a BLAS with the C interface and OpenBLAS's own way to set threads. Only benchmarks use
 * it; nothing of the library does.
 * @module
 */

/** Which of the two matrices are stored transposed. */
export interface ProductShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transA: boolean;
  readonly transB: boolean;
}

/** An open BLAS. */
export interface Blas extends Disposable {
  /** c[m,n] = op(a)·op(b), all row by row. */
  sgemm(
    c: Float32Array<ArrayBuffer>,
    a: Float32Array<ArrayBuffer>,
    b: Float32Array<ArrayBuffer>,
    shape: ProductShape,
  ): void;
}

const interfaceOf = {
  cblas_sgemm: {
    parameters: [
      "i32",
      "i32",
      "i32",
      "i32",
      "i32",
      "i32",
      "f32",
      "buffer",
      "i32",
      "buffer",
      "i32",
      "f32",
      "buffer",
      "i32",
    ],
    result: "void",
  },
  openblas_set_num_threads: { parameters: ["i32"], result: "void" },
} as const;

const ROW_MAJOR = 101, AS_STORED = 111, TRANSPOSED = 112;

/**
 * Opens a BLAS.
 * @param path of the shared library; without one the result is null
 * @throws Error in one sentence when the file is no such library
 */
export function openBlas(path: string | undefined, threads: number): Blas | null {
  if (path === undefined) return null;
  let library: Deno.DynamicLibrary<typeof interfaceOf>;
  try {
    library = Deno.dlopen(path, interfaceOf);
  } catch (cause) {
    throw new Error(`--blas ${path} can't be opened: ${(cause as Error).message}`, { cause });
  }
  library.symbols.openblas_set_num_threads(threads);
  return {
    sgemm(c, a, b, { m, n, k, transA, transB }) {
      const [first, second] = [transA, transB].map((transposed) => transposed ? TRANSPOSED : AS_STORED);
      library.symbols.cblas_sgemm(
        ...[ROW_MAJOR, first, second, m, n, k, 1] as const,
        ...[a, transA ? m : k, b, transB ? k : n, 0, c, n] as const,
      );
    },
    [Symbol.dispose]: () => library.close(),
  };
}
