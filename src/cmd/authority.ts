// SPDX-License-Identifier: Apache-2.0

/** The example's time-stamp authority: one HTTPS address and its own directory. */
import { AuthorityBootstrap, startAuthority } from "../../agent/scribe/authority/mod.ts";
import { createLogger } from "../lib/log.ts";
import { announceReady, failStart, readBootstrap } from "../lib/provision/mod.ts";

const log = createLogger("authority");

try {
  const bootstrap = await readBootstrap((json) => AuthorityBootstrap.parse(json));
  const authority = await startAuthority(bootstrap);
  Deno.addSignalListener("SIGTERM", () => authority.stop().finally(() => Deno.exit(0)));
  announceReady({ url: authority.url });
  log.info("serving", { url: authority.url });
} catch (error) {
  failStart(error);
}
