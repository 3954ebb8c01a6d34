// SPDX-License-Identifier: Apache-2.0

/** The embedded homeserver: one server's Client-Server API on SQLite, for dev boxes and tests. */
export * from "./server.ts";
