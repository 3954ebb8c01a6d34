// SPDX-License-Identifier: Apache-2.0

/**
 * Where the agent listens: in its own room to everything, and in those that the same operator made and put it into to
 * what calls it. Who else gets it into a room gives it no orders there.
 */
import { messageOf } from "../../src/lib/errors.ts";
import { type ProxyClient, ProxyClientError } from "../../src/lib/proxyclient/mod.ts";
import { type Message, Room, type RoomOptions } from "./room.ts";

export class Rooms {
  readonly #rooms = new Map<string, Room | null>();
  #maker: string | null = null;

  constructor(
    readonly proxy: ProxyClient,
    readonly own: string,
    readonly me: string,
    readonly options: Omit<RoomOptions, "isOwn"> = {},
  ) {
    this.#rooms.set(own, new Room(proxy, own, me, options));
  }

  /** @param id the one room to look at; absent: all */
  async unanswered(id?: string): Promise<Message[]> {
    const ids = id === undefined
      ? [this.own, ...(await this.proxy.matrix.joinedRooms()).filter((each) => each !== this.own)]
      : [id];
    const found: Message[] = [];
    for (const each of ids) {
      try {
        const room = await this.#room(each);
        if (room !== null) found.push(...await room.unanswered());
      } catch (thrown) {
        // Put out of it between the one question and the other.
        if (each === this.own || !isForbidden(thrown)) throw thrown;
      }
    }
    return found;
  }

  /**
   * In a room that it was put out of meanwhile nothing is said, and nobody waits.
   * @param messages of one room
   */
  async answer(messages: readonly Message[], text: string, open: string | null): Promise<void> {
    const { room } = messages[0]!;
    try {
      await this.#rooms.get(room)!.answer(messages, text, open);
    } catch (thrown) {
      if (room === this.own || !isForbidden(thrown)) throw thrown;
      console.log(`no answer in ${room}: ${messageOf(thrown)}`);
    }
  }

  async #room(id: string): Promise<Room | null> {
    const known = this.#rooms.get(id);
    if (known !== undefined) return known;
    this.#maker ??= await this.#makerOf(this.own);
    const isTrusted = this.#maker !== null && await this.#makerOf(id) === this.#maker;
    const room = isTrusted
      ? new Room(this.proxy, id, this.me, { ...this.options, isOwn: false })
      : null;
    this.#rooms.set(id, room);
    return room;
  }

  async #makerOf(room: string): Promise<string | null> {
    const state = await this.proxy.matrix.roomState(room);
    return state.find(({ type }) => type === "m.room.create")?.sender ?? null;
  }
}

const isForbidden = (thrown: unknown) =>
  thrown instanceof ProxyClientError && thrown.errcode === "M_FORBIDDEN";
