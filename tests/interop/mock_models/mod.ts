// SPDX-License-Identifier: Apache-2.0

/** Protocol-true stand-ins for model providers, for any test that runs a model's client. See README.md. */
export { type MockModels, type ModelsOptions, startModels } from "./server.ts";
export type { Ask, Fail, ModelApi, Reply, Say, Script, ToolCall } from "./script.ts";
