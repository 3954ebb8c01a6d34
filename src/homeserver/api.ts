// SPDX-License-Identifier: Apache-2.0

/** What the embedded homeserver gets on stdin. Its interface is the Matrix Client-Server API. */
import * as z from "zod/mini";

export const HomeserverBootstrap = z.object({
  version: z.literal(1),
  listen: z.object({ hostname: z.string(), port: z.number() }),
  server_name: z.string(),
  /** Own directory; holds `homeserver.db`. */
  state_dir: z.string(),
  /** For `/_synapse/admin/v1/register` (nonce + HMAC-SHA1), as Synapse has it. */
  registration_shared_secret: z.string(),
});
export type HomeserverBootstrap = z.infer<typeof HomeserverBootstrap>;
