// SPDX-License-Identifier: Apache-2.0

/** `/v1/machines/…` of the daemon's socket: what is watched on another machine of the fleet. */
import * as z from "zod/mini";
import { Signature } from "../../lib/schema/events.ts";

/** How long a warrant counts, from when it was signed. */
export const WARRANT_MS = 60_000;

/**
 * What one request to another machine may be, in the words of the operator who makes it and signed with their key (as
 * assignments are, `lib/signature`): the machine that carries it can't make one. Good once.
 */
export const Warrant = z.object({
  kind: z.literal("bureau-warrant"),
  version: z.literal(1),
  /** User id of who asks. */
  subject: z.string(),
  /** User id of the machine that carries it. */
  via: z.string(),
  /** User id of the machine that answers. */
  machine: z.string(),
  /** Of the request, without a query: `/v1/principals/…`. */
  path: z.string(),
  /** Whether the terminal may be typed at. */
  mode: z.enum(["readonly", "readwrite"]),
  nonce: z.string().check(z.regex(/^[0-9a-f]{32}$/)),
  /** Milliseconds since the epoch. */
  issued_at: z.int(),
  expires_at: z.int(),
  signature: Signature,
});
export type Warrant = z.infer<typeof Warrant>;

const query = {
  path: "of the request to that machine: `/v1/principals`, one of them, its `usage` or `observe`",
  warrant: "a `Warrant` for just this request, as base64url of its JSON",
};

export const peerRoutes = {
  askPeer: {
    method: "GET",
    path: "/v1/machines/:machine/call",
    summary:
      "What that machine's daemon answers; the rights are the subject's there, by that machine's own word. 503 `peer-…` passes. Right `peer/ask` on this machine",
    query,
    response: z.unknown(),
  },
  observePeer: {
    method: "GET",
    path: "/v1/machines/:machine/observe",
    summary: "As `observe` of a principal, which that machine runs: WebSocket `bureau.observe.v2`",
    query: {
      ...query,
      "cols, rows, stream, offset, since": "as there",
    },
    kind: "websocket",
  },
} as const;

/** A warrant as it stands in a query. */
export function encodeWarrant(warrant: object): string {
  return new TextEncoder().encode(JSON.stringify(warrant))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}
