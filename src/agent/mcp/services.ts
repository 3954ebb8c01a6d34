// SPDX-License-Identifier: Apache-2.0

/** A tool for each service of the proxy, which has its credentials: requests over HTTP, and what they may be. */
import { concatBytes } from "../../lib/bytes.ts";
import { messageOf } from "../../lib/errors.ts";
import { errorFrom, type ProxyClient, type Service } from "../../lib/proxyclient/mod.ts";
import type { RequestRule } from "../../lib/schema/events.ts";
import { McpError } from "../../mcp/errors.ts";
import type { JsonObject, Tool } from "../../mcp/tool.ts";
import { proxyTool } from "./tool.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const;
const MAX_BODY = 1024 * 1024;
/** A model reads it: of what is longer the beginning. */
const MAX_ANSWER_BYTES = 256 * 1024;

export function serviceTool(proxy: ProxyClient, service: Service): Tool {
  const { name, host } = service;
  const tool = proxyTool({
    // Few models take the rest of what names of services are made of; no such name has a capital letter.
    name: `http_${name.replaceAll(".", "DOT").replaceAll("=", "EQ")}`,
    title: `Ask ${name}`,
    description: [
      `Send a request to the service "${name}"`,
      host === null ? " on this machine" : ` (${host})`,
      "; your proxy adds its credentials.",
      rulesOf(service),
    ].join(""),
    category: "services",
    action: `http/${name}`,
    effect: "changes",
    openWorld: host !== null,
    properties: {
      method: { type: "string", enum: METHODS, description: "default GET" },
      path: { type: "string", description: "with its first slash and its query, encoded" },
      body: { type: "string", description: "of the request, at most 1 MiB" },
      content_type: { type: "string", description: "of the body; default application/json" },
      accept: { type: "string", description: "which kind of answer is wanted" },
    },
    required: ["path"],
    gives: {
      status: { type: "integer" },
      content_type: { type: ["string", "null"] },
      body: { type: ["string", "null"], description: "null: it is no text" },
      is_whole: { type: "boolean", description: "false: only the beginning is here" },
    },
    call: async (args, { signal }) => await request(proxy, name, args, signal),
  });
  return { ...tool, mayDestroy: true };
}

/** As the proxy keeps them, so that nobody has to find out by being refused. */
function rulesOf({ allow, deny }: Service): string {
  const words = (rules: readonly RequestRule[]) =>
    rules.map(({ methods, paths }) =>
      [methods?.join("|") ?? "any", ...paths.map((path) => `/${path}`)].join(" ")
    ).join(", ");
  const only = allow === undefined ? "" : ` Only: ${words(allow)}.`;
  const not = deny === undefined ? "" : ` Never: ${words(deny)}.`;
  return only + not;
}

async function request(
  proxy: ProxyClient,
  service: string,
  args: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  const { method = "GET", path, body, content_type, accept } = args as {
    method?: string;
    path: string;
    body?: string;
    content_type?: string;
    accept?: string;
  };
  refuseOtherPaths(service, path);
  if (body !== undefined && (method === "GET" || method === "HEAD")) {
    throw new McpError("usage", `Cannot send a body by ${method}`, { status: 400 });
  }
  if (body !== undefined && new TextEncoder().encode(body).length > MAX_BODY) {
    throw new McpError("usage", `Cannot send the body: it exceeds ${MAX_BODY} bytes`, {
      status: 413,
      hint: "with a program in your sandbox larger ones can be sent, by http://127.0.0.1:8642",
    });
  }
  const headers = new Headers();
  if (body !== undefined) headers.set("content-type", content_type ?? "application/json");
  if (accept !== undefined) headers.set("accept", accept);
  const response = await proxy.http(service, path, {
    method,
    headers,
    signal,
    ...(body === undefined ? {} : { body }),
  });
  const isProxys = response.headers.get("proxy-status")?.startsWith("bureau;") === true;
  if (!response.ok && isProxys) throw await errorFrom(response, `ask the service "${service}"`);
  const { text, isWhole } = await beginningOf(response);
  return {
    status: response.status,
    content_type: response.headers.get("content-type"),
    body: text,
    is_whole: isWhole,
  };
}

/** `/../other/x` would be a request to another service: this tool stands for one. */
function refuseOtherPaths(service: string, path: string): void {
  const base = `/http/${encodeURIComponent(service)}/`;
  const url = URL.parse(`http://proxy.invalid${base.slice(0, -1)}${path}`);
  if (path.startsWith("/") && url?.pathname.startsWith(base)) return;
  throw new McpError("usage", `Cannot ask for "${path}": that is no path of "${service}"`, {
    status: 400,
    hint: "it begins with a slash, and goes nowhere by `..`",
  });
}

/** @returns no text for what is none @throws {McpError} when it breaks off */
async function beginningOf(
  { body }: Response,
): Promise<{ text: string | null; isWhole: boolean }> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of body ?? []) {
      parts.push(part.subarray(0, MAX_ANSWER_BYTES - length));
      length += part.length;
      // Leaving the loop gives up what is still to come.
      if (length > MAX_ANSWER_BYTES) break;
    }
  } catch (thrown) {
    throw new McpError("stream-lost", `Cannot read the whole answer: ${messageOf(thrown)}`, {
      status: 502,
      cause: thrown,
    });
  }
  const isWhole = length <= MAX_ANSWER_BYTES;
  try {
    // A character may be cut in two where the beginning ends.
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const text = decoder.decode(concatBytes(parts), { stream: !isWhole });
    return { text: text.includes("\0") ? null : text, isWhole };
  } catch {
    return { text: null, isWhole };
  }
}
