/**
 * AdamW and Muon over groups of weights. Numbers that change from step to step (learning rates, momentum, decay, step
 * counts) go to the device in one small tensor, uploaded once a step; all AdamW weights are one call of the library, and
 * so are all Muon matrices of one shape.
 * @module
 */
import { check, library } from "../cuda/lib.ts";
import { DTYPE_CODES, ShapeError, showShape, Tensor } from "./tensor.ts";

/** Weights that AdamW moves (arXiv:1711.05101). Numbers may be changed between steps. */
export interface AdamWGroup {
  /** Which optimizer the group is trained by. */
  readonly kind: "adamw";
  /** The weights of the group. */
  readonly parameters: readonly Tensor[];
  /** Learning rate of the next step. */
  learningRate: number;
  /** Decay of the first and second moment, each below 1. */
  betas: readonly [number, number];
  /** 1e-10 by default. */
  eps?: number;
  /** Decoupled: p ← p − lr·wd·p; 0 by default. */
  weightDecay?: number;
}

/** Matrices that Muon moves. Numbers may be changed between steps. */
export interface MuonGroup {
  /** Which optimizer the group is trained by. */
  readonly kind: "muon";
  /** The weights of the group. */
  readonly parameters: readonly Tensor[];
  /** Multiplied by √max(1, rows/columns) for each matrix. */
  learningRate: number;
  /** Of the Nesterov momentum; 0.95 by default. */
  momentum?: number;
  /** Of the variance normalisation (arXiv:2510.05491); 0 turns it off; 0.95 by default. */
  beta2?: number;
  /** Cautious: only where update and weight agree in sign; 0 by default. */
  weightDecay?: number;
  /** Type of the matrices in the products of the orthogonalisation; `"f32"` by default, `"bf16"` on CUDA alone. */
  dtype?: "f32" | "bf16";
  /** Polar Express iterations (arXiv:2505.16932), 1 … 5; 5 by default. */
  iterations?: number;
}

/** A group of weights with one set of numbers. */
export type Group = AdamWGroup | MuonGroup;

/** Numbers of a row of `scalars`, as kernels.h has them. */
const ADAMW_NUMBERS = 6, MUON_NUMBERS = 4;

interface AdamWState {
  readonly group: AdamWGroup;
  readonly offset: number;
  readonly moments: readonly { readonly weight: Tensor; readonly first: Tensor; readonly second: Tensor }[];
  steps: number;
}

interface MuonState {
  readonly group: MuonGroup;
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
  readonly buffers: readonly { readonly weight: Tensor; readonly momentum: Tensor; readonly second: Tensor }[];
}

/** An optimizer over groups; a weight belongs to one group. States start at zero. */
export class Optimizer implements Disposable {
  /** The groups; change their numbers between steps. */
  readonly groups: readonly Group[];
  readonly #adamw: AdamWState[] = [];
  readonly #muon: MuonState[] = [];
  readonly #scalars: Tensor;
  readonly #numbers: Float32Array;

  /** @throws ShapeError for a weight in two groups, or one that is no matrix in a Muon group */
  /**
   * Creates one.
   * @param groups weights and numbers; a weight belongs to one group
   */
  constructor(groups: readonly Group[]) {
    this.groups = groups;
    const seen = new Set<Tensor>();
    let offset = 0;
    for (const group of groups) {
      for (const weight of group.parameters) {
        if (seen.has(weight)) throw new ShapeError("Optimizer", `a weight ${showShape(weight.shape)} is in two groups`);
        seen.add(weight);
      }
      if (group.kind === "adamw") {
        const moments = group.parameters.map((weight) => ({ weight, first: state(weight), second: state(weight) }));
        this.#adamw.push({ group, offset, moments, steps: 0 });
        offset += ADAMW_NUMBERS;
        continue;
      }
      for (const weights of byShape(group.parameters)) {
        const [rows, columns] = weights[0].shape;
        const buffers = weights.map((weight) => ({
          weight,
          momentum: state(weight),
          second: Tensor.untracked([rows >= columns ? rows : columns]),
        }));
        this.#muon.push({ group, offset, rows, columns, buffers });
        offset += MUON_NUMBERS;
      }
    }
    this.#scalars = Tensor.untracked([Math.max(1, offset)]);
    this.#numbers = new Float32Array(Math.max(1, offset));
  }

