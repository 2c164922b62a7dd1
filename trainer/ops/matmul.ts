/** Batched matrix products of two activations. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule, writableGrad } from "../tape.ts";
import { product, sameShape, ShapeError, showShape, type Tensor } from "../tensor.ts";
import { ADD_AUX, NONE } from "./_product.ts";
import { needAxes, needFloat, outputLike } from "./_shapes.ts";

/** Whether the last two axes of an operand are swapped before the product. */
export interface MatmulOptions {
  /** a is stored `[..., K, M]`. */
  transposeA?: boolean;
  /** b is stored `[..., N, K]`. */
  transposeB?: boolean;
}

/**
 * c = op(a)·op(b) over the last two axes.
 * @param a [..., M, K], or [..., K, M] with `transposeA`
 * @param b [..., K, N] (or [..., N, K] with `transposeB`), with the leading axes of `a`, or none: one b for all
 * @returns [..., M, N]
 * @throws ShapeError when shapes do not fit, or when `transposeA` meets a `b` shared by a batch
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  needFloat("matmul", "a", a);
  needAxes("matmul", "a", a, 2, true);
  needAxes("matmul", "b", b, 2, true);
  const leading = a.shape.slice(0, -2);
  const [rowsA, colsA] = a.shape.slice(-2);
  const [rowsB, colsB] = b.shape.slice(-2);
  let [m, k] = transposeA ? [colsA, rowsA] : [rowsA, colsA];
  const n = transposeB ? rowsB : colsB;
  const batchB = b.shape.length > 2;
  if (
    (transposeB ? colsB : rowsB) !== k || (batchB && !sameShape(b.shape.slice(0, -2), leading)) ||
    (!batchB && transposeA && leading.length > 0)
  ) {
    throw new ShapeError("matmul", `${showShape(a.shape)} and ${showShape(b.shape)} do not fit`);
  }
  const c = outputLike(a, [...leading, m, n]);
  let batch = product(leading);
  if (!batchB && batch !== 1) [batch, m] = [1, batch * m];
  const kept = { a, b, batch, m, n, k, transposeA, transposeB, batchB };
  run(c, a, b, null, batch, m, n, k, transposeA, transposeB, batchB);
  record("matmul", [a, b], [c], kept, [a, b]);
  return c;
}

function run(
  c: Tensor,
  a: Tensor,
  b: Tensor,
  aux: Tensor | null,
  batch: number,
  m: number,
  n: number,
  k: number,
  transposeA: boolean,
  transposeB: boolean,
  batchB: boolean,
): void {
  check(
    library().symbols.rs_matmul(
      c.handle,
      a.handle,
      b.handle,
      aux?.handle ?? 0,
      batch,
      m,
      n,
      k,
      Number(transposeA),
      Number(transposeB),
      Number(batchB),
      aux ? ADD_AUX : NONE,
    ),
    "matmul",
  );
}

/** da = dc·op(b)ᵀ and db = op(a)ᵀ·dc, each stored as its operand is. */
export const matmulGradient: Rule<"matmul"> = (kept, dc) => {
  const { a, b, batch, m, n, k, transposeA, transposeB, batchB } = kept;
  const accumulate = (x: Tensor, product: (dx: Tensor, aux: Tensor | null) => void) => {
    if (!x.requiresGrad) return;
    const grad = writableGrad(x);
    if (grad) return product(grad, grad);
    const dx = newGrad(x);
    product(dx, null);
    addGrad(x, dx);
  };
  accumulate(
    a,
    (da, aux) =>
      transposeA
        ? run(da, b, dc, aux, batch, k, m, n, transposeB, true, true)
        : run(da, dc, b, aux, batch, m, k, n, false, !transposeB, batchB),
  );
  accumulate(
    b,
    (db, aux) =>
      transposeB
        ? run(db, dc, a, aux, batch, n, k, m, true, transposeA, true)
        : run(db, a, dc, aux, batch, k, n, m, !transposeA, false, true),
  );
};
