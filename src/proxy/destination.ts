// SPDX-License-Identifier: Apache-2.0

import type { Destination } from "./egress.ts";
import { ProxyError } from "./errors.ts";

export interface UpstreamAddress {
  readonly destination: Destination;
  /** Path that every request is put under, without a slash at its end. */
  readonly base: string;
}

/**
 * Reads an upstream's URL.
 *
 * @throws {ProxyError} on anything but `https://host[:port][/base]`, or `http://` to another host than
 * loopback: a credential never leaves this machine in the clear
 */
export function parseUpstream(url: string, ca: string | undefined): UpstreamAddress {
  const bad = (why: string) =>
    new ProxyError("bad-upstream", `Cannot use an upstream of the bootstrap document: ${why}`);
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw bad("it is not a URL");
  }
  const { protocol, username, password, search, hash } = parsed;
  if (protocol !== "https:" && protocol !== "http:") throw bad("it is neither https nor http");
  if (username !== "" || password !== "") throw bad("it holds a user name or password");
  if (search !== "" || hash !== "") throw bad("it has a query or a fragment");
  const bracketed = parsed.hostname.startsWith("[");
  // `example.com.` and `example.com` are one host; certificates are made for the second.
  const host = bracketed ? parsed.hostname.slice(1, -1) : parsed.hostname.replace(/\.$/, "");
  if (host === "") throw bad("it has no host");
  const isAddress = bracketed || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
  if (protocol === "http:" && !isLoopback(host)) {
    throw bad(`plain http is only for loopback, not for "${host}"`);
  }
  return {
    destination: {
      host,
      port: parsed.port === "" ? (protocol === "https:" ? 443 : 80) : Number(parsed.port),
      tls: protocol === "https:",
      isAddress,
      ca,
    },
    base: parsed.pathname.replace(/\/+$/, ""),
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
