// SPDX-License-Identifier: Apache-2.0

/**
 * Regular expressions of others on text of others, in time that grows with both lengths and no faster: the language's own
 * engine backtracks, and `(a+)+$` on a line of forty letters would hold a process for ever. All alternatives are followed
 * at once (Thompson's construction); what can't be done that way, back references and looking around, is not there.
 */
export { type LinearRegex, parseRegex, RegexError } from "./parse.ts";
