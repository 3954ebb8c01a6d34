// SPDX-License-Identifier: Apache-2.0

/**
 * One principal's way out of its sandbox: adds the credentials that the agent may use but never read,
 * and decides every request against the principal's grants.
 */
export { parseBootstrap } from "./bootstrap.ts";
export { ProxyError } from "./errors.ts";
export { type ProxyOptions, type RunningProxy, startProxy } from "./serve.ts";
