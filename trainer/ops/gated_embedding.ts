/** Value embeddings behind a gate, added to the values of an attention layer. */
import { check, library } from "../../cuda/lib.ts";
import { addableGrad, addGrad, newGrad, passGrad, record, type Rule } from "../tape.ts";
import { sameShape, ShapeError, showShape, type Tensor } from "../tensor.ts";
import { needAxes, needFloat, needIds, needShape, outputLike } from "./_shapes.ts";

/**
 * y = x + 2·sigmoid(gate)·table[ids], one gate a key/value head (ResFormer, arXiv:2410.17897).
 * @param x [..., G, D]
 * @param table [V, G·D]
 * @param ids i32 [...], the leading axes of x
 * @param gate [..., G]
 * @returns [..., G, D]
 * @throws ShapeError when shapes do not fit; KernelError for an id outside the table
 */
export function gatedValueEmbedding(x: Tensor, table: Tensor, ids: Tensor, gate: Tensor): Tensor {
  const op = "gatedValueEmbedding";
  needFloat(op, "x", x);
  needAxes(op, "x", x, 3, true);
  needIds(op, "ids", ids);
  const [g, d] = x.shape.slice(-2);
  needAxes(op, "table", table, 2);
  needShape(op, "table", table, [table.shape[0], g * d]);
  if (!sameShape(ids.shape, x.shape.slice(0, -2))) {
    throw new ShapeError(op, `ids must have shape ${showShape(x.shape.slice(0, -2))}, got ${showShape(ids.shape)}`);
  }
  needShape(op, "gate", gate, [...ids.shape, g]);
  const y = outputLike(x);
  check(
    library().symbols.rs_gated_embedding_forward(
      y.handle,
      x.handle,
      table.handle,
      ids.handle,
      gate.handle,
      ids.size,
      g,
      d,
      table.shape[0],
    ),
    op,
  );
  record(op, [x, table, gate], [y], { x, table, ids, gate }, [table, ids, gate]);
  return y;
}

/** dx = dy; the kernel writes dgate and adds to dtable. */
export const gatedValueEmbeddingGradient: Rule<"gatedValueEmbedding"> = ({ x, table, ids, gate }, dy) => {
  const [g, d] = x.shape.slice(-2);
  if (table.requiresGrad || gate.requiresGrad) {
    const dgate = newGrad(gate);
    // The kernel wants both gradients; what nobody asked for goes to a tensor that is thrown away.
    using spare = table.requiresGrad ? null : newGrad(table);
    const dtable = spare ?? addableGrad(table);
    check(
      library().symbols.rs_gated_embedding_backward(
        dgate.handle,
        dtable.handle,
        dy.handle,
        table.handle,
        ids.handle,
        gate.handle,
        ids.size,
        g,
        d,
        table.shape[0],
      ),
      "gatedValueEmbedding",
    );
    if (gate.requiresGrad) addGrad(gate, dgate);
    else dgate.dispose();
  }
  if (x.requiresGrad) passGrad(x, dy);
};
