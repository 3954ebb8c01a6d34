// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";
import { NotifyTarget } from "../../../lib/config/notify_target.ts";
import { AttentionState } from "../api.ts";

export { NotifyTarget };

/** One agent in a message. */
export const NotifyEvent = z.object({
  /** Full localpart. */
  principal: z.string(),
  /** `agent/scribe` */
  account: z.string(),
  state: AttentionState,
  /** ms epoch */
  since: z.number(),
  reason: z.string(),
  /** What agents wrote; only where the target takes it. */
  text: z.optional(z.string()),
});
export type NotifyEvent = z.infer<typeof NotifyEvent>;

/** Waits until it is delivered. */
export const Message = z.object({
  /** The same over tries and restarts: whoever gets it twice can tell. */
  id: z.string(),
  /** ms epoch */
  at: z.number(),
  events: z.array(NotifyEvent),
  attempts: z.number(),
  /** No try before this (ms epoch). */
  next_at: z.number(),
});
export type Message = z.infer<typeof Message>;

/** What an agent's state was when this target heard of it last. */
export const Told = z.object({ state: AttentionState, what: z.string(), at: z.number() });
export type Told = z.infer<typeof Told>;

export const TargetState = z.object({
  told: z.record(z.string(), Told),
  queue: z.array(Message),
});
export type TargetState = z.infer<typeof TargetState>;

/** `<state>/daemon/notify.json`, by name of target. */
export const NotifyState = z.object({
  version: z.literal(1),
  targets: z.record(z.string(), TargetState),
});
export type NotifyState = z.infer<typeof NotifyState>;

/** Of `GET /v1/notify`; operators only. */
export const NotifyView = z.object({
  name: z.string(),
  kind: z.enum(["matrix", "webhook", "ntfy"]),
  /** Without what follows a question mark. */
  where: z.string(),
  states: z.array(AttentionState),
  /** Messages that are not delivered yet. */
  waiting: z.number(),
  /** Agents whose present state it has been told of. */
  told: z.number(),
  quiet_now: z.boolean(),
  last: z.nullable(z.object({ at: z.number(), ok: z.boolean(), why: z.nullable(z.string()) })),
});
export type NotifyView = z.infer<typeof NotifyView>;

export const NotifyAnswer = z.object({ targets: z.array(NotifyView) });
export const NotifyTestRequest = z.object({ target: z.optional(z.string()) });
export const NotifyTestAnswer = z.object({
  results: z.array(
    z.object({ name: z.string(), ok: z.boolean(), why: z.nullable(z.string()) }),
  ),
});
export type NotifyTestAnswer = z.infer<typeof NotifyTestAnswer>;
