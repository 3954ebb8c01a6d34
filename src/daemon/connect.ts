// SPDX-License-Identifier: Apache-2.0

/** Who are we, and where is the config room: what everything else waits for. */
import type { Clock } from "../lib/clock.ts";
import { parseUserId, roomAlias } from "../lib/ref/mod.ts";
import { backoffMs, type MatrixClient, MessagingError } from "../messaging/mod.ts";
import type { DaemonBootstrap } from "./api.ts";
import { isLost } from "./emergency.ts";
import { DaemonError } from "./errors.ts";

export interface ConnectContext {
  readonly client: MatrixClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** It is tried again. */
  readonly onFailure: (thrown: unknown) => void;
}

/**
 * Repeated until it is known.
 * @returns null when `signal` aborted
 * @throws what no waiting mends: a refusal
 */
export async function findConfigRoom(
  { user_id: machine, server_name: server }: DaemonBootstrap,
  { client, clock, signal, onFailure }: ConnectContext,
): Promise<string | null> {
  const alias = roomAlias(parseUserId(machine).localpart, server);
  for (let failures = 0; !signal.aborted;) {
    try {
      const who = await client.whoami(signal);
      if (who.user_id !== machine) {
        throw new DaemonError(
          "wrong-account",
          `Cannot serve "${machine}": the session is of ${who.user_id}`,
        );
      }
      const room = await client.resolveAlias(alias, signal);
      if (room === null) {
        throw new MessagingError("unreachable", `Cannot find the config room "${alias}"`, {
          hint: "provision this machine: deno task up",
        });
      }
      return await client.join(room, signal);
    } catch (thrown) {
      if (signal.aborted) return null;
      if (thrown instanceof DaemonError || isLost(thrown)) throw thrown;
      failures++;
      onFailure(thrown);
      await clock.sleep(backoffMs(failures, Math.random), signal).catch(() => {});
    }
  }
  return null;
}
