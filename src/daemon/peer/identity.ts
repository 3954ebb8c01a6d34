// SPDX-License-Identifier: Apache-2.0

/**
 * By what this machine is known to its peers on the network: a certificate authority of its own, made for one
 * certificate (`<state>/daemon/peer.json`, 0600), whose certificate the fleet publishes. Peers take no other.
 */
import * as z from "zod/mini";
import { makeSelfMade, RENEW_MS } from "../../lib/certificate/mod.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { stateFile } from "../state_file.ts";

/** What every machine's certificate is for: which machine it is says the authority. No public one signs such a name. */
export const PEER_NAME = "peer.bureau.internal";

const Identity = z.object({
  /** PEM, as the other two. */
  authority: z.string(),
  certificate: z.string(),
  /** Secret. */
  key: z.string(),
  /** Milliseconds since the epoch. */
  expires_at: z.number(),
});
export type Identity = z.infer<typeof Identity>;

/** When another one has to be made. */
export const renewalOf = ({ expires_at }: Identity): number => expires_at - RENEW_MS;

/** The one that is kept; another where there is none, it can't be read or it ends soon. */
export async function loadIdentity(dir: string, clock: Clock, log: Logger): Promise<Identity> {
  const file = stateFile({
    path: `${dir}/peer.json`,
    schema: z.nullable(Identity),
    empty: () => null,
    what: "this machine's certificate for its peers",
    unwritten: "the next daemon makes another",
    log,
  });
  const known = await file.load();
  if (known !== null && renewalOf(known) > clock.now()) return known;
  const made = await makeSelfMade(PEER_NAME, clock);
  await file.save(made);
  return made;
}
