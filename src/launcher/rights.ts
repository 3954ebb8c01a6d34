// SPDX-License-Identifier: Apache-2.0

/**
 * The rights that a principal's next proxy starts with. The daemon gives rights to the proxy that runs, and says them
 * here first: one that is made again while the daemon is away must not have rights that were taken since.
 */
import type { ProxyPolicy } from "../lib/schema/mod.ts";
import type { Journal } from "./journal.ts";
import type { Principal } from "./principal.ts";

/** What is not new costs no write. */
export async function keepRights(
  principal: Principal,
  rights: ProxyPolicy,
  journal: Pick<Journal, "writeRights">,
): Promise<void> {
  const { hash, status } = principal;
  if (!principal.setRights(rights)) return;
  await journal.writeRights(hash, status.started_at, rights);
}
