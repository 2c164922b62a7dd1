/**
 * The realm of the code under test inside an evaluator: opens the library, gives up `ffi`, imports `train.ts`, gives up
 * reading code, rebuilds the model from a checkpoint and answers rows with handles of logits. It sees inputs only.
 *
 * Must not be imported: it is the main module of a Web Worker. Has no npm package in its graph.
 * @module
 */
import { openLibrary } from "../../cuda/lib.ts";
import type { Model, TrainModule } from "../contract.ts";
import { loadWeights } from "../nn.ts";
import { withoutTape } from "../tape.ts";
import { keep, scope, ShapeError, Tensor } from "../tensor.ts";
import type { ChildSetup } from "./setups.ts";

/** What the main realm asks. */
export type ToRealm =
  | { kind: "load"; setup: ChildSetup; checkpoint: Uint8Array }
  | { kind: "rows"; rows: number; inputs: Int32Array };

/** What this realm answers. */
export type FromRealm =
  | { kind: "loaded" }
  | { kind: "logits"; handle: number }
  | { kind: "failed"; phase: string; name: string; message: string };

/** The part of the global object of a Web Worker that is used here. */
interface RealmScope {
  postMessage(message: FromRealm): void;
  onmessage: ((event: MessageEvent<ToRealm>) => void) | null;
}

const realmScope = self as unknown as RealmScope;
const post = realmScope.postMessage.bind(realmScope);

/** A checkpoint that does not fit the model. */
class Mismatch extends Error {
  override name = "Mismatch";
}

/** Fills the model's weights from the checkpoint, by name. */
function fill(model: Model, checkpoint: Uint8Array): void {
  try {
    loadWeights(model.parameters(), checkpoint);
  } catch (cause) {
    throw new Mismatch((cause as Error).message, { cause });
  }
}

async function load(setup: ChildSetup, checkpoint: Uint8Array): Promise<Model> {
  openLibrary(setup.libraryPath, { threads: setup.threads, device: setup.device });
  Deno.permissions.revokeSync({ name: "ffi" });
  const module: TrainModule = await import(setup.trainUrl);
  Deno.permissions.revokeSync({ name: "read" });
  const { seed, vocabSize, sequenceLength, dtype } = setup;
  const config = { ...module.config, ...setup.overrides };
  const model = module.createModel({ seed, vocabSize, sequenceLength, dtype, config });
  fill(model, checkpoint);
  return model;
}

/** Logits that the main realm is looking at: freed when the next question comes. */
let shown: Tensor | null = null;

function logits(model: Model, rows: number, inputs: Int32Array, setup: ChildSetup): number {
  shown?.dispose();
  const wanted = [rows, setup.sequenceLength, setup.vocabSize];
  shown = scope(() =>
    withoutTape(() => {
      const result = model.logits(Tensor.from(inputs, [rows, setup.sequenceLength]));
      if (!(result instanceof Tensor)) throw new ShapeError("logits", `must return a tensor, got ${typeof result}`);
      if (result.dtype !== "f32" || result.shape.join() !== wanted.join()) {
        throw new ShapeError(
          "logits",
          `must be f32 [${wanted.join(", ")}], got ${result.dtype} [${result.shape.join(", ")}]`,
        );
      }
      return keep(result);
    })
  );
  return shown.handle;
}

let model: Model | null = null;
let evaluatorSetup: ChildSetup | null = null;
for (const name of ["log", "info", "debug", "table", "dir", "group"] as const) console[name] = console.error;

realmScope.onmessage = async ({ data }) => {
  let phase = "load";
  try {
    if (data.kind === "load") {
      evaluatorSetup = data.setup;
      model = await load(data.setup, data.checkpoint);
      post({ kind: "loaded" });
    } else {
      phase = "logits";
      post({ kind: "logits", handle: logits(model!, data.rows, data.inputs, evaluatorSetup!) });
    }
  } catch (error) {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    console.error(stack ?? message);
    post({ kind: "failed", phase, name, message });
  }
};
