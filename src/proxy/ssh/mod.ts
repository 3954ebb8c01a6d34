// SPDX-License-Identifier: Apache-2.0
export * from "./keyring.ts";
export * from "./server.ts";
