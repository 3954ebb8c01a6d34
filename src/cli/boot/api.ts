// SPDX-License-Identifier: Apache-2.0

/** What `up` writes on the stdin of `bureau boot`. Holds a registration secret. */
import * as z from "zod/mini";

export const BootRequest = z.object({
  version: z.literal(1),
  homeserver_url: z.string(),
  /** One of the two. */
  registration_shared_secret: z.optional(z.string()),
  registration_token: z.optional(z.string()),
  namespace: z.string(),
  /** Last segment of the fleet's name. */
  fleet: z.string(),
  /** Last segment of the machine's name. */
  machine: z.string(),
  /** Localpart of the operator's account. */
  operator: z.string(),
  /** `age1…` of the launcher. */
  machine_public_key: z.string(),
  state_dir: z.string(),
  run_dir: z.string(),
  bind_roots: z.array(z.object({ path: z.string(), mode: z.enum(["ro", "rw"]) })),
});
export type BootRequest = z.infer<typeof BootRequest>;

/** How accounts are made later, kept in `<state>/operator/registration.json` (0600). */
export const Registration = z.object({
  kind: z.enum(["shared", "token"]),
  value: z.string(),
});
export type Registration = z.infer<typeof Registration>;
