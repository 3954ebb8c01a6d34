// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `mcp`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

export const mcpCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["mcp", "serve"],
    tool: { none: "it is the server itself" },
    brief: "Serve Bureau's commands as tools to a program that speaks MCP, with your rights",
    docs:
      "On stdin and stdout, or with --http by Streamable HTTP on loopback (with the token in `<state>/operator/mcp-token`) or a Unix socket. Each command that " +
      "makes sense for a program is a tool `bureau_<command>` under the action `command/<command>`: a denial takes it away while the client is connected. " +
      "Commands that destroy something or give somebody rights need their parameter `yes`. docs/guide/mcp.md has the rest.",
    flags: {
      http: {
        kind: "text",
        brief: "`127.0.0.1:PORT`, `[::1]:PORT`, or the absolute path of a Unix socket",
        placeholder: "ADDRESS",
      },
      progressive: {
        kind: "switch",
        brief: "show three tools, by which the others are found, described and called",
      },
      "read-only": { kind: "switch", brief: "only tools that change nothing" },
      allow: {
        kind: "texts",
        brief: "only these, of what you may: `command/agent/*`, `resource/**`; may be repeated",
        placeholder: "PATTERN",
      },
    },
    examples: ["sh tasks/bureau mcp serve </dev/null"],
    raw: "the Model Context Protocol",
    load: async () => (await import("./serve.ts")).serve,
  }),
];
