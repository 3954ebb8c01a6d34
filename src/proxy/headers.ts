// SPDX-License-Identifier: Apache-2.0

/** Which headers cross the proxy, and which never do. */
import { ProxyError } from "./errors.ts";

/** Limits on what an agent may send: 64 KiB, 100 headers. */
export const MAX_REQUEST_HEADER_BYTES = 64 * 1024;
export const MAX_REQUEST_HEADERS = 100;

/** RFC 9110 §7.6.1: these speak about one connection. `expect` is answered by this proxy itself. */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
];

/**
 * Never taken from a caller: credentials in every usual form, framing and routing, which are the
 * proxy's own, and claims about who asks, which a caller does not get to make (rule 7).
 */
const CALLER_NEVER = new Set([
  ...HOP_BY_HOP,
  "host",
  "content-length",
  "authorization",
  "cookie",
  "cookie2",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-forwarded-user",
  "x-real-ip",
]);

/**
 * Never passed back: hop-by-hop, and cookies. Each request of a service gets its credential, so a session
 * that one opened is of no use but to carry off; callers' cookies do not pass either.
 */
const UPSTREAM_NEVER = new Set([
  ...HOP_BY_HOP,
  "content-length",
  "set-cookie",
  "set-cookie2",
  "proxy-connection",
  "alt-svc",
]);

/** Many servers treat `X_Api_Key` and `X-Api-Key` as one variable. */
function canonicalName(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/** Decides for one service; made once, used for every request. */
export class HeaderPolicy {
  readonly #dropped: ReadonlySet<string>;
  readonly #injected: string;
  readonly #secrets: readonly string[];

  /**
   * @param secrets values that never pass back
   * @param append joined to the caller's of the same name (RFC 9110 §5.3)
   */
  constructor(
    inject: Readonly<Record<string, string>>,
    strip: readonly string[],
    secrets: readonly string[],
    append: Readonly<Record<string, string>> = {},
  ) {
    this.#dropped = new Set([
      ...CALLER_NEVER,
      ...Object.keys(inject).map(canonicalName),
      ...strip.map(canonicalName),
    ]);
    this.#injected = [...Object.entries(inject), ...Object.entries(append)].map(([name, value]) =>
      `${name}: ${value}\r\n`
    ).join(
      "",
    );
    this.#secrets = secrets.flatMap((value) => [value, encodeURIComponent(value)]).filter((
      secret,
    ) => secret.length >= 6);
  }

  /**
   * Header lines for the upstream: the caller's without what it may not say, then the injected ones.
   *
   * @throws {ProxyError} 431 when there are too many or too large ones
   */
  toUpstream(headers: Headers): string {
    const named = connectionOptions(headers.get("connection"));
    let lines = "";
    let count = 0;
    for (const [name, value] of headers) {
      if (++count > MAX_REQUEST_HEADERS) throw tooLarge();
      const canonical = canonicalName(name);
      if (this.#dropped.has(canonical) || canonical.startsWith("proxy-")) continue;
      if (named?.has(name)) continue;
      lines += `${name}: ${value}\r\n`;
      if (lines.length > MAX_REQUEST_HEADER_BYTES) throw tooLarge();
    }
    return lines + this.#injected;
  }

  /** Headers for the caller. One that repeats an injected value is dropped: secrets are never echoed. */
  toCaller(headers: readonly (readonly [string, string])[]): [string, string][] {
    const connection = headers.filter(([name]) => name === "connection").map(([, value]) => value)
      .join(",");
    const named = connectionOptions(connection === "" ? null : connection);
    const passed: [string, string][] = [];
    for (const [name, value] of headers) {
      if (UPSTREAM_NEVER.has(name) || name.startsWith("proxy-") || named?.has(name)) continue;
      if (this.#secrets.some((secret) => value.includes(secret))) continue;
      // Names come in lower case, whatever was sent.
      if (this.#secrets.some((secret) => name.includes(secret.toLowerCase()))) continue;
      passed.push([name, value]);
    }
    return passed;
  }
}

function connectionOptions(value: string | null): Set<string> | null {
  if (value === null) return null;
  return new Set(value.toLowerCase().split(",").map((option) => option.trim()));
}

function tooLarge(): ProxyError {
  return new ProxyError(
    "headers-too-large",
    `Cannot forward the request: more than ${MAX_REQUEST_HEADERS} headers or ${MAX_REQUEST_HEADER_BYTES} bytes of them`,
    { status: 431 },
  );
}
