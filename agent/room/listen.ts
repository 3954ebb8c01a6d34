// SPDX-License-Identifier: Apache-2.0
import type { Message } from "./room.ts";
import type { Rooms } from "./rooms.ts";
import { INTERRUPT } from "./talk.ts";
import { patiently } from "./patiently.ts";

export interface ListenOptions {
  readonly hear: (messages: readonly Message[]) => void;
  /** Told to whoever watches its terminal. */
  readonly tell: (text: string) => void;
  /** Everything that was there before has been heard. */
  readonly onReady?: () => void;
  readonly signal: AbortSignal;
}

/** Until `signal` aborts. Position first, history second: what comes in between is found by the next look. */
export async function listen(rooms: Rooms, options: ListenOptions): Promise<void> {
  const { hear, tell, onReady, signal } = options;
  const look = async (room?: string) =>
    hear(await patiently("read the room", () => rooms.unanswered(room), tell));
  const events = rooms.proxy.matrix.events({ types: ["m.room.message"], own: false, signal });
  for await (const event of events) {
    if (event.kind === "event" || event.kind === "gap") await look(event.room);
    else if (event.kind === "reset") await look();
    else if (event.kind === "open") {
      await look();
      tell(`listening in ${rooms.own}; ${INTERRUPT} stops what I do`);
      onReady?.();
    }
  }
}
