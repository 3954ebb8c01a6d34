// SPDX-License-Identifier: Apache-2.0

/** The rooms themselves: there, made by the operator, with the levels that they must have, known. */
import { canonicalJson } from "../../../lib/canonical/mod.ts";
import { userId } from "../../../lib/ref/mod.ts";
import { configPowerLevels, type PowerLevels } from "../../../lib/schema/mod.ts";
import type { MatrixClient } from "../../../messaging/mod.ts";
import { bureauRooms, bureauSpace } from "../../bureau_rooms.ts";
import { ensureChild, mendedLevels, type WantedRoom } from "../../rooms.ts";
import {
  type CheckContext,
  type Finding,
  isOfFleet,
  machineOf,
  type Seen,
  stateOf,
} from "./finding.ts";
import { checkSettings } from "./settings.ts";

const UP = "run `deno task up`, which makes what is missing";

/** Localparts of the aliases that every Bureau has. */
export function wantedNames({ session }: CheckContext): string[] {
  const me = userId(session.machine, session.server_name);
  return [bureauSpace(session), ...bureauRooms(session, me)].map(({ alias }) => alias);
}

export function checkRooms(context: CheckContext): Finding[] {
  const { session, rooms } = context;
  const me = userId(session.machine, session.server_name);
  const space = bureauSpace(session);
  const own = bureauRooms(session, me);
  const wanted = [space, ...own];
  for (const room of rooms) {
    const machine = machineOf(context, room);
    if (machine === null || machine === me || !isOfFleet(context, machine)) continue;
    wanted.push({
      alias: room.alias!,
      name: room.alias!,
      powerLevels: configPowerLevels([session.user_id], machine),
    });
  }
  const top = rooms.find(({ alias }) => alias === space.alias);
  return [
    ...wanted.flatMap((one) => {
      const room = rooms.find(({ alias }) => alias === one.alias);
      if (room !== undefined) {
        const machine = own.includes(one) ? me : null;
        return checkRoom(context, room, one, top, machine);
      }
      const alias = `#${one.alias}:${session.server_name}`;
      return [finding("error", "missing-room", alias, alias, "there is no such room", UP)];
    }),
    ...rooms.flatMap((room) => unknownRoom(context, room, wanted, top)),
  ];
}

function finding(
  severity: Finding["severity"],
  code: string,
  room: string,
  subject: string,
  message: string,
  hint: string | null,
): Finding {
  return { severity, code, room, subject, message, hint };
}

function checkRoom(
  context: CheckContext,
  room: Seen,
  wanted: WantedRoom,
  space: Seen | undefined,
  machine: string | null,
): Finding[] {
  const { session, store } = context;
  const all: Finding[] = [];
  const add = (code: string, message: string, hint: string | null, mend?: () => Promise<void>) =>
    void all.push({
      ...finding("error", code, room.label, room.label, message, hint),
      ...(mend === undefined ? {} : { mend }),
    });
  const creator = stateOf(room, "m.room.create")?.sender;
  if (creator !== session.user_id) {
    add("foreign-room", `it was made by ${creator ?? "nobody known"}`, UP);
    // Whose room it is decides who may write in it: nothing else here means anything.
    return all;
  }
  const drift = driftOf(room, wanted.powerLevels, store.client);
  if (drift !== null) all.push(drift);
  for (const user of strangers(context, room)) {
    add(
      "stranger-power",
      `${user} has a power level that only operators and machines have`,
      "take it away in the room, unless you gave it",
    );
  }
  const rule = stateOf(room, "m.room.join_rules")?.content["join_rule"];
  if (rule !== "invite") {
    add(
      "open-room",
      `whoever likes may join (join rule "${String(rule)}")`,
      "--fix makes it invite-only",
      async () =>
        void await store.client.putState(room.id, "m.room.join_rules", "", { join_rule: "invite" }),
    );
  }
  all.push(...checkSettings(context, room, machine));
  const isSpace = room.id === space?.id;
  if (space !== undefined && !isSpace && wanted.name !== wanted.alias) {
    const via = stateOf(space, "m.space.child", room.id)?.content["via"];
    if (!Array.isArray(via) || via.length === 0) {
      add(
        "not-in-space",
        "it is not in the namespace's space",
        "--fix puts it there",
        async () => void await ensureChild(store.client, session.server_name, space.id, room.id),
      );
    }
  }
  return all;
}

/** Power levels that are not as they must be; those of single users are another question. */
export function driftOf(room: Seen, wanted: PowerLevels, client: MatrixClient): Finding | null {
  const levels = stateOf(room, "m.room.power_levels")?.content ?? {};
  const right = mendedLevels(levels, wanted);
  const fields = Object.keys(right).filter((field) =>
    canonicalJson(levels[field] ?? null) !== canonicalJson(right[field] ?? null)
  );
  if (fields.length === 0) return null;
  const message = `its power levels drifted: ${fields.join(", ")}`;
  return {
    ...finding("error", "power-levels", room.label, room.label, message, "--fix puts them back"),
    mend: async () => void await client.putState(room.id, "m.room.power_levels", "", right),
  };
}

/** Neither the operator nor a machine of this fleet. */
function strangers({ session }: CheckContext, room: Seen): string[] {
  const users = stateOf(room, "m.room.power_levels")?.content["users"];
  if (typeof users !== "object" || users === null) return [];
  const machines = `@${session.fleet}/machine/`;
  return Object.entries(users)
    .filter(([user, level]) =>
      Number(level) > 0 && user !== session.user_id &&
      !(user.startsWith(machines) && user.endsWith(`:${session.server_name}`))
    )
    .map(([user]) => user);
}

/** Rooms with Bureau's state, or in its space, that no name of Bureau's leads to. */
function unknownRoom(
  { session }: CheckContext,
  room: Seen,
  wanted: readonly WantedRoom[],
  space: Seen | undefined,
): Finding[] {
  if (wanted.some(({ alias }) => alias === room.alias)) return [];
  // Of agents and services, which may be gone: their rooms stay, with what was said in them.
  if (room.alias?.startsWith(`${session.namespace}/`)) return [];
  const child = space !== undefined && stateOf(space, "m.space.child", room.id) !== undefined;
  const types = new Set(
    room.state.map(({ type }) => type).filter((type) => type.startsWith("m.bureau.")),
  );
  if (!child && types.size === 0) return [];
  const why = child
    ? "it is in the namespace's space"
    : `it holds ${[...types].sort().slice(0, 3).join(", ")}`;
  return [
    finding(
      "warning",
      "unknown-room",
      room.label,
      room.label,
      `${why}, and has no name of this Bureau`,
      "leave it, or give it an alias below the namespace",
    ),
  ];
}
