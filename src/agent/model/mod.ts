// SPDX-License-Identifier: Apache-2.0

/** Models, streamed through the proxy. See README.md. */
export {
  type AskOptions,
  createModelClient,
  type ModelClient,
  type ModelClientOptions,
  type Retried,
} from "./client.ts";
export { costOf, type Prices } from "./cost.ts";
export { ModelError, type ModelErrorCode } from "./errors.ts";
export type {
  Answer,
  Block,
  Message,
  ModelRequest,
  Piece,
  Protocol,
  TextBlock,
  ToolDefinition,
  ToolResultBlock,
  ToolUseBlock,
} from "./types.ts";
