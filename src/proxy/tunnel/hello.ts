// SPDX-License-Identifier: Apache-2.0

/** How a tunnel begins: with TLS for the host that it was opened to, or not at all. */
import type { Target } from "../../lib/authority.ts";
import { concatBytes } from "../../lib/bytes.ts";
import { ProxyError } from "../errors.ts";
import { isAddress } from "../swap/hosts.ts";
import type { Wire } from "../wire.ts";
import { parseClientHello } from "./client_hello.ts";

/** A fatal TLS alert (RFC 8446 §6): the tunnel stands already, so this is how a refusal is told. */
export const ACCESS_DENIED = Uint8Array.of(21, 3, 3, 0, 2, 2, 49);

/** What the caller begins with, or why it is not TLS with this host. */
export async function readHello(
  caller: Wire,
  { host, port }: Target,
): Promise<Uint8Array | ProxyError> {
  const refused = (code: string, why: string) =>
    new ProxyError(code, `Cannot tunnel to "${host}": ${why}`, {
      status: 403,
      hint: `an operator can grant "tunnel/${host}/${port}" for other protocols`,
    });
  let bytes: Uint8Array = new Uint8Array();
  while (true) {
    const more = await caller.read();
    if (more === null) return refused("not-tls", "the caller closed before TLS began");
    bytes = concatBytes([bytes, more]);
    const hello = parseClientHello(bytes);
    if (hello.state === "bad") return refused("not-tls", hello.why);
    if (hello.state === "more") continue;
    // An address is no server name (RFC 6066 §3): only a hello without one fits it.
    if (hello.serverName === (isAddress(host) ? null : host)) return bytes;
    const asked = hello.serverName === null ? "no name" : `"${hello.serverName}"`;
    return refused("wrong-server-name", `TLS asks for ${asked}`);
  }
}
