// SPDX-License-Identifier: Apache-2.0

/** A file of its own, so that an agent without MCP servers does not load what they take. */
export { connectMcp } from "../../src/agent/native/mcp.ts";
