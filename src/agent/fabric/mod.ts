// SPDX-License-Identifier: Apache-2.0

/** Discovery: how a parent finds its workers. */
export * from "./fabric.ts";
export * from "./record.ts";
