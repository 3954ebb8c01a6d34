// SPDX-License-Identifier: Apache-2.0

/** `host:port` as CONNECT, URLs and policies write it; one reading for everybody who decides by it. */
export interface Target {
  /** Lower case, without a trailing dot; an IPv6 literal without its brackets. */
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `[v6]:port`; null for anything else. */
export function parseAuthority(text: string): Target | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):([1-9]\d{0,4})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  if (port > 65_535) return null;
  if (match[1] !== undefined) {
    return match[1].includes(":") ? { host: match[1].toLowerCase(), port } : null;
  }
  const host = match[2]!.toLowerCase().replace(/\.$/, "");
  return isHostName(host) ? { host, port } : null;
}

/** What `parseAuthority()` reads: an IPv6 literal gets its brackets. */
export function authorityOf({ host, port }: Target): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Where an http(s) address leads, or null. */
export function targetOfUrl(url: string): Target | null {
  if (!URL.canParse(url)) return null;
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== "https:" && protocol !== "http:") return null;
  return parseAuthority(`${hostname}:${port || (protocol === "https:" ? 443 : 80)}`);
}

/** Where `wss://HOST:PORT` leads, 443 where no port is named; null for anything else, plain `ws:` among it. */
export function targetOfEndpoint(text: string): Target | null {
  const named = /^wss:\/\/([^/?#@]+)\/?$/i.exec(text)?.[1];
  if (named === undefined) return null;
  return parseAuthority(named) ?? parseAuthority(`${named}:443`);
}

/** An address in one spelling, IPv4 inside IPv6 as IPv4; a name as it is. */
export function canonicalHost(host: string): string {
  if (!host.includes(":")) return host;
  const written = URL.parse(`http://[${host}]/`)?.hostname.slice(1, -1) ?? host;
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(written);
  if (mapped === null) return written;
  const number = parseInt(mapped[1]!, 16) * 65_536 + parseInt(mapped[2]!, 16);
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff).join(".");
}

/** What `host:port` or `*.suffix:port` matches; null for anything else. */
export function hostPattern(text: string): ((target: Target) => boolean) | null {
  const wild = text.startsWith("*.");
  const wanted = parseAuthority(wild ? text.slice(2) : text);
  if (wanted === null || (wild && !wanted.host.includes("."))) return null;
  return ({ host, port }) =>
    port === wanted.port &&
    (wild ? host.endsWith(`.${wanted.host}`) : canonicalHost(host) === canonicalHost(wanted.host));
}

/** As `hostPattern`, and `*:port` for every host: only for what a person is asked about. */
export function askPattern(text: string): ((target: Target) => boolean) | null {
  const every = /^\*:([1-9]\d{0,4})$/.exec(text);
  if (every === null) return hostPattern(text);
  const port = Number(every[1]);
  return port > 65_535 ? null : (target) => target.port === port;
}

/** Dot-separated labels. One that ends in a number must be a plain IPv4 address, never `127.1` or `0x7f.1`. */
export function isHostName(host: string): boolean {
  if (host.length === 0 || host.length > 253) return false;
  const labels = host.split(".");
  if (!labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) {
    return false;
  }
  const last = labels.at(-1)!;
  if (!/^(?:\d+|0x[0-9a-f]*)$/.test(last)) return true;
  return labels.length === 4 &&
    labels.every((label) => /^(?:0|[1-9]\d{0,2})$/.test(label) && Number(label) <= 255);
}
