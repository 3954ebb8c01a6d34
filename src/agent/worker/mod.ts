// SPDX-License-Identifier: Apache-2.0

/** The worker: one spec, one executor, one parent at a time. */
export * from "./executor.ts";
export { builtinExecutors } from "./registry.ts";
export { serveWorker, WorkerError } from "./serve.ts";
