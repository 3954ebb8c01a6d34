// SPDX-License-Identifier: Apache-2.0

/** What `login`, `whoami` and `logout` give as JSON. */
import * as z from "zod/mini";

const identity = {
  user_id: z.string(),
  homeserver_url: z.string(),
  /** Localpart of the fleet that names are of. */
  fleet: z.string(),
};

export const login = z.object({
  ...identity,
  /** The session's file. */
  file: z.string(),
  /** Whether commands use it with this state directory. */
  used: z.boolean(),
});

export const whoami = z.object({
  ...identity,
  /** `login`: a session of `bureau login`; `operator`: the one that `up` made. */
  source: z.enum(["login", "operator"]),
  file: z.string(),
  /** With --verify: the homeserver's word. */
  device_id: z.optional(z.nullable(z.string())),
  verified: z.optional(z.boolean()),
});

export const logout = z.object({
  user_id: z.string(),
  /** Whether the homeserver ended it, just now or before. */
  ended: z.boolean(),
});
