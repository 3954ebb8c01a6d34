// SPDX-License-Identifier: Apache-2.0

/** TLS to whoever has one certain authority's certificate, and to nobody else. */

const CONNECT_MS = 5_000;

export interface HostPort {
  readonly hostname: string;
  readonly port: number;
}

export interface Pinned {
  /** PEM of the authority that signed its certificate. */
  readonly authority: string;
  /** What the certificate is for: a name that no public authority signs, which would be believed, too. */
  readonly name: string;
}

/** @throws when it does not answer in time, or has another certificate */
export async function connectTls(at: HostPort, { authority, name }: Pinned): Promise<Deno.TlsConn> {
  const timeout = AbortSignal.timeout(CONNECT_MS);
  const late = new Promise<never>((_, reject) =>
    timeout.addEventListener("abort", () => reject(new Error("no answer in time")), { once: true })
  );
  const connecting = (async () => {
    const tcp = await Deno.connect(at);
    if (timeout.aborted) return tcp.close();
    tcp.setNoDelay(true);
    // Whoever sleeps or vanishes is noticed some time.
    tcp.setKeepAlive(true);
    const conn = await Deno.startTls(tcp, { hostname: name, caCerts: [authority] });
    await conn.handshake();
    if (timeout.aborted) return conn.close();
    return conn;
  })();
  connecting.catch(() => {});
  const conn = await Promise.race([connecting, late]);
  if (conn === undefined) throw new Error("no answer in time");
  return conn;
}

export const bare = (hostname: string) => hostname.replace(/^\[|\]$/g, "");

/** @param text `host:port`, `[::1]:port` */
export function parseAddress(text: string): HostPort {
  const at = text.lastIndexOf(":");
  return { hostname: bare(text.slice(0, at)), port: Number(text.slice(at + 1)) };
}
