// SPDX-License-Identifier: Apache-2.0

/** Losing the account or the config room: what counts as that, and what is done then. */
import type { Clock } from "../lib/clock.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import type { Client } from "../lib/http/mod.ts";
import type { Logger } from "../lib/log.ts";
import type { launcherApi } from "../launcher/api.ts";
import { hasErrcode, MessagingError } from "../messaging/mod.ts";
import { DaemonError } from "./errors.ts";

/** How long everything may take to end. */
const EMERGENCY_MS = 10_000;

/** Not retried by the sync loop, like a lost account. */
export class ConfigRoomLost extends MessagingError {
  constructor() {
    super("config-room-lost", "Cannot serve this machine: it was put out of its config room", {
      status: 403,
      hint: "invite the machine again, and start the daemon",
    });
  }
  override get isAccountLost(): boolean {
    return true;
  }
}

/** True for what no waiting mends: the session is gone, or the config room refuses us. */
export function isLost(thrown: unknown): boolean {
  return (thrown instanceof MessagingError && thrown.isAccountLost) ||
    hasErrcode(thrown, "M_FORBIDDEN");
}

/** What a person reads of it, and does about it. */
export function lossOf(thrown: unknown): DaemonError {
  return new DaemonError("lost", messageOf(thrown), {
    cause: thrown,
    hint: (thrown instanceof BureauError ? thrown.hint : undefined) ??
      "`deno task down`, then `deno task up`, logs this machine in again",
  });
}

/** Ends every principal that the launcher has, without grace, until none is left or time is up. */
export async function endEverything(
  launcher: Client<typeof launcherApi>,
  clock: Clock,
  log: Logger,
): Promise<void> {
  const limit = AbortSignal.timeout(EMERGENCY_MS);
  while (!limit.aborted) {
    try {
      const { principals } = await launcher.call("list", { signal: limit });
      if (principals.length === 0) {
        log.error("lost: every principal has ended");
        return;
      }
      await Promise.allSettled(
        principals.map(({ principal }) =>
          launcher.call("destroy", {
            params: { principal },
            query: { grace_ms: "0" },
            signal: limit,
          })
        ),
      );
    } catch (thrown) {
      log.error("lost: the launcher does not answer", { why: messageOf(thrown) });
    }
    await clock.sleep(100, limit).catch(() => {});
  }
  log.error("lost: not every principal could be ended in time");
}
