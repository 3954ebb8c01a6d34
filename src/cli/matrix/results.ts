// SPDX-License-Identifier: Apache-2.0

/** What the commands of `matrix` give as JSON. */
import * as z from "zod/mini";

const severity = z.enum(["error", "warning"]);

export const send = z.object({ room: z.string(), event_id: z.string() });
/** A line of what is followed. */
export const Message = z.object({
  event_id: z.optional(z.string()),
  sender: z.string(),
  /** Milliseconds since the epoch. */
  at: z.nullable(z.number()),
  type: z.unknown(),
  body: z.unknown(),
  content: z.record(z.string(), z.unknown()),
});
/** Nothing at the end of what was followed, which a program can't. */
export const messages = z.optional(z.object({ room: z.string(), messages: z.array(Message) }));
export const setup = z.object({
  homeserver_url: z.string(),
  operator: z.string(),
  changed: z.array(z.string()),
  /** By alias. */
  rooms: z.record(z.string(), z.string()),
});
export const check = z.object({
  rooms: z.number(),
  findings: z.array(z.object({
    code: z.string(),
    severity,
    room: z.string(),
    subject: z.string(),
    message: z.string(),
    hint: z.nullable(z.string()),
    fixable: z.boolean(),
    fixed: z.boolean(),
  })),
});
export const doctor = z.object({
  findings: z.array(z.object({
    check: z.string(),
    severity: z.enum(["ok", "error", "warning"]),
    message: z.string(),
    hint: z.optional(z.string()),
    fixed: z.optional(z.boolean()),
  })),
});
export const stateCheck = z.object({
  holds: z.boolean(),
  room: z.string(),
  type: z.string(),
  key: z.string(),
  field: z.string(),
  present: z.boolean(),
  value: z.unknown(),
});

export const account = z.object({
  homeserver_url: z.string(),
  user_id: z.string(),
  /** Localpart: what clients ask for. */
  user: z.string(),
  /** Alias. */
  space: z.string(),
  /** Whether --show-password can show it. */
  password_stored: z.boolean(),
});

export const createUser = z.object({
  user_id: z.string(),
  homeserver_url: z.string(),
  /** Ids of those that it is in now. */
  rooms: z.array(z.string()),
});
