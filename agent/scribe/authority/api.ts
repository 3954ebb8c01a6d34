// SPDX-License-Identifier: Apache-2.0

/** What the example's time-stamp authority gets on stdin, and what it serves. */
import * as z from "zod/mini";

export const AuthorityBootstrap = z.object({
  version: z.literal(1),
  listen: z.object({ hostname: z.string(), port: z.number() }),
  /** Own directory: CA, keys and certificates. */
  state_dir: z.string(),
  /** Name that its TLS certificate carries, besides 127.0.0.1 and ::1. */
  host: z.string(),
  /** SHA-256, in hex, of the key that callers must send as `X-Api-Key`. The key itself never comes here. */
  api_key_sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
});
export type AuthorityBootstrap = z.infer<typeof AuthorityBootstrap>;

/** `POST` a `application/timestamp-query`, with `X-Api-Key`; answers `application/timestamp-reply`. */
export const STAMP_PATH = "/tsa";
/** `GET`, open to everybody: the certificate that tokens and TLS are verified against. */
export const CA_PATH = "/ca.pem";
