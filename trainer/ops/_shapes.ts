/** Checks and small sums over shapes that the ops share. */
import { product, sameShape, ShapeError, showShape, Tensor } from "../tensor.ts";

/** Float32 machine epsilon: what the norms add to the mean square unless told otherwise. */
export const EPSILON = 2 ** -23;

/** Throws unless `x` holds floats (f32, or bf16 in the CUDA build). */
export function needFloat(op: string, name: string, x: Tensor): void {
  void x.handle; // throws where x was disposed of, before an output is made
  if (x.dtype !== "f32" && x.dtype !== "bf16") throw new ShapeError(op, `${name} must hold floats, got ${x.dtype}`);
}

/** Throws unless `x` is i32. */
export function needIds(op: string, name: string, x: Tensor): void {
  void x.handle;
  if (x.dtype !== "i32") throw new ShapeError(op, `${name} must be i32, got ${x.dtype}`);
}

/** Throws unless `x` has this shape. */
export function needShape(op: string, name: string, x: Tensor, shape: readonly number[]): void {
  void x.handle;
  if (!sameShape(x.shape, shape)) {
    throw new ShapeError(op, `${name} must have shape ${showShape(shape)}, got ${showShape(x.shape)}`);
  }
}

/** Throws unless `x` has this many axes (`least`: or more). */
export function needAxes(op: string, name: string, x: Tensor, axes: number, least = false): void {
  const count = x.shape.length;
  if (least ? count < axes : count !== axes) {
    throw new ShapeError(op, `${name} must have ${axes}${least ? " or more" : ""} axes, got ${showShape(x.shape)}`);
  }
}

/** Throws unless a number is a fit one. */
export function needNumber(op: string, name: string, fits: boolean, rule: string, value: number): void {
  if (!fits) throw new ShapeError(op, `${name} must be ${rule}, got ${value}`);
}

/** Last size of a shape. */
export function last(shape: readonly number[]): number {
  return shape[shape.length - 1];
}

/** `shape` as rows of its last axis: N and C. */
export function rows(x: Tensor): [n: number, c: number] {
  return [product(x.shape, 0, x.shape.length - 1), last(x.shape)];
}

/** An axis counted from the front, given so or (negative) from the back. */
export function axisOf(op: string, x: Tensor, axis: number): number {
  const result = axis < 0 ? axis + x.shape.length : axis;
  if (!Number.isInteger(axis) || result < 0 || result >= x.shape.length) {
    throw new ShapeError(op, `there is no axis ${axis} in ${showShape(x.shape)}`);
  }
  return result;
}

/** An output of the op's element type, filled by its kernel. */
export function outputLike(x: Tensor, shape: readonly number[] = x.shape): Tensor {
  return Tensor.zeros(shape, x.dtype);
}
