// SPDX-License-Identifier: Apache-2.0

/**
 * Whether a request was meant for this page. A name that somebody else's DNS points here (rebinding) is not ours,
 * and a page of another origin may ask nothing.
 */

/** One listener, and by which names it is reached. */
export interface Place {
  /** Null: on loopback, without TLS. Else `address:port`, with TLS. */
  readonly lan: string | null;
  /** Of reverse proxies: `https://bureau.example.org`. */
  readonly origins: readonly string[];
}

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/;

/** @returns the page's own origin as its browser sees it; null: by a name that is not ours */
export function ownOrigin(request: Request, { lan, origins }: Place): string | null {
  const { host } = new URL(request.url);
  const header = request.headers.get("host");
  if (
    header !== null &&
    header.toLowerCase().replace(/:(80|443)$/, "") !== host.replace(/:(80|443)$/, "")
  ) {
    return null;
  }
  for (const origin of origins) {
    if (new URL(origin).host === host) return origin;
  }
  if (lan !== null) return host === lan || `${host}:443` === lan ? `https://${host}` : null;
  // Any port: the far end of an `ssh -L` has one of its own.
  return LOOPBACK.test(host) ? `http://${host}` : null;
}

/** Whether it comes from our page, or from a person's address bar. */
export function fromOurPage(request: Request, own: string): boolean {
  const origin = request.headers.get("origin");
  const changes = request.method !== "GET" && request.method !== "HEAD";
  const upgrade = request.headers.has("upgrade");
  if (origin !== null ? origin !== own : changes || upgrade) return false;
  const site = request.headers.get("sec-fetch-site");
  return site === null || site === "same-origin" || (site === "none" && !changes && !upgrade);
}
