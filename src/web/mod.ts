// SPDX-License-Identifier: Apache-2.0

/** The page that shows agents in a browser: its files (`page/`, built by tasks/bundle.ts) and who serves them. */
export * from "./api.ts";
export * from "./embedded.ts";
export * from "./serve.ts";
export { withMetrics } from "./metrics.ts";
