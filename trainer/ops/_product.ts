/** Products of single matrices and gradients that are products or row sums, added inside the kernel where possible. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, writableGrad } from "../tape.ts";
import type { Tensor } from "../tensor.ts";

/** Epilogues of `rs_matmul`. */
export const NONE = 0, RELU2 = 1, RELU2_BACKWARD = 2, ADD_AUX = 3;

/** y = op(a)·op(b) of single matrices; a thin name for `rs_matmul`. */
export function multiplyInto(
  y: Tensor,
  a: Tensor,
  b: Tensor,
  aux: Tensor | null,
  [m, n, k]: readonly [m: number, n: number, k: number],
  transposeA: boolean,
  transposeB: boolean,
  epilogue: number,
): void {
  check(
    library().symbols.rs_matmul(
      y.handle,
      a.handle,
      b.handle,
      aux?.handle ?? 0,
      1,
      m,
      n,
      k,
      Number(transposeA),
      Number(transposeB),
      0,
      epilogue,
    ),
    "matmul",
  );
}

/** Adds op(a)·op(b) to the gradient of `x`, inside the product where there is one already. */
export function addProductGrad(
  x: Tensor,
  a: Tensor,
  b: Tensor,
  size: readonly [m: number, n: number, k: number],
  transposeA: boolean,
  transposeB: boolean,
): void {
  if (!x.requiresGrad) return;
  const grad = writableGrad(x);
  if (grad !== null) {
    multiplyInto(grad, a, b, grad, size, transposeA, transposeB, ADD_AUX);
    return;
  }
  x.grad = newGrad(x);
  multiplyInto(x.grad, a, b, null, size, transposeA, transposeB, NONE);
}

/** Adds the sum over rows of dy[N,C] to the gradient of `x` [C]. */
export function addRowSum(x: Tensor, dy: Tensor, n: number, c: number): void {
  const grad = newGrad(x);
  check(library().symbols.rs_sum_forward(grad.handle, dy.handle, n, c, 0, 1), "backward");
  addGrad(x, grad);
}
