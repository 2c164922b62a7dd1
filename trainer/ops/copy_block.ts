/** Parts of tensors along an axis: slice, split, concat. One kernel moves the blocks, forward and back. */
import { check, library } from "../../cuda/lib.ts";
import { addableGrad, newGrad, record, type Rule, writableGrad } from "../tape.ts";
import { product, ShapeError, showShape, type Tensor } from "../tensor.ts";
import { axisOf, needShape, outputLike } from "./_shapes.ts";

/** Copies (or adds) `size` steps of an axis from x at `from` to y at `to`; all other axes are alike. */
function copy(y: Tensor, to: number, x: Tensor, from: number, size: number, axis: number, accumulate: boolean): void {
  const inner = product(x.shape, axis + 1);
  check(
    library().symbols.rs_copy_block(
      y.handle,
      x.handle,
      product(x.shape, 0, axis),
      size * inner,
      y.shape[axis] * inner,
      to * inner,
      x.shape[axis] * inner,
      from * inner,
      Number(accumulate),
    ),
    "slice",
  );
}

const resized = (shape: readonly number[], axis: number, size: number) =>
  shape.map((before, at) => at === axis ? size : before);

/**
 * Steps `start` … `end`−1 of an axis, copied.
 * @throws ShapeError when the range does not lie in the axis
 */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const at = axisOf("slice", x, axis);
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end > x.shape[at] || start >= end) {
    throw new ShapeError("slice", `${start}…${end} does not lie in axis ${at} of ${showShape(x.shape)}`);
  }
  const y = outputLike(x, resized(x.shape, at, end - start));
  copy(y, 0, x, start, end - start, at, false);
  record("slice", [x], [y], { x, axis: at, start }, []);
  return y;
}

/** dy is added to the part of dx that was taken. */
export const sliceGradient: Rule<"slice"> = ({ x, axis, start }, dy) => {
  copy(addableGrad(x), start, dy, 0, dy.shape[axis], axis, true);
};

/**
 * Parts of the given sizes along an axis, copied.
 * @throws ShapeError when the sizes do not add up to the axis
 */
export function split(x: Tensor, sizes: readonly number[], axis: number): Tensor[] {
  const at = axisOf("split", x, axis);
  if (!sizes.every((size) => Number.isInteger(size) && size > 0) || sizes.reduce((a, b) => a + b, 0) !== x.shape[at]) {
    throw new ShapeError("split", `sizes ${showShape(sizes)} do not add up to axis ${at} of ${showShape(x.shape)}`);
  }
  let from = 0;
  const parts = sizes.map((size) => {
    const part = outputLike(x, resized(x.shape, at, size));
    copy(part, 0, x, from, size, at, false);
    from += size;
    return part;
  });
  record("split", [x], parts, { x, axis: at, sizes }, []);
  return parts;
}

/** Each part's gradient goes to its place; a part without one leaves zeros. */
export const splitGradient: Rule<"split"> = ({ x, axis, sizes }, _, dys) => {
  const before = writableGrad(x);
  const dx = before ?? (x.grad = newGrad(x));
  let from = 0;
  for (const [i, dy] of dys.entries()) {
    if (dy) copy(dx, from, dy, 0, sizes[i], axis, before !== null);
    from += sizes[i];
  }
};

/**
 * Tensors one after another along an axis.
 * @throws ShapeError when other axes differ
 */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  if (parts.length === 0) throw new ShapeError("concat", "needs one tensor or more");
  const at = axisOf("concat", parts[0], axis);
  let size = 0;
  for (const part of parts) {
    needShape("concat", "every part", part, resized(parts[0].shape, at, part.shape[at]));
    if (part.dtype !== parts[0].dtype) throw new ShapeError("concat", "all parts must have one element type");
    size += part.shape[at];
  }
  const y = outputLike(parts[0], resized(parts[0].shape, at, size));
  let to = 0;
  for (const part of parts) {
    copy(y, to, part, 0, part.shape[at], at, false);
    to += part.shape[at];
  }
  record("concat", parts, [y], { parts, axis: at }, []);
  return y;
}

/** Each part gets its block of dy. */
export const concatGradient: Rule<"concat"> = ({ parts, axis }, dy) => {
  let from = 0;
  for (const part of parts) {
    const size = part.shape[axis];
    if (part.requiresGrad) {
      const before = writableGrad(part);
      copy(before ?? (part.grad = newGrad(part)), 0, dy, from, size, axis, before !== null);
    }
    from += size;
  }
};
