// SPDX-License-Identifier: Apache-2.0

/** Protocol-true stand-ins for model providers, for any test that runs a model's client. See README.md. */
export { type MockModels, type ModelsOptions, startModels } from "./server.ts";
export { call, fail, overloaded, queued, say, turns } from "./script.ts";
export type {
  Ask,
  Fail,
  ModelApi,
  Recorded,
  Reply,
  Say,
  Script,
  ToolCall,
  Turn,
  Usage,
} from "./script.ts";
