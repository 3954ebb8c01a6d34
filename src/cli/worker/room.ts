// SPDX-License-Identifier: Apache-2.0

/** Leave for a call of a worker that a person started, by that person's session at the daemon. */
import { APPROVAL_TIMEOUT_MS } from "../../lib/approval/limits.ts";
import type { Answer, ApprovalRequest } from "../../lib/approval/types.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { type Client, HttpApiError } from "../../lib/http/mod.ts";
import type { daemonApi } from "../../daemon/api.ts";

/** The daemon denies after 300 s; a little longer, and nobody is there to do so. */
const LIMIT_MS = APPROVAL_TIMEOUT_MS + 30_000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;

/** Over restarts of the daemon, which asks people once. @returns a no for whatever goes wrong; never throws */
export async function askRoom(
  daemon: Client<typeof daemonApi>,
  call: Omit<ApprovalRequest, "key">,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<Answer> {
  const body = { key: crypto.randomUUID(), ...call };
  const end = clock.now() + LIMIT_MS;
  let failures = 0;
  while (clock.now() < end && !signal.aborted) {
    try {
      const { decided, approved, why } = await daemon.call("askApproval", { body, signal });
      failures = 0;
      if (decided) return { approved: approved === true, why: why ?? "it was decided" };
    } catch (thrown) {
      if (signal.aborted) break;
      if (!(thrown instanceof HttpApiError) || thrown.code !== "unreachable") {
        return { approved: false, why: messageOf(thrown) };
      }
      const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures++);
      await clock.sleep(wait, signal).catch(() => {});
    }
  }
  if (!signal.aborted) return { approved: false, why: "nobody answered in time" };
  // People are told; else they would find out after a minute.
  await daemon.call("withdrawApproval", { body: { key: body.key } }).catch(() => {});
  return { approved: false, why: "it was cancelled" };
}
