// SPDX-License-Identifier: Apache-2.0

/** Leave for one tool call, asked through the proxy until somebody answers. */
import type { Permission } from "../approval/types.ts";
import { type Clock, systemClock } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { ProxyClientError } from "./errors.ts";
import type { Transport } from "./transport.ts";

export interface ToolCall {
  /** As the model calls it: `Bash`, `write`. */
  readonly tool: string;
  readonly permission: Permission;
  /** The command, the path, the address: what people decide about. At most 4000 characters. */
  readonly resource: string;
}

export interface ApprovalOptions {
  /** Nobody waits for the answer any more; it is a no. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

export interface Leave {
  readonly approved: boolean;
  /** A sentence without its subject, for the model: `@ann:example.org denied it`. */
  readonly why: string;
}

/** The daemon denies after 300 s; a little longer, and nobody is there to do so. */
const LIMIT_MS = 330_000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;

interface Polled {
  readonly decided: boolean;
  readonly approved?: boolean;
  readonly why?: string;
}

export async function askLeave(
  transport: Transport,
  { tool, permission, resource }: ToolCall,
  { signal, clock = systemClock }: ApprovalOptions = {},
): Promise<Leave> {
  // The same over every try: proxy and daemon may be replaced meanwhile, and people are asked once.
  const body = { key: crypto.randomUUID(), tool, permission, resource };
  const end = clock.now() + LIMIT_MS;
  const what = "ask for leave";
  let failures = 0;
  while (clock.now() < end) {
    if (signal?.aborted) return no("it was cancelled");
    try {
      const polled = await transport.json<Polled>("POST", "/v1/approvals", what, { body, signal });
      failures = 0;
      if (polled.decided) {
        return { approved: polled.approved === true, why: String(polled.why ?? "it was decided") };
      }
    } catch (thrown) {
      if (signal?.aborted) return no("it was cancelled");
      if (!(thrown instanceof ProxyClientError) || !thrown.isPassing) return no(messageOf(thrown));
      const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures++);
      await clock.sleep(wait, signal).catch(() => {});
    }
  }
  return no("nobody answered in time");
}

const no = (why: string): Leave => ({ approved: false, why });
