// SPDX-License-Identifier: Apache-2.0

/**
 * What others see of an agent while it works: whether it types, what it is at, and whether it needs a person. All of
 * it follows from its events.
 */
import type { AgentEvent } from "../../src/agent/event.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import type { Presence, ProxyClient, ProxyMatrix, Said } from "../../src/lib/proxyclient/mod.ts";
import { Broadcast } from "./broadcast.ts";

/** Homeservers end a typing after what they were told, and take who says nothing for gone after half a minute. */
const TYPING_MS = 30_000;
const AGAIN_MS = 20_000;
const PRESENCE_REST_MS = 5_000;
const MAX_STATUS = 100;
const MAX_ATTENTION = 200;

export interface StatusOptions {
  readonly proxy: Pick<ProxyClient, "setAttention"> & {
    readonly matrix: Pick<ProxyMatrix, "setTyping" | "setPresence">;
  };
  /** null: nobody sees it. */
  readonly rooms: { readonly own: string; readonly me: string } | null;
  readonly clock?: Clock;
}

interface Look {
  readonly attention: Said["state"];
  readonly isTyping: boolean;
  readonly presence: Presence;
}

export class Status {
  readonly #attention: ProxyClient["setAttention"];
  readonly #typing: Broadcast<boolean> | null = null;
  readonly #presence: Broadcast<Presence> | null = null;

  constructor({ proxy, rooms, clock = systemClock }: StatusOptions) {
    this.#attention = proxy.setAttention;
    if (rooms === null) return;
    this.#typing = new Broadcast({
      say: (is) => proxy.matrix.setTyping(rooms.own, rooms.me, is ? TYPING_MS : null),
      restMs: 0,
      againMs: AGAIN_MS,
      lasts: (is) => is,
      clock,
    });
    this.#presence = new Broadcast({
      say: (presence) => proxy.matrix.setPresence(presence),
      restMs: PRESENCE_REST_MS,
      againMs: AGAIN_MS,
      lasts: ({ presence }) => presence === "online",
      clock,
    });
    // What a killed one left is no longer so.
    this.#presence.set(IDLE);
  }

  tell(event: AgentEvent): void {
    if (event.type === "tool_call") return this.#presence?.set(online(`tool: ${event.name}`));
    if (event.type !== "state") return;
    const { attention, isTyping, presence } = lookOf(event);
    const message = event.message?.slice(0, MAX_ATTENTION);
    void this.#attention(attention, message).catch(() => {});
    this.#typing?.set(isTyping);
    this.#presence?.set(presence);
  }

  /** It ends. */
  async end(): Promise<void> {
    await Promise.all([
      this.#typing?.end(false),
      this.#presence?.end({ presence: "offline" }),
    ]);
  }
}

const IDLE: Presence = { presence: "unavailable", status_msg: "idle" };

function online(status: string): Presence {
  return { presence: "online", status_msg: status.slice(0, MAX_STATUS) };
}

function lookOf({ state, message }: Extract<AgentEvent, { type: "state" }>): Look {
  const what = message === undefined || message === "" ? "" : `: ${message}`;
  switch (state) {
    case "working":
      return { attention: "working", isTyping: true, presence: online("working") };
    case "waiting-approval": {
      const presence = online(`waiting for approval${what}`);
      return { attention: "waiting", isTyping: false, presence };
    }
    case "waiting-input":
      return { attention: "waiting", isTyping: false, presence: online(`waiting for you${what}`) };
    case "idle":
      return { attention: "idle", isTyping: false, presence: IDLE };
    case "failed": {
      const status_msg = `failed${what}`.slice(0, MAX_STATUS);
      const presence: Presence = { presence: "unavailable", status_msg };
      return { attention: "waiting", isTyping: false, presence };
    }
  }
}
