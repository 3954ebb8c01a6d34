// SPDX-License-Identifier: Apache-2.0

/** What is true only while the process lives: who types, who is there. Positions are stream positions. */

export interface Presence {
  readonly presence: string;
  readonly status_msg: string | undefined;
  readonly lastActive: number;
  readonly position: number;
}

interface Typing {
  readonly users: Map<string, ReturnType<typeof setTimeout>>;
  position: number;
}

export class Ephemeral {
  readonly #typing = new Map<string, Typing>();
  readonly #presence = new Map<string, Presence>();

  typingIn(roomId: string): { users: string[]; position: number } | undefined {
    const typing = this.#typing.get(roomId);
    return typing && { users: [...typing.users.keys()], position: typing.position };
  }

  /** @param expire called when the user's time is over */
  startTyping(
    roomId: string,
    userId: string,
    ms: number,
    position: number,
    expire: () => void,
  ): void {
    const typing = this.#typing.get(roomId) ?? { users: new Map(), position };
    clearTimeout(typing.users.get(userId));
    typing.users.set(userId, setTimeout(expire, ms));
    typing.position = position;
    this.#typing.set(roomId, typing);
  }

  stopTyping(roomId: string, userId: string, position: number): void {
    const typing = this.#typing.get(roomId);
    if (typing === undefined) return;
    clearTimeout(typing.users.get(userId));
    typing.users.delete(userId);
    typing.position = position;
  }

  isTyping(roomId: string, userId: string): boolean {
    return this.#typing.get(roomId)?.users.has(userId) ?? false;
  }

  setPresence(userId: string, presence: Presence): void {
    this.#presence.set(userId, presence);
  }

  presenceOf(userId: string): Presence | undefined {
    return this.#presence.get(userId);
  }

  /** Users whose presence changed after `position`. */
  presenceAfter(position: number): [string, Presence][] {
    return [...this.#presence].filter(([, presence]) => presence.position > position);
  }

  close(): void {
    for (const typing of this.#typing.values()) {
      for (const timer of typing.users.values()) clearTimeout(timer);
    }
    this.#typing.clear();
  }
}
