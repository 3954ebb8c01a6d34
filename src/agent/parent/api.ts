// SPDX-License-Identifier: Apache-2.0

/**
 * What the process `parent` gets on its standard input: workers in sandboxes, and what they are to do. And what it asks of
 * the process that asks people, for it has neither their terminal nor their session.
 */
import * as z from "zod/mini";
import { MAX_RESOURCE, MAX_TOOL } from "../../lib/approval/limits.ts";
import { Permission } from "../../lib/approval/types.ts";
import { defineApi } from "../../lib/http/api.ts";

/** MCP servers for workers that reach none themselves (`mcp_proxy`). */
export const McpServers = z.object({
  /** Of mailboxes (`mail`), and of the broker's socket (`s`). */
  dir: z.string(),
  servers: z.array(z.object({
    name: z.string(),
    /** The launcher's document of its sandbox, without a command. */
    launcher: z.record(z.string(), z.json()),
    /** `host:port` of a server that is an address. */
    hosts: z.array(z.string()),
    /** `{"mcpServers": {…}}` with this server alone. Secret. */
    config: z.record(z.string(), z.json()),
  })),
});
export type McpServers = z.infer<typeof McpServers>;

export const ParentBootstrap = z.object({
  version: z.literal(1),
  mode: z.literal("worker"),
  run_dir: z.string(),
  state_dir: z.string(),
  /** Where worker and parent meet; bound into each sandbox at the same path. */
  fabric_dir: z.string(),
  /**
   * The launcher's document without what is to run: `bureau sandbox run` would hand it over as it is. Opaque here.
   */
  launcher: z.record(z.string(), z.json()),
  /** A provision spec. Secret. */
  spec: z.record(z.string(), z.json()),
  assignments: z.array(z.string()),
  /** Workers at a time, each for one assignment after another; null: one, for one. */
  size: z.nullable(z.int().check(z.positive(), z.lte(8))),
  /** One JSON line for each event and outcome, instead of the result. */
  json: z.boolean(),
  /** On a worker of the operator's host instead (src/agent/host): the one, or the pool, of this name; null: as the spec says. */
  placed: z.optional(z.object({ host_dir: z.string(), name: z.nullable(z.string()) })),
  /** Of the process that asks people about tool calls (`approverApi`); null: each that needs leave is denied. */
  approver: z.nullable(z.string()),
  mcp: z.nullable(McpServers),
  /** Its worker is on another machine; absent: in a sandbox here. */
  remote: z.optional(z.object({
    /** `HOST:PORT`. */
    address: z.string(),
    /** `sha256:…` of the certificate there. */
    pin: z.string(),
    /** Secret. */
    token: z.string(),
  })),
});
export type ParentBootstrap = z.infer<typeof ParentBootstrap>;

/** All but the first are the worker's own words. */
export const ApproverQuestion = z.object({
  /** Which worker, as its operator knows it. */
  worker: z.string(),
  tool: z.string().check(z.maxLength(MAX_TOOL)),
  permission: Permission,
  resource: z.string().check(z.maxLength(MAX_RESOURCE)),
  reason: z.optional(z.string().check(z.maxLength(MAX_RESOURCE))),
});
export type ApproverQuestion = z.infer<typeof ApproverQuestion>;

export const ApproverAnswer = z.object({
  approved: z.boolean(),
  /** A sentence without its subject. */
  why: z.string(),
});

export const approverApi = defineApi({
  title: "approver",
  version: "1",
  routes: {
    ask: {
      method: "POST",
      path: "/v1/ask",
      summary:
        "Ask a person; answered when they have, or after 300 s. Whoever hangs up withdraws it",
      request: ApproverQuestion,
      response: ApproverAnswer,
    },
  },
});
