// SPDX-License-Identifier: Apache-2.0

/** The specification's default push rules. They are not evaluated here: clients do, for highlights. */
type Rule = Readonly<Record<string, unknown>>;

const highlight = { set_tweak: "highlight" };
const sound = { set_tweak: "sound", value: "default" };
const match = (key: string, pattern: string) => ({ kind: "event_match", key, pattern });
const is = (key: string, value: unknown) => ({ kind: "event_property_is", key, value });

function rule(id: string, conditions: readonly unknown[], actions: readonly unknown[]): Rule {
  return { rule_id: id, default: true, enabled: id !== ".m.rule.master", conditions, actions };
}

/** @param userId whose rules: mentions name the account */
export function defaultPushRules(userId: string): { global: Record<string, readonly Rule[]> } {
  const localpart = userId.slice(1, userId.indexOf(":"));
  const oneToOne = { kind: "room_member_count", is: "2" };
  return {
    global: {
      override: [
        rule(".m.rule.master", [], []),
        rule(".m.rule.suppress_notices", [match("content.msgtype", "m.notice")], []),
        rule(".m.rule.invite_for_me", [
          match("type", "m.room.member"),
          match("content.membership", "invite"),
          match("state_key", userId),
        ], ["notify", sound]),
        rule(".m.rule.member_event", [match("type", "m.room.member")], []),
        rule(".m.rule.is_user_mention", [{
          kind: "event_property_contains",
          key: "content.m\\.mentions.user_ids",
          value: userId,
        }], ["notify", sound, highlight]),
        rule(
          ".m.rule.contains_display_name",
          [{ kind: "contains_display_name" }],
          ["notify", sound, highlight],
        ),
        rule(".m.rule.is_room_mention", [
          is("content.m\\.mentions.room", true),
          { kind: "sender_notification_permission", key: "room" },
        ], ["notify", highlight]),
        rule(".m.rule.roomnotif", [
          match("content.body", "@room"),
          { kind: "sender_notification_permission", key: "room" },
        ], ["notify", highlight]),
        rule(".m.rule.tombstone", [match("type", "m.room.tombstone"), match("state_key", "")], [
          "notify",
          highlight,
        ]),
        rule(".m.rule.reaction", [match("type", "m.reaction")], []),
        rule(
          ".m.rule.room.server_acl",
          [match("type", "m.room.server_acl"), match("state_key", "")],
          [],
        ),
        rule(
          ".m.rule.suppress_edits",
          [is("content.m\\.relates_to.rel_type", "m.replace")],
          [],
        ),
      ],
      content: [{
        rule_id: ".m.rule.contains_user_name",
        default: true,
        enabled: true,
        pattern: localpart,
        actions: ["notify", sound, highlight],
      }],
      room: [],
      sender: [],
      underride: [
        rule(".m.rule.call", [match("type", "m.call.invite")], [
          "notify",
          { set_tweak: "sound", value: "ring" },
        ]),
        rule(
          ".m.rule.encrypted_room_one_to_one",
          [oneToOne, match("type", "m.room.encrypted")],
          ["notify", sound],
        ),
        rule(
          ".m.rule.room_one_to_one",
          [oneToOne, match("type", "m.room.message")],
          ["notify", sound],
        ),
        rule(".m.rule.message", [match("type", "m.room.message")], ["notify"]),
        rule(".m.rule.encrypted", [match("type", "m.room.encrypted")], ["notify"]),
      ],
    },
  };
}
