/** Rows of a table by token. */
import { check, library } from "../../cuda/lib.ts";
import { addableGrad, record, type Rule } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import { needAxes, needFloat, needIds } from "./_shapes.ts";

/** The result of `embedding`. */
export interface EmbeddingOptions {
  /** Element type of the result: that of the activations from here on; the table's by default. */
  dtype?: "f32" | "bf16";
}

/**
 * y = table[ids].
 * @param table [V, C]
 * @param ids i32 [...], each in 0 … V−1
 * @returns [..., C]
 * @throws ShapeError when shapes do not fit; KernelError for an id outside the table
 */
export function embedding(table: Tensor, ids: Tensor, options: EmbeddingOptions = {}): Tensor {
  needFloat("embedding", "table", table);
  needAxes("embedding", "table", table, 2);
  needIds("embedding", "ids", ids);
  const [v, c] = table.shape;
  const y = Tensor.zeros([...ids.shape, c], options.dtype ?? table.dtype);
  check(library().symbols.rs_embedding_forward(y.handle, table.handle, ids.handle, ids.size, c, v), "embedding");
  record("embedding", [table], [y], { table, ids }, [ids]);
  return y;
}

/** dtable[ids[i]] += dy[i]. */
export const embeddingGradient: Rule<"embedding"> = ({ table, ids }, dy) => {
  const [v, c] = table.shape;
  const dtable = addableGrad(table);
  check(library().symbols.rs_embedding_backward(dtable.handle, dy.handle, ids.handle, ids.size, c, v), "embedding");
};
