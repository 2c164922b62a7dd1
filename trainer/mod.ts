/**
 * The trainer as a library: tensors with gradients, optimizers, tokenizer, data sets, one run, a session. Importing it
 * needs no permission. What computes needs the kernel library: call `ensureLibrary` (builds it from a clone of the
 * repository) or `findLibrary`, then `openLibrary`. That takes reading, the environment's RESEARCHSWARM_HOME,
 * XDG_CACHE_HOME and HOME, and `--allow-ffi` of `lib/` in the home folder; building also writing of the home folder and
 * `--allow-run=cmake`.
 *
 * @example
 * ```ts ignore
 * import { backward, ensureLibrary, openLibrary, parameter, resolveHome, scope, square, sum, Tensor } from "./mod.ts";
 *
 * openLibrary(await ensureLibrary(resolveHome()));
 * const weight = parameter(Tensor.from(new Float32Array([1, 2, 3]), [3]));
 * scope(() => backward(sum(square(weight))));
 * console.log(weight.grad?.data()); // 2, 4, 6
 * ```
 * @module
 */
export { BuildError, type BuildOptions, ensureLibrary } from "../cuda/build.ts";
export { resolveHome } from "../cuda/home.ts";
export {
  type Device,
  findLibrary,
  KernelError,
  type Library,
  library,
  type LibrarySymbols,
  openLibrary,
  type OpenOptions,
} from "../cuda/lib.ts";

export { symbols } from "../cuda/symbols.gen.ts";

export * from "./contract.ts";
export {
  DisposedError,
  type Dtype,
  type Elements,
  keep,
  parameter,
  scope,
  ShapeError,
  type TapeNode,
  Tensor,
} from "./tensor.ts";
export { backward } from "./autograd.ts";
export * from "./ops/mod.ts";
export { countParameters, loadWeights, Parameters, Random, ropeTables, saveWeights } from "./nn.ts";
export { type AdamWGroup, type Group, type MuonGroup, Optimizer } from "./optim.ts";
export { decayToZero, learningRateFactor, type LearningRateSchedule, ramp } from "./schedule.ts";
export {
  readSafetensors,
  type SafeTensor,
  type Safetensors,
  SafetensorsError,
  writeSafetensors,
} from "./safetensors.ts";

export {
  type EncodedBatch,
  type TokenIds,
  Tokenizer,
  TokenizerFileError,
  type TokenizerOptions,
  type TokenizerProgress,
  type TokenizerTrainOptions,
} from "./tokenizer.ts";
export { defaultPreset, type Preset, type PresetName, presetNames, presetOf, presets } from "./presets.ts";
export {
  checkValue,
  configOf,
  editSpace,
  type Literal,
  parseSpace,
  SpaceError,
  type SpaceParameter,
  type SpaceRange,
} from "./space.ts";
export {
  DataError,
  type Dataset,
  findDataset,
  type Manifest,
  openDataset,
  prepare,
  type PrepareOptions,
  RowOrder,
  type SplitCounts,
} from "./prepare.ts";
export { type BitSums, type BpbResult, evaluateBpb, type EvaluateOptions, type LogitsOf } from "./data/evaluate.ts";
export { runTraining } from "./run/supervisor.ts";
export type { CurvePoint, Pin, RunEvents, RunOptions, RunResult, RunStatus } from "./run/types.ts";
export {
  createSession,
  type OpenOptions as SessionOpenOptions,
  type OpenSession,
  resumeSession,
  type SessionPlace,
  type SessionSettings,
} from "./overnight/session.ts";
export { runSession, type SessionEvents, type SessionOutcome, type SessionParts } from "./overnight/loop.ts";
export type { Decision, DecisionRule, Evidence } from "./overnight/decide.ts";
export type { Runner, RunRequest } from "./overnight/runner.ts";
export { type CommitPlan, Workspace } from "./overnight/workspace.ts";
export type {
  Agent,
  AgentTools,
  Attempt,
  Edit,
  NoProposal,
  Proposal,
  ResearchRecord,
} from "./overnight/agents/agent.ts";
export { SearchAgent } from "./overnight/agents/search.ts";
