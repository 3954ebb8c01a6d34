// SPDX-License-Identifier: Apache-2.0

/** What `bureau web` asks of the daemon: where the page is, and who may open it. */
import * as z from "zod/mini";

export const WebAddress = z.object({
  url: z.string(),
  /** Null: plain HTTP, on loopback only. Else of the authority that a browser must be told to trust. */
  authority_sha256: z.nullable(z.string()),
});
export type WebAddress = z.infer<typeof WebAddress>;

export const WebStatus = z.object({
  /** Loopback first. */
  addresses: z.array(WebAddress),
  /** Public names of reverse proxies in front of it. */
  origins: z.array(z.string()),
  /** Why it can't listen. */
  problem: z.nullable(z.string()),
  /** PEM of the authority that the listener for the local network has. */
  authority: z.nullable(z.string()),
});
export type WebStatus = z.infer<typeof WebStatus>;

/** A secret that was handed out: shown once, kept as its SHA-256. */
export const WebIssued = z.object({
  id: z.string(),
  token: z.string(),
  /** Milliseconds since the epoch. */
  expires_at: z.number(),
  /** One for each address, the token in its fragment. */
  urls: z.array(z.string()),
});
export type WebIssued = z.infer<typeof WebIssued>;

export const WebGrantView = z.object({
  id: z.string(),
  kind: z.enum(["link", "token", "share"]),
  name: z.string(),
  /** Whose rights it has. */
  user: z.string(),
  /** Full localpart; of a share. */
  principal: z.nullable(z.string()),
  created_at: z.number(),
  expires_at: z.number(),
  used_at: z.nullable(z.number()),
  /** Browsers that are logged in by it. */
  sessions: z.number(),
});
export type WebGrantView = z.infer<typeof WebGrantView>;

const Grants = z.object({ grants: z.array(WebGrantView) });
const Revoked = z.object({ revoked: z.boolean(), sessions: z.number() });

export const webRoutes = {
  web: {
    method: "GET",
    path: "/v1/web",
    summary: "Where the web page is; right `web/open` on the machine",
    response: WebStatus,
  },
  webLink: {
    method: "POST",
    path: "/v1/web/links",
    summary:
      "A one-time link of ten minutes that logs a browser in as the caller; right `web/open` on the machine",
    response: WebIssued,
  },
  webTokens: {
    method: "GET",
    path: "/v1/web/tokens",
    summary: "Operator tokens, and browsers that are logged in; right `web/token` on the machine",
    response: Grants,
  },
  webTokenCreate: {
    method: "POST",
    path: "/v1/web/tokens",
    summary: "A token that logs browsers in as the caller; right `web/token` on the machine",
    request: z.object({ name: z.string(), for_ms: z.number() }),
    response: WebIssued,
  },
  webTokenRevoke: {
    method: "DELETE",
    path: "/v1/web/tokens/:id",
    summary:
      "End a token, or a login by a link, and its sessions; right `web/token` on the machine",
    response: Revoked,
  },
  webShares: {
    method: "GET",
    path: "/v1/web/shares",
    summary: "Shared links; right `web/share` on the machine",
    response: Grants,
  },
  webShareCreate: {
    method: "POST",
    path: "/v1/web/shares",
    summary:
      "A link by which anybody watches one agent and types nothing; rights `web/share` on the machine and `observe` on the agent",
    request: z.object({ principal: z.string(), for_ms: z.number() }),
    response: WebIssued,
  },
  webShareRevoke: {
    method: "DELETE",
    path: "/v1/web/shares/:id",
    summary: "End a shared link and its sessions; right `web/share` on the machine",
    response: Revoked,
  },
  webListen: {
    method: "POST",
    path: "/v1/web/listen",
    summary:
      "Listen on an address of the local network too, with TLS, or no more (null); right `web/listen` on the machine",
    request: z.object({ address: z.nullable(z.string()) }),
    response: WebStatus,
  },
} as const;
