// SPDX-License-Identifier: Apache-2.0

/** `peer:` of a machine's file: where the fleet's other machines reach its daemon. */
import * as z from "zod/mini";

const HOST_PORT = /^(\[[0-9a-f:]+\]|[^:\s,\[\]]+):(\d{1,5})$/i;

function isHostPort(text: string): boolean {
  const port = Number(HOST_PORT.exec(text)?.[2]);
  return port >= 1 && port <= 65_535;
}

const hostPort = z.string("takes HOST:PORT").check(z.refine(isHostPort, "takes HOST:PORT"));

export const PeerConfig = z.strictObject({
  listen: hostPort,
  addresses: z.optional(
    z.array(hostPort, "takes a list of HOST:PORT").check(
      z.minLength(1, "takes a list of HOST:PORT"),
      z.maxLength(8, "takes at most 8 addresses"),
    ),
  ),
}, "takes `listen: HOST:PORT`, and perhaps `addresses`").check(
  // Where nobody can connect to, it is another address that they use.
  z.refine(
    ({ listen, addresses }) => addresses !== undefined || !/^(0\.0\.0\.0|\[::\]):/.test(listen),
    "needs `addresses` where it listens on all of the machine's",
  ),
);

/** As the daemon gets it. */
export interface PeerPlaces {
  readonly listen: { readonly hostname: string; readonly port: number };
  readonly addresses: readonly string[];
}

export function peerPlaces({ listen, addresses = [] }: z.infer<typeof PeerConfig>): PeerPlaces {
  const [, hostname, port] = HOST_PORT.exec(listen)!;
  return { listen: { hostname: hostname!, port: Number(port) }, addresses };
}
