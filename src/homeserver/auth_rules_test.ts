// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { authorize, type Draft, type RoomState } from "./auth_rules.ts";
import type { Content } from "./power_levels.ts";

const [ann, bob, cat] = ["@ann:x", "@bob:x", "@cat:x"] as const;

/** A room made by ann; `members` and `rest` say what else is in force. */
function room(
  members: Record<string, string>,
  rest: Record<string, Content> = {},
  elsewhere: string[] = [],
): RoomState {
  const state = new Map<string, { sender: string; content: Content }>([
    ["m.room.create\0", { sender: ann, content: {} }],
    ["m.room.power_levels\0", {
      sender: ann,
      content: { users: { [ann]: 100, [bob]: 50 }, invite: 50 },
    }],
    ["m.room.join_rules\0", { sender: ann, content: { join_rule: "invite" } }],
  ]);
  for (const [type, content] of Object.entries(rest)) {
    state.set(`${type}\0`, { sender: ann, content });
  }
  for (const [user, membership] of Object.entries(members)) {
    state.set(`m.room.member\0${user}`, { sender: user, content: { membership } });
  }
  return {
    get: (type, key) => state.get(`${type}\0${key}`),
    isJoinedTo: (_room, user) => elsewhere.includes(user),
    findInviter: (levels) =>
      Object.keys(members).find((user) =>
        members[user] === "join" && levels.user(user) >= levels.scalar("invite")
      ),
  };
}

const member = (sender: string, target: string, membership: string): Draft => ({
  type: "m.room.member",
  sender,
  state_key: target,
  content: { membership },
});
const may = (draft: Draft, state: RoomState) => void authorize(draft, state);
const mayNot = (draft: Draft, state: RoomState, errcode = "M_FORBIDDEN") =>
  assert.throws(() => authorize(draft, state), { code: errcode });

const here = { [ann]: "join", [bob]: "join", [cat]: "join" };

Deno.test("authorize() join: only for oneself, invited, not banned", () => {
  may(member(cat, cat, "join"), room({ [cat]: "invite" }));
  may(member(cat, cat, "join"), room({ [cat]: "join" }));
  mayNot(member(cat, cat, "join"), room({}));
  mayNot(member(cat, cat, "join"), room({ [cat]: "leave" }));
  mayNot(member(ann, cat, "join"), room({ ...here, [cat]: "invite" }));
  const open = { "m.room.join_rules": { join_rule: "public" } };
  may(member(cat, cat, "join"), room({}, open));
  mayNot(member(cat, cat, "join"), room({ [cat]: "ban" }, open));
});

Deno.test("authorize() restricted join: needs the other room, and somebody who may invite", () => {
  const rules = {
    "m.room.join_rules": {
      join_rule: "restricted",
      allow: [{ type: "m.room_membership", room_id: "!other:x" }],
    },
  };
  const content = authorize(member(cat, cat, "join"), room({ [ann]: "join" }, rules, [cat]));
  assert.equal(content["join_authorised_via_users_server"], ann);
  mayNot(member(cat, cat, "join"), room({ [ann]: "join" }, rules));
  mayNot(member(cat, cat, "join"), room({ [ann]: "leave" }, rules, [cat]));
});

Deno.test("authorize() invite: by a member with the level, of somebody not in or banned", () => {
  may(member(bob, cat, "invite"), room({ [bob]: "join" }));
  mayNot(member(cat, "@dan:x", "invite"), room(here));
  mayNot(member(bob, cat, "invite"), room(here));
  mayNot(member(bob, cat, "invite"), room({ [bob]: "join", [cat]: "ban" }));
  mayNot(member(bob, cat, "invite"), room({ [bob]: "leave" }));
});

Deno.test("authorize() leave: oneself always, others with level and rank, unban with ban level", () => {
  for (const from of ["join", "invite", "knock"]) {
    may(member(cat, cat, "leave"), room({ [cat]: from }));
  }
  for (const from of ["leave", "ban"]) mayNot(member(cat, cat, "leave"), room({ [cat]: from }));
  may(member(bob, cat, "leave"), room(here));
  mayNot(member(bob, ann, "leave"), room(here));
  mayNot(member(cat, bob, "leave"), room(here));
  mayNot(member(bob, cat, "leave"), room({ [cat]: "join" }));
  may(member(bob, cat, "leave"), room({ ...here, [cat]: "ban" }));
  const strict = { "m.room.power_levels": { users: { [ann]: 100, [bob]: 50 }, ban: 60 } };
  mayNot(member(bob, cat, "leave"), room({ ...here, [cat]: "ban" }, strict));
});

Deno.test("authorize() ban and knock follow level, rank and rule", () => {
  may(member(bob, cat, "ban"), room(here));
  mayNot(member(bob, ann, "ban"), room(here));
  mayNot(member(cat, bob, "ban"), room(here));
  const knock = { "m.room.join_rules": { join_rule: "knock" } };
  may(member(cat, cat, "knock"), room({}, knock));
  mayNot(member(cat, cat, "knock"), room({}));
  mayNot(member(cat, cat, "knock"), room({ [cat]: "ban" }, knock));
  mayNot(member(bob, cat, "knock"), room({}, knock));
  mayNot(member(cat, cat, "dance"), room(here), "M_BAD_JSON");
});

Deno.test("authorize() events: members only, by the level of their type", () => {
  const message = (sender: string): Draft => ({ type: "m.room.message", sender, content: {} });
  may(message(cat), room(here));
  mayNot(message("@dan:x"), room(here));
  mayNot(message(cat), room({ ...here, [cat]: "leave" }));
  const state = (sender: string, key = ""): Draft => ({
    type: "m.x",
    sender,
    state_key: key,
    content: {},
  });
  may(state(bob), room(here));
  mayNot(state(cat), room(here));
  may(state(bob, bob), room(here));
  mayNot(state(ann, bob), room(here));
  const typed = {
    "m.room.power_levels": { users: { [ann]: 100 }, state_default: 100, events: { "m.x": 0 } },
  };
  may(state(cat), room(here, typed));
  mayNot({ ...state(cat), type: "m.y" }, room(here, typed));
});

Deno.test("authorize() refuses everything in a room that was never created", () => {
  const nothing: RoomState = {
    get: () => undefined,
    isJoinedTo: () => false,
    findInviter: () => undefined,
  };
  mayNot(member(ann, ann, "join"), nothing);
  mayNot({ type: "m.room.create", sender: bob, state_key: "", content: {} }, room(here));
});
