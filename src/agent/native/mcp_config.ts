// SPDX-License-Identifier: Apache-2.0

/** Which MCP servers an agent has, as such files are written: `{"mcpServers": {"NAME": {…}}}`. */
import { BureauError } from "../../lib/errors.ts";
import { fieldsOf, listOf } from "../model/types.ts";

export type McpServer =
  | {
    readonly name: string;
    readonly command: string;
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  }
  | {
    readonly name: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
  };

export class McpConfigError extends BureauError {
  override readonly name = "McpConfigError";

  constructor(what: string, why: string) {
    super("mcp-config", `Cannot use ${what}: ${why}`, {
      hint: '{"mcpServers": {"name": {"command": "…", "args": []}, "other": {"url": "http://…"}}}',
    });
  }
}

/** @throws {McpConfigError} naming the server, never a value: headers may be secrets */
export function mcpServersOf(config: unknown): McpServer[] {
  const { mcpServers, mcp_servers } = fieldsOf(config);
  const servers = mcpServers ?? mcp_servers ?? config;
  if (typeof servers !== "object" || servers === null) {
    throw new McpConfigError("the MCP servers", "they are no object");
  }
  const named: readonly (readonly [string, unknown])[] = Array.isArray(servers)
    ? servers.map((server) => [String(fieldsOf(server)["name"] ?? ""), server])
    : Object.entries(servers);
  return named.map(([name, server]) => serverOf(name, fieldsOf(server)))
    .filter((server) => server !== null);
}

function serverOf(name: string, fields: Readonly<Record<string, unknown>>): McpServer | null {
  const what = `the MCP server "${name}"`;
  if (!/^[A-Za-z0-9._-]{1,40}$/.test(name)) throw new McpConfigError(what, "that is no name");
  if (fields["disabled"] === true || fields["enabled"] === false) return null;
  const { command, url, args } = fields;
  if (typeof url === "string") {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new McpConfigError(what, "its url is none of http or https");
    }
    return { name, url, headers: textsOf(fields["headers"], `${what}: headers`) };
  }
  if (typeof command !== "string" || command === "") {
    throw new McpConfigError(what, "it has neither command nor url");
  }
  const words = listOf(args);
  if (!words.every((word) => typeof word === "string")) {
    throw new McpConfigError(what, "its args are no texts");
  }
  return { name, command, args: words as string[], env: textsOf(fields["env"], `${what}: env`) };
}

function textsOf(value: unknown, what: string): Record<string, string> {
  const found = fieldsOf(value);
  const wrong = Object.keys(found).find((key) => typeof found[key] !== "string");
  if (wrong !== undefined) throw new McpConfigError(what, `"${wrong}" is no text`);
  return found as Record<string, string>;
}
