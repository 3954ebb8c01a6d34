// SPDX-License-Identifier: Apache-2.0

/** `--mcp FILE`: MCP servers for a worker, each with the sandbox that the file gives it. */
import * as z from "zod/mini";
import type { McpServers } from "../../agent/parent/api.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { networkOf } from "../sandbox/network.ts";
import { parseBind } from "../sandbox/request.ts";
import { type Given, plain, sandboxOf, textFlag } from "./document.ts";

const NAME = /^[A-Za-z0-9._-]{1,40}$/;
const texts = z.optional(z.array(z.string()));

/** The usual file of MCP clients; `sandbox` is ours. What else a server has the process that starts it reads. */
const File = z.object({
  mcpServers: z.record(
    z.string(),
    z.looseObject({
      url: z.optional(z.url({ protocol: /^https?$/ })),
      /** As `--ro`, `--rw` and `--allow-host` of `sandbox run`, with absolute paths. */
      sandbox: z.optional(z.strictObject({ ro: texts, rw: texts, allow_hosts: texts })),
    }),
  ),
});
type Entry = z.infer<typeof File>["mcpServers"][string];

/** @returns null without `--mcp` @throws {CliError} */
export async function mcpOf(
  call: Invocation,
  { mcp }: Given,
  spec: Readonly<Record<string, unknown>>,
): Promise<McpServers | null> {
  if (mcp === undefined) return null;
  refuseForNobody(spec);
  const dir = textFlag(call, "mail")!;
  const entries = Object.entries(parse(mcp).mcpServers);
  if (entries.length === 0) throw unusable("it names no server");
  return {
    dir,
    servers: await Promise.all(entries.map(async ([name, entry]) => {
      if (!NAME.test(name)) throw unusable(`"${name}" is no name of a server`);
      const hosts = entry.url === undefined ? [] : [addressOf(entry.url)];
      const { sandbox: _, ...config } = entry;
      return {
        name,
        hosts,
        launcher: plain(
          await sandboxOf(call, { ...sandboxOfEntry(entry, hosts), shared: [`${dir}/s`] }),
        ),
        config: plain({ mcpServers: { [name]: config } }),
      };
    })),
  };
}

function sandboxOfEntry({ sandbox = {} }: Entry, hosts: readonly string[]) {
  const { ro = [], rw = [], allow_hosts = [] } = sandbox;
  return {
    template: "base",
    asked: networkOf([...hosts, ...allow_hosts], [], ""),
    binds: [
      ...ro.map((path) => parseBind(path, "ro")),
      ...rw.map((path) => parseBind(path, "rw")),
    ],
  };
}

function addressOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port || (protocol === "http:" ? 80 : 443)}`;
}

function parse(text: string): z.infer<typeof File> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's words would quote it.
    throw unusable("it is no JSON");
  }
  const parsed = z.safeParse(File, json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw unusable(`${issue?.path.join(".") || "it"} is not as it should be`);
}

const unusable = (why: string) =>
  new CliError("usage", `Cannot use the file of --mcp: ${why}`, {
    hint:
      '{"mcpServers": {"name": {"command": "…", "args": [], "sandbox": {"ro": ["/path"]}}, "other": {"url": "https://…"}}}',
  });

/** Servers that nobody would use are not started. */
function refuseForNobody({ executor, capabilities }: Readonly<Record<string, unknown>>): void {
  const { kind } = executor as { readonly kind?: unknown };
  if (kind !== "bamboo_runtime") {
    throw new CliError("usage", `Cannot use --mcp with the executor "${kind}": it has no tools`, {
      hint: "give --executor bamboo_runtime",
    });
  }
  const given = (capabilities ?? {}) as Readonly<Record<string, unknown>>;
  const other = ["mcp", "mcp_proxy", "guardian_read_only"].find((name) => Boolean(given[name]));
  if (other === undefined) return;
  throw new CliError("usage", `Cannot use --mcp: the spec has ${other}`, {
    hint: other === "guardian_read_only" ? "a guardian has no such tools" : "give one of them",
  });
}
