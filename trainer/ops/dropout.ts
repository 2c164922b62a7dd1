/** Inverted dropout from a counter-based generator. */
import { check, library } from "../../cuda/lib.ts";
import { addGrad, newGrad, record, type Rule } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { needFloat, needNumber, outputLike } from "./_shapes.ts";

/**
 * Zeroes each element with probability `rate` and divides the rest by 1 − rate (arXiv:1207.0580). The same seed gives
 * the same elements, so take a new one for each call: `Random.next()` of `nn.ts`.
 * @param rate 0 … 1, 1 excluded
 * @param seed two words of 32 bits
 */
export function dropout(x: Tensor, rate: number, [seedLow, seedHigh]: readonly [number, number]): Tensor {
  needFloat("dropout", "x", x);
  needNumber("dropout", "rate", rate >= 0 && rate < 1, "in 0…1, 1 excluded", rate);
  const y = outputLike(x);
  check(library().symbols.rs_dropout(y.handle, x.handle, rate, seedLow, seedHigh), "dropout");
  record("dropout", [x], [y], { x, rate, seedLow, seedHigh }, []);
  return y;
}

/** The same elements of dy. */
export const dropoutGradient: Rule<"dropout"> = ({ x, rate, seedLow, seedHigh }, dy) => {
  const { symbols } = library();
  const dx = newGrad(x);
  check(symbols.rs_dropout(dx.handle, dy.handle, rate, seedLow, seedHigh), "dropout");
  addGrad(x, dx);
};
