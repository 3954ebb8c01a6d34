// SPDX-License-Identifier: Apache-2.0

/** What a principal may use and never sees, as rooms hold it and as its launcher opens it. */
import * as z from "zod/mini";
import { CredentialPart } from "./credential_part.ts";

const names = z.record(z.string(), z.string());
const words = z.array(z.string());

/** `m.bureau.credentials`, state key = the principal, in the config room, power level 100. */
export const Credentials = z.object({
  /** Another one was written by a newer Bureau, and is refused. */
  version: z.literal(1),
  /** User id of whom they are for. */
  principal: z.string(),
  /** Machine user ids (and `escrow:<name>`) that can open it; informational. */
  encrypted_for: words,
  /** See `CredentialPart`. */
  recipients: z.optional(words),
  /** Names of the credentials inside, never values. */
  keys: words,
  /** Base64 of the age ciphertext of a `CredentialBundle` as JSON: its account, and what has no part. */
  ciphertext: z.string(),
  /** Name → credential; each stands for one of that name in `ciphertext`. */
  parts: z.optional(z.record(z.string(), CredentialPart)),
  /** User id of the operator. */
  provisioned_by: z.string(),
  /** RFC 3339. */
  provisioned_at: z.string(),
});
export type Credentials = z.infer<typeof Credentials>;

/** A login whose access tokens the principal's proxy fetches (RFC 6749 §6). */
export const Oauth2Login = z.object({
  /** `https://…`; its host must be among the credential's allowed hosts. */
  token_url: z.string(),
  client_id: z.string(),
  client_secret: z.optional(z.string()),
  refresh_token: z.string(),
  scope: z.optional(z.string()),
  access_token: z.optional(z.string()),
  /** Of `access_token`, ms epoch. */
  expires_at: z.optional(z.number()),
  /** How the token request is written; absent: `form`. */
  body: z.optional(z.enum(["form", "json"])),
});
export type Oauth2Login = z.infer<typeof Oauth2Login>;

/** The plaintext inside `Credentials.ciphertext`. Seen by an operator's CLI and by the launcher only. */
export const CredentialBundle = z.object({
  version: z.literal(1),
  /** Binds the bundle to its principal: a daemon cannot hand one principal's bundle to another. */
  principal: z.string(),
  /** The principal's own Matrix account. `homeserver_url` may be plain http only on loopback. */
  matrix: z.optional(z.object({
    homeserver_url: z.string(),
    user_id: z.string(),
    access_token: z.string(),
  })),
  credentials: z.record(
    z.string(),
    z.object({
      value: z.string(),
      /** `host:port` list: an upstream outside it never sees the value. */
      allowed_hosts: words,
      /**
       * Of one that a placeholder stands for: the parts of a request in which it is put in. Absent: all. Where a
       * host lets an agent publish what it sends, `["header"]` keeps it from publishing the credential.
       */
      places: z.optional(z.array(z.enum(["header", "address", "body", "message"]))),
      /**
       * Of an SSH key: lines of `known_hosts` with plain names. It signs in only to allowed hosts whose
       * key is here.
       */
      known_hosts: z.optional(z.string()),
      /** PEM of the CA that these hosts are verified against, instead of the system's. */
      ca: z.optional(z.string()),
      /** Present: `value` is empty, and the access token of this login is meant. */
      oauth2: z.optional(Oauth2Login),
      /** Ms epoch; from then on it is refused. Of a part, the part's own counts. */
      expires_at: z.optional(z.int()),
      /** Headers that go along where it is injected into a service; the caller's of that name are removed. */
      headers: z.optional(names),
      /** As `headers`, but joined to the caller's. */
      append_headers: z.optional(names),
    }),
  ),
});
export type CredentialBundle = z.infer<typeof CredentialBundle>;
