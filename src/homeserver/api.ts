// SPDX-License-Identifier: Apache-2.0

/** What the embedded homeserver gets on stdin. Its interface is the Matrix Client-Server API. */
import * as z from "zod/mini";

/** A token bucket: `burst` requests at once, refilled at `per_second`. */
const RateLimit = z.object({ per_second: z.number(), burst: z.number() });

export const HomeserverBootstrap = z.object({
  version: z.literal(1),
  listen: z.object({ hostname: z.string(), port: z.number() }),
  server_name: z.string(),
  /** Own directory; holds `homeserver.db`. */
  state_dir: z.string(),
  /** For `/_synapse/admin/v1/register` (nonce + HMAC-SHA1), as Synapse has it. */
  registration_shared_secret: z.string(),
  /** Without it a listen address that is not loopback is refused: there is no TLS here. */
  allow_public: z.optional(z.boolean()),
  /** Opens `/_bureau/homeserver/v1/scrape`; absent: nothing does. Secret. */
  metrics_token: z.optional(z.string()),
  /** Overrides of the built-in limits; see `rate_limit.ts`. */
  rate_limits: z.optional(z.object({
    login: z.optional(RateLimit),
    register: z.optional(RateLimit),
    write: z.optional(RateLimit),
  })),
  /** TURN REST credentials for `/voip/turnServer`. */
  turn: z.optional(z.object({
    uris: z.array(z.string()),
    shared_secret: z.string(),
    ttl_seconds: z.number(),
  })),
});
export type HomeserverBootstrap = z.infer<typeof HomeserverBootstrap>;
