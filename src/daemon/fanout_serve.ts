// SPDX-License-Identifier: Apache-2.0

/** The fan-out on the daemon's socket: who may follow, and what they ask for. */
import type { Handlers } from "../lib/http/mod.ts";
import type { daemonApi, RoomStateAnswer } from "./api.ts";
import { DaemonError } from "./errors.ts";
import type { Served } from "./serve.ts";

const MAX_NAMES = 200;
const MAX_NAME_CHARS = 255;

export function createMatrixHandlers(
  served: Served,
): Pick<Handlers<typeof daemonApi>, "followEvents" | "roomState"> {
  // What may be read there is then a matter of rooms. The proxy asks a principal for the same grant.
  const may = (userId: string) => served.authority.may(userId, "matrix/read");

  async function reader(request: Request): Promise<string> {
    const userId = await served.verifier.userOf(request);
    if (may(userId)) return userId;
    throw new DaemonError("forbidden", `Cannot follow: "${userId}" may not read Matrix here`, {
      status: 403,
      hint:
        "operators may, and principals of this machine whose assignment grants them `matrix/read`",
    });
  }

  return {
    async followEvents({ request, query }) {
      const userId = await reader(request);
      const types = namesOf(query, "types");
      if (types.length === 0) {
        throw new DaemonError("bad-request", "Cannot follow: no event types are named", {
          status: 400,
          hint: "add for example ?types=m.room.message,m.bureau.*",
        });
      }
      // Only what tells who asks is kept of the request.
      const authorization = request.headers.get("authorization") ?? "";
      const again = new Request(request.url, { headers: { authorization } });
      return served.fanout.open({
        userId,
        rooms: new Set(namesOf(query, "rooms")),
        types,
        position: request.headers.get("last-event-id"),
        mayFollow: () => may(userId),
        verify: () => served.verifier.userOf(again),
      });
    },
    async roomState({ request, query }) {
      const userId = await reader(request);
      const room = query.get("room") ?? "";
      // Taken before the state is read, so that nothing lies between the two.
      const position = served.fanout.position;
      if (!await served.fanout.isMember(userId, room)) {
        throw new DaemonError("not-found", `Cannot read "${room}": no such room, or not yours`, {
          status: 404,
          hint: "this machine and you must both be in the room",
        });
      }
      const state = await served.roomState(room) as RoomStateAnswer["state"];
      return { position, room, state };
    },
  };
}

function namesOf(query: URLSearchParams, name: string): string[] {
  const names = (query.get(name) ?? "").split(",").map((one) => one.trim())
    .filter((one) => one !== "");
  if (names.length > MAX_NAMES || names.some((one) => one.length > MAX_NAME_CHARS)) {
    throw new DaemonError("bad-request", `Cannot follow: too many or too long ${name}`, {
      status: 400,
      hint: `${MAX_NAMES} of ${MAX_NAME_CHARS} characters at most`,
    });
  }
  return names;
}
