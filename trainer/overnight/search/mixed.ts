/**
 * The mixed space of the search: each searched constant becomes one coordinate, a number in [0, 1] for ranges and lists
 * of rising numbers, an index for other lists. Values are rounded to what a person would write.
 * @module
 */
import type { Config } from "../../contract.ts";
import type { Literal, SpaceParameter } from "../../space.ts";

/** One searched constant. */
export interface Axis {
  /** Name of the constant. */
  readonly name: string;
  /** Number of values, if they can be counted; Infinity for reals. */
  readonly count: number;
  /** Whether values have an order, so that near ones behave alike. */
  readonly ordered: boolean;
  /** Coordinate of a value: 0 … 1 where ordered, else the index. */
  encode(value: Literal): number;
  /** Nearest value of a coordinate. */
  decode(coordinate: number): Literal;
}

const clamp = (x: number): number => Math.min(1, Math.max(0, x));

/** Three significant digits, moved inwards where rounding would leave the range. */
function rounded(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, Number(value.toPrecision(3))));
}

/** The axis of a parameter, or null for a fixed one. */
export function axisOf(parameter: SpaceParameter): Axis | null {
  const { name, range } = parameter;
  if (!range) return null;
  if (range.kind === "of") {
    const choices = range.choices;
    const ordered = choices.length > 2 &&
      choices.every((choice, i) => typeof choice === "number" && (i === 0 || choice > (choices[i - 1] as number)));
    const last = choices.length - 1;
    const index = (value: Literal) => Math.max(0, choices.indexOf(value));
    return {
      name,
      count: choices.length,
      ordered,
      encode: ordered ? (value) => index(value) / last : index,
      decode: ordered ? (x) => choices[Math.round(clamp(x) * last)] : (x) => choices[x],
    };
  }
  const { low, high } = range;
  const log = range.kind.startsWith("log");
  const whole = range.kind.endsWith("int");
  const from = log ? Math.log(low) : low;
  const span = (log ? Math.log(high) : high) - from;
  return {
    name,
    count: whole ? high - low + 1 : Infinity,
    ordered: true,
    encode: (value) => clamp(((log ? Math.log(value as number) : value as number) - from) / span),
    decode: (x) => {
      const raw = from + clamp(x) * span;
      const value = log ? Math.exp(raw) : raw;
      return whole ? Math.min(high, Math.max(low, Math.round(value))) : rounded(value, low, high);
    },
  };
}

/** The searched constants of a block, as points. */
export class MixedSpace {
  /** One axis a searched constant, in the order of the file. */
  readonly axes: readonly Axis[];

  /** @param parameters the block; fixed constants are left out */
  constructor(parameters: readonly SpaceParameter[]) {
    this.axes = parameters.map(axisOf).filter((axis) => axis !== null);
  }

  /** The point of a configuration, or null where a constant is missing or of another type. */
  encode(config: Config): Float64Array | null {
    const point = new Float64Array(this.axes.length);
    for (const [i, axis] of this.axes.entries()) {
      const value = config[axis.name];
      if (value === undefined) return null;
      point[i] = axis.encode(value);
      if (Number.isNaN(point[i])) return null;
    }
    return point;
  }

  /** The values of a point. */
  decode(point: ArrayLike<number>): Config {
    return Object.fromEntries(this.axes.map((axis, i) => [axis.name, axis.decode(point[i])]));
  }

  /** Equal for configurations that differ in no searched constant. */
  key(config: Config): string {
    return JSON.stringify(this.axes.map((axis) => config[axis.name]));
  }
}
