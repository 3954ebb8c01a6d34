// SPDX-License-Identifier: Apache-2.0

/** An agent's proxy, for agents written in TypeScript and for tests; README.md has an example. */
export type { ApprovalOptions, Leave, ToolCall } from "./approval.ts";
export {
  createProxyClient,
  type Identity,
  type ProxyClient,
  type Said,
  type Service,
} from "./client.ts";
export { errorFrom, ProxyClientError } from "./errors.ts";
export type { FollowedEvent, FollowOptions } from "./follow.ts";
export type {
  Chunk,
  DirectoryOptions,
  File,
  ListedRoom,
  Page,
  Presence,
  Profile,
  ProxyMatrix,
} from "./matrix.ts";
export type { Address } from "./transport.ts";
