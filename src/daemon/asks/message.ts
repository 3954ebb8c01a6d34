// SPDX-License-Identifier: Apache-2.0

/** The words of an ask. Programs read `m.bureau.egress_ask`; people read the body. */
import { authorityOf } from "../../lib/authority.ts";
import { noticePart } from "../../lib/schema/mod.ts";
import { accountOf } from "../account.ts";
import type { Ask, Decided, Outcome } from "./types.ts";

export type Content = Record<string, unknown>;

const part = (
  { id, principal, host, port, since, until }: Ask,
  state: "pending" | Outcome,
  more: Content = {},
) => noticePart("egress_ask", { id, principal, host, port, since, until, state, ...more });

export function askContent(ask: Ask, admins: readonly string[]): Content {
  const seconds = Math.round((ask.until - ask.since) / 1000);
  return {
    // No notice: clients ring for a text.
    msgtype: "m.text",
    body: [
      `${accountOf(ask.principal)} asks to connect to ${authorityOf(ask)} (ask ${ask.id}).`,
      "React ✅ to allow it this once, ❌ to refuse; or reply `approve 1h`, `deny 1d`, `approve`, `deny`.",
      `For good, as you sign it: bureau egress approve ${ask.id} --always`,
      `Unanswered it is refused after ${seconds} s.`,
    ].join("\n"),
    "m.mentions": { user_ids: [...admins] },
    ...part(ask, "pending"),
  };
}

export function decidedContent(decided: Decided): Content {
  return {
    msgtype: "m.text",
    body: `${sentenceOf(decided)} (ask ${decided.id})`,
    "m.mentions": {},
    ...part(decided, decided.outcome, {
      by: decided.by,
      via: decided.via,
      at: decided.at,
      expires_at: decided.expires_at ?? undefined,
      always: decided.always,
    }),
  };
}

function sentenceOf(decided: Decided): string {
  const what = `${accountOf(decided.principal)} → ${authorityOf(decided)}`;
  const until = decided.always
    ? " for good"
    : decided.expires_at === null
    ? " this once"
    : ` until ${new Date(decided.expires_at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  switch (decided.outcome) {
    case "approved":
      return `✅ ${what}: allowed${until} by ${decided.by}`;
    case "denied":
      return `❌ ${what}: refused${until} by ${decided.by}`;
    case "timed-out":
      return `⌛ ${what}: refused, nobody answered in time`;
    case "withdrawn":
      return `⌛ ${what}: withdrawn, the daemon ended or the agent is gone; a new request asks anew`;
  }
}

/** Only a signature makes a decision part of the assignment, and the machine has none to give. */
export function needsSignature({ id }: Ask): Content {
  return {
    msgtype: "m.notice",
    body: `"always" changes the assignment, which you sign: bureau egress approve ${id} --always ` +
      "(or deny). Here, `approve 7d` is the longest.",
  };
}