  /** Bytes of the states. */
  get bytes(): number {
    return [...this.#tensors()].reduce((sum, tensor) => sum + 4 * tensor.size, 0);
  }

  /** Moves every weight that has a gradient, then frees the gradients. */
  step(): void {
    const numbers = this.#numbers;
    for (const state of this.#adamw) {
      const { learningRate, betas, eps = 1e-10, weightDecay = 0 } = state.group;
      numbers.set([learningRate, betas[0], betas[1], eps, weightDecay, ++state.steps], state.offset);
    }
    for (const { group, offset, rows, columns } of this.#muon) {
      const { learningRate, momentum = 0.95, beta2 = 0.95, weightDecay = 0 } = group;
      numbers.set([learningRate * Math.sqrt(Math.max(1, rows / columns)), momentum, beta2, weightDecay], offset);
    }
    this.#scalars.upload(numbers);
    this.#stepAdamW();
    for (const state of this.#muon) this.#stepMuon(state);
    this.zeroGrad();
  }

  /** Frees the gradients of all weights. */
  zeroGrad(): void {
    for (const group of this.groups) {
      for (const weight of group.parameters) {
        weight.grad?.dispose();
        weight.grad = null;
      }
    }
  }

  /** Frees the states and the gradients. */
  dispose(): void {
    this.zeroGrad();
    for (const tensor of this.#tensors()) tensor.dispose();
  }

  /** Frees the states. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  *#tensors(): Iterable<Tensor> {
    yield this.#scalars;
    for (const { moments } of this.#adamw) for (const { first, second } of moments) yield* [first, second];
    for (const { buffers } of this.#muon) for (const { momentum, second } of buffers) yield* [momentum, second];
  }

  #stepAdamW(): void {
    const table: number[] = [];
    for (const { moments, offset } of this.#adamw) {
      for (const { weight, first, second } of moments) {
        if (weight.grad) table.push(weight.handle, weight.grad.handle, first.handle, second.handle, offset);
      }
    }
    if (table.length === 0) return;
    const rows = Uint32Array.from(table);
    check(library().symbols.rs_adamw_step(rows, rows.byteLength, rows.length / 5, this.#scalars.handle), "adamw");
  }

  #stepMuon({ group, offset, rows: height, columns, buffers }: MuonState): void {
    const table: number[] = [];
    for (const { weight, momentum, second } of buffers) {
      if (weight.grad) table.push(weight.handle, weight.grad.handle, momentum.handle, second.handle);
    }
    if (table.length === 0) return;
    const rows = Uint32Array.from(table);
    check(
      library().symbols.rs_muon_step(
        rows,
        rows.byteLength,
        rows.length / 4,
        height,
        columns,
        group.iterations ?? 5,
        DTYPE_CODES[group.dtype ?? "f32"],
        this.#scalars.handle,
        offset,
      ),
      "muon",
    );
  }
}

/** Zeros of a weight's shape that no scope frees. */
function state(weight: Tensor): Tensor {
  return Tensor.untracked(weight.shape);
}

function byShape(weights: readonly Tensor[]): Tensor[][] {
  const shapes = new Map<string, Tensor[]>();
  for (const weight of weights) {
    if (weight.shape.length !== 2) {
      throw new ShapeError("Optimizer", `Muon takes matrices, got a weight of shape ${showShape(weight.shape)}`);
    }
    const key = showShape(weight.shape);
    shapes.set(key, [...(shapes.get(key) ?? []), weight]);
  }
  return [...shapes.values()];
}
