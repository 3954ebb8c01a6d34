// SPDX-License-Identifier: Apache-2.0

/** Messages between agents that outlive both: mailboxes on disk, and a broker that fills them. */
export { Broker, type BrokerLimits, type BrokerOptions, DEFAULT_LIMITS } from "./broker.ts";
export { MailClient, type MailClientOptions } from "./client.ts";
export { MailError } from "./errors.ts";
export { type Mail, Mailbox, type MailboxOptions } from "./maildir.ts";
export {
  mcpAddress,
  type McpOrchestratorOptions,
  McpOverMail,
  type McpWorkerOptions,
  type OfferedTool,
  serveMcp,
  type ToolResult,
} from "./mcp.ts";
export { MailMessage, MAX_MESSAGE_BYTES, Seen } from "./message.ts";
