// SPDX-License-Identifier: Apache-2.0

/** Matrix as Bureau uses it; README.md says which file is for what. */
export * from "./client.ts";
export * from "./command.ts";
export * from "./command_caller.ts";
export * from "./command_server.ts";
export * from "./errors.ts";
export * from "./files.ts";
export * from "./follow.ts";
export * from "./outbox.ts";
export { connect, path } from "./request.ts";
export type {
  RawOptions,
  RawRequester,
  Requester,
  RequesterOptions,
  RequestOptions,
} from "./request.ts";
export * from "./position.ts";
export * from "./relations.ts";
export * from "./retry.ts";
export * from "./rooms.ts";
export * from "./session.ts";
export * from "./speaker.ts";
export * from "./states.ts";
export * from "./sync.ts";
export * from "./sync_filter.ts";
export * from "./types.ts";
