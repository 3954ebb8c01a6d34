// SPDX-License-Identifier: Apache-2.0
import { LauncherError } from "./errors.ts";
import type { Principal } from "./principal.ts";

/** Whoever asks for an end means the cell that they saw: a later one may be a run that is over already. */
export function requireMeant({ localpart, status }: Principal, startedAt: string | null): void {
  if (startedAt === null || startedAt === "" || Number(startedAt) === status.started_at) return;
  throw new LauncherError("another", `Cannot act on "${localpart}": it was started anew since`, {
    status: 409,
  });
}
