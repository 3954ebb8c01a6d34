// SPDX-License-Identifier: Apache-2.0

/** Bureau's own agent. See README.md. */
export { Keeper } from "./keeper.ts";
export { type AgentLimits, LimitError } from "./limits.ts";
export { type End, NativeAgent, type NativeAgentOptions, type Steering } from "./loop.ts";
export { type Purse, spendOn } from "./spending.ts";
export { Session, SessionError } from "./session.ts";
