// SPDX-License-Identifier: Apache-2.0
export * from "./facts.ts";
export * from "./hwinfo.ts";
