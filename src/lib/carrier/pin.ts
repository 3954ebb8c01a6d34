// SPDX-License-Identifier: Apache-2.0

/** From a pin, which a person can copy, to the certificate that it is of. */
import tls from "node:tls";
import { pem, pinOf } from "../certificate/mod.ts";
import { BureauError } from "../errors.ts";
import type { HostPort, Pinned } from "./tls.ts";

const SHOW_MS = 10_000;
const MAX_CHAIN = 8;

export class PinError extends BureauError {
  override readonly name = "PinError";
}

/**
 * Asks whoever is there for their certificates, over a connection on which nothing is said and which proves nothing:
 * a certificate is public. Who is there is proven by `connectTls`, to which what this returns is the only authority.
 * @param pin `sha256:…` of an authority's certificate
 * @throws {PinError} `wrong-pin`, `no-answer`
 */
export async function pinnedAt(at: HostPort, pin: string, name: string): Promise<Pinned> {
  const shown = await certificatesAt(at, name);
  const pins = await Promise.all(shown.map(pinOf));
  const index = pins.indexOf(pin.toLowerCase());
  if (index >= 0) return { authority: shown[index]!, name };
  throw new PinError(
    "wrong-pin",
    `Cannot trust ${at.hostname}:${at.port}: its certificate is ${
      pins.at(-1) ?? "none"
    }, not ${pin}`,
    {
      hint:
        "compare it with what was printed there when it began to listen; if it is another one now, somebody may be between",
      status: 502,
    },
  );
}

/** PEM, the server's first. */
function certificatesAt({ hostname, port }: HostPort, servername: string): Promise<string[]> {
  const shown = Promise.withResolvers<string[]>();
  const socket = tls.connect({ host: hostname, port, servername, rejectUnauthorized: false });
  const fail = (why: string) =>
    shown.reject(
      new PinError("no-answer", `Cannot reach ${hostname}:${port}: ${why}`, { status: 502 }),
    );
  socket.setTimeout(SHOW_MS, () => fail("it does not answer in time"));
  socket.once("error", ({ message }) => fail(message));
  socket.once("close", () => fail("it closed the connection"));
  socket.once("secureConnect", () => {
    const found: string[] = [];
    let each = socket.getPeerCertificate(true);
    while (each?.raw !== undefined && found.length < MAX_CHAIN) {
      const text = pem("CERTIFICATE", new Uint8Array(each.raw));
      if (found.includes(text)) break;
      found.push(text);
      each = each.issuerCertificate;
    }
    shown.resolve(found);
  });
  return shown.promise.finally(() => socket.destroy());
}
