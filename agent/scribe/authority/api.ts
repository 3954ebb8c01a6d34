// SPDX-License-Identifier: Apache-2.0

/**
 * The example's time-stamp authority: RFC 3161 over HTTPS (`POST /tsa`), for holders of an API key.
 * `GET /ca.pem` is open. This is what it gets on stdin.
 */
import * as z from "zod/mini";

export const AuthorityBootstrap = z.object({
  version: z.literal(1),
  listen: z.object({ hostname: z.string(), port: z.number() }),
  /** Own directory: CA, keys, serial numbers. */
  state_dir: z.string(),
  /** DNS name in its TLS certificate, besides 127.0.0.1. */
  host: z.string(),
  /** SHA-256 (hex) of the key that callers send as `X-Api-Key`; the key itself never comes here. */
  api_key_sha256: z.string(),
});
export type AuthorityBootstrap = z.infer<typeof AuthorityBootstrap>;
