// SPDX-License-Identifier: Apache-2.0

/** The words of a message. Nothing that an agent wrote is in them unless the target takes text. */
import { noticePart } from "../../../lib/schema/mod.ts";
import type { Candidate } from "./plan.ts";
import type { Message, NotifyEvent, NotifyTarget } from "./types.ts";
import { accountOf } from "../../account.ts";
import type { AttentionState } from "../api.ts";

/** Agents that are named one by one. */
const MAX_NAMED = 20;
const MAX_TEXT = 200;

const WORDS: Readonly<Record<AttentionState, string>> = {
  failed: "has failed",
  "waiting-approval": "waits for an approval",
  "waiting-input": "waits for input",
  working: "works",
  idle: "is idle",
};

export function eventOf(
  { principal, attention, last_line }: Candidate,
  includeText: boolean,
): NotifyEvent {
  const { state, since, reason, message } = attention;
  const text = message ?? (last_line === "" ? null : last_line);
  return {
    principal,
    account: accountOf(principal),
    state,
    since,
    reason,
    ...(includeText && text !== null ? { text: text.slice(0, MAX_TEXT) } : {}),
  };
}

export function titleOf(events: readonly NotifyEvent[]): string {
  const [first] = events;
  if (first === undefined) return "Bureau can reach you here";
  if (events.length === 1) return sentence(first);
  const needs = events.filter(({ state }) => state !== "working" && state !== "idle").length;
  return needs === events.length
    ? `${needs} agents need somebody`
    : `${events.length} agents changed${needs === 0 ? "" : `, ${needs} need somebody`}`;
}

export function bodyOf(events: readonly NotifyEvent[]): string {
  if (events.length === 0) return "This is a test message.";
  const lines = events.slice(0, MAX_NAMED).map((event) => {
    const since = new Date(event.since).toISOString().slice(0, 16).replace("T", " ");
    const text = event.text === undefined ? "" : `: ${event.text}`;
    return `${sentence(event)} since ${since} UTC${text}`;
  });
  const more = events.length - lines.length;
  return [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}

const sentence = ({ account, state }: NotifyEvent): string => `${account} ${WORDS[state]}`;

/** @returns where a click leads; undefined: nowhere */
export function linkOf({ link }: NotifyTarget, events: readonly NotifyEvent[]): string | undefined {
  const account = events.length === 1 ? events[0]!.account : "";
  return link?.replaceAll("{agent}", account.split("/").map(encodeURIComponent).join("/"));
}

/** @param admins who is called */
export function matrixContent(
  target: NotifyTarget,
  { events }: Message,
  admins: readonly string[],
): Record<string, unknown> {
  const link = linkOf(target, events);
  const title = titleOf(events);
  const body = events.length === 1 && events[0]!.text === undefined
    ? title
    : `${title}\n${bodyOf(events)}`;
  return {
    // No notice: clients ring for a text.
    msgtype: "m.text",
    body: link === undefined ? body : `${body}\n${link}`,
    "m.mentions": { user_ids: [...admins] },
    ...noticePart("attention", {
      principals: events.map(({ principal, state, since, reason }) => ({
        principal,
        state,
        since: Math.trunc(since),
        reason,
      })),
    }),
  };
}

/** As a webhook gets it. */
export function webhookBody(
  target: NotifyTarget,
  { id, at, events }: Message,
  machine: string,
): string {
  return JSON.stringify({
    version: 1,
    id,
    at: new Date(at).toISOString(),
    machine,
    test: events.length === 0,
    title: titleOf(events),
    body: bodyOf(events),
    link: linkOf(target, events),
    events: events.map((event) => ({ ...event, since: new Date(event.since).toISOString() })),
  });
}

const PRIORITY: Readonly<Record<AttentionState, number>> = {
  failed: 4,
  "waiting-approval": 4,
  "waiting-input": 3,
  working: 2,
  idle: 2,
};
const TAG: Readonly<Record<AttentionState, string>> = {
  failed: "rotating_light",
  "waiting-approval": "raised_hand",
  "waiting-input": "question",
  working: "gear",
  idle: "zzz",
};

/** As ntfy's publish request takes it (https://docs.ntfy.sh/publish/#publish-as-json). */
export function ntfyBody(target: NotifyTarget, { events }: Message): string {
  const states = [...new Set(events.map(({ state }) => state))];
  return JSON.stringify({
    topic: new URL(target.url!).pathname.slice(1),
    title: titleOf(events),
    message: bodyOf(events),
    priority: Math.max(3, ...states.map((state) => PRIORITY[state])),
    tags: states.map((state) => TAG[state]),
    click: linkOf(target, events),
  });
}
