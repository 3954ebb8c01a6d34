// SPDX-License-Identifier: Apache-2.0

/** What a machine is told when it joins a fleet, and what it keeps of that. */
import * as z from "zod/mini";

/** Who is who in the fleet: no secrets. */
export const JoinedFleet = z.object({
  version: z.literal(1),
  homeserver_url: z.string(),
  server_name: z.string(),
  /** Localparts. */
  namespace: z.string(),
  fleet: z.string(),
  machine: z.string(),
  /** User ids whose word counts on the machine. */
  admins: z.array(z.string()),
  /** Whose signatures its launcher takes. */
  operator_keys: z.array(z.string()),
});
export type JoinedFleet = z.infer<typeof JoinedFleet>;

/** `bureau machine provision` writes it; `up --join` reads it. Good for one machine, once. */
export const BootFile = z.object({
  ...JoinedFleet.shape,
  kind: z.literal("bureau-boot-file"),
  /** Of the machine's account, until the machine gives itself another. Secret. */
  one_time_password: z.string(),
  /** See `lib/sealed/possession.ts`. Whoever has the file can prove, so it is as secret as the password. */
  challenge: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  /** Milliseconds since the epoch. A key that is published later is not believed. */
  expires_at: z.int(),
});
export type BootFile = z.infer<typeof BootFile>;

/** `<state>/operator/joined.json`: what `up` starts from on a machine that joined. */
export const Joined = z.object({
  ...JoinedFleet.shape,
  /** The proof that the machine's key was published with. */
  proof: z.nullable(z.string()),
});
export type Joined = z.infer<typeof Joined>;

/** What `up` writes on the stdin of `bureau join`. */
export const JoinRequest = z.object({
  version: z.literal(1),
  /** Null: the machine has joined, and starts again. */
  boot_file: z.nullable(BootFile),
  machine_public_key: z.string(),
  /** With a boot file. */
  proof: z.nullable(z.string()),
  state_dir: z.string(),
  run_dir: z.string(),
  bind_roots: z.array(z.object({ path: z.string(), mode: z.enum(["ro", "rw"]) })),
});
export type JoinRequest = z.infer<typeof JoinRequest>;
