/**
 * ResearchSwarm: an agent experiments on a real language-model training overnight, and a router keeps it from pretending
 * what only a person can do. `router/mod.ts` has the router, `memory/mod.ts` the stores, `trainer/mod.ts` the tensors,
 * runs and sessions. Importing any of them needs no permission.
 * @module
 */
export * from "./router/mod.ts";
export * from "./memory/mod.ts";
export * from "./trainer/mod.ts";
