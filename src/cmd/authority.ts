// SPDX-License-Identifier: Apache-2.0

/**
 * The example's time-stamp authority. Listens on one address, keeps its keys in one directory; may not
 * connect anywhere or run anything.
 */
import * as z from "zod/mini";
import { AuthorityBootstrap } from "../../agent/scribe/authority/api.ts";
import { startAuthority } from "../../agent/scribe/authority/authority.ts";
import { announceReady, failStart, readBootstrap } from "../lib/provision/mod.ts";

try {
  const bootstrap = await readBootstrap((json) => z.parse(AuthorityBootstrap, json));
  const { server, url } = await startAuthority(bootstrap);
  Deno.addSignalListener("SIGTERM", () => server.shutdown());
  announceReady({ url });
  await server.finished;
  Deno.exit(0);
} catch (thrown) {
  failStart(thrown);
}
