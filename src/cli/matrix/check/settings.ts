// SPDX-License-Identifier: Apache-2.0

/** Of a room that Bureau made: who may read it, its name, and who is in it. */
import { hasErrcode } from "../../../messaging/mod.ts";
import { type CheckContext, type Finding, isOfFleet, type Seen, stateOf } from "./finding.ts";

/** State that first boot gives each of its rooms, and what else it would mean. */
const SETTINGS = [
  {
    code: "history",
    type: "m.room.history_visibility",
    field: "history_visibility",
    right: "shared",
    what: "whoever joins can't read what was decided before, or strangers can read it",
    fix: "--fix makes it readable for members, also what was before them",
  },
  {
    code: "guests",
    type: "m.room.guest_access",
    field: "guest_access",
    right: "forbidden",
    what: "guests without an account may come in",
    fix: "--fix forbids them",
  },
] as const;

/** @param machine user id of the machine that must be a member; null: none must */
export function checkSettings(
  context: CheckContext,
  room: Seen,
  machine: string | null,
): Finding[] {
  const { client } = context.store;
  const about = { severity: "error" as const, room: room.label, subject: room.label };
  const all: Finding[] = [];
  for (const { code, type, field, right, what, fix } of SETTINGS) {
    const value = stateOf(room, type)?.content[field];
    if (value === right) continue;
    all.push({
      ...about,
      code,
      message: `${what} (${field} is ${value === undefined ? "not there" : `"${String(value)}"`})`,
      hint: fix,
      mend: async () => void await client.putState(room.id, type, "", { [field]: right }),
    });
  }
  if (machine !== null) {
    const member = stateOf(room, "m.room.member", machine)?.content["membership"];
    if (member !== "join" && member !== "invite") {
      all.push({
        ...about,
        code: "not-invited",
        subject: machine,
        message: `the machine is no member (${String(member ?? "never was")})`,
        hint: "--fix invites it; it joins by itself",
        mend: async () => await invite(context, room, machine),
      });
    }
  }
  for (const user of strangers(context, room)) {
    all.push({
      severity: "warning",
      code: "stranger",
      room: room.label,
      subject: user,
      message:
        "is a member, and neither the operator nor of this Bureau: it reads all that is here",
      hint: "kick it in the room, unless you invited it",
    });
  }
  return all;
}

async function invite({ store }: CheckContext, room: Seen, machine: string): Promise<void> {
  try {
    await store.client.invite(room.id, machine);
  } catch (thrown) {
    // It came in between the look and the invitation.
    if (!hasErrcode(thrown, "M_FORBIDDEN")) throw thrown;
    const member = await store.client.getState(room.id, "m.room.member", machine);
    if (member?.["membership"] !== "join" && member?.["membership"] !== "invite") throw thrown;
  }
}

function strangers(context: CheckContext, room: Seen): string[] {
  const { session } = context;
  return room.state.flatMap(({ type, state_key: user, content }) => {
    if (type !== "m.room.member" || content["membership"] !== "join") return [];
    if (user === session.user_id || isOfFleet(context, user)) return [];
    const [localpart, server] = user.slice(1).split(/:(.*)/s);
    const own = server === session.server_name && localpart!.startsWith(`${session.namespace}/`);
    return own ? [] : [user];
  });
}

/**
 * Gives rooms of ours that lost one half of their name that half back: the alias in the directory, or what the
 * room itself says. Both halves must be the operator's.
 *
 * @param wanted localparts of aliases that must be there
 * @returns what is wrong, and the rooms as they would be when it is mended
 */
export async function checkNames(
  context: CheckContext,
  wanted: readonly string[],
): Promise<{ findings: Finding[]; rooms: readonly Seen[] }> {
  const { session, store, rooms } = context;
  const findings: Finding[] = [];
  const named = new Map<string, string>();
  for (const alias of wanted) {
    if (rooms.some((room) => room.alias === alias)) continue;
    const full = `#${alias}:${session.server_name}`;
    const id = await store.client.resolveAlias(full);
    const found = id === null ? claimant(context, full) : rooms.find((room) => room.id === id);
    if (found === undefined || !isOurs(context, found) || named.has(found.id)) continue;
    named.set(found.id, alias);
    findings.push({
      severity: "error",
      code: "no-alias",
      room: full,
      subject: full,
      message: id === null
        ? "its alias leads nowhere: whoever looks for it makes another room"
        : "the room does not say its own name: nobody finds it by that",
      hint: "--fix gives it back",
      mend: id === null
        ? () => store.client.createAlias(full, found.id)
        : async () =>
          void await store.client.putState(found.id, "m.room.canonical_alias", "", { alias: full }),
    });
  }
  return {
    findings,
    rooms: rooms.map((room) => {
      const alias = named.get(room.id);
      return alias === undefined
        ? room
        : { ...room, alias, label: `#${alias}:${session.server_name}` };
    }),
  };
}

const isOurs = ({ session }: CheckContext, room: Seen) =>
  stateOf(room, "m.room.create")?.sender === session.user_id;

/** The one room of ours that the operator has named so; undefined where there is none, or more than one. */
function claimant(context: CheckContext, full: string): Seen | undefined {
  const all = context.rooms.filter((room) => {
    const named = stateOf(room, "m.room.canonical_alias");
    return isOurs(context, room) && named?.content["alias"] === full &&
      named.sender === context.session.user_id;
  });
  return all.length === 1 ? all[0] : undefined;
}
