// SPDX-License-Identifier: Apache-2.0

/** The supervisor's place: its socket, which a successor takes over. */
import { createHandler, listenUnix } from "../lib/http/mod.ts";
import type { Logger } from "../lib/log.ts";
import { pathsOf } from "../lib/process/mod.ts";
import { supervisorApi, type UpgradeRequest } from "./api.ts";
import type { DevBox } from "./devbox.ts";
import type { UpOptions } from "./options.ts";
import { currentStatus } from "./current.ts";
import type { Seat } from "./update/handover.ts";

export interface SeatOptions {
  readonly box: DevBox;
  readonly args: readonly string[];
  readonly log: Logger;
  readonly upgrade: (
    request: UpgradeRequest,
  ) => Promise<{ to: string; from: string | null; begun: boolean }>;
  readonly down: () => void;
}

export function takeSeat(options: UpOptions, { box, args, log, upgrade, down }: SeatOptions): Seat {
  const { upSocket } = pathsOf(options);
  let server: Deno.HttpServer | null = null;
  return {
    box,
    log,
    args: withoutStart(args),
    statusThere: () => currentStatus(options),
    async listen() {
      server = await listenUnix(
        upSocket,
        createHandler(supervisorApi, {
          status: () => box.status,
          upgrade: ({ body }) => upgrade(body),
          down: () => {
            down();
            return { stopping: true };
          },
        }),
        { mode: 0o600 },
      );
    },
    async leave() {
      await server?.shutdown();
      server = null;
      await Deno.remove(upSocket).catch(() => {});
    },
  };
}

/** What says how to start and from what: a successor has its own. What a boot file said is known by now. */
function withoutStart(args: readonly string[]): string[] {
  const kept: string[] = [];
  for (let n = 0; n < args.length; n++) {
    const argument = args[n]!;
    if (argument === "--detach" || argument === "--background") continue;
    if (/^--(release|join)=/.test(argument)) continue;
    if (argument === "--release" || argument === "--join") n++;
    else kept.push(argument);
  }
  return kept;
}
