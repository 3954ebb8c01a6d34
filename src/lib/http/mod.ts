// SPDX-License-Identifier: Apache-2.0

/** HTTP + JSON over Unix sockets from one table: declare (`api`), serve (`server`), call (`client`). */
export * from "./api.ts";
export * from "./client.ts";
export * from "./errors.ts";
export * from "./server.ts";
