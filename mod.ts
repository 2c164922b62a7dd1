/**
 * ResearchSwarm: an agent experiments on a real language-model training overnight. `trainer/mod.ts` has the tensors,
 * runs and sessions, `memory/mod.ts` the stores. Importing either needs no permission.
 * @module
 */
export * from "./memory/mod.ts";
export * from "./trainer/mod.ts";
