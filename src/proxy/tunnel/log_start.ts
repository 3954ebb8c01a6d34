// SPDX-License-Identifier: Apache-2.0

/** What the log says of a request on `forward.sock`, before it is known how it ends. */
import { authorityOf, parseAuthority, type Target } from "../../lib/authority.ts";
import type { RequestStart } from "../log.ts";
import type { RequestHead } from "./request_head.ts";

/** Of the connection's first request. */
export function startFor(head: RequestHead): RequestStart {
  if (head.method === "CONNECT") {
    const target = parseAuthority(head.target);
    const { path: _, ...start } = startOf("connect", head, target);
    return target === null ? start : { ...start, action: `forward/${target.host}/${target.port}` };
  }
  const service = /^\/http\/([^/?#]*)/.exec(head.target)?.[1];
  if (service !== undefined) {
    const path = head.target.slice("/http/".length + service.length);
    return { ...startOf("websocket", head, null), service, path, action: `http/${service}` };
  }
  const target = plainTarget(head);
  const start = startOf("forward", head, target);
  return target === null ? start : { ...start, action: `forward/${target.host}/${target.port}` };
}

/** @param target null: it could not be read */
export function startOf(
  via: RequestStart["via"],
  head: RequestHead,
  target: Target | null,
): RequestStart {
  const traceparent = head.headers.find(([name]) => name === "traceparent")?.[1] ?? null;
  const service = target === null ? "" : authorityOf(target);
  const path = head.target.replace(/^https?:\/\/[^/?#]*/i, "");
  return { via, service, method: head.method, traceparent, path };
}

/** Where a request in the clear goes. */
function plainTarget({ target: text }: RequestHead): Target | null {
  const url = /^http:\/\/([^/?#@]+)/i.exec(text);
  return url === null ? null : parseAuthority(withPort(url[1]!, 80));
}

export function withPort(host: string, port: number): string {
  return /:\d+$/.test(host.replace(/\[.*\]/, "")) ? host : `${host}:${port}`;
}
