// SPDX-License-Identifier: Apache-2.0

/** Every difference between the embedded homeserver and Synapse that is meant, with its reason. */
import type { Intended } from "./compare.ts";

export const INTENDED: readonly Intended[] = [
  // Everywhere.
  {
    at: /unsigned\.membership$/,
    missing: "embedded",
    reason: "MSC4115's note of the reader's membership is optional, and Bureau has no use for it",
  },
  {
    at: /(display_?name|prev_content\.displayname)$/,
    reason:
      "Synapse gives a new account its localpart as display name, which the specification leaves open",
  },
  {
    at: /unsigned\.(prev_content|prev_sender|replaces_state)(\.|$)/,
    reason:
      "Synapse adds what a state event replaced only where it looked it up; the embedded one always",
  },
  {
    at: /^body\.end$/,
    missing: "embedded",
    reason: "the specification omits `end` when there is no more to page through",
  },
  {
    at: /m\.call\.invite$/,
    missing: "embedded",
    reason: "Synapse keeps members of public rooms from ringing everybody; there are no calls here",
  },
  {
    request: /GET .*\/threads/,
    at: /unsigned\.transaction_id$/,
    missing: "synapse",
    reason: "a transaction id belongs to the sender's own view of an event, in every list",
  },
  {
    request: /\/sync\?/,
    at: /\.device_lists$/,
    missing: "embedded",
    reason: "device lists are for end-to-end encryption, which the embedded homeserver lacks",
  },
  {
    request: /\/sync\?/,
    at: /\.summary(\.m\.heroes)?$/,
    missing: "synapse",
    reason:
      "Synapse summarises only for clients that load members lazily, heroes only without a name",
  },
  // Words of refusal.
  {
    at: /^body\.errcode$/,
    request: /(register|devices\/|account\/password|account\/deactivate)/,
    missing: "synapse",
    reason: "a failed stage of authentication may say what failed, and does here",
  },
  {
    at: /^body\.(completed|flows\[\]\.stages)$/,
    request: /(register|devices\/|account\/)/,
    reason: "Synapse ends with a dummy stage and lists what was completed; one stage needs neither",
  },
  {
    at: /^(status|body\.(errcode|user_id|device_id|is_guest|soft_logout))$/,
    scenario: /a second session on a device/,
    request: /whoami/,
    reason:
      "a login on a known device ends its earlier token, as the specification says; Synapse keeps it",
  },
  {
    at: /^body\.errcode$/,
    scenario: /a deactivated account/,
    request: /login/,
    reason: "M_USER_DEACTIVATED says why; Synapse does not tell",
  },
  {
    at: /^(status|body(\.errcode)?)$/,
    scenario: /createRoom refuses/,
    request: /createRoom/,
    reason: "a malformed request is the client's fault (400); Synapse breaks on some (500)",
  },
  {
    at: /^(status|body\.(errcode|filter_id))$/,
    request: /POST .*\/filter$/,
    reason: "what is no part of a filter is ignored; Synapse breaks on it (500)",
  },
  {
    at: /^body\.errcode$/,
    scenario:
      /^rooms: (kicked|what is no room)|^power: (levels are|membership)|^events: messages page|^sync: (receipts|presence|what is no position|a filter)|^relations: |^directory: a profile|^accounts: login/,
    reason:
      "the embedded one names what is wrong (M_INVALID_PARAM, M_BAD_JSON, M_NOT_FOUND, M_FORBIDDEN); Synapse often says M_UNKNOWN",
  },
  {
    at: /^(status|body\.(errcode|event_id))$/,
    request: /\/redact\/\$nothing/,
    reason:
      "there is no federation that could still bring the event, so redacting nothing is an error",
  },
  {
    at: /^(status|body\.errcode)$/,
    scenario: /^visibility: /,
    request: /\/context\//,
    reason: "an event that one may not see looks as if it were not there, here as everywhere",
  },
  {
    at: /^status$/,
    request: /(\/typing\/|\/profile\/.*displayname)/,
    reason: "acting for somebody else is forbidden (403); Synapse says 400 with M_FORBIDDEN",
  },
  {
    at: /^status$/,
    request: /\/(filter\/<made up>|sync\?filter=<made up>)/,
    reason: "a filter that was never made is not found (404); Synapse says 400",
  },
  // What the one has and the other lacks.
  {
    at: /^(body\.capabilities|body\.versions$)/,
    request: /(capabilities|versions)$/,
    reason:
      "each homeserver says what it has: room versions 10 and 11, and the API up to v1.11 here",
  },
  {
    at: /^(status|body)$/,
    request: /OPTIONS/,
    reason: "an empty answer is 204 at Synapse, and 200 with an empty object here",
  },
  {
    at: /^body\.flows$/,
    request: /GET .*\/login/,
    reason: "there are no application services here",
  },
  {
    at: /^body\.chunk$/,
    scenario: /world_readable/,
    request: /\/messages/,
    reason: "what the world may read, who left may read too; Synapse pages up to the leave only",
  },
  {
    at: /^body\.prev_batch$/,
    request: /\/relations\//,
    missing: "embedded",
    reason: "an optional token for paging back in relations",
  },
  {
    at: /^body\.rooms$/,
    scenario: /a room that was left/,
    request: /\/sync\?timeout=0&filter/,
    missing: "embedded",
    reason: "Synapse tells of a kick in every first sync; include_leave asks for it",
  },
  {
    at: /^body\.rooms\[\]\.room_version$/,
    request: /\/hierarchy/,
    missing: "embedded",
    reason: "a room's summary needs no version",
  },
  {
    at: /^body\[\]\.content\.m\.topic$/,
    request: /\/state$/,
    missing: "embedded",
    reason: "extensible topics (v1.15) are optional beside the plain one",
  },
  {
    at: /timeline\.limited$/,
    scenario: /an invitation comes/,
    reason: "a newly joined room whose whole past is in the timeline has no gap",
  },
  {
    at: /^body\.(devices\[\]\.)?user_id$/,
    request: /GET .*\/devices/,
    missing: "embedded",
    reason: "a device of one's own needs no user id",
  },
  {
    at: /timeline\.limited$/,
    scenario: /a filter by id/,
    reason:
      "a first answer says that there is more before it, also where the filter hides all of that",
  },
];
