// SPDX-License-Identifier: Apache-2.0

/** The one pattern language for actions, names and user ids. */
export * from "./glob.ts";
export * from "./user.ts";
