// SPDX-License-Identifier: Apache-2.0

/** SSH's wire format, keys and known hosts, as far as an agent that signs needs them. */
export * from "./keys.ts";
export * from "./known_hosts.ts";
export * from "./wire.ts";
