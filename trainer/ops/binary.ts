/** Sums, differences, products and quotients of two tensors, the second one broadcast. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, passGrad, record, type Rule } from "../tape.ts";
import { product, sameShape, ShapeError, showShape, type Tensor } from "../tensor.ts";
import { needFloat, outputLike } from "./_shapes.ts";

/** Kinds of `rs_binary_forward`, in the order of kernels.h. */
const KINDS = ["add", "subtract", "multiply", "divide"] as const;
const ADD = 0, SUBTRACT = 1;
const FULL = 0, ROW = 1, COLUMN = 2, SCALAR = 3;

/** How b is broadcast over a[N,C], or null where it cannot be. */
function broadcast(a: Tensor, b: Tensor): { shape: number; n: number; c: number } | null {
  if (sameShape(a.shape, b.shape)) return { shape: FULL, n: 1, c: a.size };
  if (b.size === 1) return { shape: SCALAR, n: 1, c: a.size };
  const offset = a.shape.length - b.shape.length;
  if (offset < 0) return null;
  // Trailing axes of a: one row for all.
  let from = 0;
  while (from < b.shape.length && b.shape[from] === 1) from++;
  if (sameShape(a.shape.slice(offset + from), b.shape.slice(from))) {
    return { shape: ROW, n: product(a.shape, 0, offset + from), c: product(b.shape, from) };
  }
  // Leading axes of a, then ones: one number a row.
  let to = b.shape.length;
  while (to > 0 && b.shape[to - 1] === 1) to--;
  if (offset === 0 && sameShape(a.shape.slice(0, to), b.shape.slice(0, to))) {
    return { shape: COLUMN, n: product(b.shape, 0, to), c: product(a.shape, to) };
  }
  return null;
}

function binary(name: (typeof KINDS)[number], a: Tensor, b: Tensor): Tensor {
  needFloat(name, "a", a);
  needFloat(name, "b", b);
  const kind = KINDS.indexOf(name);
  const sizes = broadcast(a, b);
  if (sizes === null) {
    const swapped = name === "add" || name === "multiply" ? broadcast(b, a) : null;
    if (swapped) return binary(name, b, a);
    throw new ShapeError(name, `${showShape(b.shape)} cannot be broadcast over ${showShape(a.shape)}`);
  }
  const { shape, n, c } = sizes;
  const y = outputLike(a);
  check(library().symbols.rs_binary_forward(y.handle, a.handle, b.handle, kind, shape, n, c), name);
  const linear = kind === ADD || kind === SUBTRACT;
  record("binary", [a, b], [y], { a, b, kind, shape, n, c }, !linear ? [a, b] : shape === FULL ? [] : [b]);
  return y;
}

/** A sum passes its gradient on without a pass over memory; the rest is the kernel's, one input at a time. */
export const binaryGradient: Rule<"binary"> = ({ a, b, kind, shape, n, c }, dy) => {
  const passA = kind === ADD || kind === SUBTRACT;
  const passB = kind === ADD && shape === FULL;
  const da = a.requiresGrad && !passA ? newGrad(a) : null;
  const db = b.requiresGrad && !passB ? newGrad(b) : null;
  if (da !== null || db !== null) {
    // A sum's rule reads neither operand, whose memory may be gone: dy stands in for those of its size.
    const [first, second] = passA ? [dy, shape === FULL ? dy : b] : [a, b];
    check(
      library().symbols.rs_binary_backward(
        da?.handle ?? 0,
        db?.handle ?? 0,
        dy.handle,
        first.handle,
        second.handle,
        kind,
        shape,
        n,
        c,
      ),
      KINDS[kind],
    );
  }
  if (da) addGrad(a, da);
  if (db) addGrad(b, db);
  if (a.requiresGrad && passA) passGrad(a, dy);
  if (b.requiresGrad && passB) passGrad(b, dy);
};

/**
 * a + b. b has the shape of a, or that of its last axes (a row), or that of its first axes followed by ones (a column),
 * or one element; a smaller a is broadcast likewise.
 * @throws ShapeError when shapes do not fit
 */
export function add(a: Tensor, b: Tensor): Tensor {
  return binary("add", a, b);
}

/** a − b, with b broadcast as in `add`. @throws ShapeError when shapes do not fit */
export function subtract(a: Tensor, b: Tensor): Tensor {
  return binary("subtract", a, b);
}

/** a·b, element by element, broadcast as in `add`. @throws ShapeError when shapes do not fit */
export function multiply(a: Tensor, b: Tensor): Tensor {
  return binary("multiply", a, b);
}

/** a / b, with b broadcast as in `add`. @throws ShapeError when shapes do not fit */
export function divide(a: Tensor, b: Tensor): Tensor {
  return binary("divide", a, b);
}
