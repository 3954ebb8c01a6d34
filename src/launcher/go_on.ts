// SPDX-License-Identifier: Apache-2.0

/** What an accepted request changes of a principal that runs: its sandbox goes on. */
import type { ProxyBootstrap } from "../proxy/api.ts";
import type { CreateRequest } from "./api.ts";
import type { Journal } from "./journal.ts";
import type { Principal } from "./principal.ts";
import type { Validated } from "./validate.ts";

/**
 * Another payload, and other credentials for its proxy.
 *
 * @param document of the request; made before anything is kept, as that may refuse it
 * @param kept the newest `issued_at` that was seen, and where it all is recorded
 */
export async function goOn(
  principal: Principal,
  validated: Validated,
  document: ProxyBootstrap,
  kept: {
    readonly request: CreateRequest;
    /** What runs: the request's spec, or the last good one in its place. */
    readonly made: CreateRequest;
    readonly newest: number;
    readonly journal: Journal;
  },
): Promise<void> {
  const { hash, status } = principal;
  const { request, made, newest, journal } = kept;
  const { issued_at } = request.assignment;
  const isNewer = issued_at > status.issued_at;
  const isRenewal = status.credentials_digest !== validated.credentialsDigest;
  if (!isNewer && !isRenewal) return;
  // The next launcher goes on from it, and nothing older counts any more; in this order, for what is
  // older than the newest is not adopted.
  await journal.writeRequest(hash, status.started_at, request, made);
  await journal.see(hash, Math.max(newest, issued_at));
  await journal.seeCredentials(hash, validated.issuedCredentials);
  if (isRenewal) await principal.renew(validated, document);
  if (isNewer) await principal.update(validated, issued_at, document);
}
