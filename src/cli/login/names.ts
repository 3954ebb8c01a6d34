// SPDX-License-Identifier: Apache-2.0

/** Which fleet a person's names are of: as the aliases of their rooms say. */
import { parseLocalpart } from "../../lib/ref/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import type { OperatorSession } from "../session.ts";

type Names = Pick<OperatorSession, "namespace" | "fleet" | "machine">;

/** As `up` calls them. */
const USUAL = "bureau/fleet/dev";
/** Somebody may be in thousands. */
const MAX_ROOMS = 50;

/**
 * @param fleet `bureau/fleet/dev`, as a person gave it
 * @throws {RefError} where it is none
 */
export async function namesOf(client: MatrixClient, fleet: string | undefined): Promise<Names> {
  const aliases = fleet === undefined ? await aliasesOf(client) : [];
  const found = fleet === undefined
    ? aliases.flatMap((alias) => /^[^/]+\/fleet\/[^/]+/.exec(alias)?.[0] ?? [])[0] ?? USUAL
    : parseLocalpart(fleet);
  const machines = aliases.filter((alias) => alias.startsWith(`${found}/machine/`));
  // Where it says nothing, as `up` would call this machine.
  const own = Deno.hostname().toLowerCase().split(".")[0]!.replace(/[^a-z0-9_=-]/g, "-") ||
    "machine";
  return {
    namespace: found.split("/")[0]!,
    fleet: found,
    machine: machines.length === 1 ? machines[0]! : `${found}/machine/${own}`,
  };
}

/** Localparts. */
async function aliasesOf(client: MatrixClient): Promise<string[]> {
  const rooms = (await client.joinedRooms()).slice(0, MAX_ROOMS);
  const aliases = await Promise.all(rooms.map(async (room) => {
    const state = await client.getState(room, "m.room.canonical_alias").catch(() => null);
    const alias = state?.["alias"];
    return typeof alias === "string" ? alias.slice(1).split(":")[0]! : "";
  }));
  return aliases.filter((alias) => alias !== "").sort();
}
