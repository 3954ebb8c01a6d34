// SPDX-License-Identifier: Apache-2.0
import type { launcherApi } from "../launcher/api.ts";
import type { Client } from "../lib/http/mod.ts";
import { DaemonError } from "./errors.ts";
import type { ManagedPrincipal } from "./principal.ts";

/** Has the launcher start a relay. @returns its socket on the host */
export async function openRelay(
  principal: ManagedPrincipal,
  launcher: Client<typeof launcherApi>,
  runDir: string,
): Promise<string> {
  const hash = principal.status?.hash;
  if (hash === undefined || !principal.isLive) {
    throw new DaemonError(
      "not-running",
      `Cannot observe "${principal.account}": it does not run`,
      { status: 409, hint: `bureau agent show ${principal.account}` },
    );
  }
  await launcher.call("relay", { params: { principal: principal.localpart } });
  // Where the launcher listens is fixed; a path in its answer is not followed.
  return `${runDir}/p/${hash}/observe/relay.sock`;
}
